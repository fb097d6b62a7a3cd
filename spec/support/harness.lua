-- SPDX-License-Identifier: MIT
-- What waiting specs share: each runs twice, and must leave nothing behind.
local assert = require "luassert"
local busted = require "busted"
local core = require "arclua.core"

local harness = {}

-- Seconds that nothing in a spec may exceed.
harness.LIMIT = 30

-- What is alive beyond the tables of zeroes that a clean state shows.
function harness.leftovers()
  core.linger()
  collectgarbage()
  collectgarbage()
  core.linger()
  local left = {}
  for kind, count in pairs(core.stats()) do
    if count ~= 0 then
      left[#left + 1] = kind .. "=" .. count
    end
  end
  table.sort(left)
  return table.concat(left, " ")
end

local function bounded(fn, limit)
  local out = table.pack(core.timeout(limit or harness.LIMIT, fn))
  return table.unpack(out, 1, out.n)
end

-- Declares the spec twice: its body on the main thread and in a task. limit: seconds, for a
-- spec that lets the clock run faster.
function harness.both(name, fn, limit)
  busted.it(name .. " [main]", function()
    bounded(fn, limit)
    assert.equal("", harness.leftovers())
  end)
  busted.it(name .. " [task]", function()
    core.spawn(bounded, fn, limit):await()
    assert.equal("", harness.leftovers())
  end)
end

-- Declares a spec that waits by turning the loop itself, once: what drives the program.
function harness.ends(name, fn)
  busted.it(name, function()
    bounded(fn)
    assert.equal("", harness.leftovers())
  end)
end

-- All that a stream gives until its end: text, and the error that ended it.
function harness.drain(stream)
  local parts = {}
  while true do
    local chunk, err = stream:read()
    if not chunk then
      return table.concat(parts), err
    end
    parts[#parts + 1] = chunk
  end
end

return harness
