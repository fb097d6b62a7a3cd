-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local raw = require "raw"
local both = require("harness").both

local NAME = "x.arc.localhost"
local made = core.crypto.make_ca { NAME, "localhost" }
local other = core.crypto.make_ca { NAME }

local ca_file
setup(function()
  ca_file = os.tmpname()
  assert(core.sys.write_file(ca_file, made.ca))
end)
teardown(function()
  os.remove(ca_file)
end)

-- A server; serve(conn) for each connection, in a task. Returns it and what stops it.
local function start(serve)
  local server = assert(core.server.listen { cert = made.cert, key = made.key })
  local runner = core.spawn(function()
    local tasks = {}
    while true do
      local conn = server:accept()
      if not conn then
        break
      end
      tasks[#tasks + 1] = core.spawn(function()
        local held <close> = conn
        serve(held)
      end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
  end)
  return server, function()
    server:close()
    runner:await()
  end
end

local function echo(conn)
  while true do
    local request = conn:request()
    if not request then
      break
    end
    conn:respond(200, "Fine enough", { ["X-Method"] = request.method }, request.target .. "\n"
      .. (request.headers["x-a"] or "") .. "\n" .. request.body)
  end
end

describe("core.server", function()
  both("answers requests, several on one connection", function()
    local server, stop = start(echo)
    local got = raw.exchange(server:port(), ca_file, NAME,
      "GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
      .. "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
      .. "PUT /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    stop()
    assert.truthy(got:find("HTTP/1.1 200 Fine enough\r\n", 1, true))
    assert.truthy(got:find("/a?b=c\n1, 2\n", 1, true))
    assert.truthy(got:find("X-Method: POST\r\nContent-Length: 8\r\n\r\n/d\n\nbody", 1, true))
    assert.truthy(got:find("\r\nConnection: close\r\nContent-Length: 9\r\n\r\n/e\n\nabcde",
      1, true))
  end)

  both("tells the parts of a request", function()
    local seen
    local server, stop = start(function(conn)
      seen = conn:request()
      local host, port = conn:peer()
      seen.host, seen.port = host, port
      conn:respond(204, "No Content", { Connection = "close" })
    end)
    local got = raw.exchange(server:port(), ca_file, NAME,
      "GET /p/q?x=1?2 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "ServiceBusAuthorization: t\r\n\r\n")
    stop()
    assert.equal("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", got)
    assert.equal("/p/q", seen.path)
    assert.equal("x=1?2", seen.query)
    assert.equal("t", seen.headers.servicebusauthorization)
    assert.equal("ServiceBusAuthorization", seen.names.servicebusauthorization)
    assert.is_true(seen.upgrade)
    assert.equal("127.0.0.1", seen.host)
    assert.is_true(seen.port > 0)
  end)

  for name, case in pairs {
    ["no request"] = { "hello\r\n\r\n", "protocol", 400 },
    ["a NUL in a header"] = { "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", "protocol", 400 },
    ["a giant head"] = { "GET / HTTP/1.1\r\nA: " .. ("x"):rep(40000) .. "\r\n\r\n", "limit", 431 },
    ["a giant body"] = { "PUT / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n"
      .. ("x"):rep(1100000), "limit", 413 },
  } do
    both("refuses " .. name, function()
      local err
      local server, stop = start(function(conn)
        local _
        _, err = conn:request()
        conn:respond(err.status, "No", { Connection = "close" }, "")
        conn:drain(5)
      end)
      local got = raw.exchange(server:port(), ca_file, NAME, case[1], "\r\n\r\n")
      stop()
      assert.equal(case[2], err.code)
      assert.equal(case[3], err.status)
      assert.truthy(got:find("^HTTP/1.1 " .. case[3]))
    end)
  end

  both("tells a request that was cut off, and an idle one", function()
    local errs = {}
    local server, stop = start(function(conn)
      local _, err = conn:request(5)
      errs[#errs + 1] = err and err.code or "end"
    end)
    local to, from, process = raw.open(server:port(), ca_file, NAME)
    to:write "GET / HTTP/1.1\r\nHo"
    core.sleep(0.1)
    process:kill "KILL"
    process:wait()
    to:close()
    from:close()
    process:close()
    stop()
    assert.same({ "closed" }, errs)
    local timed
    server, stop = start(function(conn)
      local _
      _, timed = conn:request(0.01)
    end)
    to, from, process = raw.open(server:port(), ca_file, NAME)
    raw.read(from)
    to:close()
    from:close()
    process:close()
    stop()
    assert.equal("timeout", timed.code)
  end)

  both("ends what waits when the connection is closed", function()
    local held, err, waiting
    local server, stop = start(function(conn)
      held = conn
      local _
      waiting = true
      _, err = conn:request()
    end)
    local to, from, process = raw.open(server:port(), ca_file, NAME)
    to:write "GET /"
    while not waiting do
      core.sleep(0.01)
    end
    held:close()
    to:close()
    from:close()
    process:close()
    stop()
    assert.equal("closed", err.code)
    assert.has_error(function() held:request() end)
  end)

  both("does not talk to those who do not trust it", function()
    local err
    local server, stop = start(function(conn)
      local _
      _, err = conn:request()
    end)
    local other_file = os.tmpname()
    assert(core.sys.write_file(other_file, other.ca))
    assert.equal("", raw.exchange(server:port(), other_file, NAME, "GET / HTTP/1.1\r\n\r\n"))
    assert.equal("tls", err.code)
    os.remove(other_file)
    stop()
  end)

  both("does not upgrade without a key", function()
    local err
    local server, stop = start(function(conn)
      local _
      conn:request()
      _, err = conn:websocket()
    end)
    raw.exchange(server:port(), ca_file, NAME, "GET / HTTP/1.1\r\nUpgrade: websocket\r\n"
      .. "Connection: upgrade\r\n\r\n")
    stop()
    assert.equal("protocol", err.code)
  end)

  both("carries bytes over a websocket", function()
    local server, stop = start(function(conn)
      conn:request()
      local stream <close> = assert(conn:websocket())
      local text = stream:read()
      stream:write(text:upper())
      stream:read() -- the Close
    end)
    -- "hello", masked by zeroes, and a Close of 1000
    local got = raw.exchange(server:port(), ca_file, NAME, "GET / HTTP/1.1\r\n"
      .. "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      .. "\x82\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8")
    stop()
    assert.truthy(got:find("^HTTP/1.1 101 "))
    assert.truthy(got:find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", 1, true))
    assert.truthy(got:find("\x82\x05HELLO", 1, true))
  end)

  both("closes a websocket by any code", function()
    local server, stop = start(function(conn)
      conn:request()
      local stream <close> = assert(conn:websocket())
      core.server.ws_close(stream, 1008, "expired")
      while stream:read() do end
    end)
    local got = raw.exchange(server:port(), ca_file, NAME, "GET / HTTP/1.1\r\n"
      .. "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "expired")
    stop()
    assert.truthy(got:find("\x88\x09\x03\xf0expired", 1, true))
  end)

  it("raises for misuse", function()
    local a, b = core.pair()
    assert.has_error(function() core.server.ws_close(a, 1000) end)
    a:close()
    b:close()
    assert.has_error(function() core.server.listen { cert = made.cert } end)
    assert.has_error(function() core.server.listen { cert = "", key = "", x = 1 } end)
    assert.has_error(function() core.server.guardian { dir = "relative" } end)
    assert.has_error(function() core.server.guardian { dir = "/" } end)
  end)

  it("returns an error for certificates that do not fit and for a port in use", function()
    for _, texts in ipairs { { "", "" }, { made.cert, other.key }, { "x", made.key } } do
      local server, err = core.server.listen { cert = texts[1], key = texts[2] }
      assert.is_nil(server)
      assert.equal("config", err.code)
    end
    local first <close> = assert(core.server.listen { cert = made.cert, key = made.key })
    local second, err = core.server.listen { cert = made.cert, key = made.key,
      port = first:port() }
    assert.is_nil(second)
    assert.is_string(err.code)
  end)

  both("raises for header lines that are more than one", function()
    local failures = {}
    local server, stop = start(function(conn)
      conn:request()
      for _, bad in ipairs { { 200, "a\r\nb" }, { 200, "a", { x = "1\r\n2" } },
        { 200, "a", { ["x\n"] = "1" } }, { 99, "a" }, { 200, "a", { "x" } } } do
        failures[#failures + 1] = not pcall(conn.respond, conn, table.unpack(bad))
      end
    end)
    raw.exchange(server:port(), ca_file, NAME, "GET / HTTP/1.1\r\n\r\n")
    stop()
    assert.same({ true, true, true, true, true }, failures)
  end)

  both("has a guardian that removes the directory and ends the marked", function()
    local dir = assert(core.sys.mkdtemp "arclua-spec")
    assert(core.sys.mkdir(dir .. "/a/b", 448))
    assert(core.sys.write_file(dir .. "/a/b/c", "x"))
    local guardian = assert(core.server.guardian { dir = dir, mark = "ARCLUA_SPEC=" .. dir })
    local marked = assert(core.process.spawn { args = { "sleep", "100" },
      env = { ARCLUA_SPEC = dir } })
    local spared = assert(core.process.spawn { args = { "sleep", "100" },
      env = { ARCLUA_SPEC = dir .. "x" } })
    guardian:shutdown()
    assert.is_nil((guardian:read()))
    guardian:close()
    assert.is_nil((core.sys.stat(dir)))
    assert.equal("KILL", marked:wait().signal)
    marked:close()
    assert.truthy(core.sys.stat("/proc/" .. spared:pid()))
    spared:close()
  end)

  both("has a guardian that outlives a killed maker", function()
    local dir = assert(core.sys.mkdtemp "arclua-spec")
    local script = ('local core = require "arclua.core"; core.server.guardian { dir = %q };'
      .. 'io.stdout:write "up"; io.stdout:flush(); core.sleep(100)'):format(dir)
    local child = assert(core.process.spawn { args = { "lua5.4", "-e", script } })
    local out = child:stdout()
    assert.equal("up", out:read())
    child:kill "KILL"
    child:wait()
    child:close()
    out:close()
    local deadline = core.now() + 10
    while core.sys.stat(dir) and core.now() < deadline do
      core.sleep(0.02)
    end
    assert.is_nil((core.sys.stat(dir)))
  end)
end)
