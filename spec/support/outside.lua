-- SPDX-License-Identifier: MIT
-- Listeners and senders that are not ours: TLS by openssl, HTTP and frames by hand.
local core = require "arclua.core"
local frames = require "frames"
local json = require "arclua.json"
local raw = require "raw"
local sas = require "arclua.emulator.sas"
local state = require "arclua.emulator.state"

local outside = {}

local MASK = "\x12\x34\x56\x78"
local HOST = "localhost"

local Socket = {}
Socket.__index = Socket

local function open(e, text)
  local to, from, process = raw.open(e.port, e.state.cloud.ca, HOST)
  to:write(text)
  return setmetatable({ to = to, from = from, process = process, reader = frames.reader(from) },
    Socket)
end

--- The head of the answer, once it has come; what follows it is for :next().
function Socket:head()
  local got = ""
  while not got:find("\r\n\r\n", 1, true) do
    local chunk = self.from:read()
    if not chunk then
      return got
    end
    got = got .. chunk
  end
  local stop = select(2, got:find("\r\n\r\n", 1, true))
  self.reader.got = got:sub(stop + 1)
  return got:sub(1, stop)
end

--- Whether nothing comes for so long.
function Socket:silent(seconds)
  local chunk, err = core.timeout(seconds, self.from.read, self.from)
  return not chunk and err and err.code == "timeout" or false
end

--- Sends a masked frame; opts as in frames.make.
function Socket:send(opcode, payload, opts)
  opts = opts or {}
  opts.mask = opts.mask or MASK
  return self.to:write(frames.make(opcode, payload, opts))
end

--- The next frame, or nil.
function Socket:next()
  return self.reader:next()
end

--- The next frame of this opcode: payload, frame.
function Socket:find(opcode)
  return self.reader:find(opcode)
end

--- The code and reason of the Close that comes; nil = the connection ended without.
function Socket:closing()
  local payload = self:find(8)
  if payload then
    return #payload >= 2 and string.unpack(">I2", payload) or 1005, payload:sub(3)
  end
end

--- The next accept message of a control channel.
function Socket:accept()
  local payload = self:find(1)
  return payload and json.decode(payload).accept
end

--- Cuts the connection, without a Close.
function Socket:close()
  self.to:close()
  self.from:close()
  self.process:close()
end
Socket.__close = Socket.close

--- A token by this rule ("listener" or nil = the sender's).
function outside.token(e, path, rule, seconds)
  return sas.make(e.state, path, math.floor(core.time()) + (seconds or 3600), rule)
end

--- An upgrade request for this target; headers laid over (false removes), as { name, value } too.
function outside.request(e, target, headers)
  local fields = { Host = HOST .. ":" .. e.port, Upgrade = "websocket", Connection = "Upgrade",
    ["Sec-WebSocket-Version"] = "13", ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==" }
  local text = "GET " .. target .. " HTTP/1.1\r\n"
  for name, value in pairs(headers or {}) do
    if type(name) == "string" then
      fields[name] = value or nil
    else
      text = text .. value[1] .. ": " .. value[2] .. "\r\n"
    end
  end
  for name, value in pairs(fields) do
    text = text .. name .. ": " .. value .. "\r\n"
  end
  return open(e, text .. "\r\n")
end

--- A control channel for the machine, its answer read. opts: token, headers, query, seconds.
function outside.listen(e, name, opts)
  opts = opts or {}
  local path = e:machine(name).relay
  local headers = opts.headers or {}
  headers.ServiceBusAuthorization = opts.token
    or outside.token(e, path, state.LISTENER, opts.seconds)
  local socket = outside.request(e, "/$hc/" .. path .. "?sb-hc-action=listen"
    .. (opts.query or ""), headers)
  return socket, socket:head()
end

--- A sender for the machine, whose answer is withheld. opts: token, headers, query, suffix.
function outside.sender(e, name, opts)
  opts = opts or {}
  local path = e:machine(name).relay
  local headers = opts.headers or {}
  if headers.ServiceBusAuthorization == nil then
    headers.ServiceBusAuthorization = opts.token or outside.token(e, path)
  end
  return outside.request(e, opts.target or ("/$hc/%s%s?sb-hc-action=connect&sb-hc-id=%s%s"):format(
    path, opts.suffix or "", opts.id or "s-1", opts.query or ""), headers)
end

--- A listener's visit to an accept address; more: what is added to it.
function outside.visit(e, accept, more, headers)
  local target = accept.address:match "^wss://localhost:%d+(/.*)$"
  return outside.request(e, target .. (more or ""), headers)
end

local Pair = { __close = function(self)
  self.sender:close()
  self.data:close()
end }

--- A connected pair: sender and the listener's data connection, their 101s read.
function outside.pair(e, name, control)
  local sender = outside.sender(e, name)
  local data = outside.visit(e, control:accept())
  assert(data:head():find "^HTTP/1.1 101 ")
  assert(sender:head():find "^HTTP/1.1 101 ")
  return setmetatable({ sender = sender, data = data }, Pair)
end

return outside
