-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local harness = require "harness"
local scheduler = require "arclua.fleet.scheduler"

local both = harness.both

local function items(n)
  local list = {}
  for i = 1, n do
    list[i] = i
  end
  return list
end

local function run(spec)
  spec.parallel = spec.parallel or 10
  spec.broken = spec.broken or function(item, text) return { item, "broken", text } end
  spec.untried = spec.untried or function(item, why) return { item, why } end
  return scheduler.run(spec)
end

describe("scheduler", function()
  both("gives results in the order of the items, never more than so many at a time", function()
    local now, most = 0, 0
    local results, why = run { items = items(50), parallel = 7, work = function(item)
      now = now + 1
      most = math.max(most, now)
      core.sleep(0.001 * (item % 3))
      now = now - 1
      return item * 2
    end }
    assert.is_nil(why)
    for i = 1, 50 do
      assert.equal(2 * i, results[i])
    end
    assert.equal(7, most)
  end)

  both("tells each result as it comes", function()
    local told = {}
    run { items = items(5), work = function(item) return item end,
      done = function(result, index) told[index] = result end }
    assert.same(items(5), told)
  end)

  both("has a result for work that raises", function()
    local results = run { items = items(3), work = function(item)
      if item == 2 then
        error "oops"
      end
      return item
    end }
    assert.equal("broken", results[2][2])
    assert.truthy(results[2][3]:find("oops", 1, true))
    assert.equal(3, results[3])
  end)

  both("stops at the deadline: what runs is told so, the rest is untried", function()
    local results, why = run { items = items(5), parallel = 2, deadline = 0.05,
      work = function(item)
        local ok, err = core.sleep(20)
        return { item, ok and "slept" or err.code }
      end }
    assert.equal("deadline", why)
    assert.same({ 1, "timeout" }, results[1])
    assert.same({ 5, "deadline" }, results[5])
  end)

  both("ends what runs when the caller is cancelled, and has a result for all", function()
    local results, why
    local task = core.spawn(function()
      results, why = run { items = items(6), parallel = 3, work = function(item)
        local ok, err = core.sleep(20)
        return { item, ok and "slept" or err.code }
      end }
    end)
    core.sleep(0.02)
    task:cancel()
    task:await()
    assert.equal("stopped", why)
    assert.same({ 3, "cancelled" }, results[3])
    assert.same({ 6, "stopped" }, results[6])
  end)

  both("is done at once with nothing to do", function()
    assert.same({}, (run { items = {}, work = error }))
  end)
end)
