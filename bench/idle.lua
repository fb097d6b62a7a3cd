-- SPDX-License-Identifier: MIT
-- What open connections cost this program: memory each while they are idle, and, through a session,
-- CPU for a command on each. Prints one line a size.
--   arclua emulator --machines 500 --throttle off -- arclua run bench/idle.lua [relay|login|ssh] [SIZE...]
-- `relay` opens connections through the relay alone, `login` logs in over them, `ssh` (default) also
-- runs the commands. Memory is exact for the first size only: later ones find freed memory.
local arc = require "arclua"
local core = require "arclua.core"

local mode = arg[1] or "ssh"
local sizes = { table.unpack(arg, 2) }
if #sizes == 0 then
  sizes = { "50", "500" }
end

local function resident()
  local text = assert(core.sys.read_file("/proc/self/smaps_rollup"))
  return tonumber(text:match("Rss:%s+(%d+) kB")) * 1024
end

local function settle()
  core.sleep(0.3)
  collectgarbage()
  collectgarbage()
end

local function cpu()
  local user, system = core.sys.cpu()
  return user + system
end

local function open(machine)
  if mode == "relay" then
    return assert(require("arclua.connect").stream(machine, {}))
  end
  return assert(machine:ssh { agent = false })
end

local function each(list, fn)
  return arc.map(list, fn, { parallel = #list })
end

local function measure(machines)
  settle()
  local before, started = resident(), cpu()
  local open_ones = arc.map(machines, open, { parallel = 32 })
  for i = 1, #machines do
    assert(open_ones[i], "a connection failed")
  end
  local opened = cpu()
  settle()
  local held = resident() - before
  local ran = cpu()
  local failed = 0
  if mode == "ssh" then
    each(open_ones, function(session)
      local result = session:exec("true", { timeout = 60 })
      if not result or result.state ~= "ok" then
        failed = failed + 1
      end
    end)
  end
  ran = cpu() - ran
  local count = #machines
  print(("%-6s %6d  %8.1f KB each  %7.3f ms CPU to open  %7.3f ms CPU a command  %d failed"):format(
    mode, count, held / 1024 / count, (opened - started) * 1000 / count, ran * 1000 / count, failed))
  each(open_ones, function(one) one:close() end)
end

local az = assert(arc.login())
local machines = assert(az:machines {})
assert(#machines > 0, "no machines")
local warm = open(machines[1]) -- libraries, caches, credentials
warm:close()
for _, size in ipairs(sizes) do
  local some = {}
  for i = 1, math.min(tonumber(size), #machines) do
    some[i] = machines[i]
  end
  measure(some)
end
