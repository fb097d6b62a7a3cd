-- SPDX-License-Identifier: MIT
local escape = require "arclua.report.escape"

describe("escape", function()
  for given, wanted in pairs {
    ["plain\ttext\n"] = "plain\ttext\n",
    ["\27[31mred\27[0m"] = "\27[31mred\27[0m",
    ["\27]0;title\7"] = "\\x1B]0;title\\x07",
    ["\27[2J"] = "\\x1B[2J",
    ["a\r\nb\rc"] = "a\nb\\x0Dc",
    ["nul\0del\127"] = "nul\\x00del\\x7F",
    ["é€"] = "é€",
    ["bad\xFF\xC3"] = "bad\\xFF\\xC3",
    ["c1\xC2\x9B31m"] = "c1\\xC2\\x9B31m",
    ["\27"] = "\\x1B",
  } do
    it(("shows %q"):format(given), function()
      assert.equal(wanted, escape.output(given))
    end)
  end

  it("lets no colour into other text", function()
    assert.equal("a\\x1B[31mb\\x0Ac", escape.text "a\27[31mb\nc")
    assert.equal("a\nb", escape.text("a\nb", true))
  end)
end)
