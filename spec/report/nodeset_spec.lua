-- SPDX-License-Identifier: MIT
local glob = require "arclua.glob"
local nodeset = require "arclua.report.nodeset"

describe("nodeset", function()
  for text, names in pairs {
    ["web-[01-03]"] = { "web-01", "web-02", "web-03" },
    ["web-[01-02,04]"] = { "web-04", "web-01", "web-02" },
    ["db,web-[08-11]"] = { "web-09", "web-10", "web-08", "db", "web-11" },
    ["n[8-11]"] = { "n8", "n9", "n10", "n11" },
    ["web-01"] = { "web-01" },
    ["a1b[2-3]c"] = { "a1b3c", "a1b2c" },
    ["1x,[2-3]"] = { "2", "3", "1x" },
    ["n01,n1"] = { "n1", "n01" },
    ["a,b"] = { "b", "a" },
  } do
    it("folds to " .. text, function()
      assert.equal(text, nodeset.fold(names))
    end)
  end

  it("writes what glob reads", function()
    local names = {}
    for i = 1, 120 do
      names[i] = ("srv-%03d.lan"):format(i * 2 % 121)
    end
    local test = assert(glob.compile(nodeset.fold(names)))
    for _, name in ipairs(names) do
      assert.is_true(test(name))
    end
  end)
end)
