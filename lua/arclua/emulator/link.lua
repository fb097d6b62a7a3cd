-- SPDX-License-Identifier: MIT
-- The connection between a sender and its machine when a fault is to hit it: bytes are counted
-- on their way. Without a fault the core's splice does it.
local core = require "arclua.core"

local link = {}

local FOR_EVER = 3600

-- Breaks the sender's side as the fault says.
local function strike(relay, fault)
  if fault.kind == "close" then
    core.server.ws_close(relay, fault.code or 1011, fault.reason or "")
    core.timeout(5, function()
      while relay:read() do end
    end)
    relay:close()
  elseif fault.kind == "stall" then
    core.sleep(FOR_EVER)
  else
    relay:abort()
  end
end

-- From the machine to the sender, until the fault strikes.
local function down(relay, sshd, fault, struck)
  local left = type(fault.bytes) == "number" and fault.bytes or math.huge
  if not fault.bytes then
    left = 0
  end
  while not struck.now do
    if left <= 0 then
      struck.now = true
      break
    end
    local chunk = sshd:read(math.min(left, 16384) // 1 | 0)
    if not chunk then
      return
    end
    if not struck.now and not relay:write(chunk) then
      return
    end
    left = left - #chunk
  end
  strike(relay, fault)
end

-- From the sender to the machine.
local function up(relay, sshd, struck)
  while not struck.now do
    local chunk = relay:read()
    if not chunk or not sshd:write(chunk) then
      break
    end
  end
  if not struck.now then
    sshd:shutdown()
  end
end

-- sshd's log, until it says that a session has begun.
local function wait_for_session(log)
  local seen = ""
  while true do
    local chunk = log:read()
    if not chunk then
      return false
    end
    seen = (seen .. chunk):sub(-4096)
    if seen:find("Starting session:", 1, true) then
      return true
    end
  end
end

--- Copies both ways until the fault has struck or one side has ended. Takes both streams;
--- log: sshd's stderr for bytes = "exec", else nil.
function link.run(relay, sshd, fault, log)
  local struck = { now = false }
  local tasks = { core.spawn(up, relay, sshd, struck) }
  if log then
    tasks[2] = core.spawn(function()
      if wait_for_session(log) then
        struck.now = true
        strike(relay, fault)
      end
    end)
  end
  down(relay, sshd, fault, struck)
  for _, task in ipairs(tasks) do
    task:cancel()
    task:await()
  end
  if log then
    log:close()
  end
  relay:close()
  sshd:close()
end

return link
