-- SPDX-License-Identifier: MIT
local check = require "arclua.check"
local core = require "arclua.core"
local errors = require "arclua.errors"

describe("errors", function()
  it("take code, remedy and retryable from every reason", function()
    for reason, known in pairs(core.reasons) do
      local err = errors.new { reason = reason, message = "m" }
      assert.equal(known.code, err.code)
      assert.equal(known.remedy, err.remedy)
      assert.equal(known.retryable, err.retryable)
    end
  end)

  it("are like those of the core", function()
    local ours = errors.new { code = "notfound", message = "m", op = "x" }
    local _, theirs = core.sys.read_file "/nonexistent"
    assert.is_true(errors.is(ours))
    assert.is_true(errors.is(theirs))
    assert.equal("x: m (notfound)", tostring(ours))
    assert.is_false(errors.is "text")
  end)

  it("raise on our own mistakes", function()
    assert.has_error(function() errors.new { reason = "no.such", message = "m" } end)
    assert.has_error(function() errors.new { message = "m" } end)
  end)

  it("describe themselves with what to do", function()
    local err = errors.new { code = "io", message = "m", remedy = "do it" }
    assert.equal("m\n  do it", errors.describe(err))
    assert.equal("m (io)\n  do it", errors.detail(err))
    assert.equal("plain", errors.describe "plain")
    local arm = errors.with(err, { tracking_id = "r", correlation_id = "c" })
    assert.equal("m\n  do it\n  request id r, correlation id c", errors.describe(arm))
    assert.is_nil(errors.with(err, { message = "n" }).message:find "m")
    assert.equal("m", err.message)
  end)
end)

describe("option tables", function()
  local RULES = { n = "number", i = "integer", either = "string|table", s = "secret" }

  local function message(opts)
    local _, text = pcall(check.options, opts, RULES)
    return tostring(text)
  end

  it("name what is unknown or ill-typed", function()
    assert.matches("unknown option 'x'", message { x = 1 }, 1, true)
    assert.matches("option 'n': number expected, got string", message { n = "1" }, 1, true)
    assert.matches("option 'i': integer expected, got number", message { i = 1.5 }, 1, true)
    assert.matches("string or table expected", message { either = 1 }, 1, true)
    assert.matches("table expected, got number", message(5), 1, true)
  end)

  it("pass what is right", function()
    assert.same({}, check.options(nil, RULES))
    check.options({ n = 1, i = 2, either = {}, s = core.secret "x" }, RULES)
  end)
end)
