-- SPDX-License-Identifier: MIT
-- Local directories of a transfer: nothing outside is reached.
local core = require "arclua.core"
local harness = require "harness"

describe("core.local_root", function()
  local dir, root
  before_each(function()
    dir = assert(core.sys.mkdtemp "arclua-local-")
    root = assert(core.local_root(dir))
  end)
  after_each(function()
    root:close()
    assert(core.sys.remove(dir))
  end)

  it("does what is asked below it", function()
    assert.is_true(root:mkdir("a", 448))
    assert.is_true(root:mkdir "a/b")
    local file = assert(root:open("a/b/f", "wx", 416))
    assert.same({ "file", 0, 416 }, { file:stat().type, file:stat().size, file:stat().mode })
    assert.is_true(file:truncate(10))
    assert.is_true(file:setstat { mode = 384, mtime = 1000000000 })
    assert.is_true(file:close())
    assert.error(function() file:stat() end)
    assert.is_true(root:rename("a/b/f", "g"))
    assert.same({ 10, 384, 1000000000 }, { root:lstat("g").size, root:lstat("g").mode,
      root:lstat("g").mtime })
    assert.is_true(root:symlink("g", "a/l"))
    assert.equal("g", root:readlink "a/l")
    assert.equal("link", root:lstat("a/l").type)
    assert.is_true(root:setstat("a", { atime = 1000000000, mode = 493 }))
    assert.equal(493, root:stat("a").mode)
    local names = {}
    for _, entry in ipairs(assert(root:list "a")) do
      names[entry.name] = entry.type
    end
    assert.same({ b = "directory", l = "link" }, names)
    assert.equal(2, #assert(root:list ""))
    assert.equal(core.sys.realpath(dir) .. "/a", root:realpath "a")
    assert.is_true(root:remove "a/l")
    assert.is_true(root:rmdir "a/b")
    assert.equal("directory", root:stat("").type)
  end)

  it("reaches nothing outside", function()
    assert(root:mkdir "in")
    os.execute(("ln -s / %s/out; ln -s in %s/same; touch %s/in/f"):format(dir, dir, dir))
    for _, path in ipairs { "../x", "in/../../x", "/etc/passwd", "..", ".", "in//f", "in/./f",
      "in/" } do
      for _, method in ipairs { "lstat", "open", "mkdir", "remove", "rmdir", "list", "readlink",
        "realpath" } do
        local ok, err = root[method](root, path)
        assert.is_nil(ok)
        assert.equal("copy.bad-name", err.reason, method .. path)
      end
      local ok, err = root:rename("in", path)
      assert.is_nil(ok)
      assert.equal("copy.bad-name", err.reason)
    end
    for _, path in ipairs { "out/etc/passwd", "same/f" } do
      for _, method in ipairs { "lstat", "open", "mkdir", "remove" } do
        local ok, err = root[method](root, path)
        assert.is_nil(ok)
        assert.equal("copy.through-link", err.reason, method .. path)
      end
    end
    local ok, err = root:open "same"
    assert.is_nil(ok)
    assert.equal("copy.through-link", err.reason)
    assert.error(function() root:open("a\0b") end)
  end)

  it("follows links where it is told to", function()
    os.execute(("mkdir %s/in; touch %s/in/f; ln -s in %s/same"):format(dir, dir, dir))
    local open <close> = assert(core.local_root(dir, true))
    assert.equal("file", open:stat("same/f").type)
    assert.equal("directory", open:stat("same").type)
    assert.equal("link", open:lstat("same").type)
    assert.equal(1, #open:list "same")
    local file <close> = assert(open:open "same/f")
    assert.equal(0, file:stat().size)
  end)

  it("names its errors", function()
    local none, err = core.local_root(dir .. "/none")
    assert.is_nil(none)
    assert.equal("notfound", err.code)
    none, err = root:open "x\ny"
    assert.is_nil(none)
    assert.equal("open x\\x0ay: No such file or directory", err.message)
    assert(root:mkdir "d")
    none, err = root:mkdir "d"
    assert.is_nil(none)
    assert.equal("io", err.code)
    assert.error(function() root:open("d", "a") end)
  end)

  harness.both("syncs and sums files without holding others up", function()
    local own <close> = assert(core.local_root(dir))
    local file <close> = assert(own:open("f", "c"))
    assert.is_true(file:sync())
    assert.equal(core.crypto.hex(core.crypto.sha256 ""), file:sha256())
    assert(file:truncate(30000000))
    local sum, err = core.timeout(0, file.sha256, file)
    assert.is_true(sum ~= nil or err.code == "timeout")
    file:truncate(0)
  end)
end)
