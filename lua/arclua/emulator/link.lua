-- SPDX-License-Identifier: MIT
-- The connection between a sender and its machine, and what breaks it. Without a fault the core's
-- splice moves the bytes; when one is to strike, they are counted on their way.
local core = require "arclua.core"

local link = {}

local FOR_EVER = 3600
local ANSWER = 5 -- seconds that a sender gets to answer a Close
local CHUNK = 16384

local Link = {}
Link.__index = Link

-- Breaks the sender's side as the fault says. Nobody else uses it any more.
local function strike(relay, fault)
  if fault.kind == "close" then
    core.server.ws_close(relay, fault.code or 1011, fault.reason or "")
    core.timeout(ANSWER, function()
      while relay:read() do end
    end)
    relay:close()
  elseif fault.kind == "stall" then
    core.sleep(FOR_EVER)
  else
    relay:abort()
  end
end

-- How many bytes from that side pass before the fault strikes.
local function allowance(fault, side)
  if not fault or (fault.from or "machine") ~= side or fault.bytes == "exec" then
    return math.huge
  end
  return fault.bytes or 0
end

--- Ends the connection as the fault says. One without a fault from the beginning is reset.
function Link:hit(fault)
  if not self.over then
    self.over, self.verdict = true, fault
    if fault == self.fault then
      self.faults:struck(fault, { machine = self.machine })
    end
    if self.splice then
      self.splice:cancel()
    else
      self.done:broadcast()
    end
  end
end

function Link:finish()
  self.over = true
  self.done:broadcast()
end

-- One direction. True: its side has ended.
local function copy(self, side, from, to)
  local left = allowance(self.fault, side)
  while not self.over do
    if left <= 0 then
      self:hit(self.fault)
      return false
    end
    local chunk = from:read(math.tointeger(math.min(left, CHUNK)))
    if not chunk then
      return true
    elseif self.over or not to:write(chunk) then
      return false
    end
    left = left - #chunk
  end
  return false
end

local function down(self)
  copy(self, "machine", self.sshd, self.relay)
  self:finish()
end

local function up(self)
  if copy(self, "sender", self.relay, self.sshd) then
    self.sshd:shutdown()
  end
end

-- sshd's log, until it says that a session has begun.
local function watch(self, log)
  local seen = ""
  while true do
    local chunk = log:read()
    if not chunk then
      return
    end
    seen = (seen .. chunk):sub(-4096)
    if seen:find("Starting session:", 1, true) then
      self:hit(self.fault)
      return
    end
  end
end

local function end_all(tasks)
  core.shield(ANSWER, function()
    for _, task in ipairs(tasks) do
      task:cancel()
      task:await()
    end
  end)
end

-- Copies until the machine has ended or something struck.
local function run(self, log)
  self.done = core.cond()
  local tasks = { core.spawn(down, self), core.spawn(up, self) }
  tasks[3] = log and core.spawn(watch, self, log)
  while not self.over and self.done:wait() do end
  self.over = true
  end_all(tasks)
  if self.verdict then
    strike(self.relay, self.verdict)
  end
  if log then
    log:close()
  end
  self.relay:close()
  self.sshd:close()
end

--- Connects the sender's stream and the machine's until one of them ends or a fault strikes. Takes
--- both. fault: one that is to strike this connection; log: sshd's stderr for bytes = "exec".
function link.join(emulator, m, relay, sshd, fault, log)
  local faults = emulator.state.faults
  local self = setmetatable({ relay = relay, sshd = sshd, fault = fault, faults = faults,
    machine = m.name }, Link)
  emulator.links[self] = true
  if fault or faults:expects "node" then
    run(self, log)
  else
    self.splice = core.spawn(core.splice, relay, sshd)
    self.splice:await()
    end_all { self.splice }
  end
  emulator.links[self] = nil
end

return link
