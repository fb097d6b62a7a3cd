-- SPDX-License-Identifier: MIT
-- Connections through a session: streams, sessions through sessions, refusals, ends.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"
local valve = require "valve"

local both = harness.both

-- A listener whose one connection is served by fn(stream); its port and the task.
local function serve(fn)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local task = core.spawn(function()
    local stream = assert(listener:accept())
    listener:close()
    fn(stream)
    stream:close()
  end)
  return listener:port(), task
end

-- A port where nobody listens.
local function free_port()
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local port = listener:port()
  listener:close()
  return port
end

local function echo(stream)
  while true do
    local chunk = stream:read()
    if not chunk then
      return
    end
    assert(stream:write(chunk))
  end
end

describe("session:direct_tcpip", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  local function with(fn, changes, settings)
    return function() lab:with(fn, changes, settings) end
  end

  both("carries bytes both ways, and each end by itself", with(function(session)
    local seen
    local port, task = serve(function(stream)
      seen = harness.drain(stream)
      assert(stream:write("answer"))
    end)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    assert.matches("127.0.0.1:" .. port, s:name(), 1, true)
    assert(s:write("question"))
    s:shutdown()
    local text, err = harness.drain(s)
    assert.is_nil(err)
    assert.equal("answer", text)
    assert.equal("question", seen)
    assert.is_nil((s:write("more")))
    task:await()
    s:close()
  end))

  both("the server's end first", with(function(session)
    local seen
    local port, task = serve(function(stream)
      assert(stream:write("hello"))
      stream:shutdown()
      seen = harness.drain(stream)
    end)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    assert.equal("hello", (harness.drain(s)))
    assert(s:write("still"))
    s:close()
    task:await()
    assert.equal("still", seen)
  end))

  both("large, both ways at once", with(function(session)
    local text = core.crypto.random(65536):rep(200)
    local port, task = serve(echo)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    local writer = core.spawn(function()
      assert(s:write(text))
      s:shutdown()
    end)
    local back = harness.drain(s)
    assert.equal(#text, #back)
    assert.is_true(text == back)
    writer:await()
    task:await()
    s:close()
  end))

  both("a reader that is slow stops its sender, and no other channel", with(function(session)
    local sent = 0
    local port, task = serve(function(stream)
      local chunk = ("x"):rep(65536)
      while sent < 40000000 and stream:write(chunk) do
        sent = sent + #chunk
      end
    end)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    local last = -1
    while sent ~= last do
      last = sent
      assert.equal("ok", assert(session:exec("head -c 3000000 /dev/zero")).state)
    end
    assert.is_true(sent < 30000000, "it sent " .. sent)
    local got = #harness.drain(s)
    task:await()
    assert.equal(sent, got)
    s:close()
  end))

  both("a server that does not read stops the writer", with(function(session)
    local stop = core.cond()
    local port, task = serve(function() stop:wait() end)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    local ok, err = core.timeout(0.3, s.write, s, ("x"):rep(40000000))
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    assert.equal("ok", assert(session:exec("true")).state)
    stop:broadcast()
    task:await()
    s:close()
  end))

  both("can be spliced", with(function(session)
    local port, task = serve(echo)
    local near, far = core.pair()
    local splice = core.spawn(core.splice, far, assert(session:direct_tcpip("localhost", port)))
    assert(near:write("through"))
    near:shutdown()
    assert.equal("through", (harness.drain(near)))
    near:close()
    assert.is_true(splice:await())
    task:await()
  end))

  both("many at once, refusals among them", with(function(session)
    local port = free_port()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = core.spawn(function()
        if i % 2 == 0 then
          local none, err = session:direct_tcpip("127.0.0.1", port)
          assert.is_nil(none)
          return err.code
        end
        local there, task = serve(echo)
        local s <close> = assert(session:direct_tcpip("127.0.0.1", there))
        assert(s:write("x"))
        assert.equal("x", s:read())
        s:close()
        task:await()
        return "ok"
      end)
    end
    for i, task in ipairs(tasks) do
      assert.equal(i % 2 == 0 and "refused" or "ok", task:await())
    end
  end))

  both("when nobody listens there", with(function(session)
    local s, err = session:direct_tcpip("127.0.0.1", free_port())
    assert.is_nil(s)
    assert.equal("ssh.forward-failed", err.reason)
    assert.equal("refused", err.code)
    assert.equal("ssh.direct_tcpip", err.op)
    s, err = session:direct_tcpip("no.such.host.invalid", 22)
    assert.is_nil(s)
    assert.equal("ssh.forward-failed", err.reason)
    assert.equal("ok", assert(session:exec("true")).state)
  end))

  for _, setting in ipairs { "AllowTcpForwarding=no", "PermitOpen=none",
      "DisableForwarding=yes" } do
    both("when sshd forbids it: " .. setting, with(function(session)
      local s, err = session:direct_tcpip("127.0.0.1", 22)
      assert.is_nil(s)
      assert.equal("ssh.forward-denied", err.reason)
      assert.equal("denied", err.code)
    end, nil, { setting }))
  end

  it("refuses what it does not know", function()
    core.spawn(with(function(session)
      assert.has_error(function() session:direct_tcpip("", 22) end)
      assert.has_error(function() session:direct_tcpip("a\0b", 22) end)
      assert.has_error(function() session:direct_tcpip(("a"):rep(256), 22) end)
      assert.has_error(function() session:direct_tcpip("a", 0) end)
      assert.has_error(function() session:direct_tcpip("a", 65536) end)
      assert.has_error(function() session:direct_tcpip("a", 22, { colour = 1 }) end)
      session:close()
      assert.has_error(function() session:direct_tcpip("a", 22) end)
    end)):await()
    assert.equal("", harness.leftovers())
  end)
end)

describe("a connection through a session that ends", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- fn(session, valve) with a session over a line that can be stopped.
  local function over_line(fn)
    return function()
      local sshd = lab:start()
      local near, line = valve.new(sshd:stream())
      local session = assert(core.ssh.connect(near, lab:options()))
      fn(session, line)
      session:close()
      line:go()
      line:cut()
      sshd:close()
    end
  end

  both("by time-out while it opens", over_line(function(session, line)
    line:stop()
    local s, err = session:direct_tcpip("127.0.0.1", 22, { timeout = 0.02 })
    assert.is_nil(s)
    assert.equal("timeout", err.code)
    line:go()
    assert.equal("ok", assert(session:exec("true")).state)
  end))

  both("by cancel while it opens", over_line(function(session, line)
    line:stop()
    local task = core.spawn(session.direct_tcpip, session, "127.0.0.1", 22)
    core.sleep(0.01)
    task:cancel()
    local s, err = task:await()
    assert.is_nil(s)
    assert.equal("cancelled", err.code)
    line:go()
    assert.equal("ok", assert(session:exec("true")).state)
  end))

  both("at every moment while it opens", function()
    lab:with(function(session)
      local listener = assert(core.tcp.listen("127.0.0.1", 0))
      local server = core.spawn(function()
        while true do
          local stream = listener:accept()
          if not stream then return end
          echo(stream)
          stream:close()
        end
      end)
      for i = 0, 15 do
        local s, err = core.timeout(i * 0.0003, session.direct_tcpip, session, "127.0.0.1",
          listener:port())
        if s then
          s:close()
        else
          assert.equal("timeout", err.code)
        end
      end
      assert.equal("ok", assert(session:exec("true")).state)
      listener:close()
      server:await()
    end)
  end)

  both("when the line breaks", over_line(function(session, line)
    local port, task = serve(function(stream)
      assert(stream:write("before"))
      harness.drain(stream)
    end)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    assert.equal("before", s:read())
    line:cut()
    local text, err = s:read()
    assert.is_nil(text)
    assert.equal("ssh.closed", err.reason)
    local ok, failed = s:write("x")
    assert.is_nil(ok)
    assert.equal("ssh.closed", failed.reason)
    local none, why = session:direct_tcpip("127.0.0.1", port)
    assert.is_nil(none)
    assert.equal("ssh.closed", why.reason)
    s:close()
    task:await()
  end))

  both("when the line breaks while it opens", over_line(function(session, line)
    line:stop()
    local task = core.spawn(session.direct_tcpip, session, "127.0.0.1", 22)
    core.sleep(0.01)
    line:go()
    line:cut()
    local s, err = task:await()
    assert.is_nil(s)
    assert.equal("ssh.closed", err.reason)
  end))

  both("when the session is closed", function()
    lab:with(function(session)
      local seen, err
      local port, task = serve(function(stream) seen, err = harness.drain(stream) end)
      local s = assert(session:direct_tcpip("127.0.0.1", port))
      assert(s:write("last"))
      local reader = core.spawn(s.read, s)
      core.sleep(0.001)
      session:close()
      local text, failed = reader:await()
      assert.is_nil(text)
      assert.equal("closed", failed.code)
      task:await()
      assert.equal("last", seen)
      assert.is_nil(err)
      s:close()
    end)
  end)

  both("not when the session is forgotten", function()
    local session, sshd = assert(lab:connect())
    local port, task = serve(echo)
    local s = assert(session:direct_tcpip("127.0.0.1", port))
    session = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert(s:write("x"))
    assert.equal("x", s:read())
    s:close()
    task:await()
    sshd:wait()
    sshd:close()
  end)

  both("when the connection is aborted, or collected", function()
    lab:with(function(session)
      for _, how in ipairs { "abort", "collect" } do
        local port, task = serve(function(stream) harness.drain(stream) end)
        local s = assert(session:direct_tcpip("127.0.0.1", port))
        if how == "abort" then
          s:abort()
        end
        s = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        task:await()
      end
      assert.equal("ok", assert(session:exec("true")).state)
    end)
  end)
end)

describe("a session through a session", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- A port behind which an sshd waits for one connection.
  local function machine()
    return serve(function(stream)
      local sshd = lab:start()
      core.splice(stream, sshd:stream())
      sshd:close()
    end)
  end

  -- Sessions, each through the one before; and the tasks behind them.
  local function chain(depth)
    local session, sshd = assert(lab:connect())
    local sessions, tasks = { session }, {}
    for i = 2, depth do
      local port, task = machine()
      tasks[i - 1] = task
      sessions[i] = assert(core.ssh.connect(
        assert(sessions[i - 1]:direct_tcpip("127.0.0.1", port)), lab:options()))
    end
    return sessions, tasks, sshd
  end

  both("four deep", function()
    local sessions, tasks, sshd = chain(4)
    local text = core.crypto.random(1000000)
    local r = assert(sessions[4]:exec("cat", { stdin = text, max_output = 2000000 }))
    assert.equal("ok", r.state)
    assert.is_true(text == r.stdout)
    for i = 4, 1, -1 do
      sessions[i]:close()
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    sshd:close()
  end)

  both("that lives on when the first is forgotten", function()
    local sessions, tasks, sshd = chain(3)
    local last = sessions[3]
    sessions = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal("ok", assert(last:exec("true")).state)
    last:close()
    for _, task in ipairs(tasks) do
      task:await()
    end
    sshd:wait()
    sshd:close()
  end)

  both("and the first is closed under it", function()
    local sessions, tasks, sshd = chain(3)
    local running = core.spawn(sessions[3].exec, sessions[3], "sleep 96")
    core.sleep(0.05)
    sessions[1]:close()
    local r, err = running:await()
    err = err or r.err
    assert.equal("closed", err.code)
    sessions[3]:close()
    sessions[2]:close()
    for _, task in ipairs(tasks) do
      task:await()
    end
    sshd:close()
  end)
end)
