-- SPDX-License-Identifier: MIT
-- Who has signed in, by the ID token that came straight from the token endpoint over TLS: its
-- signature proves nothing more (OpenID Connect Core 3.1.3.7), the rest is checked.
local errors = require "arclua.errors"

local id_token = {}

local SKEW = 120 -- seconds past its end

-- Besides the authority's own host.
local ISSUERS = { ["sts.windows.net"] = true, ["sts.chinacloudapi.cn"] = true }

local function host_of(url)
  return type(url) == "string" and url:match "^https://([^/:?#]+)" or nil
end

local function foreign(claims, cloud)
  local host = host_of(claims.iss)
  if not host then
    return true
  end
  for _, name in ipairs(cloud.aliases or {}) do
    if host == name then
      return false
    end
  end
  return host ~= host_of(cloud.authority) and not ISSUERS[host]
end

local function wrong(claims, spec, nonce, now)
  if not claims then
    return "Entra did not say who signed in"
  elseif claims.aud ~= spec.client_id then
    return "the answer is for another application"
  elseif nonce and claims.nonce ~= nonce then
    return "the answer is not of this sign-in"
  elseif type(claims.exp) ~= "number" or now > claims.exp + SKEW then
    return "the answer has expired: is this machine's clock right?"
  elseif foreign(claims, spec.cloud) then
    return "the answer is of another issuer"
  end
end

--- The claims of an answer's ID token. nonce: what the request had, nil where it has none.
--- Errors: protocol (entra.bad-token).
---@param core table  the primitives
---@param info table  of token.request
---@param spec arclua.UserSpec
---@return table|nil, arclua.Error?
function id_token.check(core, info, spec, nonce)
  local claims = info.id_token and core.token.claims(info.id_token)
  local why = wrong(claims, spec, nonce, core.time())
  if why then
    return errors.fail { reason = "entra.bad-token", op = "login", message = why,
      remedy = "start the sign-in again; if it stays so, look for a proxy in between" }
  end
  return claims
end

return id_token
