-- SPDX-License-Identifier: MIT
-- A workload for which its platform vouches (federation): Kubernetes, GitHub Actions.
local real = require "arclua.core"

local Source = {}
Source.__index = Source

local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

---@param spec { cloud: arclua.Cloud, tenant: string, client_id: string,
---   assertion: fun(core: table): arclua.Secret?, arclua.Error? }
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "workload identity", spec = spec, core = primitives or real },
    Source)
end

function Source:fetch(scope, opts)
  local spec = self.spec
  local assertion <close>, err = spec.assertion(self.core)
  if not assertion then
    return nil, err
  end
  return self.core.token.request {
    url = ("%s/%s/oauth2/v2.0/token"):format(spec.cloud.authority, spec.tenant),
    ca = spec.cloud.ca, ssh_key = opts.ssh_key,
    form = {
      grant_type = "client_credentials", client_id = spec.client_id,
      client_assertion_type = TYPE, client_assertion = assertion, scope = scope,
      claims = opts.claims,
    },
  }
end

return { new = new }
