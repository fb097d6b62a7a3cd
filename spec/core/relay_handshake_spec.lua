-- SPDX-License-Identifier: MIT
-- What may come instead of a relay's answer: one row after the other, at every split.
local core = require "arclua.core"
local frames = require "frames"
local harness = require "harness"
local hostile = require "hostile"

local both = harness.both

local info = assert(core.relayinfo(hostile.credentials()))

-- The answer reply(key) to one upgrade, cut that way: stream, err, peer, what was sent after the
-- request. The peer's end stays open.
local function upgrade(reply, split, opts)
  local mine, theirs = core.pair()
  local far = core.spawn(function()
    local request, key = hostile.request(theirs)
    hostile.send(theirs, type(reply) == "function" and reply(key) or reply, split)
    return request:match "\r\n\r\n(.*)$"
  end)
  local stream, err = core.relay.upgrade(mine, info, opts or { port = 22 })
  return stream, err, theirs, far:await()
end

local function each_split(name, fn)
  for _, split in ipairs(hostile.SPLITS) do
    both(("%s, %s"):format(name, split), function() fn(split) end)
  end
end

-- The answer is refused for that reason, and nothing is sent any more.
local function refused(reply, split, reason)
  local stream, err, peer, more = upgrade(reply, split)
  assert.is_nil(stream)
  assert.equal(reason, err.reason)
  assert.equal("", more)
  assert.is_nil((peer:read()))
  peer:close()
  return err
end

describe("relay handshake", function()
  each_split("#6 upgrade_header_case, connection_list", function(split)
    local stream, err, peer = upgrade(function(key)
      return (hostile.switching(key):gsub("Upgrade: websocket", "uPGRADE:\tWebSocket ")
        :gsub("Connection: Upgrade", "CONNECTION: keep-alive , UPGRADE"))
    end, split)
    assert(stream, err)
    stream:abort()
    peer:close()
  end)

  each_split("#22 frames_coalesced_with_101", function(split)
    local stream, err, peer = upgrade(function(key)
      return hostile.switching(key) .. frames.make(2, "SSH-2.0-x\r\n") .. frames.make(2, "more") ..
        frames.close(1000)
    end, split)
    assert(stream, err)
    assert.equal("SSH-2.0-x\r\nmore", (harness.drain(stream)))
    stream:close()
    peer:close()
  end)

  each_split("#9 status_200, redirect_302, 407: no other request", function(split)
    for _, status in ipairs { "200 OK", "302 Found", "307 Temporary Redirect",
      "407 Proxy Authentication Required" } do
      local err = refused("HTTP/1.1 " .. status .. "\r\nLocation: https://evil.invalid/\r\n" ..
        "Proxy-Authenticate: Basic\r\n\r\n", split, "net.proxy-answer")
      assert.equal(tonumber(status:sub(1, 3)), err.status)
      assert.truthy(err.message:find(status:sub(1, 3), 1, true))
    end
  end)

  both("#15 400_upgrade_stripped: says proxy", function()
    local err = refused("HTTP/1.1 400 This endpoint is only for web-socket requests. " ..
      "TrackingId:x_G1\r\n\r\n", 1, "net.proxy-answer")
    assert.truthy(tostring(err.remedy):find("proxy", 1, true))
  end)

  each_split("#16 reason_phrase_hostile", function(split)
    for _, phrase in ipairs { "\27]0;pwned\7\27[2J", "\xc2\x9b31m", "\x9b31m", "a\bb\x7f",
      "\xff\xfe\xfd", "\xe2\x80", "\v\f" } do
      local err = refused("HTTP/1.1 418 " .. phrase .. " TrackingId:\27[1m\xff\r\n\r\n", split,
        "relay.rejected")
      assert.is_nil(err.message:find "[%c\x7f]")
      assert.is_nil(err.message:find "[\x80-\x9f]")
      assert.is_nil((err.tracking_id or ""):find "[^\x21-\x7e]")
      assert.is_nil(tostring(err):find "[%c\x7f-\x9f]")
    end
  end)

  both("#16 reason_phrase of 64 KB, empty and missing", function()
    local err = refused("HTTP/1.1 418 " .. ("\27"):rep(65536) .. "\r\n\r\n", "whole",
      "relay.rejected")
    assert.is_true(#err.message < 6000)
    for _, line in ipairs { "HTTP/1.1 418 ", "HTTP/1.1 418" } do
      refused(line .. "\r\n\r\n", "bytes", "relay.rejected")
    end
  end)

  both("#17 status_line_split_per_byte", function()
    refused("HTTP/1.1 503 connection to localhost:22 failed: refused\r\nA: b\r\n\r\n", "bytes",
      "relay.sshd-refused")
  end)

  both("#17 header_1_byte_drip: the deadline is that of the whole answer", function()
    local mine, theirs = core.pair()
    local drip = core.spawn(function()
      hostile.request(theirs)
      theirs:write "HTTP/1.1 101 Switching Protocols\r\nX: "
      while theirs:write "y" do
        core.sleep(0.005)
      end
    end)
    local stream, err = core.relay.upgrade(mine, info, { port = 22, answer_timeout = 0.1 })
    assert.is_nil(stream)
    assert.equal("relay.no-answer", err.reason)
    assert.is_true(err.retryable)
    drip:await()
    theirs:close()
  end)

  local endless = {
    ["endless_headers"] = "X: " .. ("y"):rep(1000) .. "\r\n",
    ["a header without end"] = ("y"):rep(1000),
    ["10 000 headers"] = ("A: b\r\n"):rep(100),
  }
  for name, piece in pairs(endless) do
    both("#18 " .. name .. " end at the cap", function()
      local mine, theirs = core.pair()
      local far = core.spawn(function()
        hostile.request(theirs)
        local sent = 0
        theirs:write "HTTP/1.1 101 Switching Protocols\r\nFirst: "
        while sent < 1 << 30 and theirs:write(piece) do
          sent = sent + #piece
        end
        return sent
      end)
      local stream, err = core.relay.upgrade(mine, info, { port = 22 })
      assert.is_nil(stream)
      assert.equal("relay.bad-answer", err.reason)
      assert.is_true(far:await() < 1 << 20)
      theirs:close()
    end)
  end

  local broken = {
    ["bare_LF"] = "HTTP/1.1 101 x\nUpgrade: websocket\n\n\r\n\r\n",
    ["obs-fold"] = "HTTP/1.1 101 x\r\nUpgrade:\r\n websocket\r\n\r\n",
    ["NUL in header"] = "HTTP/1.1 101 x\r\nUpgrade: web\0socket\r\n\r\n",
  }
  for name, text in pairs(broken) do
    each_split("#19 " .. name, function(split)
      refused(text, split, "relay.bad-answer")
    end)
  end

  each_split("#19 duplicate Accept", function(split)
    refused(function(key)
      return hostile.switching(key, "Sec-WebSocket-Accept: " .. hostile.accept(key) .. "\r\n")
    end, split, "relay.bad-answer")
  end)

  local bodies = {
    ["content-length huge"] = "Content-Length: 999999999999\r\n\r\n",
    ["content-length absurd"] = "Content-Length: -1\r\nContent-Length: x\r\n\r\nabc",
    ["chunked"] = "Transfer-Encoding: chunked\r\n\r\nffffffff\r\nabc",
    ["never-ending"] = "\r\n" .. ("z"):rep(60000),
  }
  for name, rest in pairs(bodies) do
    both("#21 error_body " .. name .. ": nobody waits for it", function()
      local err = refused("HTTP/1.1 503 Busy\r\n" .. rest, "whole", "relay.busy")
      assert.equal("Busy (503)", err.message)
    end)
  end

  both("#23 blackhole_upgrade: the attempt ends, and may be repeated", function()
    local stream, err, peer = upgrade("", nil, { port = 22, answer_timeout = 0.05 })
    assert.is_nil(stream)
    assert.equal("relay.no-answer", err.reason)
    assert.is_true(err.retryable)
    assert.is_nil((peer:read()))
    peer:close()
  end)

  -- The peer's TCP connection after it has read the request and sent text.
  local function broken_off(text, finish)
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local far = core.spawn(function()
      local peer = assert(listener:accept())
      hostile.request(peer)
      if text ~= "" then
        peer:write(text)
      end
      peer[finish](peer)
    end)
    local mine = assert(core.tcp.connect("127.0.0.1", listener:port()))
    local stream, err = core.relay.upgrade(mine, info, { port = 22 })
    far:await()
    listener:close()
    assert.is_nil(stream)
    assert.equal("closed", err.code)
    assert.is_true(err.retryable)
  end

  for _, finish in ipairs { "close", "abort" } do
    local what = finish == "close" and "FIN" or "RST"
    both(("#24 %s after request, mid status line"):format(what), function()
      broken_off("", finish)
      broken_off("HTTP/1.1 101 Swit", finish)
      broken_off("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso", finish)
    end)

    both(("#24 %s during TLS"):format(what), function()
      local listener = assert(core.tcp.listen("127.0.0.1", 0))
      local far = core.spawn(function()
        local peer = assert(listener:accept())
        peer:read(1)
        peer[finish](peer)
      end)
      local there = assert(core.relayinfo(hostile.credentials {
        namespaceNameSuffix = "servicebus.localhost:" .. listener:port() }))
      local stream, err = core.relay.connect(there, { port = 22 })
      assert.is_nil(stream)
      assert.equal("closed", err.code)
      assert.is_true(err.retryable)
      far:await()
      listener:close()
    end)
  end

  for _, port in ipairs { 0, 65536, -1, 1 << 40, 1.5, "x", "22\r\nX: y", true, {} } do
    it("#28 refuses the port " .. tostring(port):gsub("%c", "?"):sub(1, 10), function()
      local mine, theirs = core.pair()
      local ok, err = pcall(core.relay.upgrade, mine, info, { port = port })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("port", 1, true))
      mine:close()
      theirs:close()
    end)
  end

  it("#63 200 parallel clients over TLS: no cross-talk", function()
    local N = 200
    local made = core.crypto.make_ca { "ns.servicebus.localhost" }
    local ca = os.tmpname()
    assert(core.sys.write_file(ca, made.ca))
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local there = assert(core.relayinfo(hostile.credentials {
      namespaceNameSuffix = "servicebus.localhost:" .. server:port() }))

    local function echo(conn)
      assert(conn:request())
      local ws = assert(conn:websocket())
      for chunk in function() return ws:read() end do
        assert(ws:write(chunk))
      end
      ws:close()
      conn:close()
    end

    -- What comes back of n random bytes is the same.
    local function client(n)
      local bytes = core.crypto.random(n)
      local stream = assert(core.relay.connect(there, { port = 22, ca = ca }))
      local writer = core.spawn(function()
        assert(stream:write(bytes))
        stream:shutdown()
      end)
      local got, err = harness.drain(stream)
      writer:await()
      stream:close()
      return err == nil and core.crypto.sha256(got) == core.crypto.sha256(bytes)
    end

    local tasks = {}
    for i = 1, N do
      tasks[i] = core.spawn(client, 70000 + i * 101)
    end
    local far = core.spawn(function()
      local echoes = {}
      for i = 1, N do
        echoes[i] = core.spawn(echo, assert(server:accept()))
      end
      for i = 1, N do
        echoes[i]:await()
      end
    end)
    for i = 1, N do
      assert.is_true(tasks[i]:await(), i)
    end
    far:await()
    server:close()
    os.remove(ca)
    assert.equal("", harness.leftovers())
  end)
end)
