-- SPDX-License-Identifier: MIT
-- Shared access signatures of the relay: made for listCredentials, verified at the door.
local core = require "arclua.core"
local text = require "arclua.emulator.text"

local sas = {}

--- The signature (base64) of an encoded resource and an expiry by the text of a key.
function sas.sign(key, sr, se)
  return core.crypto.base64(core.crypto.hmac_sha256(key, sr .. "\n" .. se))
end

--- The finished token for a hybrid connection, valid until `expires` (seconds since 1970), by the
--- sender's rule unless another is named.
function sas.make(state, path, expires, name)
  name = name or state.relay_key_name
  local sr = text.encode(("http://%s/%s/"):format(state.relay_host, path))
  local se = ("%d"):format(expires)
  return ("SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s"):format(sr,
    text.encode(sas.sign(state.rules[name].key, sr, se)), se, name)
end

-- Host and path of a resource: no scheme, port, case or trailing slash.
local function scope_of(sr)
  local rest = text.decode(sr):lower():match "^%a+://(.*)$"
  if not rest then
    return nil
  end
  local host, path = rest:match "^([^/]*)(.*)$"
  return host:gsub(":%d+$", ""), (path:gsub("/+$", ""))
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

-- The rule that has signed, or nil.
local function rule_of(state, fields)
  local rule = state.rules[text.decode(fields.skn)]
  local wanted = sas.sign(rule and rule.key or "", fields.sr, fields.se)
  return core.crypto.equal(text.decode(fields.sig), wanted) and rule or nil
end

-- A resource opens itself and what is below it, whatever name the relay was called by.
local function covers(state, sr, path)
  local host, scope = scope_of(sr)
  local target = "/" .. path:lower():gsub("/+$", "")
  return host and state.relay_hosts[host]
    and (target == scope or target:sub(1, #scope + 1) == scope .. "/")
end

--- When the token opens this path for who makes that claim ("Send", "Listen"): true and its expiry
--- (seconds since 1970); else nil, status, text of the reason.
function sas.verify(state, token, path, claim)
  if not token then
    return nil, 401, "MissingToken: Relay security token is required."
  end
  local body = token:match "^SharedAccessSignature (.+)$"
  local fields = body and fields_of(body)
  local expires = fields and fields.se:find "^%d+$" and tonumber(fields.se)
  if not expires then
    return nil, 401, "MalformedToken: The format of the token is wrong."
  end
  local rule = rule_of(state, fields)
  if not rule then
    return nil, 401, "The token has an invalid signature."
  elseif expires <= state.faults:time() then
    return nil, 401, "ExpiredToken: The token is expired."
  elseif not covers(state, fields.sr, path) then
    return nil, 403, "The token is not valid for this path."
  elseif rule.claim ~= claim then
    return nil, 403, ("The token has no claim '%s' for this path."):format(claim)
  end
  return true, expires
end

return sas
