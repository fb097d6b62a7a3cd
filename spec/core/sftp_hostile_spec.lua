-- SPDX-License-Identifier: MIT
-- SFTP with a server that breaks the protocol, lies or falls silent.
local core = require "arclua.core"
local harness = require "harness"
local sftpd = require "sftpd"

local both = harness.both
local packet, status = sftpd.packet, sftpd.status
local FILE, DIRECTORY = 33188, 16877

-- fn(sftp) with a server of these answers.
local function with(answers, fn)
  return function()
    local sftp, err, task = sftpd.connect(answers)
    assert(sftp, tostring(err))
    fn(sftp)
    sftp:close()
    task:await()
  end
end

-- The error of connecting to a server that says this at first.
local function refused(bytes, timeout)
  local sftp, err, task = sftpd.connect({ INIT = function() return bytes end },
    { timeout = timeout })
  assert.is_nil(sftp)
  task:await()
  return err
end

local function open(id)
  return sftpd.handle(id, "h")
end

-- A receive of all from a server that answers READ so: bytes | nil, err.
local function receive(answer, opts)
  local sftp, _, task = sftpd.connect { OPEN = open, READ = answer }
  local dir = assert(core.sys.mkdtemp "arclua-sftp-")
  local root <close> = assert(core.local_root(dir))
  local to <close> = assert(root:open("to", "c"))
  local file <close> = assert(sftp:open "x")
  local n, err = file:receive(to, opts)
  local text = core.sys.read_file(dir .. "/to")
  sftp:close()
  task:await()
  assert(core.sys.remove(dir))
  return n, err, text
end

describe("an SFTP server that begins badly", function()
  both("is told as what it is", function()
    assert.equal("sftp.garbage", refused("Welcome to this machine!\r\n").reason)
    assert.equal("sftp.garbage", refused(("\0"):rep(10)).reason)
    assert.equal("sftp.version", refused(packet("VERSION", string.pack(">I4", 2))).reason)
    assert.equal("sftp.version", refused(packet("VERSION", string.pack(">I4", 4))).reason)
    assert.equal("sftp.version", refused(packet("VERSION", "")).reason)
    assert.equal("sftp.protocol", refused(status(0, 0)).reason)
    assert.equal("timeout", refused(nil, 0.01).code)
    assert.equal("timeout", refused("\0\0\1", 0.01).code)
  end)

  both("may have malformed extensions", with({ INIT = function()
    return packet("VERSION", string.pack(">I4s4s4I4", 3, "fsync@openssh.com", "1", 99))
  end }, function(sftp)
    assert.is_true(sftp:has "fsync@openssh.com")
    assert.is_false(sftp:has "statvfs@openssh.com")
  end))

  both("may end at once", function()
    local near, far = core.pair()
    far:close()
    local sftp, err = core.sftp.connect(near)
    assert.is_nil(sftp)
    assert.equal("sftp.unavailable", err.reason)
  end)
end)

describe("an SFTP server that answers badly", function()
  -- Each ends the connection.
  for name, bytes in pairs {
    ["to an unknown id"] = function(id) return status(id + 1, 0) end,
    ["without an id"] = function() return packet("STATUS", "\0\0") end,
    ["with a packet too large"] = function() return string.pack(">I4", 1 << 20) end,
    ["with an empty packet"] = function() return "\0\0\0\0" end,
  } do
    both(name, with({ STAT = bytes }, function(sftp)
      local waiting = core.spawn(sftp.lstat, sftp, "y")
      local ok, err = sftp:stat "x"
      assert.is_nil(ok)
      assert.equal("sftp.protocol", err.reason)
      waiting:await()
      ok, err = sftp:stat "x"
      assert.is_nil(ok)
      assert.equal("sftp.protocol", err.reason)
    end))
  end

  -- Each ends the request alone.
  for name, bytes in pairs {
    ["with another type"] = function(id) return sftpd.handle(id, "h") end,
    ["with OK for attributes"] = function(id) return status(id, 0) end,
    ["with cut attributes"] = function(id) return packet("ATTRS", string.pack(">I4I4", id, 15)) end,
    ["with a status without a number"] = function(id)
      return packet("STATUS", string.pack(">I4", id))
    end,
    ["with endless extended attributes"] = function(id)
      return packet("ATTRS", string.pack(">I4I4I4", id, 0x80000000, 0xffffffff))
    end,
  } do
    both(name, with({ STAT = bytes, LSTAT = function(id)
      return packet("ATTRS", string.pack(">I4", id) .. sftpd.attrs(FILE, 7))
    end }, function(sftp)
      local ok, err = sftp:stat "x"
      assert.is_nil(ok)
      assert.equal("sftp.protocol", err.reason)
      assert.equal(7, sftp:lstat("x").size)
    end))
  end

  both("with unknown numbers, and words of its own", with({ STAT = function(id)
    return status(id, 4, "Disk quota exceeded\27[31m")
  end, LSTAT = function(id)
    return status(id, 77, "why")
  end, REMOVE = function(id)
    return status(id, 1)
  end }, function(sftp)
    local _, err = sftp:stat "x"
    assert.is_true(err.message:find("(Disk quota exceeded\\x1b[31m)", 1, true) ~= nil, err.message)
    _, err = sftp:lstat "x"
    assert.equal("look at x: the SFTP server says 77 (why)", err.message)
    _, err = sftp:remove "x"
    assert.equal("sftp.failure", err.reason)
  end))

  for name, handle in pairs { ["empty handle"] = "", ["long handle"] = ("h"):rep(257) } do
    both("with an " .. name, with({ OPEN = function(id) return sftpd.handle(id, handle) end,
      OPENDIR = function(id) return sftpd.handle(id, handle) end }, function(sftp)
      local _, err = sftp:open "x"
      assert.equal("sftp.protocol", err.reason)
      _, err = sftp:list "x"
      assert.equal("sftp.protocol", err.reason)
    end))
  end

  both("with names that are none", with({ REALPATH = function(id)
    return sftpd.names(id, {})
  end, READLINK = function(id)
    return sftpd.names(id, { { name = "a\0b" } })
  end }, function(sftp)
    local _, err = sftp:realpath "x"
    assert.equal("sftp.protocol", err.reason)
    _, err = sftp:readlink "x"
    assert.equal("sftp.protocol", err.reason)
  end))
end)

describe("a directory of a hostile SFTP server", function()
  local function list(readdir, most)
    local sftp, _, task = sftpd.connect { OPENDIR = open, READDIR = readdir, CLOSE = function(id)
      return status(id, 0)
    end }
    local names, err = sftp:list("x", most)
    sftp:close()
    task:await()
    return names, err
  end

  both("that never ends", function()
    local _, err = list(function(id)
      return sftpd.names(id, { { name = "a" }, { name = ".." } })
    end, 5000)
    assert.equal("sftp.too-many", err.reason)
  end)

  both("that has no names and no end", function()
    local _, err = list(function(id) return sftpd.names(id, {}) end)
    assert.equal("sftp.protocol", err.reason)
  end)

  both("whose names are cut", function()
    local _, err = list(function(id)
      return packet("NAME", string.pack(">I4I4s4", id, 9999999, "a"))
    end)
    assert.equal("sftp.protocol", err.reason)
  end)

  both("whose list breaks off", function()
    local n = 0
    local names, err = list(function(id)
      n = n + 1
      return n < 3 and sftpd.names(id, { { name = "a", attrs = sftpd.attrs(DIRECTORY) } })
        or status(id, 3)
    end)
    assert.is_nil(names)
    assert.equal("sftp.denied", err.reason)
  end)

  both("gives what names it has", function()
    local n = 0
    local names = assert(list(function(id)
      n = n + 1
      return n == 1 and sftpd.names(id, { { name = "../x", attrs = sftpd.attrs(FILE, 1) },
        { name = "", attrs = sftpd.attrs(DIRECTORY) }, { name = "plain" } }) or status(id, 1)
    end))
    assert.same({ "../x", "file" }, { names[1].name, names[1].type })
    assert.same({ "", "directory" }, { names[2].name, names[2].type })
    assert.equal("unknown", names[3].type)
  end)
end)

describe("file data of a hostile SFTP server", function()
  local TEXT = ("0123456789"):rep(20000)

  -- The part that a READ asks for.
  local function part(body)
    local _, offset, n = string.unpack(">s4I8I4", body)
    return offset, n, TEXT:sub(offset + 1, offset + n)
  end

  both("that comes in small pieces", function()
    local n, _, text = receive(function(id, body)
      local _, _, piece = part(body)
      return piece == "" and status(id, 1) or sftpd.data(id, piece:sub(1, 1000))
    end)
    assert.equal(200000, n)
    assert.is_true(text == TEXT)
  end)

  both("that comes in any order", function()
    local kept = {}
    local n, _, text = receive(function(id, body)
      local _, _, piece = part(body)
      kept[#kept + 1] = piece == "" and status(id, 1) or sftpd.data(id, piece)
      if #kept == 3 or piece == "" then
        local out = table.concat(kept, "", 1, #kept)
        local reversed = {}
        for i = #kept, 1, -1 do
          reversed[#reversed + 1] = kept[i]
        end
        kept = {}
        return #reversed > 0 and table.concat(reversed) or out
      end
    end, { size = 200000 })
    assert.equal(200000, n)
    assert.is_true(text == TEXT)
  end)

  both("that is more than was asked for", function()
    local n, err = receive(function(id, body)
      local _, asked = part(body)
      return sftpd.data(id, ("x"):rep(asked + 1))
    end)
    assert.is_nil(n)
    assert.equal("sftp.protocol", err.reason)
  end)

  both("that is nothing", function()
    local _, err = receive(function(id) return sftpd.data(id, "") end)
    assert.equal("sftp.protocol", err.reason)
  end)

  both("whose length lies", function()
    local _, err = receive(function(id)
      return packet("DATA", string.pack(">I4I4", id, 100) .. "abc")
    end)
    assert.equal("sftp.protocol", err.reason)
  end)

  both("that ends in the middle", function()
    local n, err = receive(function(id, body)
      local offset, asked = part(body)
      return offset == 0 and status(id, 1) or sftpd.data(id, ("x"):rep(asked))
    end, { length = 200000 })
    assert.is_nil(n)
    assert.equal("sftp.changed", err.reason)
  end)

  both("that breaks off", function()
    local n, err = receive(function(id, body)
      local offset, _, piece = part(body)
      return offset > 50000 and status(id, 4) or sftpd.data(id, piece)
    end)
    assert.is_nil(n)
    assert.equal("sftp.failure", err.reason)
  end)

  both("that is refused when it comes", function()
    local sftp, _, task = sftpd.connect { OPEN = open, WRITE = function(id, body)
      local _, offset = string.unpack(">s4I8", body)
      return status(id, offset > 100000 and 4 or 0)
    end }
    local file <close> = assert(sftp:open("x", "w"))
    local ok, err = file:write(TEXT:rep(3))
    assert.is_nil(ok)
    assert.equal("sftp.failure", err.reason)
    sftp:close()
    task:await()
  end)

  both("that nobody answers to", function()
    local sftp, _, task = sftpd.connect { OPEN = open, WRITE = function() end }
    local file <close> = assert(sftp:open("x", "w"))
    local ok, err = core.timeout(0.02, file.write, file, TEXT:rep(10))
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    sftp:close()
    task:await()
  end)
end)
