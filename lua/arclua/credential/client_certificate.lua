-- SPDX-License-Identifier: MIT
-- An application with a certificate: the client credentials flow with a signed assertion.
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local json = require "arclua.json"
local real = require "arclua.core"
local tenants = require "arclua.credential.tenants"

local Source = {}
Source.__index = Source

local LIFETIME = 600 -- seconds that an assertion is good for
local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string, path: string,
---   password: arclua.Secret?, send_chain: boolean? }
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  local core = primitives or real
  local ok, err = tenants.of_application(spec.tenant)
  if not ok then
    return nil, err
  end
  local certificate
  certificate, err = core.crypto.client_certificate(spec.path, spec.password)
  if not certificate then
    return nil, errors.with(err, { op = "credential",
      message = "the application's certificate: " .. err.message })
  end
  return setmetatable({ name = "client certificate", spec = spec, core = core,
    certificate = certificate }, Source)
end

local function day(seconds)
  return os.date("!%Y-%m-%d %H:%M UTC", math.floor(seconds))
end

-- Entra would refuse it with a code that means five other things as well.
local function check_validity(self, now)
  local from, to = self.certificate:validity()
  if now >= from and now < to then
    return true
  end
  return errors.fail { reason = "cred.certificate-expired", op = "credential",
    message = now < from and ("%s is not valid before %s"):format(self.spec.path, day(from))
      or ("%s has expired at %s"):format(self.spec.path, day(to)) }
end

-- AD FS knows the older signature and thumbprint only.
local function header_of(self)
  local certificate, spec = self.certificate, self.spec
  local header = { alg = "PS256", typ = "JWT",
    x5c = spec.send_chain and json.array(certificate:chain()) or nil }
  if endpoint.is_adfs(spec.cloud, spec.tenant) then
    header.alg, header.x5t = "RS256", certificate:thumbprint "SHA1"
  else
    header["x5t#S256"] = certificate:thumbprint "SHA256"
  end
  return header
end

local function assertion(self, url, now)
  local client_id, header = self.spec.client_id, header_of(self)
  local claims = json.encode { aud = url, iss = client_id, sub = client_id,
    jti = self.core.crypto.uuid(), nbf = now, iat = now, exp = now + LIFETIME }
  return self.certificate:sign(json.encode(header), claims, header.alg)
end

function Source:fetch(scope, opts)
  return endpoint.token(self, scope, opts, function(url)
    local now = math.floor(self.core.time())
    local ok, err = check_validity(self, now)
    if not ok then
      return nil, err
    end
    return { grant_type = "client_credentials", client_assertion_type = TYPE,
      client_assertion = assertion(self, url, now) }, self.certificate:thumbprint()
  end)
end

function Source:close()
  self.certificate:close()
end

return { new = new }
