-- SPDX-License-Identifier: MIT
-- Outside listeners: the control channels by which they wait for senders.
local core = require "arclua.core"
local json = require "arclua.json"
local call = require "arclua.emulator.relay_call"
local frames = require "arclua.emulator.frames"
local sas = require "arclua.emulator.sas"
local state = require "arclua.emulator.state"

local listeners = {}

local MOST = 25 -- a path
-- What the 26th is told is not documented: 503 is a guess.
local TOO_MANY = { 503, "The endpoint has the largest number of listeners already." }
local PONG = 210 -- seconds between the Pongs that nobody asked for
local LOOK = 30 -- seconds after which the clock is looked at again
local PARTING = 5 -- seconds that a listener gets to answer a Close
local QUEUE = 1024 * 1024 -- bytes that a listener may leave unread
local NORMAL, POLICY, TOO_FAR = 1000, 1008, 1011

local Listener = {}
Listener.__index = Listener

--- What outside listeners and senders need to know: a line of JSON for each machine of theirs.
function listeners.describe(emulator)
  local s, lines = emulator.state, {}
  for _, m in ipairs(s.machines) do
    if m.relay then
      lines[#lines + 1] = json.encode { machine = m.name, id = m.id, path = m.relay,
        address = ("wss://%s:%d/$hc/%s"):format(emulator.advertise, emulator.port, m.relay),
        ca = s.cloud.ca, rule = state.LISTENER, key = s.rules[state.LISTENER].key,
        sender_rule = s.relay_key_name, sender_key = s.rules[s.relay_key_name].key } .. "\n"
    end
  end
  return table.concat(lines)
end

local function list_of(emulator, path)
  local list = emulator.listeners[path] or {}
  emulator.listeners[path] = list
  return list
end

--- How many listen there.
function listeners.count(emulator, path)
  return #(emulator.listeners[path] or {})
end

--- One of those that listen there, by the emulator's dice; nil = none. but: not this one.
function listeners.choose(emulator, path, but)
  local ready = {}
  for _, listener in ipairs(emulator.listeners[path] or {}) do
    if listener.alive and listener ~= but then
      ready[#ready + 1] = listener
    end
  end
  return ready[math.min(#ready, math.floor(emulator.dice:random() * #ready) + 1)]
end

--- Closes the control channels of a path (nil: all) with this code; bridges stay.
function listeners.close(emulator, path, code, reason)
  for at, list in pairs(emulator.listeners) do
    for _, listener in ipairs((not path or at == path) and list or {}) do
      listener:finish(code, reason)
    end
  end
end

-- Frames are sent by a task of their own: a listener that does not read delays nobody else.
local function write_all(self)
  while true do
    local frame = table.remove(self.queue, 1)
    if frame then
      self.queued = self.queued - #frame
      if not self.stream:write(frame) then
        return
      end
    elseif self.last or not self.more:wait() then
      return
    end
  end
end

--- Sends a frame; false: it is closing, or does not read.
function Listener:send(frame)
  if self.last or self.queued + #frame > QUEUE then
    return false
  end
  self.queue[#self.queue + 1] = frame
  self.queued = self.queued + #frame
  self.more:broadcast()
  return true
end

--- Sends a Close; nothing is accepted from now on.
function Listener:finish(code, reason)
  if self:send(frames.close(code, reason)) then
    self.alive, self.last = false, code or NORMAL
  end
end

--- Whether a fault closes it at this occasion, "accept" or "renew".
function Listener:struck(emulator, occasion)
  local fault = emulator.state.faults:take(occasion, self.machine.name)
  if fault then
    self:finish(fault.code or TOO_FAR, fault.reason or "")
  end
  return fault ~= nil
end

local function renew(self, emulator, token)
  if self:struck(emulator, "renew") then
    return
  end
  local ok, expires = sas.verify(emulator.state, token, self.path, "Listen")
  if not ok then
    self:finish(POLICY, "The renewed token is not valid.")
    return
  end
  self.expires = expires
  emulator.log:add("token-renewed", { machine = self.machine.name, id = self.id })
end

-- What is not known is ignored: the protocol may grow. So is what cannot be read: the token that
-- stands goes on until it expires.
local function take_text(self, emulator, payload)
  local kind, token = core.server.control(payload)
  if kind == "renew" then
    renew(self, emulator, token)
  else
    emulator.log:add("control-ignored", { machine = self.machine.name, id = self.id, kind = kind })
  end
end

-- False: the listener has said its last word.
local function take(self, emulator, opcode, payload)
  if opcode == frames.TEXT then
    take_text(self, emulator, payload)
  elseif opcode == frames.PING then
    self:send(frames.make(frames.PONG, payload))
  elseif opcode == frames.CLOSE then
    local code = #payload >= 2 and string.unpack(">I2", payload) or nil
    self.heard_close = true
    self:finish(code)
    return false
  end
  return true -- a Pong, or binary, which only answers to HTTP requests would be
end

local function expire(self, emulator)
  emulator.log:add("ListenerClosingFromExpiredToken", { machine = self.machine.name,
    id = self.id })
  self:finish(POLICY, "The token has expired.")
end

-- Reads until the listener has gone or a Close was sent.
local function converse(self, emulator)
  local pong = core.now() + PONG
  while not self.last do
    local left = self.expires - emulator.state.faults:time()
    local wait = math.min(pong - core.now(), left, LOOK)
    local opcode, payload = core.timeout(math.max(wait, 0.001), self.reader.next, self.reader)
    if opcode then
      if not take(self, emulator, opcode, payload) then
        return
      end
    elseif not payload or (payload.code ~= "timeout" and math.type(payload.code) ~= "integer") then
      return -- it has gone
    elseif payload.code ~= "timeout" then
      self:finish(payload.code, payload.message)
    elseif self.expires <= emulator.state.faults:time() then
      expire(self, emulator)
    elseif pong <= core.now() then
      pong = pong + PONG
      self:send(frames.make(frames.PONG, ""))
    end
  end
end

-- Until the peer has answered our Close, or gone.
local function part(self)
  core.timeout(PARTING, function()
    self.writer:await()
    local opcode = self.heard_close and frames.CLOSE or frames.PONG
    while opcode and opcode ~= frames.CLOSE do
      opcode = self.reader:next()
    end
  end)
end

local function unregister(self, emulator)
  self.alive = false
  local list = list_of(emulator, self.path)
  for i, listener in ipairs(list) do
    if listener == self then
      table.remove(list, i)
      break
    end
  end
  if #list == 0 then
    emulator.listeners[self.path] = nil
  end
end

local function serve(self, emulator)
  self.writer = core.spawn(write_all, self)
  emulator.log:add("NewListenerRegistered", { machine = self.machine.name, id = self.id })
  converse(self, emulator)
  unregister(self, emulator)
  emulator.log:add("ListenerUnregistered", { machine = self.machine.name, id = self.id,
    code = self.last })
  self.died(self)
  if self.last then
    part(self)
  end
  core.shield(PARTING, function()
    self.writer:cancel()
    self.writer:await()
  end)
  self.stream:close()
end

-- Echoes the first protocol that is offered, as listeners expect.
local function protocol_of(request)
  local offered = request.headers["sec-websocket-protocol"]
  return offered and offered:match "^%s*([^%s,]+)"
end

--- A listener's request, its token verified: its control channel, until it ends. died(listener) is
--- called once it is no more. Returns false.
function listeners.attach(emulator, conn, request, its, died)
  local list = list_of(emulator, its.path)
  if #list >= MOST then
    return call.refuse(its, emulator, conn, table.unpack(TOO_MANY))
  end
  local self = setmetatable({ id = its.id, path = its.path, machine = its.machine,
    expires = its.expires, queue = {}, queued = 0, more = core.cond(), died = died }, Listener)
  list[#list + 1] = self
  local early
  self.stream, early = conn:upgrade(protocol_of(request))
  if self.stream then
    self.alive, self.reader = true, frames.reader(self.stream, early)
    serve(self, emulator)
  else
    unregister(self, emulator)
  end
  return false
end

--- Closes a listener that does not read what it is sent.
function Listener:give_up(emulator)
  emulator.log:add("ListenerUnresponsive", { machine = self.machine.name, id = self.id })
  self.alive, self.last, self.heard_close = false, TOO_FAR, true
  self.writer:cancel()
  self.stream:abort()
end

return listeners
