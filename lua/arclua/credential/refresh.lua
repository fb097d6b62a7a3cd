-- SPDX-License-Identifier: MIT
-- What sign-ins of a person share: where they go, what they ask for, the refresh token's use.
local refresh = {}

-- The Azure CLI's application: every directory knows it as a public client.
refresh.CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
-- The directory of whoever signs in, when none is named.
refresh.ANY_TENANT = "organizations"

local RESERVED = " openid profile offline_access"

---@class arclua.UserSpec
---@field cloud arclua.Cloud
---@field tenant string
---@field client_id string

--- The address of an endpoint ("token", "devicecode").
function refresh.url(spec, endpoint)
  return ("%s/%s/oauth2/v2.0/%s"):format(spec.cloud.authority, spec.tenant, endpoint)
end

--- A scope with what brings a refresh token and tells who signed in.
function refresh.scope(scope)
  return scope .. RESERVED
end

--- One token for a refresh token; info.refresh_token, when there, takes its place.
---@param core table  the primitives
---@param spec arclua.UserSpec
---@param token arclua.Secret
---@param opts { claims: string?, ssh_key: arclua.SshKey? }
---@return arclua.Secret|nil, table|arclua.Error
function refresh.redeem(core, spec, token, scope, opts)
  return core.token.request { url = refresh.url(spec, "token"), ca = spec.cloud.ca,
    ssh_key = opts.ssh_key,
    form = { grant_type = "refresh_token", client_id = spec.client_id, refresh_token = token,
      scope = refresh.scope(scope), claims = opts.claims } }
end

--- A token of a source { core, spec, refresh = the refresh token at hand }: by that, and when it is
--- not enough by sign_in(source, scope, opts).
---@return arclua.Secret|nil, table|arclua.Error
function refresh.fetch(source, sign_in, scope, opts)
  local secret, info
  if source.refresh then
    secret, info = refresh.redeem(source.core, source.spec, source.refresh, scope, opts)
    if not secret and not refresh.needs_person(info) then
      return nil, info
    end
  end
  if not secret then
    secret, info = sign_in(source, scope, opts)
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
