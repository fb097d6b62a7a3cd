-- SPDX-License-Identifier: MIT
local operand = require "arclua.copy.operand"

describe("a word of a copy", function()
  local function is(text, machine, path, direct)
    local one = operand.parse(text, direct)
    assert.same({ machine, path, true }, { one.machine, one.path, one.remote }, text)
  end

  it("may be on machines", function()
    is(":x", nil, "x")
    is(":", nil, "")
    is("web-01:", "web-01", "")
    is("web-01:/a:b", "web-01", "/a:b")
    is("rg/web-01:x", "rg/web-01", "x")
    is("sub/rg/web-01:x/y", "sub/rg/web-01", "x/y")
    is("/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/m:x",
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/m", "x")
    is("ops@h:x", "ops@h", "x", true)
    is("ops@[::1]:x", "ops@[::1]", "x", true)
    is("[fe80::1]:/x", "[fe80::1]", "/x", true)
  end)

  it("is local otherwise", function()
    for _, text in ipairs { "x", "./a:b", "../a:b", "/tmp/a:b", "a/b/c/d:e", ".", "~/x" } do
      assert.same({ path = text, remote = false }, operand.parse(text))
    end
    assert.is_false(operand.parse("./h:x", true).remote)
    assert.is_false(operand.parse("rg/web:x", true).remote)
  end)

  it("makes a line with others", function()
    assert.same({ upload = true, sources = { "a", "b" }, destination = "" },
      operand.line { "a", "b", ":" })
    assert.same({ upload = false, sources = { ".", "x" }, destination = "d", machine = "m" },
      operand.line { "m:", "m:x", "d" })
    for _, words in ipairs { {}, { "a" }, { "a", "b" }, { ":a", ":b" }, { "m:a", "n:b", "c" },
      { "m:a", ":b", "c" }, { "a", "" } } do
      local line, why = operand.line(words)
      assert.is_nil(line)
      assert.is_string(why)
    end
  end)
end)
