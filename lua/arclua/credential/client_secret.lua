-- SPDX-License-Identifier: MIT
-- An application with a secret: Entra's client credentials flow.
local endpoint = require "arclua.credential.endpoint"
local real = require "arclua.core"
local tenants = require "arclua.credential.tenants"

local Source = {}
Source.__index = Source

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string, secret: arclua.Secret }
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  local ok, err = tenants.of_application(spec.tenant)
  if not ok then
    return nil, err
  end
  return setmetatable({ name = "client secret", spec = spec, core = primitives or real }, Source)
end

function Source:fetch(scope, opts)
  return endpoint.token(self, scope, opts, function()
    return { grant_type = "client_credentials", client_secret = self.spec.secret }
  end)
end

function Source:close()
  self.spec.secret:close()
end

return { new = new }
