-- SPDX-License-Identifier: MIT
local pace = require "arclua.arm.pace"

local function setup()
  local clock = { now = 0, slept = 0 }
  local it = pace.new { now = function() return clock.now end, sleep = function(delay)
    clock.slept = clock.slept + delay
    clock.now = clock.now + delay
    return true
  end }
  return it, clock
end

describe("pace", function()
  it("lets a burst through, then ten writes a second", function()
    local it, clock = setup()
    for _ = 1, 200 do
      it:take("s", "write")
    end
    assert.equal(0, clock.slept)
    for _ = 1, 50 do
      it:take("s", "write")
    end
    assert.is_true(math.abs(clock.slept - 5) < 0.01)
  end)

  it("keeps subscriptions and kinds apart", function()
    local it, clock = setup()
    for _ = 1, 200 do
      it:take("s", "write")
    end
    it:take("t", "write")
    it:take("s", "read")
    assert.equal(0, clock.slept)
  end)

  it("holds everybody back when ARM asked for it", function()
    local it, clock = setup()
    it:pause("s", "write", 17)
    it:take("s", "write")
    assert.equal(17, clock.slept)
    it:take("s", "write")
    assert.equal(17, clock.slept)
  end)
end)
