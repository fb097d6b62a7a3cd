-- SPDX-License-Identifier: MIT
-- What output has switched on of a terminal, and what undoes it.
local modes = require "arclua.openssh.modes"

describe("the modes of a terminal", function()
  local function undo(...)
    local seen = modes.new()
    for _, chunk in ipairs { ... } do
      seen:feed(chunk)
    end
    return seen:undo()
  end

  for name, case in pairs {
    ["nothing"] = { "plain text, \27[1mbold\27[m", undo = "" },
    ["the other screen, last"] = { "\27[?1049h\27[?25l", undo = "\27[?25h\27[?1049l\27[m" },
    ["what was switched off again"] = { "\27[?1049h", "x\27[?1049l\27[?25l\27[?25h", undo = "" },
    ["several at once"] = { "\27[?1000;1006h", undo = "\27[?1000l\27[?1006l\27[m" },
    ["the keypad"] = { "\27=", undo = "\27>\27[m" },
    ["in pieces"] = { "a\27", "[?", "20", "04h", undo = "\27[?2004l\27[m" },
    ["what does not matter"] = { "\27[?7l\27[?12h\27[4h", undo = "" },
    ["a sequence without end"] = { "\27[?" .. ("1;"):rep(100), "h", undo = "" },
  } do
    it("undoes " .. name, function()
      assert.equal(case.undo, undo(table.unpack(case)))
    end)
  end

  it("undoes once", function()
    local seen = modes.new()
    seen:feed "\27[?1049h"
    assert.not_equal("", seen:undo())
    assert.equal("", seen:undo())
  end)
end)
