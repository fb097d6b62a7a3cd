-- SPDX-License-Identifier: MIT
local errors = require "arclua.errors"
local retry = require "arclua.arm.retry"

local function setup(replay, random)
  local clock = { now = 0 }
  return retry.new({ now = function() return clock.now end }, replay ~= false,
    function() return random or 0 end), clock
end

local function err_of(fields)
  fields.message = "m"
  return errors.new(fields)
end

describe("retry", function()
  it("doubles its pauses, four times, within the jitter", function()
    for random, factor in pairs { [0] = 0.8, [0.999999] = 1.3 } do
      local state = setup(true, random)
      for n = 1, 4 do
        local delay = retry.next(state, err_of { code = "unavailable" })
        assert.is_true(math.abs(delay - 0.8 * 2 ^ (n - 1) * factor) < 0.001)
      end
      local delay, err = retry.next(state, err_of { code = "unavailable" })
      assert.is_nil(delay)
      assert.equal("unavailable", err.code)
    end
  end)

  it("waits as long as ARM says, and tells when that is too long", function()
    local state = setup()
    assert.equal(17, retry.next(state, err_of { code = "unavailable", retry_after = 17 }))
    assert.equal(0, retry.next(state, err_of { code = "unavailable", retry_after = 0 }))
    local delay, err = retry.next(state, err_of { code = "throttled", retry_after = 3600 })
    assert.is_nil(delay)
    assert.equal("m (Azure asks to wait 3600 s)", err.message)
  end)

  it("is patient with throttling and busy resources, for a while", function()
    for _, fields in ipairs { { code = "throttled" }, { reason = "arm.busy" } } do
      local state, clock = setup()
      for _ = 1, 9 do
        assert.is_number(retry.next(state, err_of(fields)))
        clock.now = clock.now + 100
      end
      assert.is_nil((retry.next(state, err_of(fields))))
    end
  end)

  it("does not send twice what must not be done twice", function()
    for _, fields in ipairs { { code = "closed" }, { code = "timeout" },
      { reason = "arm.server-error", status = 500, tracking_id = "t" } } do
      local delay, err = retry.next(setup(false), err_of(fields))
      assert.is_nil(delay)
      assert.equal("arm.outcome-unknown", err.reason)
      assert.is_false(err.retryable)
      assert.equal(fields.tracking_id, err.tracking_id)
    end
    for _, fields in ipairs { { code = "dns" }, { code = "refused" }, { code = "throttled" },
      { code = "timeout", phase = "connect" }, { reason = "arm.busy" } } do
      assert.is_number((retry.next(setup(false), err_of(fields))))
    end
  end)

  it("takes no for an answer", function()
    for _, code in ipairs { "denied", "notfound", "conflict", "config", "protocol", "cancelled" } do
      local delay, err = retry.next(setup(), err_of { code = code })
      assert.is_nil(delay)
      assert.equal(code, err.code)
    end
  end)

  it("pauses a bucket for as long as ARM says, or a little", function()
    assert.equal(9, retry.pause(err_of { code = "throttled", retry_after = 9 }))
    assert.equal(300, retry.pause(err_of { code = "throttled", retry_after = 3600 }))
    local own = retry.pause(err_of { code = "throttled" })
    assert.is_true(own >= 1.6 and own <= 2.6)
  end)
end)
