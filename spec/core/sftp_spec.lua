-- SPDX-License-Identifier: MIT
-- SFTP with a real server: requests, file data, what a cancel and a close leave.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both = harness.both
local SFTP = { "Subsystem=sftp internal-sftp" }

describe("SFTP", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- fn(sftp, dir, session), with a directory of its own.
  local function with(fn, settings)
    return function()
      lab:with(function(session)
        local dir = lab:path "work"
        assert(core.sys.mkdir(dir, 448))
        local sftp = assert(core.sftp.connect(assert(session:subsystem "sftp")))
        fn(sftp, dir, session)
        sftp:close()
        assert(core.sys.remove(dir))
      end, nil, settings or SFTP)
    end
  end

  local function put(path, text, mode)
    assert(core.sys.write_file(path, text, mode or 420))
  end

  local function get(path)
    return core.sys.read_file(path)
  end

  both("writes and reads files", with(function(sftp, dir)
    local text = core.crypto.random(300000)
    local file = assert(sftp:open(dir .. "/a", "wx", 416))
    assert(file:write(text:sub(1, 100000)))
    assert(file:write(text:sub(100001)))
    assert.is_true(file:sync())
    assert.equal(300000, file:stat().size)
    assert.is_true(file:close())
    assert.is_true(text == get(dir .. "/a"))
    file = assert(sftp:open(dir .. "/a"))
    local parts = {}
    for chunk in function() return file:read(70000) end do
      parts[#parts + 1] = chunk
    end
    assert.is_true(text == table.concat(parts))
    assert.equal(5, #parts)
    assert.equal(299990, file:seek(299990))
    assert.equal(text:sub(-10), file:read())
    assert.is_nil((file:read()))
    assert.is_true(file:close())
    assert.error(function() file:read() end)
  end))

  both("opens as asked", with(function(sftp, dir)
    put(dir .. "/a", "0123456789")
    local _, err = sftp:open(dir .. "/a", "wx")
    assert.equal("sftp.failure", err.reason)
    local file <close> = assert(sftp:open(dir .. "/a", "c"))
    file:seek(2)
    assert(file:write "xx")
    assert.equal("01xx456789", get(dir .. "/a"))
    local cut <close> = assert(sftp:open(dir .. "/a", "w"))
    assert.equal(0, cut:stat().size)
    assert.error(function() sftp:open(dir .. "/a", "rw") end)
    assert.error(function() sftp:open("a\0b") end)
    assert.error(function() sftp:open(dir .. "/a", "w", 8^5) end)
  end))

  both("says what there is", with(function(sftp, dir)
    put(dir .. "/file", "12345", 384)
    assert(core.sys.mkdir(dir .. "/sub", 493))
    assert.is_true(sftp:symlink("file", dir .. "/link"))
    assert.equal("file", sftp:readlink(dir .. "/link"))
    assert.equal("link", sftp:lstat(dir .. "/link").type)
    local stat = sftp:stat(dir .. "/link")
    assert.same({ "file", 5, 384 }, { stat.type, stat.size, stat.mode })
    assert.is_true(stat.uid == core.sys.getuid() and stat.mtime > 1e9)
    assert.equal(dir .. "/file", sftp:realpath(dir .. "/sub/../file"))
    assert.equal("other", sftp:stat("/dev/null").type)
    local names = {}
    for _, entry in ipairs(assert(sftp:list(dir))) do
      names[entry.name] = entry.type
    end
    assert.same({ file = "file", sub = "directory", link = "link" }, names)
    local vfs = assert(sftp:statvfs(dir))
    assert.is_true(vfs.blocks > 0 and vfs.blocks_available <= vfs.blocks and not vfs.read_only)
    assert.is_true(sftp:has "posix-rename@openssh.com")
    assert.error(function() sftp:has "nothing" end)
  end))

  both("changes what there is", with(function(sftp, dir)
    assert.is_true(sftp:mkdir(dir .. "/sub", 448))
    assert.equal(448, core.sys.stat(dir .. "/sub").mode)
    put(dir .. "/a", "a")
    put(dir .. "/b", "b")
    assert.is_true(sftp:rename(dir .. "/a", dir .. "/b"))
    assert.equal("a", get(dir .. "/b"))
    assert.is_true(sftp:chmod(dir .. "/b", 292))
    assert.is_true(sftp:setstat(dir .. "/b", { mtime = 1000000000 }))
    local stat = sftp:stat(dir .. "/b")
    assert.same({ 292, 1000000000, 1000000000 }, { stat.mode, stat.mtime, stat.atime })
    local file <close> = assert(sftp:open(dir .. "/b", "r+"))
    assert.is_true(file:setstat { size = 100, mode = 420 })
    assert.equal(100, core.sys.stat(dir .. "/b").size)
    assert.is_true(sftp:remove(dir .. "/b"))
    assert.is_true(sftp:rmdir(dir .. "/sub"))
    assert.same({}, sftp:list(dir))
    assert.error(function() sftp:setstat(dir, { uid = 1 }) end)
    assert.error(function() sftp:setstat(dir, { colour = 1 }) end)
  end))

  both("copies on the server", with(function(sftp, dir)
    if not sftp:has "copy-data" then
      local a <close> = assert(sftp:open(dir .. "/a", "w"))
      local b <close> = assert(sftp:open(dir .. "/b", "w"))
      local _, err = a:copy_to(b)
      assert.equal("sftp.unsupported", err.reason)
      return
    end
    put(dir .. "/a", ("x"):rep(100000))
    local a <close> = assert(sftp:open(dir .. "/a"))
    local b <close> = assert(sftp:open(dir .. "/b", "w"))
    assert.is_true(a:copy_to(b))
    assert.equal(100000, b:stat().size)
  end))

  both("names its errors", with(function(sftp, dir)
    local _, err = sftp:stat(dir .. "/none\nsuch")
    assert.same({ "notfound", "sftp.not-found", "sftp.stat", 2 },
      { err.code, err.reason, err.op, err.status })
    assert.is_true(err.message:find("none\\x0asuch: no such file", 1, true) ~= nil)
    put(dir .. "/a", "a")
    _, err = sftp:mkdir(dir .. "/a")
    assert.equal("sftp.failure", err.reason)
    _, err = sftp:list(dir .. "/a")
    assert.is_true(err.message:find("list " .. dir .. "/a", 1, true) ~= nil)
    _, err = sftp:rename(dir .. "/x", dir .. "/y")
    assert.is_true(err.message:find("/x to ", 1, true) ~= nil)
  end))

  both("lists a large directory", with(function(sftp, dir, session)
    assert(session:exec(("cd %s && seq 1500 | xargs touch"):format(dir)))
    local list = assert(sftp:list(dir))
    assert.equal(1500, #list)
    local _, err = sftp:list(dir, 1499)
    assert.equal("sftp.too-many", err.reason)
    assert(sftp:stat(dir)) -- the connection goes on
  end))

  both("moves files in blocks", with(function(sftp, dir)
    put(dir .. "/from", core.crypto.random(1000000):rep(5))
    local root <close> = assert(core.local_root(dir))
    local source <close> = assert(root:open "from")
    local target <close> = assert(sftp:open(dir .. "/to", "w"))
    local meter = core.sftp.meter()
    assert.equal(5000000, target:send(source, { meter = meter }))
    assert.equal(5000000, meter:moved())
    assert.is_true(get(dir .. "/from") == get(dir .. "/to"))
    local back <close> = assert(root:open("back", "c"))
    local from <close> = assert(sftp:open(dir .. "/to"))
    assert.equal(1000, from:receive(back, { offset = 100, length = 1000 }))
    assert.equal(5000000, from:receive(back, { size = 5000000 }))
    assert.is_true(get(dir .. "/from") == get(dir .. "/back"))
    -- Where the end was believed elsewhere.
    assert.equal(5000000, from:receive(back, { size = 17 }))
    assert.equal(5000000, from:receive(back, { size = 9000000 }))
    assert.equal(4999990, from:receive(back, { offset = 10 }))
    assert.equal(0, from:receive(back, { offset = 5000000 }))
    assert.equal(0, target:send(source, { length = 0 }))
    assert.is_true(source:sha256() == back:sha256())
    assert.equal(core.crypto.hex(core.crypto.sha256(get(dir .. "/from"))), source:sha256())
  end))

  both("reports the local end's failures", with(function(sftp, dir)
    put(dir .. "/from", ("x"):rep(200000))
    local root <close> = assert(core.local_root(dir))
    local devices <close> = assert(core.local_root "/dev")
    local from <close> = assert(sftp:open(dir .. "/from"))
    local full <close> = assert(devices:open("full", "c"))
    local _, err = from:receive(full)
    assert.same({ "io", "io.no-space" }, { err.code, err.reason })
    local read_only <close> = assert(root:open "from")
    _, err = from:receive(read_only)
    assert.equal("io", err.code)
    local target <close> = assert(sftp:open(dir .. "/to", "w"))
    _, err = target:send(read_only, { length = 300000 })
    assert.equal("sftp.changed", err.reason)
    -- A handle that may not write.
    _, err = from:send(read_only)
    assert.equal("sftp.write", err.op)
    assert(sftp:stat(dir))
  end))

  both("holds to a rate", with(function(sftp, dir)
    put(dir .. "/from", ("x"):rep(300000))
    local root <close> = assert(core.local_root(dir))
    local source <close> = assert(root:open "from")
    local all = core.sftp.meter(nil, 1000000)
    local began = core.now()
    local tasks = {}
    for i = 1, 2 do
      tasks[i] = core.spawn(function()
        local target <close> = assert(sftp:open(dir .. "/to" .. i, "w"))
        assert(target:send(source, { meter = core.sftp.meter(all) }))
      end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.is_true(core.now() - began > 0.35)
    assert.equal(600000, all:moved())
    assert.error(function() core.sftp.meter(nil, -1) end)
  end))

  both("goes on after a cancel", with(function(sftp, dir)
    put(dir .. "/from", ("x"):rep(3000000))
    local root <close> = assert(core.local_root(dir))
    local source <close> = assert(root:open "from")
    local target <close> = assert(sftp:open(dir .. "/to", "w"))
    local slow = core.sftp.meter(nil, 100000)
    local n, err = core.timeout(0.02, target.send, target, source, { meter = slow })
    assert.is_nil(n)
    assert.equal("timeout", err.code)
    for i = 0, 10 do -- whatever was on its way
      core.timeout(i * 0.0001, sftp.open, sftp, dir .. "/from")
      core.timeout(i * 0.0001, sftp.list, sftp, dir)
      core.timeout(i * 0.0001, sftp.stat, sftp, dir)
    end
    assert(sftp:stat(dir))
    assert.equal(3000000, target:send(source))
  end))

  both("closes what nobody holds", with(function(sftp, dir, session)
    put(dir .. "/a", "a")
    for _ = 1, 20 do
      for _ = 1, 10 do
        assert(sftp:open(dir .. "/a"))
      end
      collectgarbage()
      collectgarbage()
    end
    local r = assert(session:exec "ls -l /proc/*/fd 2>/dev/null | grep -c 'work/a$'")
    assert.is_true(tonumber(r.stdout:match "%d+") < 20, r.stdout)
  end))

  both("ends who waits when it is closed", with(function(sftp, dir)
    put(dir .. "/from", ("x"):rep(1000000))
    local root <close> = assert(core.local_root(dir))
    local source <close> = assert(root:open "from")
    local target = assert(sftp:open(dir .. "/to", "w"))
    local slow = core.sftp.meter(nil, 1000)
    local tasks = { core.spawn(target.send, target, source, { meter = slow }),
      core.spawn(sftp.list, sftp, dir), core.spawn(sftp.stat, sftp, dir) }
    core.sleep(0)
    sftp:close()
    for i, task in ipairs(tasks) do
      local ok, err = task:await()
      assert.is_true(ok ~= nil and i > 1 or err.code == "closed")
    end
    assert.error(function() sftp:stat(dir) end)
    assert.error(function() target:stat() end)
  end))

  both("ends when the session does", with(function(sftp, dir, session)
    session:close()
    local ok, err = sftp:stat(dir)
    assert.is_nil(ok)
    assert.equal("closed", err.code)
  end))

  both("says when there is none", with(function(_, _, session)
    local stream, err = session:subsystem "nothing"
    assert.is_nil(stream)
    assert.same({ "refused", "ssh.no-subsystem" }, { err.code, err.reason })
    assert.equal("ok", assert(session:exec "true").state)
    for i = 0, 10 do
      core.timeout(i * 0.0003, session.subsystem, session, "nothing")
      core.timeout(i * 0.0003, session.subsystem, session, "sftp")
    end
    assert.equal("ok", assert(session:exec "true").state)
    assert.error(function() session:subsystem "" end)
    assert.error(function() session:subsystem(("x"):rep(64)) end)
  end))

  both("says when it does not start", with(function(_, _, session)
    local ended, err = core.sftp.connect(assert(session:subsystem "gone"))
    assert.is_nil(ended)
    assert.equal("sftp.unavailable", err.reason)
    ended, err = core.sftp.connect(assert(session:subsystem "chatty"))
    assert.is_nil(ended)
    assert.equal("sftp.garbage", err.reason)
    assert.is_true(err.message:find "Welcome" ~= nil)
  end, { "Subsystem=sftp internal-sftp", "Subsystem=gone /nonexistent/sftp-server",
    "Subsystem=chatty echo Welcome" }))
end)
