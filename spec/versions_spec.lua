-- SPDX-License-Identifier: MIT
local versions = require "arclua.versions"

describe("versions", function()
  it("are compared number by number (26)", function()
    local order = { "1.4", "1.9", "1.31", "1.31.0.1", "1.66.03412.2214", "1.100", "2.0" }
    for i = 1, #order do
      for k = 1, #order do
        assert.equal(i < k, versions.less(order[i], order[k]), order[i] .. " < " .. order[k])
      end
    end
    assert.is_false(versions.less("1.31.0.0", "1.31"))
    assert.is_false(versions.less("1.31", "1.31.0"))
  end)

  it("are unknown, not old, when they are none", function()
    for _, text in ipairs { "", "x", "1", "1.", ".1", "1..2", "v1.31", "1.31-rc1", " 1.31",
      "1." .. ("9"):rep(30) } do
      assert.is_nil(versions.less(text, "1.31"), text)
    end
    assert.is_nil(versions.less(nil, "1.31"))
  end)
end)
