-- SPDX-License-Identifier: MIT
-- session:shell: a shell, a command or a subsystem as streams.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both, drain = harness.both, harness.drain

describe("session:shell", function()
  local lab
  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  -- Runs fn(shell, stream, error stream, session) and closes all.
  local function with(opts, fn, settings)
    lab:with(function(session)
      local shell <close> = assert(session:shell(opts))
      local stream <close> = shell:stream()
      local errors <close> = shell:stderr()
      fn(shell, stream, errors, session)
    end, nil, settings)
  end

  both("streams the input, both outputs and the exit record", function()
    with({ command = "cat; echo bad >&2; exit 7" }, function(shell, stream, errors)
      assert(stream:write "one\n")
      assert.equal("one\n", stream:read())
      assert(stream:write "two")
      stream:shutdown()
      assert.equal("two", (drain(stream)))
      assert.equal("bad\n", (drain(errors)))
      local result = assert(shell:wait())
      assert.same({ "failed", 7, "confirmed" }, { result.state, result.status, result.ended })
      assert.equal("ssh.command-failed", result.err.reason)
      assert.is_false(shell:has_terminal())
    end)
  end)

  both("output may be read after the end", function()
    with({ command = "echo late" }, function(shell, stream)
      assert.equal("ok", shell:wait().state)
      assert.equal("late\n", (drain(stream)))
    end)
  end)

  both("a login shell reads its input", function()
    with({}, function(shell, stream)
      stream:write "echo $((6 * 7)); exit 3\n"
      assert.equal("42\n", (drain(stream)))
      assert.equal(3, shell:wait().status)
    end)
  end)

  both("a terminal: its type and size, which may change", function()
    with({ command = "stty size; echo $TERM; trap 'stty size; exit 0' WINCH; "
        .. "while :; do sleep .05; done", pty = { term = "vt100", cols = 33, rows = 12 } },
      function(shell, stream)
        local text = ""
        while not text:find "vt100" do
          text = text .. assert(stream:read())
        end
        assert.matches("^12 33\r\nvt100", text)
        assert.is_true(shell:has_terminal())
        core.sleep(0.1) -- the trap is set by now
        shell:resize(70, 20)
        assert.matches("20 70\r\n", (drain(stream)), 1, true)
        assert.equal("ok", shell:wait().state)
      end)
  end)

  both("goes on without the terminal that the server refuses", function()
    with({ command = "tty; echo on", pty = true }, function(shell, stream)
      assert.is_false(shell:has_terminal())
      assert.equal("not a tty\non\n", (drain(stream)))
    end, { "PermitTTY=no" })
  end)

  both("a subsystem", function()
    with({ subsystem = "echo" }, function(_, stream)
      stream:write "x"
      assert.equal("x", stream:read())
    end, { "Subsystem=echo /bin/cat" })
    lab:with(function(session)
      local shell, err = session:shell { subsystem = "nothing" }
      assert.is_nil(shell)
      assert.equal("ssh.no-subsystem", err.reason)
    end)
  end)

  both("signals reach the command, and tell how it ended", function()
    with({ command = "echo up; exec sleep 100", env = { LAB_X = "1" } }, function(shell, stream)
      assert.equal("up\n", stream:read())
      assert.is_true(shell:signal "TERM")
      if core.sys.getuid() == 0 and lab.user == "root" then
        return -- sshd obeys no signals for root
      end
      local result = shell:wait()
      assert.equal("TERM", result.signal)
      assert.is_false(shell:signal "TERM")
    end)
  end)

  both("closing it ends what runs: by signals, or with a terminal by hanging up", function()
    lab:ordinary()
    for _, pty in ipairs { false, true } do
      local id
      with({ command = "echo $$; exec sleep 100", pty = pty }, function(_, stream)
        id = stream:read():match "%d+"
      end)
      repeat -- it may be on its way
        assert(core.sleep(0.01))
        local stat = core.sys.read_file("/proc/" .. id .. "/stat")
      until not stat or stat:find "^%d+ %b() Z"
    end
  end)

  both("a slow reader holds the command, not the memory", function()
    with({ command = "head -c 50000000 /dev/zero; echo done >&2" }, function(_, stream, errors)
      core.sleep(0.3)
      local total = 0
      for chunk in function() return stream:read() end do
        total = total + #chunk
      end
      assert.equal(50000000, total)
      assert.equal("done\n", (drain(errors)))
    end)
  end)

  both("a stream that is closed discards, the other goes on", function()
    with({ command = "head -c 3000000 /dev/zero; echo end >&2" }, function(shell, stream, errors)
      stream:close()
      assert.equal("end\n", (drain(errors)))
      assert.equal("ok", shell:wait().state)
    end)
  end)

  both("writing more than the command reads waits; its end ends that", function()
    with({ command = "sleep 0.2; head -c 10 >/dev/null" }, function(shell, stream)
      local ok, err = stream:write(("x"):rep(8000000))
      assert.is_nil(ok)
      assert.equal("closed", err.code)
      assert.equal("ok", shell:wait().state)
    end)
  end)

  both("a lost connection is no end of the output", function()
    lab:with(function(session, sshd)
      local shell <close> = assert(session:shell { command = "echo up; sleep 100" })
      local stream <close> = shell:stream()
      assert.equal("up\n", stream:read())
      sshd:close()
      local chunk, err = stream:read()
      assert.is_nil(chunk)
      assert.equal("ssh.lost", err.reason)
      local result = shell:wait()
      assert.same({ "unknown", "ssh.lost" }, { result.state, result.err.reason })
      assert.is_nil(stream:write "x")
    end)
  end)

  both("ends with its session", function()
    lab:with(function(session)
      local shell <close> = assert(session:shell { command = "sleep 100", pty = true })
      local stream <close> = shell:stream()
      session:close()
      local _, err = stream:read()
      assert.equal("closed", err.code)
      assert.equal("cancelled", shell:wait().state)
    end)
  end)

  both("a cancelled start leaves nothing", function()
    lab:with(function(session)
      local task = core.spawn(session.shell, session, { command = "sleep 100" })
      core.sleep(0)
      task:cancel()
      local shell, err = task:await()
      assert.is_nil(shell)
      assert.equal("cancelled", err.code)
      assert.equal("ok", session:exec("true").state)
    end)
  end)

  both("waits of the reader and of the end may be cancelled, and begun anew", function()
    with({ command = "read x; echo $x" }, function(shell, stream)
      local _, err = core.timeout(0.05, shell.wait, shell)
      assert.equal("timeout", err.code)
      _, err = core.timeout(0.05, stream.read, stream)
      assert.equal("timeout", err.code)
      stream:write "it\n"
      assert.equal("it\n", stream:read())
      assert.equal("ok", shell:wait().state)
    end)
  end)

  both("raises for what makes no sense", function()
    lab:with(function(session)
      for _, case in ipairs {
        { { command = "a\0b" }, "NUL byte" }, { { command = "a", subsystem = "b" }, "exclude" },
        { { pty = 1 }, "boolean or table expected" }, { { pty = { cols = -1 } }, "option 'cols'" },
        { { nonsense = 1 }, "unknown option 'nonsense'" }, { { env = { A = 1 } }, "strings" },
      } do
        local ok, err = pcall(session.shell, session, case[1])
        assert.is_false(ok)
        assert.matches(case[2], err, 1, true)
      end
      local shell = assert(session:shell { command = "true" })
      local stream = shell:stream()
      assert.is_false(pcall(shell.stream, shell))
      assert.is_false(pcall(shell.resize, shell, 70000, 1))
      shell:close()
      assert.is_false(pcall(shell.wait, shell))
      local _, err = stream:read()
      assert.equal("closed", err.code)
      stream:close()
    end)
  end)
end)
