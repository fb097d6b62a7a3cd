-- SPDX-License-Identifier: MIT
-- Token buckets as ARM keeps them, so that a large run is paced instead of refused.
local real = require "arclua.core"

local Pace = {}
Pace.__index = Pace

-- A subscription and principal: burst, refill a second.
local BUCKETS = { read = { 250, 25 }, write = { 200, 10 }, graph = { 15, 3 } }

---@param primitives table?
local function new(primitives)
  return setmetatable({ buckets = {}, core = primitives or real }, Pace)
end

local function bucket(self, subscription, kind, now)
  local key = kind .. " " .. subscription
  local one = self.buckets[key]
  if not one then
    one = { size = BUCKETS[kind][1], rate = BUCKETS[kind][2], left = BUCKETS[kind][1],
      at = now, paused = now }
    self.buckets[key] = one
  end
  return one
end

--- Waits until one more request may be sent.
---@param subscription string
---@param kind "read"|"write"|"graph"
---@return true|nil, arclua.Error?
function Pace:take(subscription, kind)
  local now = self.core.now()
  local one = bucket(self, subscription, kind, now)
  one.left = math.min(one.size, one.left + (now - one.at) * one.rate)
  one.at = now
  one.left = one.left - 1
  local delay = math.max(one.left < 0 and -one.left / one.rate or 0, one.paused - now)
  if delay <= 0 then
    return true
  end
  return self.core.sleep(delay)
end

--- ARM refused a request: nobody sends one of this kind for so many seconds.
function Pace:pause(subscription, kind, seconds)
  local now = self.core.now()
  local one = bucket(self, subscription, kind, now)
  one.paused = math.max(one.paused, now + seconds)
end

return { new = new }
