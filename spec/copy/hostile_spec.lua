-- SPDX-License-Identifier: MIT
-- A download from a server that gives names and links to get out of the target.
local core = require "arclua.core"
local harness = require "harness"
local job = require "arclua.copy.job"
local options = require "arclua.copy.options"
local sftpd = require "sftpd"
local side = require "arclua.copy.side"

local FILE, DIRECTORY, LINK = 33188, 16877, 41471

-- A server whose directory "top" holds these entries: { name =, mode =, leads =? }; every other
-- directory holds one file "f", and every file the text "evil".
local function server(entries)
  local open, count = {}, 0
  local function named(body)
    local path = string.unpack(">s4", body)
    for _, entry in ipairs(entries) do
      if path == "top/" .. entry.name then
        return entry, path
      end
    end
    return nil, path
  end
  local function attrs(id, body)
    local entry, path = named(body)
    local mode = entry and entry.mode or path == "top" and DIRECTORY or FILE
    return sftpd.packet("ATTRS", string.pack(">I4", id) .. sftpd.attrs(mode, 4))
  end
  local function handle(id, body)
    count = count + 1
    open[tostring(count)] = { path = string.unpack(">s4", body) }
    return sftpd.handle(id, tostring(count))
  end
  return { OPEN = handle, OPENDIR = handle, STAT = attrs, LSTAT = attrs,
    CLOSE = function(id) return sftpd.status(id, 0) end,
    READLINK = function(id, body)
      return sftpd.names(id, { { name = named(body).leads } })
    end,
    READDIR = function(id, body)
      local it = open[string.unpack(">s4", body)]
      if it.read then
        return sftpd.status(id, 1)
      end
      it.read = true
      local list = {}
      for i, entry in ipairs(it.path == "top" and entries or { { name = "f", mode = FILE } }) do
        list[i] = { name = entry.name, attrs = sftpd.attrs(entry.mode, 4) }
      end
      return sftpd.names(id, list)
    end,
    READ = function(id, body)
      local _, offset = string.unpack(">s4I8", body)
      return offset == 0 and sftpd.data(id, "evil") or sftpd.status(id, 1)
    end }
end

-- Downloads "top" into an empty directory "in": the outcome, all that is beside and below it.
local function download(entries, symlinks)
  local dir = assert(core.sys.mkdtemp "arclua-hostile-")
  assert(core.sys.mkdir(dir .. "/in", 448))
  local sftp, err, task = sftpd.connect(server(entries))
  assert(sftp, tostring(err))
  local state = job.state()
  local copy = job.new { upload = false, sftp = sftp, sources = { "top" }, state = state,
    destination = dir .. "/in", opts = assert(options.check { recursive = true,
      symlinks = symlinks }), meter = core.sftp.meter() }
  local ok, why = copy:run()
  sftp:close()
  task:await()
  local found <close> = assert(io.popen("cd " .. dir
    .. " && find . | LC_ALL=C sort | tr '\n' ' '"))
  local names = found:read "a"
  assert(core.sys.remove(dir))
  return state.outcome, names, ok, why
end

describe("a hostile server's names", function()
  harness.both("are refused, and the rest is copied", function()
    local entries = { { name = "good", mode = FILE } }
    for _, name in ipairs { "../x", "..", "/tmp/arclua-hostile-x", "a/b", "", "x\0y",
      "../../in2" } do
      entries[#entries + 1] = { name = name, mode = FILE }
      entries[#entries + 1] = { name = name .. "", mode = DIRECTORY }
    end
    local outcome, names = download(entries)
    assert.equal(". ./in ./in/top ./in/top/good ", names)
    assert.equal(1, outcome.files)
    for _, failure in ipairs(outcome.failures) do
      assert.equal("copy.bad-name", failure.err.reason)
    end
    assert.is_nil(core.sys.stat "/tmp/arclua-hostile-x")
  end)

  harness.both("do not get out through links", function()
    local outcome, names = download { { name = "a", mode = LINK, leads = "../../.." },
      { name = "b", mode = LINK, leads = "/tmp" }, { name = "c", mode = LINK, leads = "d" },
      { name = "d", mode = DIRECTORY }, { name = "e", mode = LINK, leads = "" } }
    assert.equal(". ./in ./in/top ./in/top/c ./in/top/d ./in/top/d/f ", names)
    assert.equal(3, outcome.failed)
    for _, failure in ipairs(outcome.failures) do
      assert.equal("copy.unsafe-link", failure.err.reason)
    end
  end)

  harness.both("may be given twice, as a link and as a directory", function()
    local _, names = download { { name = "a", mode = LINK, leads = "d" },
      { name = "a", mode = DIRECTORY }, { name = "d", mode = DIRECTORY } }
    assert.is_nil(names:find("a/f", 1, true), names)
  end)

  harness.both("may be of nothing that there is", function()
    local outcome, names = download { { name = "pipe", mode = 4516 }, { name = "odd", mode = 420 } }
    assert.equal(2, outcome.skipped)
    assert.equal(". ./in ./in/top ", names)
  end)
end)

describe("an old SFTP server", function()
  -- A connection for fn(sftp), and what the server was asked, in order.
  local function with(answers, fn)
    local asked = {}
    local recorded = { extensions = answers.extensions }
    for type_, answer in pairs(answers) do
      recorded[type_] = type(answer) == "function" and function(id, body)
        asked[#asked + 1] = type_
        return answer(id, body)
      end or answer
    end
    local sftp, err, task = sftpd.connect(recorded)
    assert(sftp, tostring(err))
    fn(sftp)
    sftp:close()
    task:await()
    return table.concat(asked, " ")
  end

  local function ok(id)
    return sftpd.status(id, 0)
  end

  harness.both("that does not replace has the old file removed first", function()
    local there = true
    local asked = with({ RENAME = function(id)
      return sftpd.status(id, there and 4 or 0)
    end, REMOVE = function(id)
      there = false
      return sftpd.status(id, 0)
    end }, function(sftp)
      assert.is_true(side.remote(sftp, "d"):rename("a", "b"))
    end)
    assert.equal("RENAME REMOVE RENAME", asked)
  end)

  -- What comes of an upload of a file of 4 bytes.
  local function upload(answers)
    local state, dir = job.state(), assert(core.sys.mkdtemp "arclua-hostile-")
    assert(core.sys.write_file(dir .. "/f", "text"))
    local asked = with(answers, function(sftp)
      job.new({ upload = true, sftp = sftp, sources = { dir .. "/f" }, state = state,
        destination = "d/f", opts = assert(options.check {}), meter = core.sftp.meter() }):run()
    end)
    assert(core.sys.remove(dir))
    return state.outcome, asked
  end

  local function none(id)
    return sftpd.status(id, 2)
  end

  harness.both("that cannot sync is not asked to", function()
    local outcome, asked = upload { STAT = none, LSTAT = none, CLOSE = ok, WRITE = ok, RENAME = ok,
      OPEN = function(id) return sftpd.handle(id, "h") end }
    assert.equal(1, outcome.files)
    assert.equal("STAT LSTAT LSTAT OPEN WRITE CLOSE RENAME", asked)
  end)

  harness.both("whose disk is full is asked whether it is", function()
    local outcome, asked = upload { STAT = none, LSTAT = none, CLOSE = ok, REMOVE = ok,
      WRITE = function(id) return sftpd.status(id, 4) end,
      OPEN = function(id) return sftpd.handle(id, "h") end,
      extensions = string.pack(">s4s4", "statvfs@openssh.com", "2"),
      ["statvfs@openssh.com"] = function(id)
        return sftpd.packet("EXTENDED_REPLY", string.pack(">I4I8I8I8I8I8I8I8I8I8I8I8", id, 4096,
          4096, 1000, 50, 0, 0, 0, 0, 1, 0, 255))
      end }
    assert.equal("io.no-space", outcome.failures[1].err.reason)
    assert.equal("STAT LSTAT LSTAT OPEN WRITE statvfs@openssh.com CLOSE REMOVE", asked)
  end)
end)
