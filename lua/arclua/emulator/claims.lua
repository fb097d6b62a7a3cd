-- SPDX-License-Identifier: MIT
-- The claims that a token request asks for: continuous access evaluation. A client that says CP1
-- can answer a challenge; one that passes a challenge on gets a token that satisfies it.
local core = require "arclua.core"
local json = require "arclua.json"

local claims = {}

local function member(object, ...)
  for _, name in ipairs { ... } do
    object = type(object) == "table" and object[name] or nil
  end
  return object
end

local function declares_cp1(wanted)
  local values = member(wanted, "access_token", "xms_cc", "values")
  for _, value in ipairs(type(values) == "table" and values or {}) do
    if type(value) == "string" and value:lower() == "cp1" then
      return true
    end
  end
  return false
end

--- What is laid over the claims of a token: nil, refusal when they are no JSON object.
---@param text string?  the form's
---@return table|nil, table?
function claims.of(text)
  if not text or text == "" then
    return {}
  end
  local wanted = json.decode(text)
  if type(wanted) ~= "table" then
    return nil, { 400, "invalid_request", 90013, "Invalid input received from the user: claims." }
  end
  return { xms_cc = declares_cp1(wanted) and json.array { "CP1" } or nil,
    nbf = tonumber(member(wanted, "access_token", "nbf", "value")) }
end

--- The challenge that a token with these claims gets since a moment; nil when it is new enough, or
--- its client cannot answer one.
function claims.challenge(state, token, since)
  local moment = math.floor(since)
  if not token.xms_cc or (token.nbf or 0) >= moment then
    return nil
  end
  local wanted = ('{"access_token":{"nbf":{"essential":true,"value":"%d"}}}'):format(moment)
  return ('Bearer realm="", authorization_uri="%s/common/oauth2/authorize", '
    .. 'error="insufficient_claims", claims="%s"'):format(state.cloud.authority,
    core.crypto.base64(wanted))
end

return claims
