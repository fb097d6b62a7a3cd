-- SPDX-License-Identifier: MIT
local backoff = require "arclua.backoff"
local errors = require "arclua.errors"

local function err(fields)
  fields.code, fields.message = fields.code or "unavailable", "no"
  return errors.new(fields)
end

local function run(answers, opts)
  local waits, calls = {}, 0
  opts = opts or {}
  local value, why = backoff.run({ retries = opts.retries or 3, base = 1, cap = 4,
    max_wait = opts.max_wait, random = function() return 0.4 end,
    sleep = opts.sleep or function(delay)
      waits[#waits + 1] = delay
      return true
    end }, function()
    calls = calls + 1
    return table.unpack(answers[math.min(calls, #answers)], 1, 2)
  end)
  return value, why, waits, calls
end

describe("backoff", function()
  it("repeats what is retryable, doubling up to a cap", function()
    local value, _, waits = run { { nil, err {} }, { nil, err {} }, { nil, err {} }, { "ok" } }
    assert.equal("ok", value)
    assert.same({ 1, 2, 4 }, waits)
  end)

  it("gives up after so many retries, with the last error", function()
    local value, why, _, calls = run { { nil, err {} } }
    assert.is_nil(value)
    assert.equal("unavailable", why.code)
    assert.equal(4, calls)
  end)

  it("does not repeat what is final", function()
    local _, why, _, calls = run { { nil, err { code = "denied" } } }
    assert.equal("denied", why.code)
    assert.equal(1, calls)
  end)

  it("waits as long as the server asks, up to a limit", function()
    local _, _, waits = run { { nil, err { retry_after = 17 } }, { "ok" } }
    assert.same({ 17 }, waits)
    local value, why, none = run({ { nil, err { retry_after = 17 } } }, { max_wait = 10 })
    assert.is_nil(value)
    assert.equal(17, why.retry_after)
    assert.same({}, none)
  end)

  it("ends when the wait is ended", function()
    local ended = err { code = "cancelled" }
    local _, why = run({ { nil, err {} } }, { sleep = function() return nil, ended end })
    assert.equal(ended, why)
  end)
end)
