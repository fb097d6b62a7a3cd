-- SPDX-License-Identifier: MIT
-- Runs `true` everywhere twice and counts this process's descriptors after each run: what one run
-- leaves open for the next (idle connections to ARM) must not grow.
local arc = require "arclua"
local core = require "arclua.core"

local function descriptors()
  return #assert(core.sys.list("/proc/self/fd"))
end

local az = assert(arc.login())
local fleet = arc.fleet(assert(az:machines {}), { parallel = tonumber(arg[1]) or 100 })

local function run()
  fleet:exec("true")
  core.sleep(0.2)
  collectgarbage()
  collectgarbage()
  core.sleep(0.2)
  return descriptors()
end

local first = run()
print(("%d descriptors after one run, %d after two"):format(first, run()))
