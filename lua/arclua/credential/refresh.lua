-- SPDX-License-Identifier: MIT
-- What sign-ins of a person share: where they go, what they ask for, the refresh token's use.
local endpoint = require "arclua.credential.endpoint"

local refresh = {}

-- The Azure CLI's application: every directory knows it as a public client.
refresh.CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

local RESERVED = " openid profile offline_access"

---@class arclua.UserSpec
---@field cloud arclua.Cloud
---@field tenant string
---@field client_id string

--- The address of an endpoint ("token", "devicecode", "authorize").
function refresh.url(spec, name)
  return endpoint.url(spec.cloud, spec.tenant, name)
end

--- A scope with what brings a refresh token and tells who signed in.
function refresh.scope(scope)
  return scope .. RESERVED
end

--- One token for a refresh token; info.refresh_token, when there, takes its place. It is the
--- person's, and serves any tenant that has the person.
---@param source table  { core, name, spec: arclua.UserSpec }
---@param token arclua.Secret
---@param opts { claims: string?, tenant: string?, early: boolean?, ssh_key: arclua.SshKey? }
---@return arclua.Secret|nil, table|arclua.Error
function refresh.redeem(source, token, scope, opts)
  local asker = { core = source.core, name = source.name, spec = source.spec, public = true }
  return endpoint.token(asker, scope, opts, function()
    return { grant_type = "refresh_token", refresh_token = token,
      scope = refresh.scope(scope) }
  end)
end

-- The options with what a refusal says that a new sign-in must bring.
local function with_claims(opts, claims)
  local out = {}
  for name, value in pairs(opts) do
    out[name] = value
  end
  out.claims = claims or opts.claims
  return out
end

--- A token of a source { core, spec, refresh = the refresh token at hand }: by that, and when it is
--- not enough by sign_in(source, scope, opts).
---@return arclua.Secret|nil, table|arclua.Error
function refresh.fetch(source, sign_in, scope, opts)
  local secret, info
  if source.refresh then
    secret, info = refresh.redeem(source, source.refresh, scope, opts)
    if not secret and (opts.early or not refresh.needs_person(info)) then
      return nil, info
    end
  end
  if not secret then
    secret, info = sign_in(source, scope, with_claims(opts, info and info.claims))
  end
  if secret then
    source.refresh = info.refresh_token or source.refresh
  end
  return secret, info
end

--- Whether a refusal means that the person has to sign in anew.
function refresh.needs_person(err)
  return err.reason == "entra.interaction-required" or err.reason == "entra.signed-out"
end

return refresh
