-- SPDX-License-Identifier: MIT
local paths = require "arclua.copy.paths"

describe("paths of a copy", function()
  it("are joined and split", function()
    assert.same({ "a/b", "b", "a", "/b", "/b" }, { paths.join("a", "b"), paths.join("", "b"),
      paths.join("a", ""), paths.join("/", "b"), paths.join("a", "/b") })
    for text, want in pairs { ["a/b"] = { "a", "b" }, b = { "", "b" }, ["/b"] = { "/", "b" },
      ["a/b//"] = { "a", "b" }, ["/"] = { "/", "" }, ["a/."] = { "a/.", "" }, ["."] = { ".", "" },
      [".."] = { "..", "" }, ["a//b"] = { "a", "b" }, [""] = { "", "" } } do
      assert.same(want, { paths.split(text) }, text)
    end
  end)

  it("are names, or not", function()
    for _, name in ipairs { "a", "...", "a b", "-x", ".x", "\n" } do
      assert.is_true(paths.is_name(name))
    end
    for _, name in ipairs { "", ".", "..", "a/b", "/", "a\0b", "../x" } do
      assert.is_false(paths.is_name(name))
    end
  end)

  it("of links stay, or not", function()
    for _, case in ipairs { { "l", "x" }, { "a/l", "../x" }, { "a/l", "../b/../x" },
      { "a/b/l", "../../x" }, { "l", "./x/../y" } } do
      assert.is_true(paths.stays(case[1], case[2]), case[2])
    end
    for _, case in ipairs { { "l", "/x" }, { "l", ".." }, { "l", "../x" }, { "a/l", "../../x" },
      { "l", "x/../../y" }, { "l", "" } } do
      assert.is_false(paths.stays(case[1], case[2]), case[2])
    end
  end)

  it("are temporary beside the file, and never too long", function()
    assert.matches("^a/%.f%.arclua%-%x+$", paths.temporary "a/f")
    assert.not_equal(paths.temporary "f", paths.temporary "f")
    local entry = { size = 5, mtime = 7 }
    assert.equal(paths.partial("f", entry), paths.partial("f", { size = 5, mtime = 7 }))
    assert.not_equal(paths.partial("f", entry), paths.partial("f", { size = 5, mtime = 8 }))
    for _, letter in ipairs { "x", "ü", "😀" } do
      local long = paths.temporary(letter:rep(255 // #letter))
      assert.is_true(#long <= 255 and utf8.len(long) ~= nil)
    end
  end)
end)
