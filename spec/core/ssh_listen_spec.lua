-- SPDX-License-Identifier: MIT
-- What the server opens: ports it listens on for us, the agent; and sockets that it reaches.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both, drain = harness.both, harness.drain

describe("what an SSH server opens", function()
  local lab
  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  local function ask(port, text)
    local stream <close> = assert(core.tcp.connect("127.0.0.1", port))
    assert(stream:write(text))
    stream:shutdown()
    return (drain(stream))
  end

  both("a port there: connections come, both ways, to their ends", function()
    lab:with(function(session)
      local remote <close> = assert(session:listen("localhost", 0))
      assert.is_true(remote:port() > 0)
      local asking = core.spawn(ask, remote:port(), "hello")
      local stream <close> = assert(remote:accept())
      assert.equal("hello", (drain(stream)))
      assert(stream:write "HELLO")
      stream:shutdown()
      assert.equal("HELLO", asking:await())
    end)
  end)

  both("many at once, also before they are waited for", function()
    lab:with(function(session)
      local remote <close> = assert(session:listen("127.0.0.1", 0))
      local asking = {}
      for i = 1, 20 do
        asking[i] = core.spawn(ask, remote:port(), "n" .. i)
      end
      core.sleep(0.3)
      for _ = 1, 20 do
        local stream = assert(remote:accept())
        core.spawn(function()
          stream:write("got " .. drain(stream))
          stream:close()
        end)
      end
      for i, task in ipairs(asking) do
        assert.equal("got n" .. i, task:await())
      end
    end)
  end)

  both("several ports, each connection to its own", function()
    lab:with(function(session)
      local one <close> = assert(session:listen("localhost", 0))
      local two <close> = assert(session:listen("localhost", 0))
      for _, remote in ipairs { two, one } do
        local asking = core.spawn(ask, remote:port(), "x")
        local stream <close> = assert(remote:accept())
        stream:write(tostring(remote:port()))
        stream:shutdown()
        assert.equal(tostring(remote:port()), asking:await())
      end
    end)
  end)

  both("a port in use there, or forbidden, is refused with a remedy", function()
    lab:with(function(session)
      local taken <close> = assert(core.tcp.listen("127.0.0.1", 0))
      local remote, err = session:listen("127.0.0.1", taken:port())
      assert.is_nil(remote)
      assert.equal("ssh.listen-refused", err.reason)
      assert.matches("127.0.0.1:" .. taken:port(), err.message, 1, true)
      assert.equal("ok", session:exec("true").state)
    end)
    lab:with(function(session)
      local remote, err = session:listen("localhost", 0)
      assert.is_nil(remote)
      assert.equal("ssh.listen-refused", err.reason)
    end, nil, { "AllowTcpForwarding=no" })
  end)

  both("closing it frees the port there", function()
    lab:with(function(session)
      local remote = assert(session:listen("127.0.0.1", 0))
      local port = remote:port()
      remote:close()
      local again
      for _ = 1, 50 do
        again = session:listen("127.0.0.1", port)
        if again then
          break
        end
        core.sleep(0.02)
      end
      assert.is_truthy(again)
      again:close()
    end)
  end)

  both("a request that is given up frees its port, too", function()
    lab:with(function(session)
      local remote, err
      repeat -- a server may be faster than the cancel
        local task = core.spawn(session.listen, session, "127.0.0.1", 0)
        core.sleep(0)
        task:cancel()
        remote, err = task:await()
        if remote then
          remote:close()
        end
      until err
      assert.equal("cancelled", err.code)
      assert.is_truthy(session:listen("127.0.0.1", 0))
    end)
  end)

  both("takes turns with the keepalive", function()
    lab:with(function(session)
      for _ = 1, 10 do
        core.sleep(0.03)
        local remote = assert(session:listen("127.0.0.1", 0))
        assert.is_true(remote:port() > 0)
        remote:close()
      end
    end, { keepalive = 0.01 })
  end)

  both("a wait for a connection ends with the listener, the session, the connection", function()
    lab:with(function(session, sshd)
      local remote = assert(session:listen("127.0.0.1", 0))
      local _, err = core.timeout(0.05, remote.accept, remote)
      assert.equal("timeout", err.code)
      local waiting = core.spawn(remote.accept, remote)
      core.sleep(0.01)
      remote:close()
      _, err = waiting:await()
      assert.equal("closed", err.code)
      remote = assert(session:listen("127.0.0.1", 0))
      waiting = core.spawn(remote.accept, remote)
      local ending = core.spawn(session.wait, session)
      core.sleep(0.01)
      sshd:close()
      _, err = waiting:await()
      assert.equal("ssh.closed", err.reason)
      _, err = ending:await()
      assert.equal("ssh.closed", err.reason)
      _, err = remote:accept()
      assert.equal("ssh.closed", err.reason)
      remote:close()
    end)
  end)

  both("connections that nobody took go with the listener", function()
    lab:with(function(session)
      local remote = assert(session:listen("127.0.0.1", 0))
      local asking = core.spawn(ask, remote:port(), "x")
      core.sleep(0.2)
      remote:close()
      assert.equal("", asking:await())
    end)
    lab:with(function(session)
      local remote = assert(session:listen("127.0.0.1", 0))
      local asking = core.spawn(ask, remote:port(), "x")
      core.sleep(0.2)
      session:close()
      assert.equal("", asking:await())
      remote:close()
    end)
  end)

  both("a socket with a path, here and there", function()
    lab:with(function(session)
      local listener <close> = assert(core.unix.listen(lab:path "sock"))
      assert.equal(384, core.sys.stat(lab:path "sock").mode) -- 0600
      local answering = core.spawn(function()
        local held <close> = assert(listener:accept())
        held:write("got " .. held:read())
      end)
      local stream <close> = assert(session:direct_streamlocal(lab:path "sock"))
      stream:write "x"
      assert.equal("got x", stream:read())
      answering:await()
      listener:close()
      assert.is_nil(core.sys.stat(lab:path "sock"))
      local none, err = session:direct_streamlocal(lab:path "sock")
      assert.is_nil(none)
      assert.equal("refused", err.code)
      none, err = core.unix.connect(lab:path "sock")
      assert.is_nil(none)
      assert.equal("notfound", err.code)
    end)
  end)

  both("a path that is in use, too long, or no socket", function()
    local first = assert(core.unix.listen(lab:path "sock", { mask = 63 }))
    local none, err = core.unix.listen(lab:path "sock")
    assert.is_nil(none)
    assert.equal(98, err.status) -- EADDRINUSE
    assert.is_truthy(core.unix.listen(lab:path "sock", { replace = true }))
    assert(core.sys.write_file(lab:path "file", "x"))
    none, err = core.unix.listen(lab:path "file", { replace = true })
    assert.is_nil(none)
    assert.equal(98, err.status)
    none, err = core.unix.connect("/" .. ("x"):rep(200))
    assert.is_nil(none)
    assert.equal(36, err.status) -- ENAMETOOLONG
    first:close()
  end)

  both("the agent, for who was lent it, as often as it likes", function()
    local agent = lab:agent { args = { "ssh-agent", "-D", "-a", lab:path "agent" },
      stdout = "null" }
    local add <close> = assert(core.process.spawn { args = { "ssh-add", lab:path "id" },
      env = { SSH_AUTH_SOCK = lab:path "agent", LD_PRELOAD = false }, stderr = "null" })
    assert.equal(0, add:wait().status)
    lab:with(function(session)
      local function list(opts)
        local shell <close> = assert(session:shell(opts))
        local stream <close> = shell:stream()
        return (drain(stream))
      end
      local command = "for i in 1 2 3; do ssh-add -l || echo none; done"
      assert.equal("none\nnone\nnone\n", list { command = command })
      local _, times = list { command = command, agent = lab:path "agent" }:gsub("ED25519", "")
      assert.equal(3, times)
      assert.matches("none", list { command = command, agent = lab:path "gone" }, 1, true)
    end)
    agent:close()
  end)
end)
