-- SPDX-License-Identifier: MIT
local match = require "arclua.copy.match"

describe("what a copy leaves out", function()
  local function excluded(patterns, rel, directory)
    return assert(match.excludes(patterns))(rel, directory or false)
  end

  it("is a name at any depth, by case", function()
    assert.is_true(excluded({ "*.log" }, "a/b/x.log"))
    assert.is_false(excluded({ "*.log" }, "x.LOG"))
    assert.is_false(excluded({ "*.log" }, "x.log/y"))
    assert.is_true(excluded({ "a", "[bc]?" }, "d/b1"))
    assert.is_true(excluded({ "{x,y}.tmp" }, "y.tmp"))
  end)

  it("is a path from the top with a slash", function()
    assert.is_true(excluded({ "a/*.log" }, "a/x.log"))
    assert.is_false(excluded({ "a/*.log" }, "b/a/x.log"))
    assert.is_false(excluded({ "a/*.log" }, "a/b/x.log"))
    assert.is_true(excluded({ "a/**.log" }, "a/b/x.log"))
    assert.is_true(excluded({ "/x" }, "x"))
    assert.is_false(excluded({ "/x" }, "a/x"))
  end)

  it("is a directory alone with a slash at its end", function()
    assert.is_true(excluded({ "cache/" }, "a/cache", true))
    assert.is_false(excluded({ "cache/" }, "a/cache", false))
  end)

  it("is refused when it is no glob", function()
    local test, err = match.excludes { "ok", "[x" }
    assert.is_nil(test)
    assert.equal("config", err.code)
  end)
end)
