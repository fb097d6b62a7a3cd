-- SPDX-License-Identifier: MIT
local arc = require "arclua"
local core = require "arclua.core"
local harness = require "harness"

local both = harness.both

describe("arc.map", function()
  both("keeps the order of the list", function()
    local now, most = 0, 0
    local out = assert(arc.map({ 5, 4, 3, 2, 1 }, function(n, i)
      now = now + 1
      most = math.max(most, now)
      arc.sleep(n / 1000)
      now = now - 1
      return n * 10 + i
    end, { parallel = 2 }))
    assert.same({ 51, 42, 33, 24, 15 }, out)
    assert.equal(2, most)
  end)

  both("raises what the function raised, and stops", function()
    local begun = 0
    local ok, err = pcall(arc.map, { 1, 2, 3, 4, 5, 6 }, function(n)
      begun = begun + 1
      arc.sleep(0.001)
      if n == 1 then
        error({ n = n })
      end
    end, { parallel = 2 })
    assert.is_false(ok)
    assert.equal(1, err.n)
    assert.is_true(begun < 6)
  end)

  both("ends its calls when the caller is cancelled", function()
    local ended = {}
    local task = core.spawn(function()
      return arc.map({ 1, 2, 3 }, function(n)
        local _, err = arc.sleep(20)
        ended[n] = err.code
      end, { parallel = 2 })
    end)
    core.sleep(0.01)
    task:cancel()
    local out, err = task:await()
    assert.is_nil(out)
    assert.equal("cancelled", err.code)
    core.sleep(0.01)
    assert.same({ "cancelled", "cancelled" }, ended)
  end)

  both("of nothing is nothing", function()
    assert.same({}, arc.map({}, error))
  end)
end)
