-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local sys = core.sys

describe("sys", function()
  local dir
  before_each(function() dir = assert(sys.mkdtemp("arclua-spec-")) end)
  after_each(function() sys.remove(dir) end)

  it("writes files whole, with their mode, over links", function()
    local path = dir .. "/f"
    assert(sys.write_file(dir .. "/target", "untouched"))
    os.execute("ln -s target " .. path)
    assert(sys.write_file(path, "new"))
    assert.equal("new", sys.read_file(path))
    assert.equal("untouched", sys.read_file(dir .. "/target"))
    assert.equal(384, sys.stat(path).mode)
    assert.equal("file", sys.stat(path).type)
  end)

  it("never follows a link to read or append", function()
    assert(sys.write_file(dir .. "/target", "x"))
    os.execute("ln -s target " .. dir .. "/link")
    assert.is_nil((sys.read_file(dir .. "/link")))
    assert.is_nil((sys.append_file(dir .. "/link", "y")))
    assert(sys.append_file(dir .. "/target", "y"))
    assert.equal("xy", sys.read_file(dir .. "/target"))
  end)

  it("says no to files that are too large", function()
    assert(sys.write_file(dir .. "/big", ("x"):rep(100)))
    local text, err = sys.read_file(dir .. "/big", 99)
    assert.is_nil(text)
    assert.equal("io", err.code)
  end)

  it("makes and removes whole trees, leaving what links point to", function()
    assert(sys.mkdir(dir .. "/a/b/c", 448))
    assert(sys.mkdir(dir .. "/a/b/c"))
    assert(sys.mkdir(dir .. "/outside"))
    assert(sys.write_file(dir .. "/outside/kept", "k"))
    os.execute("ln -s ../outside " .. dir .. "/a/link")
    assert(sys.remove(dir .. "/a"))
    assert.equal("notfound", select(2, sys.stat(dir .. "/a")).code)
    assert.equal("k", sys.read_file(dir .. "/outside/kept"))
    assert.same({ "outside" }, sys.list(dir))
  end)

  it("removes a directory that its owner has locked", function()
    assert(sys.mkdir(dir .. "/locked/inner"))
    assert(sys.write_file(dir .. "/locked/inner/f", "x"))
    assert(sys.chmod(dir .. "/locked/inner", 320)) -- r-x
    assert(sys.remove(dir .. "/locked"))
    assert.equal("notfound", select(2, sys.stat(dir .. "/locked")).code)
  end)

  it("prints times as RFC 3339", function()
    assert.equal("2026-11-22T16:41:24Z", sys.utc(1795365684))
    assert.equal("1970-01-01T00:00:00.250Z", sys.utc(0.25))
  end)

  it("knows well-formed UTF-8", function()
    for _, good in ipairs { "", "abc", "é", "€", "😀", "\u{10FFFF}", "\0" } do
      assert.is_true(sys.valid_utf8(good))
    end
    for _, bad in ipairs { "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
      "\xe2\x82", "\xff" } do
      assert.is_false(sys.valid_utf8(bad))
    end
  end)
end)

describe("secret", function()
  it("never shows its text", function()
    local secret = core.secret("hunter2")
    assert.equal("<redacted>", tostring(secret))
    secret:close()
    secret:close()
    assert.is_nil(core.secret_env("ARCLUA_NO_SUCH_VARIABLE"))
  end)

  it("is read from a file but not through a link", function()
    local dir = assert(sys.mkdtemp("arclua-spec-"))
    assert(sys.write_file(dir .. "/s", "text\n"))
    assert.is_truthy(core.secret_file(dir .. "/s"))
    os.execute("ln -s s " .. dir .. "/l")
    assert.is_nil((core.secret_file(dir .. "/l")))
    local secret, info = core.secret_file(dir .. "/l", { follow = true, max = 5 })
    assert.is_truthy(secret)
    assert.same({ uid = sys.getuid(), size = 4 }, info)
    local none, err = core.secret_file(dir .. "/s", { max = 4 })
    assert.is_nil(none)
    assert.equal("limit", err.code)
    os.execute("mkfifo " .. dir .. "/f")
    assert.is_nil((core.secret_file(dir .. "/f")))
    assert.is_nil((core.secret_file(dir)))
    sys.remove(dir)
  end)
end)
