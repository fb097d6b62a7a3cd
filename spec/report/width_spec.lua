-- SPDX-License-Identifier: MIT
local width = require "arclua.report.width"

describe("the width of a text", function()
  for text, columns in pairs {
    [""] = 0, ["web-01"] = 6, ["größe"] = 5, ["東京"] = 4, ["한국어"] = 6, ["ｗｅｂ"] = 6,
    ["e\u{0301}"] = 1, ["🚀"] = 2, ["a\u{200B}b"] = 2, ["ﾊﾝ"] = 2, ["→"] = 1, ["👍\u{FE0F}"] = 2,
  } do
    it(("is %d of %s"):format(columns, text), function()
      assert.equal(columns, width.of(text))
    end)
  end

  for _, case in ipairs {
    { "web-01", 6, "web-01" }, { "web-01", 5, "web-…" }, { "東京都", 6, "東京都" },
    { "東京都", 5, "東京…" }, { "東京都", 4, "東…" }, { "e\u{0301}abc", 3, "e\u{0301}a…" },
    { "abc", 1, "…" },
  } do
    it(("lets %s fit into %d"):format(case[1], case[2]), function()
      local text = width.fit(case[1], case[2])
      assert.equal(case[3], text)
      assert.is_true(width.of(text) <= case[2])
    end)
  end
end)
