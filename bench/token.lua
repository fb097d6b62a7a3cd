-- SPDX-License-Identifier: MIT
-- A token from memory, many times, and many tasks that wait for one: bench/token.sh runs it in the
-- emulator's environment.
local arc = require "arclua"
local clouds = require "arclua.clouds"

local READS, TASKS = 10000, 1000

local function milliseconds(fn)
  collectgarbage()
  local began = os.clock()
  fn()
  return (os.clock() - began) * 1000
end

local scope = assert(clouds.load(os.getenv "ARCLUA_CLOUD")).scope

-- A credential whose requests are counted.
local function counted()
  local it = assert(arc.credential.environment())
  local source, count = it._source, { requests = 0 }
  it._source = setmetatable({ fetch = function(_, ...)
    count.requests = count.requests + 1
    return source:fetch(...)
  end }, { __index = source })
  return it, count
end

local it, count = counted()
assert(it:token(scope))
local reads = milliseconds(function()
  for _ = 1, READS do
    assert(it:token(scope))
  end
end)
print(("%d cached reads: %.2f ms of CPU, %d request"):format(READS, reads, count.requests))

it, count = counted()
local waiting = milliseconds(function()
  local tasks = {}
  for i = 1, TASKS do
    tasks[i] = arc.spawn(function()
      return assert(it:token(scope))
    end)
  end
  for _, task in ipairs(tasks) do
    task:await()
  end
end)
print(("%d tasks waiting for one token: %.2f ms of CPU, %d request"):format(TASKS, waiting,
  count.requests))
