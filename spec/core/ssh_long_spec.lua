-- SPDX-License-Identifier: MIT
-- A session that lasts: new keys in mid-transfer, and a peer that goes silent.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"
local valve = require "valve"

local sys, both, ends = core.sys, harness.both, harness.ends
local MB = 1000000

describe("new keys in mid-transfer", function()
  local lab, text, sum
  setup(function()
    lab = sshlab.new()
    text = core.crypto.random(MB):rep(50)
    sum = core.crypto.hex(core.crypto.sha256(text))
    assert(sys.write_file(lab:path "blob", text, 420))
  end)
  teardown(function() lab:close() end)

  local function up(session, size)
    local part = text:sub(1, size)
    local r = assert(session:exec("sha256sum", { stdin = part }))
    assert.equal("ok", r.state)
    assert.equal(size == #text and sum or core.crypto.hex(core.crypto.sha256(part)),
      r.stdout:sub(1, 64))
  end

  local function down(session, size)
    local r = assert(session:exec(("head -c %d %s"):format(size, lab:path "blob"),
      { max_output = size }))
    assert.equal("ok", r.state)
    assert.is_true(text:sub(1, size) == r.stdout)
  end

  -- How often sshd has taken new keys.
  local function renewals()
    local _, count = assert(sys.read_file(lab:path "log")):gsub("NEWKEYS received", "")
    return count - 1
  end

  local cases = {
    { "by the server", 10 * MB, 8, { "RekeyLimit=1M" } },
    { "by the client", 10 * MB, 8, {}, MB },
    { "by both", 50 * MB, 40, { "RekeyLimit=1M" }, MB },
    { "by the server, each 64 KiB", 2 * MB, 28, { "RekeyLimit=64K" } },
    { "by the client, each 64 KiB", 2 * MB, 28, {}, 65536 },
    { "by both, each 64 KiB", 2 * MB, 28, { "RekeyLimit=64K" }, 65536 },
  }

  for _, case in ipairs(cases) do
    local name, size, least, settings, bytes = table.unpack(case)
    ends(name, function()
      os.remove(lab:path "log")
      table.insert(settings, 1, "LogLevel=DEBUG1")
      lab.stderr = "file:" .. lab:path "log"
      lab:with(function(session)
        up(session, size)
        down(session, size)
      end, { rekey_bytes = bytes }, settings)
      lab.stderr = nil
      local count = renewals()
      assert.is_true(count >= least, count .. " renewals")
    end)
  end

  ends("by time", function()
    lab:with(function(session)
      local r = assert(session:exec("for i in 1 2 3; do sleep 0.6; echo $i; done"))
      assert.equal("1\n2\n3\n", r.stdout)
    end, { rekey_seconds = 1 })
  end)

  ends("with many channels at once, both ways", function()
    lab:with(function(session)
      local tasks = {}
      for i = 1, 12 do
        tasks[i] = core.spawn(i % 2 == 0 and up or down, session, 4 * MB)
      end
      for i = 13, 16 do
        tasks[i] = core.spawn(function()
          for j = 1, 10 do
            assert.equal(j .. "\n", assert(session:exec("echo " .. j)).stdout)
          end
        end)
      end
      for _, task in ipairs(tasks) do
        task:await()
      end
    end, { rekey_bytes = 200000 }, { "RekeyLimit=200K", "MaxSessions=100" })
  end)

  ends("not answered, what waits stays in the caller's hands", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local sshd = lab:start()
    local near, line = valve.new(sshd:stream())
    local session = assert(core.ssh.connect(near, lab:options { rekey_bytes = 65536 }))
    local s = assert(session:direct_tcpip("127.0.0.1", listener:port()))
    line:stop()
    local taken, chunk = 0, ("x"):rep(8192)
    while core.timeout(0.1, s.write, s, chunk) do
      taken = taken + #chunk
    end
    assert.is_true(taken <= 2 * 65536, taken .. " bytes were taken")
    line:go()
    s:close()
    session:close()
    listener:close()
    line:cut()
    sshd:close()
  end)
end)

describe("a peer that goes silent", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- fn(session, line) over a line that can be stopped.
  local function over_line(opts, fn)
    return function()
      local sshd = lab:start()
      local near, line = valve.new(sshd:stream())
      local session = assert(core.ssh.connect(near, lab:options(opts)))
      fn(session, line)
      session:close()
      line:cut()
      sshd:close()
    end
  end

  both("ends the session, which says for how long", over_line({ keepalive = 0.1 },
    function(session, line)
      local task = core.spawn(session.exec, session, "echo x; sleep 95")
      core.sleep(0.1)
      line:stop()
      local r = assert(task:await())
      assert.equal("unknown", r.state)
      assert.equal("ssh.lost", r.err.reason)
      assert.equal("ssh.keepalive", r.err.cause.reason)
      assert.matches("for %d+ s", r.err.cause.message)
      local none, err = session:exec("true")
      assert.is_nil(none)
      assert.equal("ssh.keepalive", err.reason)
      assert.equal("closed", err.code)
    end))

  both("while the session is idle, too", over_line({ keepalive = 0.03 },
    function(session, line)
      line:stop()
      core.sleep(0.4)
      local none, err = session:exec("true")
      assert.is_nil(none)
      assert.equal("ssh.keepalive", err.reason)
    end))

  both("is waited for when it was told to", over_line({ keepalive = 0 },
    function(session, line)
      line:stop()
      core.sleep(0.2)
      line:go()
      assert.equal("ok", assert(session:exec("true")).state)
    end))

  both("and speaks again in time is alive", over_line({ keepalive = 0.3 },
    function(session, line)
      line:stop()
      core.sleep(0.6)
      line:go()
      assert.equal("ok", assert(session:exec("true")).state)
    end))

  it("as a stopped process, on the default's minutes", function()
    core.spawn(core.timeout, 3600, function()
      lab:with(function(session, sshd)
        core.scale(100)
        local task = core.spawn(session.exec, session, "sleep 94")
        core.sleep(20)
        local quiet = core.now()
        assert(sshd:kill("STOP"))
        local r = assert(task:await())
        assert.equal("ssh.keepalive", r.err.cause.reason)
        assert.is_true(core.now() - quiet >= 90)
        assert(sshd:kill("CONT"))
      end)
    end):await()
    core.scale(1)
    assert.equal("", harness.leftovers())
  end)

  both("that answers is asked as long as it lasts", function()
    lab:with(function(session)
      local r = assert(session:exec("sleep 0.7"))
      assert.equal("ok", r.state)
    end, { keepalive = 0.15 })
  end)
end)
