-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local harness = require "harness"
local both = harness.both

local function drain(stream)
  local parts = {}
  while true do
    local chunk, err = stream:read()
    if not chunk then
      return table.concat(parts), err
    end
    parts[#parts + 1] = chunk
  end
end

local function connected()
  local listener <close> = assert(core.tcp.listen("127.0.0.1", 0))
  local dialling = core.spawn(core.tcp.connect, "127.0.0.1", listener:port())
  local server = assert(listener:accept())
  return assert(dialling:await()), server
end

describe("stream", function()
  both("carries bytes and an end", function()
    local a <close>, b = core.pair()
    local writer = core.spawn(function()
      assert(a:write(("x"):rep(300000)))
      a:shutdown()
    end)
    local text, err = drain(b)
    assert.is_nil(err)
    assert.equal(300000, #text)
    writer:await()
    b:close()
  end)

  both("tells a reset from an end", function()
    local client <close>, server = connected()
    server:abort()
    local text, err = client:read()
    assert.is_nil(text)
    assert.equal("closed", err.code)
  end)

  both("ends a pending read when it is closed", function()
    local a, b <close> = core.pair()
    local reader = core.spawn(function() return a:read() end)
    core.sleep(0.005)
    a:close()
    local got, err = reader:await()
    assert.is_nil(got)
    assert.equal("closed", err.code)
    assert.is_true(b:write("x") == nil)
  end)

  both("ends a pending write by timeout and can be used again", function()
    local a, b = core.pair()
    local ok, err = core.timeout(0.01, a.write, a, ("y"):rep(10000000))
    assert.is_nil(ok)
    assert.equal("timeout", err.code)
    assert.is_string(b:read())
    assert.is_string(core.timeout(1, b.read, b))
    a:close()
    b:close()
  end)

  both("refuses a second reader and use after close", function()
    local a, b <close> = core.pair()
    local reader = core.spawn(function() return a:read() end)
    core.sleep(0.005)
    assert.has_error(function() a:read() end)
    b:write("z")
    assert.equal("z", reader:await())
    a:close()
    a:close()
    assert.has_error(function() a:read() end, "calling 'read' on bad self (the stream is closed)")
  end)

  both("fails to write to a peer that has gone, without a signal", function()
    local process <close> = assert(core.process.spawn { args = { "true" }, stdin = "pipe" })
    local input <close> = process:stdin()
    process:wait()
    local ok, err = input:write("x")
    assert.is_nil(ok)
    assert.equal("closed", err.code)
  end)

  both("is collected when forgotten", function()
    core.pair()
  end)
end)

describe("tcp", function()
  both("connects and is refused", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local port = listener:port()
    listener:close()
    local stream, err = core.tcp.connect("127.0.0.1", port)
    assert.is_nil(stream)
    assert.equal("refused", err.code)
  end)

  both("names what it cannot resolve", function()
    local _, err = core.tcp.connect("no-such-host.invalid", 1, { timeout = 20 })
    assert.is_true(err.code == "dns" or err.code == "timeout")
  end)

  both("ends waiting accepts when closed, and cancelled dials", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local waiting = core.spawn(function() return listener:accept() end)
    core.sleep(0.005)
    listener:close()
    local _, err = waiting:await()
    assert.equal("closed", err.code)
    local dialling = core.spawn(core.tcp.connect, "127.0.0.1", 9)
    dialling:cancel()
    assert.equal("cancelled", select(2, dialling:await()).code)
  end)

  it("refuses bad addresses, ports and options", function()
    assert.has_error(function() core.tcp.listen("127.0.0.1", 70000) end)
    assert.has_error(function() core.tcp.connect("h", 1, { timeuot = 1 }) end,
      "unknown option 'timeuot'")
    assert.has_error(function() core.tcp.connect("h", 1, { timeout = "1" }) end,
      "option 'timeout': number expected, got string")
    local _, err = core.tcp.listen("nowhere", 0)
    assert.equal("io", err.code)
  end)
end)

describe("splice", function()
  both("copies both ways and passes each end on", function()
    local a, b = core.pair()
    local c, d = core.pair()
    local copying = core.spawn(core.splice, b, c)
    local there = core.spawn(drain, d)
    assert(a:write(("1"):rep(500000)))
    a:shutdown()
    assert.equal(500000, #there:await())
    assert(d:write("back"))
    d:shutdown()
    assert.equal("back", (drain(a)))
    assert.is_true(copying:await())
    a:close()
    d:close()
  end)

  both("passes a failure on as a failure", function()
    local client, server = connected()
    local c, d <close> = core.pair()
    local copying = core.spawn(core.splice, server, c)
    client:abort()
    local ok, err = copying:await()
    assert.is_nil(ok)
    assert.equal("closed", err.code)
    drain(d)
  end)

  both("ends both when it is cancelled", function()
    local a <close>, b = core.pair()
    local c, d <close> = core.pair()
    local copying = core.spawn(core.splice, b, c)
    core.sleep(0.005)
    copying:cancel()
    assert.equal("cancelled", select(2, copying:await()).code)
    drain(a)
    drain(d)
  end)
end)

describe("process", function()
  both("gives its output and its status", function()
    local process <close> = assert(core.process.spawn {
      args = { "sh", "-c", "cat; echo $X; exit 3" }, stdin = "pipe", env = { X = "1" },
    })
    local input, output <close> = process:stdin(), process:stdout()
    input:write("in ")
    input:close()
    assert.equal("in 1\n", (drain(output)))
    assert.same({ status = 3 }, process:wait())
  end)

  both("hears the end of its input by a shutdown", function()
    local process <close> = assert(core.process.spawn { args = { "cat" }, stdin = "pipe" })
    local to <close> = process:stdin()
    local from <close> = process:stdout()
    to:write "last words"
    to:shutdown()
    to:shutdown()
    assert.equal("last words", (drain(from)))
    assert.equal("closed", select(2, to:write "more").code)
    assert.same({ status = 0 }, process:wait())
  end)

  both("tells a signal, also to its whole group", function()
    local process <close> = assert(core.process.spawn {
      args = { "sh", "-c", "sleep 1000 & wait" }, session = true, stdout = "null",
    })
    core.sleep(0.02)
    assert(process:kill("TERM"))
    assert.same({ signal = "TERM" }, process:wait())
    assert.equal("notfound", (select(2, core.process.spawn { args = { "/no/such" } })).code)
  end)

  both("has just the environment that was asked for", function()
    local process <close> = assert(core.process.spawn {
      args = { "/usr/bin/env" }, clear_env = true, env = { ONLY = "this" },
    })
    local output <close> = process:stdout()
    assert.equal("ONLY=this\n", (drain(output)))
    process:wait()
  end)

  both("is killed when closed or forgotten", function()
    local process = assert(core.process.spawn { args = { "sleep", "1000" }, stdout = "null" })
    local pid = process:pid()
    process:close()
    assert.is_nil(core.sys.stat("/proc/" .. pid))
  end)

  both("talks over one socket", function()
    local process <close> = assert(core.process.spawn { args = { "cat" }, socket = true })
    local stream <close> = process:stream()
    stream:write("echo")
    assert.equal("echo", stream:read())
    stream:shutdown()
    assert.is_nil(stream:read())
    assert.same({ status = 0 }, process:wait())
  end)

  both("appends stderr to a file", function()
    local dir = assert(core.sys.mkdtemp("arclua-spec-"))
    local path = dir .. "/err"
    for _ = 1, 2 do
      local process <close> = assert(core.process.spawn {
        args = { "sh", "-c", "echo oops >&2" }, stdout = "null", stderr = "file:" .. path,
      })
      process:wait()
    end
    assert.equal("oops\noops\n", core.sys.read_file(path))
    assert(core.sys.remove(dir))
  end)
end)
