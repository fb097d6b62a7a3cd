-- SPDX-License-Identifier: MIT
-- Runs `true` everywhere and counts this process's descriptors before and after.
local arc = require "arclua"
local core = require "arclua.core"

local function descriptors()
  return #assert(core.sys.list("/proc/self/fd"))
end

local az = assert(arc.login())
local machines = assert(az:machines {})
descriptors()
local before = descriptors()
local fleet = arc.fleet(machines, { parallel = tonumber(arg[1]) or 100 })
fleet:exec("true")
core.sleep(0.2)
collectgarbage()
collectgarbage()
core.sleep(0.2)
print(("%d descriptors before the run, %d after it"):format(before, descriptors()))
