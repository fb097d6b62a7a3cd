-- SPDX-License-Identifier: MIT
-- A line that a spec can stop and cut: near end of a pair, copied to and from another stream.
local core = require "arclua.core"

local valve = {}
valve.__index = valve

local function copy(self, from, to)
  while true do
    local chunk = from:read()
    while self.stopped and not self.gone do
      self.cond:wait()
    end
    if self.gone then
      return
    elseif not chunk then
      return to:shutdown()
    elseif not to:write(chunk) then
      return
    end
  end
end

-- The near end, and the valve.
function valve.new(far)
  local near, mine = core.pair()
  local self = setmetatable({ mine = mine, far = far, cond = core.cond() }, valve)
  self.tasks = { core.spawn(copy, self, mine, far), core.spawn(copy, self, far, mine) }
  return near, self
end

-- From now on nothing passes, either way.
function valve:stop()
  self.stopped = true
end

function valve:go()
  self.stopped = false
  self.cond:broadcast()
end

-- Resets both ends.
function valve:cut()
  self.gone = true
  self.cond:broadcast()
  self.mine:abort()
  self.far:abort()
  for _, task in ipairs(self.tasks) do
    task:await()
  end
end

return valve
