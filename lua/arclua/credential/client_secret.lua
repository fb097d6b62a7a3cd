-- SPDX-License-Identifier: MIT
-- An application with a secret: Entra's client credentials flow.
local real = require "arclua.core"
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

local NOT_FOR_APPS = { common = true, consumers = true, organizations = true }

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string, secret: arclua.Secret }
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  if NOT_FOR_APPS[spec.tenant:lower()] then
    return errors.fail { code = "config", op = "credential",
      message = ("tenant '%s': an application needs its own tenant"):format(spec.tenant) }
  end
  return setmetatable({ name = "client secret", spec = spec, core = primitives or real }, Source)
end

function Source:fetch(scope, opts)
  local spec = self.spec
  return self.core.token.request {
    url = ("%s/%s/oauth2/v2.0/token"):format(spec.cloud.authority, spec.tenant),
    ca = spec.cloud.ca, ssh_key = opts.ssh_key,
    form = {
      grant_type = "client_credentials", client_id = spec.client_id,
      client_secret = spec.secret, scope = scope, claims = opts.claims,
    },
  }
end

return { new = new }
