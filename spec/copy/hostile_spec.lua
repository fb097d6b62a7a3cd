-- SPDX-License-Identifier: MIT
-- A download from a server that gives names and links to get out of the target.
local core = require "arclua.core"
local harness = require "harness"
local job = require "arclua.copy.job"
local options = require "arclua.copy.options"
local sftpd = require "sftpd"

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
    for _, name in ipairs { "../x", "..", "/tmp/arclua-hostile-x", "a/b", "", "x\0y", "../../in2" } do
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
