-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local frames = require "frames"
local harness = require "harness"
local hostile = require "hostile"
local json = require "arclua.json"
local both = harness.both

local accept_for, credentials = hostile.accept, hostile.credentials

local info = assert(core.relayinfo(credentials()))

-- A peer that reads the request and writes what reply(request, accept) returns.
local function upgrade(reply, opts, with)
  local mine, theirs = core.pair()
  local request = ""
  local peer = core.spawn(function()
    repeat
      request = request .. (theirs:read() or "\r\n\r\n")
    until request:find("\r\n\r\n", 1, true)
    local key = request:match "Sec%-WebSocket%-Key: (%S+)"
    theirs:write(reply(request, key))
    return theirs
  end)
  local stream, err = core.relay.upgrade(mine, with or info, opts or { port = 22 })
  return stream, err, peer:await(), request
end

local function switching(accept, extra)
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n" ..
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: " .. accept .. "\r\n" ..
    (extra or "") .. "\r\n"
end

describe("relay credentials (#28 arm_fields_injection)", function()
  it("print nothing, and tell host, path and expiry", function()
    assert.equal("<redacted>", tostring(info))
    assert.equal("ns.servicebus.localhost:9", info:host())
    assert.equal("microsoft.hybridcompute/machines/ab/17/v2", info:path())
    assert.equal(1790003600, info:expires_on())
  end)

  it("may come in base64 and as a secret; 443 is no part of the host", function()
    local text = credentials { namespaceNameSuffix = "servicebus.windows.net:443" }
    local again = assert(core.relayinfo(core.secret(core.crypto.base64(text))))
    assert.equal("ns.servicebus.windows.net", again:host())
    again:close()
    assert.has_error(function() again:host() end)
  end)

  local bad = {
    accessKey = { false, "", "a\r\nX: y", "a\0b", "caf\xc3\xa9", " a" },
    serviceConfigurationToken = { "a\nb", "a\0b", ("x"):rep(20000) },
    namespaceName = { false, "", "a/b", "a@b", "a b", "a..b", ".a", "a:1", "a\r\nb", "a?b",
      "a#b", "a\0b", ("x"):rep(201) },
    namespaceNameSuffix = { false, "", "a/b", "a@b", "a..b", "x:0", "x:65536", "x:-1", "x:x", "x:",
      "x:1:2", "x:00000443", "x?y", "a\r\nb" },
    hybridConnectionName = { false, "", "a b", "a?b", "a#b", "../b", "a/../b", "a/..", "/a",
      "a\r\nb", "a\27[31m", "caf\xc3\xa9" },
  }
  for key, values in pairs(bad) do -- every one: too long, and of every other type
    for _, value in ipairs { ("x"):rep(1 << 20), 7, 1.5, true, {}, { "a" }, { a = "b" } } do
      values[#values + 1] = value
    end
    if key ~= "serviceConfigurationToken" then
      values[#values + 1] = json.null
    end
  end
  for key, values in pairs(bad) do
    for i, value in ipairs(values) do
      it(("refuse %s %d"):format(key, i), function()
        local got, err = core.relayinfo(credentials { [key] = value })
        assert.is_nil(got)
        assert.equal("relay.bad-credentials", err.reason)
        assert.truthy(err.message:find(key, 1, true))
        assert.is_true(#err.message < 200)
      end)
    end
  end

  it("refuse what is not JSON", function()
    for _, text in ipairs { "", "{", "[]", "null", "{}", '{"relay":3}', ("["):rep(5000) } do
      local got, err = core.relayinfo(text)
      assert.is_nil(got)
      assert.equal("relay.bad-credentials", err.reason)
    end
  end)
end)

describe("relay upgrade", function()
  both("sends exactly the headers of the protocol (#1 connect_ok_golden_request, #22)", function()
    local stream, err, peer, request = upgrade(function(_, key)
      return switching(accept_for(key)) .. frames.make(2, "SSH-2.0-x\r\n")
    end)
    assert(stream, err)
    local id, key = request:match "sb%-hc%-id=(%S+)", request:match "Key: (%S+)"
    assert.truthy(id:match "^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$")
    assert.equal(16, #core.crypto.unbase64(key))
    assert.equal(table.concat({
      "GET /$hc/microsoft.hybridcompute/machines/ab/17/v2?sb-hc-action=connect&sb-hc-id=" ..
        id .. " HTTP/1.1",
      "Host: ns.servicebus.localhost:9", "Upgrade: websocket", "Connection: Upgrade",
      "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " .. key,
      "ServiceBusAuthorization: SharedAccessSignature sr=x&sig=y",
      "Service-Configuration-Token: jwt.jwt.jwt", "Microsoft-Guestgateway-Target: localhost:22",
      "User-Agent: arclua/" .. core.version, "", "" }, "\r\n"), request)
    assert.equal("SSH-2.0-x\r\n", stream:read())
    stream:abort()
    peer:close()
  end)

  both("leaves an absent service token out (#2 connect_no_jwt)", function()
    local bare = assert(core.relayinfo(credentials { serviceConfigurationToken = false }))
    local stream, err, peer, request = upgrade(function() return "HTTP/1.1 500 x\r\n\r\n" end,
      { port = 2222 }, bare)
    assert.is_nil(stream)
    assert.equal("relay.server-error", err.reason)
    assert.is_nil(request:find("Service-Configuration-Token", 1, true))
    assert.truthy(request:find("Target: localhost:2222\r\n", 1, true))
    peer:close()
  end)

  local wrong = {
    ["#3 bad_accept"] = function() return switching "AAAAAAAAAAAAAAAAAAAAAAAAAAA=" end,
    ["#3 missing_accept"] = function()
      return "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    end,
    ["#19 duplicate Accept"] = function(_, key)
      local accept = accept_for(key)
      return switching(accept, "Sec-WebSocket-Accept: " .. accept .. "\r\n")
    end,
    ["#5 missing_upgrade_header"] = function(_, key)
      return (switching(accept_for(key)):gsub("Upgrade: WebSocket\r\n", ""))
    end,
    ["#5 no Connection"] = function(_, key)
      return (switching(accept_for(key)):gsub("Connection: [^\r]*\r\n", ""))
    end,
    ["#7 unrequested_extension"] = function(_, key)
      return switching(accept_for(key), "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    end,
    ["#7 unrequested_subprotocol"] = function(_, key)
      return switching(accept_for(key), "Sec-WebSocket-Protocol: x\r\n")
    end,
    ["#8 http10_101"] = function(_, key)
      return (switching(accept_for(key)):gsub("^HTTP/1.1", "HTTP/1.0"))
    end,
    ["100"] = function() return "HTTP/1.1 100 Continue\r\n\r\n" end,
  }
  for what, reply in pairs(wrong) do
    it("refuses an answer: " .. what, function()
      local stream, err, peer = upgrade(reply)
      assert.is_nil(stream)
      assert.equal("relay.bad-answer", err.reason)
      assert.equal("relay.connect", err.op)
      assert.equal("upgrade", err.phase)
      assert.is_nil(peer:read())
      peer:close()
      assert.equal("", harness.leftovers())
    end)
  end

  local T = " TrackingId:1-2_G5, SystemTracker:sb://x, Timestamp:2025-04-24T11:08:04"
  local rows = {
    { 200, "OK", "net.proxy-answer" },
    { 302, "Found", "net.proxy-answer" },
    { 407, "Proxy Authentication Required", "net.proxy-answer" },
    { 400, "This endpoint is only for web-socket requests", "net.proxy-answer" },
    { 400, "Rejected by user code", "relay.rejected" },
    { 401, "The token has an invalid signature.", "relay.denied" },
    { 401, "Ip has been prevented to connect to the endpoint", "relay.denied" },
    { 403, "Forbidden", "relay.denied" },
    { 404, "Endpoint does not exist.", "relay.no-endpoint", true },
    { 404, "There are no listeners connected for the endpoint.", "relay.no-listener", true },
    { 404, "None of the connected listeners accepted the connections within the allowed timeout",
      "relay.too-slow", true },
    { 404, "None of the connected listeners meet the AllowedListeners criteria", "relay.rejected" },
    { 408, "Timeout", "relay.too-slow", true },
    { 418, "anything", "relay.rejected" },
    { 429, "Slow down", "relay.busy", true },
    { 500, "Internal error", "relay.server-error", true },
    { 502, "The Listener's custom AcceptHandler threw an exception.", "relay.rejected" },
    { 502, "Bad Gateway", "relay.server-error", true },
    { 503, "connection to localhost:22 failed: dial tcp [::1]:22: connect: connection refused",
      "relay.sshd-refused" },
    { 503, "The server is busy", "relay.busy", true },
    { 504, "Gateway Timeout", "relay.too-slow", true },
  }
  for _, row in ipairs(rows) do
    it(("reads %d %s"):format(row[1], row[2]), function()
      local stream, err, peer = upgrade(function()
        return ("HTTP/1.1 %d %s%s\r\nContent-Length: 99999999\r\n\r\n"):format(row[1], row[2], T)
      end)
      assert.is_nil(stream)
      assert.equal(row[3], err.reason)
      assert.equal(row[1], err.status)
      assert.equal("1-2_G5", err.tracking_id)
      assert.equal(row[4] or false, err.retryable)
      assert.equal(("%s (%d)"):format(row[2], row[1]), err.message)
      peer:close()
    end)
  end

  both("gives up on a mute relay", function()
    local stream, err, peer = upgrade(function() return "HTTP/1.1" end,
      { port = 22, answer_timeout = 0.05 })
    assert.is_nil(stream)
    assert.equal("relay.no-answer", err.reason)
    peer:close()
  end)

  both("can be cancelled while it waits", function()
    local mine, theirs = core.pair()
    local waiter = core.spawn(function() return core.relay.upgrade(mine, info, { port = 22 }) end)
    assert.truthy(theirs:read())
    waiter:cancel()
    local stream, err = waiter:await()
    assert.is_nil(stream)
    assert.equal("cancelled", err.code)
    theirs:close()
  end)

  it("raises on misuse", function()
    local mine, theirs = core.pair()
    assert.has_error(function() core.relay.upgrade(mine, info) end)
    assert.has_error(function() core.relay.upgrade(mine, info, { port = 0 }) end)
    assert.has_error(function() core.relay.upgrade(mine, info, { prot = 22 }) end)
    assert.has_error(function() core.relay.upgrade(mine, {}, { port = 22 }) end)
    mine:close()
    theirs:close()
  end)
end)

describe("relay connect", function()
  local NAME = "ns.servicebus.localhost"
  local made = core.crypto.make_ca { NAME }
  local ca = os.tmpname()
  setup(function() assert(core.sys.write_file(ca, made.ca)) end)
  teardown(function() os.remove(ca) end)

  local function at(port)
    return assert(core.relayinfo(credentials {
      namespaceNameSuffix = "servicebus.localhost:" .. port }))
  end

  both("runs bytes both ways over TLS", function()
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local far = core.spawn(function()
      local conn <close> = assert(server:accept())
      assert(conn:request())
      local ws = assert(conn:websocket())
      local total = 0
      for chunk in function() return ws:read() end do
        assert(ws:write(chunk))
        total = total + #chunk
      end
      ws:close()
      return total
    end)
    local stream, err = core.relay.connect(at(server:port()), { port = 22, ca = ca })
    assert(stream, err)
    local sent = core.crypto.random(1 << 20)
    local writer = core.spawn(function()
      assert(stream:write(sent))
      stream:shutdown()
    end)
    local parts = {}
    for chunk in function() return stream:read() end do
      parts[#parts + 1] = chunk
    end
    assert.equal(core.crypto.sha256(sent), core.crypto.sha256(table.concat(parts)))
    writer:await()
    stream:close()
    assert.equal(#sent, far:await())
    server:close()
  end)

  both("eighty at once, each with its own bytes", function()
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local count, far, near = 80, {}, {}
    local accepts = core.spawn(function()
      for i = 1, count do
        local conn = assert(server:accept())
        far[i] = core.spawn(function()
          assert(conn:request())
          local ws = assert(conn:websocket())
          assert(ws:write(assert(ws:read())))
          harness.drain(ws)
          ws:close()
          conn:close()
        end)
      end
    end)
    for i = 1, count do
      near[i] = core.spawn(function()
        local stream = assert(core.relay.connect(at(server:port()), { port = 22, ca = ca }))
        assert(stream:write("number " .. i))
        local said = stream:read()
        stream:close()
        return said
      end)
    end
    for i = 1, count do
      assert.equal("number " .. i, near[i]:await())
    end
    accepts:await()
    for i = 1, count do
      far[i]:await()
    end
    server:close()
  end)

  both("says untrusted, and sends nothing", function()
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local far = core.spawn(function()
      local conn <close> = assert(server:accept())
      return conn:request()
    end)
    local stream, err = core.relay.connect(at(server:port()), { port = 22 })
    assert.is_nil(stream)
    assert.equal("tls.untrusted", err.reason)
    assert.equal("tls", err.phase)
    assert.equal("relay.connect", err.op)
    assert.is_nil((far:await()))
    server:close()
  end)

  both("says refused, and times out on a mute server", function()
    local listener = core.tcp.listen("127.0.0.1", 0)
    local port = listener:port()
    local stream, err = core.relay.connect(at(port), { port = 22, ca = ca, connect_timeout = 0.1 })
    assert.is_nil(stream)
    assert.equal("timeout", err.code)
    listener:close()
    stream, err = core.relay.connect(at(port), { port = 22, ca = ca })
    assert.is_nil(stream)
    assert.equal("refused", err.code)
  end)

  both("can be cancelled in the handshake", function()
    local listener = core.tcp.listen("127.0.0.1", 0)
    local waiter = core.spawn(function()
      return core.relay.connect(at(listener:port()), { port = 22, ca = ca })
    end)
    local peer = assert(listener:accept())
    assert.truthy(peer:read(1))
    waiter:cancel()
    local stream, err = waiter:await()
    assert.is_nil(stream)
    assert.equal("cancelled", err.code)
    peer:close()
    listener:close()
  end)

  both("calls a handshake that breaks off closed, worth another try", function()
    local listener = core.tcp.listen("127.0.0.1", 0)
    local far = core.spawn(function()
      local peer = assert(listener:accept())
      peer:read(1)
      peer:abort()
    end)
    local stream, err = core.relay.connect(at(listener:port()), { port = 22, ca = ca })
    assert.is_nil(stream)
    assert.equal("closed", err.code)
    assert.is_true(err.retryable)
    far:await()
    listener:close()
  end)
end)
