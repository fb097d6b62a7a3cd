-- SPDX-License-Identifier: MIT
local glob = require "arclua.glob"

describe("glob", function()
  local cases = {
    { "web-*", "web-01", true }, { "web-*", "WEB-01", true }, { "WEB-*", "web-", true },
    { "web-?", "web-1", true }, { "web-?", "web-12", false }, { "*", "", true },
    { "web-[12]", "web-2", true }, { "web-[12]", "web-3", false }, { "[!w]*", "db", true },
    { "[!w]*", "web", false }, { "web-[a-c]", "web-b", true }, { "{web,db}-*", "db-1", true },
    { "{web,db}-*", "x-1", false }, { "web-[01-03]", "web-02", true },
    { "web-[01-03]", "web-2", false }, { "web-[01-03,07]", "web-07", true },
    { "web-[01-03,07]", "web-06", false }, { "a.b", "a.b", true }, { "a.b", "axb", false },
    { "a%b", "a%b", true }, { "x[]]", "x]", true }, { "**", "anything", true },
    { "n{1,2}[01-02]", "n202", true }, { "w^", "w^", true },
  }
  for _, case in ipairs(cases) do
    it(("%s %s %s"):format(case[1], case[3] and "matches" or "leaves", case[2]), function()
      assert.equal(case[3], assert(glob.compile(case[1]))(case[2]))
    end)
  end

  it("refuses what is no pattern", function()
    for _, bad in ipairs { "", "web-[", "a[b", "[00001-99999]{1,2,3}" } do
      local test, err = glob.compile(bad)
      assert.is_nil(test, bad)
      assert.equal("config", err.code)
    end
  end)

  it("knows what is a pattern", function()
    assert.is_true(glob.is_pattern "a*")
    assert.is_false(glob.is_pattern "web-01.example")
  end)
end)
