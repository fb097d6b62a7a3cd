-- SPDX-License-Identifier: MIT
-- A workload for which its platform vouches (federation): Kubernetes, GitHub Actions.
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local real = require "arclua.core"
local tenants = require "arclua.credential.tenants"

local Source = {}
Source.__index = Source

local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string,
---   assertion: fun(core: table): arclua.Secret?, arclua.Error? }
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  local ok, err = tenants.of_application(spec.tenant)
  if not ok then
    return nil, err
  end
  return setmetatable({ name = "workload identity", spec = spec, core = primitives or real },
    Source)
end

-- What the platform's token says of itself, for comparing it with the application's credential.
local function presented(claims)
  local parts = {}
  for _, name in ipairs { "iss", "sub", "aud" } do
    if claims[name] then
      parts[#parts + 1] = ("%s '%s'"):format(name, claims[name])
    end
  end
  return table.concat(parts, ", ")
end

function Source:fetch(scope, opts)
  local claims
  local secret, info = endpoint.token(self, scope, opts, function()
    local assertion, err = self.spec.assertion(self.core)
    if not assertion then
      return nil, err
    end
    claims = self.core.token.claims(assertion)
    return { grant_type = "client_credentials", client_assertion_type = TYPE,
      client_assertion = assertion }, assertion
  end)
  if not secret and claims and info.message:find("AADSTS70021", 1, true) then
    info = errors.with(info, { message = ("%s; presented was %s"):format(info.message,
      presented(claims)) })
  end
  return secret, info
end

return { new = new }
