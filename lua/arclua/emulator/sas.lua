-- SPDX-License-Identifier: MIT
-- Shared access signatures of the relay: made for listCredentials, verified at the door.
local core = require "arclua.core"
local text = require "arclua.emulator.text"

local sas = {}

local function signature(state, sr, se)
  return core.crypto.base64(core.crypto.hmac_sha256(state.relay_key, sr .. "\n" .. se))
end

--- The finished token for a hybrid connection, valid until `expires` (seconds since 1970).
function sas.make(state, path, expires)
  local sr = text.encode(("http://%s/%s/"):format(state.relay_host, path))
  local se = ("%d"):format(expires)
  return ("SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s"):format(sr,
    text.encode(signature(state, sr, se)), se, state.relay_key_name)
end

-- host/path of a resource: no scheme, port, case or trailing slash.
local function scope_of(sr)
  local rest = text.decode(sr):lower():match "^%a+://(.*)$"
  if not rest then
    return nil
  end
  local host, path = rest:match "^([^/]*)(.*)$"
  return (host:gsub(":%d+$", "") .. path):gsub("/+$", "")
end

local function fields_of(token)
  local fields = {}
  for part in token:gmatch "[^&]+" do
    local name, value = part:match "^(%a+)=(.*)$"
    if not name or fields[name] then
      return nil
    end
    fields[name] = value
  end
  return fields.sr and fields.sig and fields.se and fields.skn and fields or nil
end

local function good_signature(state, fields)
  local wanted = signature(state, fields.sr, fields.se)
  return fields.skn == state.relay_key_name
    and core.crypto.equal(text.decode(fields.sig), wanted)
end

-- A resource opens itself and what is below it.
local function covers(state, sr, path)
  local scope = scope_of(sr)
  local target = (state.relay_host .. "/" .. path):lower():gsub("/+$", "")
  return scope and (target == scope or target:sub(1, #scope + 1) == scope .. "/")
end

--- True when the token opens this path for a sender; else nil, status, text of the reason.
function sas.verify(state, token, path)
  if not token then
    return nil, 401, "MissingToken: Relay security token is required."
  end
  local body = token:match "^SharedAccessSignature (.+)$"
  local fields = body and fields_of(body)
  if not fields then
    return nil, 401, "MalformedToken: The format of the token is wrong."
  elseif not good_signature(state, fields) then
    return nil, 401, "The token has an invalid signature."
  elseif (tonumber(fields.se) or 0) <= state.faults:time() then
    return nil, 401, "ExpiredToken: The token is expired."
  elseif not covers(state, fields.sr, path) then
    return nil, 403, "The token is not valid for this path."
  end
  return true
end

return sas
