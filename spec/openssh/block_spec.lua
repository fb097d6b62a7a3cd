-- SPDX-License-Identifier: MIT
-- Our block in somebody's ssh_config, and the line that includes a file of ours.
local block = require "arclua.openssh.block"
local core = require "arclua.core"
local include = require "arclua.openssh.include"

local sys = core.sys

describe("a block of ssh_config", function()
  local dir
  before_each(function()
    dir = assert(sys.mkdtemp "arclua-spec-")
  end)
  after_each(function()
    sys.remove(dir)
  end)

  local function path(name) return dir .. "/" .. name end

  local function save(text, body)
    assert(sys.write_file(path "config", text, 416))
    assert(block.save(path "config", body))
    return assert(sys.read_file(path "config"))
  end

  it("is made in a new file of 0600", function()
    assert(block.save(path "new", "Host a\n"))
    assert.equal(384, sys.stat(path "new").mode & 511)
    assert.matches("^# BEGIN arclua.-\nHost a\nMatch all\n# END arclua.-\n$",
      sys.read_file(path "new"))
  end)

  it("is put behind what others wrote, and replaced where it stands", function()
    local first = save("Host mine\n  User me", "Host a\n")
    assert.matches("^Host mine\n  User me\n\n# BEGIN arclua", first)
    local second = save(first .. "Port 7\n", "Host b\nHost c\n")
    assert.is_nil(second:find("Host a", 1, true))
    assert.matches("Host mine.*BEGIN.-\nHost b\nHost c\nMatch all\n# END.-\nPort 7\n$", second)
    assert.equal(second, save(second, "Host b\nHost c\n"))
  end)

  it("keeps the mode of the file", function()
    save("x 1\n", "Host a\n")
    assert.equal(416, sys.stat(path "config").mode & 511)
  end)

  it("says where it is damaged, and changes nothing", function()
    local good = save("", "Host a\n")
    for text, why in pairs {
        [(good:gsub("# END[^\n]*\n", ""))] = "line 1: the block of arclua has no END",
        [good .. good] = "line 5: a second block" } do
      assert(sys.write_file(path "config", text))
      local ok, err = block.save(path "config", "Host b\n")
      assert.is_nil(ok)
      assert.equal("config", err.code)
      assert.matches(why, err.message, 1, true)
      assert.equal(text, sys.read_file(path "config"))
    end
  end)

  it("is not written through a link, into a directory, without a folder", function()
    assert(sys.write_file(path "real", "Host x\n"))
    os.execute(("ln -s real '%s'"):format(path "link"))
    assert(sys.mkdir(path "folder", 448))
    for name, why in pairs { link = "symbolic link", folder = "this is a directory",
        ["none/config"] = "there is no folder" } do
      local ok, err = block.save(path(name), "Host a\n")
      assert.is_nil(ok)
      assert.equal("config", err.code)
      assert.matches(why, err.message, 1, true)
      assert.is_string(err.remedy)
    end
    assert.equal("Host x\n", sys.read_file(path "real"))
  end)
end)

describe("Include", function()
  it("is one line, quoted where it must be", function()
    assert.equal("Include /home/x/.ssh/arc", include.line "/home/x/.ssh/arc")
    assert.equal('Include "/a b/c"', include.line "/a b/c")
    for _, path in ipairs { "/a*", "/a?", "/a[1]" } do
      assert.equal("config", select(2, include.line(path)).code)
    end
  end)
end)
