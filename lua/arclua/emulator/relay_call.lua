-- SPDX-License-Identifier: MIT
-- One request at the relay's door, read: which hybrid connection is meant, by which action, with
-- which token; and how the relay says no.
local core = require "arclua.core"
local http = require "arclua.emulator.http"
local text = require "arclua.emulator.text"

local call = {}

local SEGMENTS = 16 -- of a hybrid connection's name, at most
local REASON = 1024 -- bytes of a reason phrase, before the TrackingId

call.NO_ENDPOINT = "Endpoint does not exist."
call.NO_LISTENER = "There are no listeners connected for the endpoint."
call.NOT_ACCEPTED = "None of the connected listeners accepted the connections within the "
  .. "allowed timeout"
call.WEBSOCKET_ONLY = "This endpoint is only for web-socket requests"

-- The query's parameters: sb-hc-* (names in lower case, values raw), and the others as they came.
local function query_of(raw)
  local own, others = {}, {}
  for part in raw:gmatch "[^&]+" do
    local name, value = part:match "^([^=]*)=?(.*)$"
    name = text.decode(name):lower()
    if not name:find("^sb%-hc%-") then
      others[#others + 1] = part
    elseif own[name] == nil then
      own[name] = value
    end
  end
  return own, table.concat(others, "&")
end

-- "." and "..": what a URL library would resolve names another path at each hop.
local function has_dots(decoded)
  return ("/" .. decoded .. "/"):find("/%.%.?/") ~= nil
end

-- The longest known name that the raw path begins with: the name, what follows it (raw).
local function known_of(relays, raw)
  local at, name, found, rest = 1, "", nil, nil
  for _ = 1, SEGMENTS do
    local slash = raw:find("/", at, true)
    local encoded = raw:find("%%2[fF]", at)
    local stop = math.min(slash or #raw + 1, encoded or #raw + 1)
    name = name .. text.decode(raw:sub(at, stop - 1)):lower()
    if relays[name] then
      found, rest = name, raw:sub(stop)
    end
    if stop > #raw then
      break
    end
    at, name = stop + (stop == slash and 1 or 3), name .. "/"
  end
  return found, rest
end

-- Raw path, as senders spell it: raw or encoded slashes, `$hc` or `%24hc`, and a `?` that came
-- encoded before "sb-hc-".
local function split(target)
  target = target:gsub("%%3[fF](sb%-hc%-)", "?%1", 1)
  local path, query = target:match "^([^?]*)%??(.*)$"
  return path:match "^/%$hc/+(.+)$" or path:match "^/%%24hc/+(.+)$", query
end

local function id_of(query)
  local id = text.decode(query["sb-hc-id"] or "")
  return id:match "^[%w%-_]+$" and id:sub(1, 100) or nil
end

--- The call that a request is. path: the known hybrid connection's, suffix and others: what the
--- accept address hands on; nil path: there is none of that name.
function call.read(state, request)
  local raw, query = split(request.target)
  local own, others = query_of(query)
  local decoded = raw and text.decode(raw) or ""
  local self = { query = own, others = others, entity = decoded,
    action = text.decode(own["sb-hc-action"] or "connect"),
    given_id = id_of(own), since = core.now() }
  self.id = self.given_id or core.crypto.uuid()
  if raw and not has_dots(decoded) then
    self.path, self.suffix = known_of(state.relays, raw)
    self.suffix = (self.suffix or ""):find "^/*$" and "" or self.suffix
  end
  return self
end

--- The token, and the carrier it came by: the header before the query before Authorization.
function call.token(self, request)
  local headers = request.headers
  if headers.servicebusauthorization then
    return headers.servicebusauthorization, "servicebusauthorization"
  elseif self.query["sb-hc-token"] then
    return text.decode(self.query["sb-hc-token"]), "sb-hc-token"
  end
  return headers.authorization, "authorization"
end

--- Whether it asks for a WebSocket, as one must be asked for.
function call.upgrades(request)
  return request.upgrade and (request.headers.upgrade or ""):lower() == "websocket"
    and (request.headers["sec-websocket-key"] or "") ~= ""
end

--- What may stand in a reason phrase.
function call.phrase(reason)
  return text.plain(reason:gsub("%c+", " "), REASON)
end

--- Answers no; the connection of a failed upgrade is not to be used again. Returns false.
function call.refuse(self, emulator, conn, status, reason)
  emulator.log:add("relay-refused", { machine = self.machine and self.machine.name, id = self.id,
    action = self.action ~= "connect" and text.plain(self.action, 20) or nil, status = status,
    reason = text.plain(reason, 200) })
  local phrase = ("%s TrackingId:%s_G%d, SystemTracker:sb://%s/%s, Timestamp:%s"):format(
    call.phrase(reason ~= "" and reason or http.reason(status)), self.id, 0,
    emulator.state.relay_host, text.plain(self.entity or "", 300),
    os.date("!%Y-%m-%dT%H:%M:%S", math.floor(core.time())))
  conn:respond(status, phrase, { Connection = "close" }, "")
  return false
end

return call
