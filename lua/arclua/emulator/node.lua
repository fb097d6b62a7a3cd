-- SPDX-License-Identifier: MIT
-- The relay's node restarts, as it does about once a day: all its connections end.
local core = require "arclua.core"
local listeners = require "arclua.emulator.listeners"

local node = {}

local GOING_AWAY = 1011

--- Ends every connection, and lets senders find no listener for `down` seconds.
function node.restart(emulator, fault)
  emulator.node_up = core.now() + (fault.down or 0)
  listeners.close(emulator, nil, fault.code or GOING_AWAY, "The node restarts.")
  for link in pairs(emulator.links) do
    link:hit { kind = "close", code = fault.code or GOING_AWAY, reason = "The node restarts." }
  end
end

--- Waits for a fault's time, again and again if it says so.
function node.watch(emulator, fault)
  local task
  task = core.spawn(function()
    local wait = fault.begins or 0
    while wait and core.sleep(wait) do
      local due = emulator.state.faults:take "node"
      if due then
        node.restart(emulator, due)
      end
      wait = emulator.state.faults:expects "node" and fault.every
    end
    emulator.open[task] = nil
  end)
  emulator.open[task] = true
end

return node
