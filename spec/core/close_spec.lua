-- SPDX-License-Identifier: MIT
-- A task that, just resumed by an operation, closes all that the operation came from: the
-- session, the stream, the request, the server. What others wait for there ends with `closed`.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"
local both = harness.both

local NAME = "ns.servicebus.localhost"
local made = core.crypto.make_ca { NAME, "localhost" }
local ca = os.tmpname()
local lab
setup(function()
  assert(core.sys.write_file(ca, made.ca))
  lab = sshlab.new()
end)
teardown(function()
  os.remove(ca)
  lab:close()
end)

-- Closes all, forgets it, and lets the loop turn with nothing of it left.
local function close_all(...)
  for i = 1, select("#", ...) do
    local one = select(i, ...)
    if one then
      one:close()
    end
  end
  collectgarbage()
  collectgarbage()
end

-- Runs wait(), then closes in the same breath. Returns what wait did.
local function resumed(wait, ...)
  local things = table.pack(...)
  return core.spawn(function()
    local out = table.pack(wait())
    close_all(table.unpack(things, 1, things.n))
    core.sleep(0)
    return table.unpack(out, 1, out.n)
  end)
end

local function code_of(task)
  local _, err = task:await()
  return err and err.code
end

-- Two ends of each kind of stream.
local KINDS = {
  pair = core.pair,
  tcp = function()
    local listener <close> = assert(core.tcp.listen("127.0.0.1", 0))
    local dialling = core.spawn(core.tcp.connect, "127.0.0.1", listener:port())
    local far = assert(listener:accept())
    return assert(dialling:await()), far
  end,
  websocket = function()
    local a, b = core.pair()
    return core.relay.websocket(a, "client"), core.relay.websocket(b, "server")
  end,
}

for kind, make in pairs(KINDS) do
  describe("closed by whom it resumed: a " .. kind, function()
    both("that has read, while another writes", function()
      local near, far = make()
      local writing = core.spawn(near.write, near, ("w"):rep(10000000))
      local reading = resumed(function() return near:read() end, near)
      far:write "x"
      assert.equal("x", reading:await())
      assert.equal("closed", code_of(writing))
      far:close()
    end)

    both("that has written, while another reads", function()
      local near, far = make()
      local reading = core.spawn(near.read, near)
      local writing = resumed(function() return near:write(("w"):rep(1000000)) end, near)
      local left = 1000000
      while left > 0 do
        left = left - #assert(far:read())
      end
      assert.is_true(writing:await())
      assert.equal("closed", code_of(reading))
      far:close()
    end)

    both("that has read its end, both ends at once", function()
      local near, far = make()
      local reading = resumed(function() return near:read() end, near, far)
      far:shutdown()
      assert.is_nil(reading:await())
    end)

    both("that has failed", function()
      local near, far = make()
      local writing = core.spawn(function() return near:write(("w"):rep(10000000)) end)
      local reading = resumed(function() return near:read() end, near)
      core.sleep(0.01)
      far:abort()
      assert.truthy(code_of(writing))
      if kind ~= "pair" then -- where a reset looks like an end
        assert.truthy(code_of(reading))
      end
      reading:await()
    end)

    both("that was copied: both other ends", function()
      local a, far_a = make()
      local b, far_b = make()
      local copying = resumed(function() return core.splice(a, b) end, far_a, far_b)
      far_a:shutdown()
      far_b:shutdown()
      assert.truthy(copying:await())
    end)

    both("that was copied and broke", function()
      local a, far_a = make()
      local b, far_b = make()
      local filling = core.spawn(far_a.write, far_a, ("w"):rep(10000000))
      local copying = resumed(function() return core.splice(a, b) end, far_a)
      core.sleep(0.01)
      far_b:abort()
      assert.truthy(code_of(copying))
      filling:await()
    end)
  end)
end

describe("closed by whom it resumed:", function()
  both("a process, while another waits for it", function()
    local process = assert(core.process.spawn { args = { "cat" }, stdin = "pipe" })
    local input, output = process:stdin(), process:stdout()
    local others = {}
    for i = 1, 2 do
      others[i] = core.spawn(process.wait, process)
    end
    local first = resumed(function() return process:wait() end, process, output)
    for i = 3, 4 do
      others[i] = core.spawn(process.wait, process)
    end
    core.sleep(0.01)
    input:close()
    assert.same({ status = 0 }, first:await())
    for _, other in ipairs(others) do
      local ended, err = other:await()
      assert.is_true(ended ~= nil or err.code == "closed")
    end
  end)

  both("a listener, by its accept; the others' accepts end", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local first = resumed(function()
      local stream = listener:accept()
      stream:close()
      return true
    end, listener)
    local other = core.spawn(listener.accept, listener)
    local dialled = core.tcp.connect("127.0.0.1", listener:port())
    assert.is_true(first:await())
    assert.equal("closed", code_of(other))
    close_all(dialled)
  end)

  both("a condition, by its wait", function()
    local cond = core.cond()
    local first = resumed(function() return cond:wait() end, cond)
    local other = core.spawn(cond.wait, cond)
    core.sleep(0)
    cond:signal()
    assert.is_true(first:await())
    assert.equal("closed", code_of(other))
  end)
end)

-- A server whose every step is followed by the end of all of it.
describe("a server closed by whom it resumed", function()
  local function at(port)
    return assert(core.relayinfo(('{"relay":{"namespaceName":"ns","namespaceNameSuffix":'
      .. '"servicebus.localhost:%d","hybridConnectionName":"p","accessKey":"k","expiresOn":1,'
      .. '"serviceConfigurationToken":"t"}}'):format(port)))
  end

  local STEPS = { "accept", "request", "respond", "websocket", "read" }
  -- Does the steps up to this one, then closes server, connection and stream.
  local function serve(server, last)
    local conn, stream
    for _, name in ipairs(STEPS) do
      if name == "accept" then
        conn = server:accept()
      elseif name == "request" then
        conn:request()
      elseif name == "respond" then
        if last == "respond" then
          conn:respond(200, "OK", {}, ("x"):rep(1000000))
        end
      elseif name == "websocket" then
        stream = conn:websocket()
      else
        stream:read()
      end
      if name == last then
        break
      end
    end
    local waiting = core.spawn(function()
      if not stream then
        return conn:request()
      end
    end)
    core.sleep(0)
    close_all(stream, conn, server)
    waiting:await()
    return true
  end

  for _, last in ipairs(STEPS) do
    both("after its " .. last .. ", with an HTTP client", function()
      if last == "websocket" or last == "read" then
        return
      end
      local server = assert(core.server.listen { cert = made.cert, key = made.key })
      local url = ("https://localhost:%d/"):format(server:port())
      local serving = core.spawn(serve, server, last)
      local asking = resumed(function() return core.http.request { url = url, ca = ca } end, server)
      assert.is_true(serving:await())
      local answer, err = asking:await()
      assert.truthy(answer or err)
    end)

    both("after its " .. last .. ", with a relay client", function()
      local server = assert(core.server.listen { cert = made.cert, key = made.key })
      local info = at(server:port())
      local serving = core.spawn(serve, server, last)
      local stream, err = core.relay.connect(info, { port = 22, ca = ca })
      close_all(info, server)
      if stream then
        stream:write "x"
        close_all(stream)
      end
      assert.truthy(stream or err)
      assert.is_true(serving:await())
    end)
  end
end)

describe("a session closed by whom it resumed", function()
  both("from its connect, also when that failed", function()
    for _, changes in ipairs { {}, { identities = { lab:path "none" } } } do
      local sshd = lab:start()
      local session, err = core.ssh.connect(sshd:stream(), lab:options(changes))
      close_all(session, sshd)
      assert.truthy(session or err)
    end
  end)

  local POSITIONS = {
    on_stdout = "echo x; sleep 30",
    on_stderr = "echo x >&2; sleep 30",
  }
  for position, command in pairs(POSITIONS) do
    both("from " .. position, function()
      local session, sshd = assert(lab:connect())
      local r, err = session:exec(command, { [position] = function() close_all(session) end })
      assert(r, err)
      assert.equal("cancelled", r.state)
      sshd:close()
    end)

    both("from " .. position .. ", its server too", function()
      local session, sshd = assert(lab:connect())
      local r, err = session:exec(command, {
        [position] = function() close_all(session, sshd) end })
      assert(r, err)
      assert.is_true(r.state == "cancelled" or r.state == "unknown")
    end)

    both("from " .. position .. ", and fails", function()
      local session, sshd = assert(lab:connect())
      local ok, text = pcall(session.exec, session, command, { [position] = function()
        close_all(session)
        error("on purpose", 0)
      end })
      assert.is_false(ok)
      assert.equal("on purpose", text)
      while core.stats().lingers > 0 do
        core.sleep(0.01)
      end
      sshd:close()
    end)
  end

  both("at the end of a command, others still running", function()
    local session, sshd = assert(lab:connect())
    local other = core.spawn(session.exec, session, "sleep 30")
    core.sleep(0.05)
    local first = resumed(function() return session:exec("echo 1", { stdin = "x" }) end, session)
    assert.equal("ok", assert(first:await()).state)
    assert.equal("cancelled", assert(other:await()).state)
    sshd:close()
  end)

  both("in the turn of a time-out and a cancel", function()
    local session, sshd = assert(lab:connect())
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = core.spawn(session.exec, session, "sleep 30", { timeout = 0.3 })
    end
    core.sleep(0.3)
    for i = 1, 4, 2 do
      tasks[i]:cancel()
    end
    close_all(session)
    for _, task in ipairs(tasks) do
      assert.is_true(assert(task:await()).state ~= "ok")
    end
    sshd:close()
  end)
end)
