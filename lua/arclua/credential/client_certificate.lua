-- SPDX-License-Identifier: MIT
-- An application with a certificate: the client credentials flow with a signed assertion.
local json = require "arclua.json"
local real = require "arclua.core"
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

local NOT_FOR_APPS = { common = true, consumers = true, organizations = true }
local LIFETIME = 600 -- seconds that an assertion is good for
local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string, path: string,
---   password: arclua.Secret?, send_chain: boolean? }
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  local core = primitives or real
  if NOT_FOR_APPS[spec.tenant:lower()] then
    return errors.fail { code = "config", op = "credential",
      message = ("tenant '%s': an application needs its own tenant"):format(spec.tenant) }
  end
  local certificate, err = core.crypto.client_certificate(spec.path, spec.password)
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

local function assertion(self, url, now)
  local spec, certificate = self.spec, self.certificate
  local header = json.encode { alg = "PS256", typ = "JWT",
    ["x5t#S256"] = certificate:thumbprint(),
    x5c = spec.send_chain and json.array(certificate:chain()) or nil }
  local claims = json.encode { aud = url, iss = spec.client_id, sub = spec.client_id,
    jti = self.core.crypto.uuid(), nbf = now, iat = now, exp = now + LIFETIME }
  return certificate:sign(header, claims)
end

function Source:fetch(scope, opts)
  local spec, now = self.spec, math.floor(self.core.time())
  local ok, err = check_validity(self, now)
  if not ok then
    return nil, err
  end
  local url = ("%s/%s/oauth2/v2.0/token"):format(spec.cloud.authority, spec.tenant)
  local signed <close> = assertion(self, url, now)
  return self.core.token.request {
    url = url, ca = spec.cloud.ca, ssh_key = opts.ssh_key,
    form = {
      grant_type = "client_credentials", client_id = spec.client_id,
      client_assertion_type = TYPE, client_assertion = signed, scope = scope,
      claims = opts.claims,
    },
  }
end

return { new = new }
