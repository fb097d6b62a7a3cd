-- SPDX-License-Identifier: MIT
-- What a relay's frames may do to a client: one row after the other, at every split.
local core = require "arclua.core"
local frames = require "frames"
local harness = require "harness"
local hostile = require "hostile"

local make, close = frames.make, frames.close
local MASK = "\x01\x02\x03\x04"

-- Declares a spec that leaves nothing behind; scale: of the clock; limit: seconds by that clock.
local function row(name, fn, scale, limit)
  it(name, function()
    core.scale(scale or 1)
    local ok, err = pcall(function()
      assert(core.spawn(core.timeout, limit or harness.LIMIT * (scale or 1), function()
        fn()
        return true
      end):await())
    end)
    core.scale(1)
    assert(ok, err)
    assert.equal("", harness.leftovers())
  end)
end

-- What a client reads when its peer sends bytes that way: data, err, the Close it answers.
local function told(bytes, split, over)
  local ws, peer = hostile.websocket(over or "pair")
  local sender = core.spawn(hostile.send, peer, bytes, split)
  local data, err = harness.drain(ws)
  ws:shutdown()
  local answer = frames.reader(peer):find(8)
  ws:close()
  sender:await()
  peer:close()
  return data, err, answer
end

local function code_of(answer)
  return answer and #answer >= 2 and string.unpack(">I2", answer) or nil
end

describe("relay frames, refused", function()
  local rows = {
    ["29 masked_server_frame"] = { 1002, make(2, "x", { mask = MASK }) },
    ["30 reserved_bits"] = { 1002, make(2, "x", { rsv = 2 }) },
    ["30 reserved_opcode"] = { 1002, make(5, "x") },
    ["30 reserved_control_opcode"] = { 1002, make(15, "x") },
    ["31 ping_126_bytes"] = { 1002, make(9, ("p"):rep(126)) },
    ["31 fragmented_ping"] = { 1002, make(9, "x", { fin = false }) },
    ["31 fragmented_close"] = { 1002, make(8, "\x03\xe8", { fin = false }) },
    ["32 continuation_first"] = { 1002, make(0, "x") },
    ["32 data_frame_inside_fragment"] = { 1002, make(2, "", { fin = false }) .. make(2, "x") },
    ["36 len64_msb_set"] = { 1002, string.pack(">BBI8", 0x82, 127, -1) .. "x" },
    ["38 non_minimal_length 16"] = { 1002, make(2, "xx", { length = "16" }) },
    ["38 non_minimal_length 64"] = { 1002, make(2, ("x"):rep(300), { length = "64" }) },
    ["42 close_1_byte_payload"] = { 1002, make(8, "\x03") },
    ["45 close_reason_bad_utf8"] = { 1007, close(1000, "bye \xc3\x28") },
    ["45 close_reason_surrogate"] = { 1007, close(1000, "\xed\xa0\x80") },
    ["45 text_bad_utf8"] = { 1007, make(1, "ok \xff") },
    ["45 text_bad_utf8_torn"] = { 1007, make(1, "\xe2\x82") },
    ["45 text_bad_utf8_fragments"] = { 1007,
      make(1, "\xe2", { fin = false }) .. make(9, "p") .. make(0, "\x82\xac\xc0\xaf") },
    ["45 text_bad_utf8_long"] = { 1007, make(1, ("a"):rep(100) .. "\xfe" .. ("b"):rep(5000)) },
    ["45 text_message"] = { 1003, make(1, "caf\xc3\xa9") },
    ["45 text_message_fragments"] = { 1003,
      make(1, "\xe2", { fin = false }) .. make(0, "\x82\xac") },
    ["45 text_message_without_end"] = { 1003,
      make(1, ("\xe2\x82\xac"):rep(50), { claim = 1 << 40 }) },
  }
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 5000 } do
    rows["42 close_code_" .. code] = { 1002, close(code, "because") }
  end
  for name, case in pairs(rows) do
    for _, split in ipairs(hostile.SPLITS) do
      row(("#%s, %s"):format(name, split), function()
        local data, err, answer = told(make(2, "before") .. case[2], split)
        assert.equal("before", data)
        assert.equal("protocol", err.code)
        assert.equal(case[1], code_of(answer))
      end)
    end
  end

  row("#29 #42 #45 over TLS as well", function()
    for _, name in ipairs { "29 masked_server_frame", "42 close_code_1005", "45 text_bad_utf8" } do
      local data, err, answer = told(make(2, "before") .. rows[name][2], 5, "tls")
      assert.equal("before", data, name)
      assert.equal("protocol", err.code, name)
      assert.equal(rows[name][1], code_of(answer), name)
    end
  end)
end)

describe("relay frames, allowed", function()
  for _, split in ipairs(hostile.SPLITS) do
    row("#33 ping_inside_fragmented_message, #35 empty_binary_message, " .. split, function()
      local ws, peer = hostile.websocket "pair"
      local reader = frames.reader(peer)
      local bytes = make(2, "") .. make(2, "mes", { fin = false }) .. make(9, "there?") ..
        make(0, "", { fin = false }) .. make(0, "sage") .. make(2, "!")
      local sender = core.spawn(hostile.send, peer, bytes, split)
      local got = ""
      while #got < 8 do
        got = got .. assert(ws:read())
      end
      assert.equal("message!", got)
      assert.equal("there?", (reader:find(10)))
      sender:await()
      ws:abort()
      peer:close()
    end)

    row("#40 pong_unsolicited, pong_with_wrong_payload, " .. split, function()
      local data, err = told(make(10, "") .. make(2, "a") .. make(10, ("?"):rep(125)) ..
        make(2, "b") .. close(1000), split)
      assert.equal("ab", data)
      assert.is_nil(err)
    end)

    row("#41 close_no_code, #47 data_after_close, " .. split, function()
      local data, err, answer = told(make(2, "all") .. close() .. make(2, "late") .. make(3, "?"),
        split)
      assert.equal("all", data)
      assert.is_nil(err)
      assert.equal(1000, code_of(answer))
    end, 50)

    row("#43 close codes with a reason of 123 bytes, " .. split, function()
      for _, code in ipairs { 1000, 1001, 1008, 1011, 1012, 3000 } do
        local reason = ("\xc3\xa9"):rep(61) .. "!"
        local data, err, answer = told(make(2, "x") .. close(code, reason), split)
        assert.equal("x", data)
        assert.equal(code, code_of(answer))
        if code == 1000 then
          assert.is_nil(err)
        else
          assert.equal("relay.reset", err.reason)
          assert.equal(code, err.status)
          assert.truthy(err.message:find(reason, 1, true))
        end
      end
    end, 50)
  end

  row("#37 announced_2_GiB and 2^62: streamed, never allocated", function()
    for _, size in ipairs { 1 << 31, 1 << 62 } do
      local ws, peer = hostile.websocket "pair"
      assert(peer:write(make(2, "begin", { claim = size })))
      assert.equal("begin", ws:read())
      local chunk = ("c"):rep(1 << 16)
      for _ = 1, 32 do
        assert(peer:write(chunk))
        local got = 0
        while got < #chunk do
          got = got + #assert(ws:read())
        end
      end
      ws:abort()
      peer:close()
    end
  end)

  row("#50 slow_drip: a byte a TLS record", function()
    local data, err = told(make(2, "drip ") .. make(9, "p") .. make(2, "drop") .. close(1000),
      "bytes", "tls")
    assert.equal("drip drop", data)
    assert.is_nil(err)
  end)

  local SIZES = { 0, 1, 125, 126, 127, 65535, 65536, 65537, 32768, 1 << 24 }

  local function random_bytes(n)
    return core.crypto.random(math.min(n, 1 << 20)):rep(n > 1 << 20 and 16 or 1)
  end

  for _, over in ipairs { "pair", "tls" } do
    row("#51 message sizes over " .. over .. ", to the client", function()
      local ws, peer = hostile.websocket(over)
      for _, n in ipairs(SIZES) do
        local bytes = random_bytes(n)
        local sender = core.spawn(peer.write, peer, make(2, bytes))
        local parts, got = {}, 0
        while got < n do
          parts[#parts + 1] = assert(ws:read())
          got = got + #parts[#parts]
        end
        sender:await()
        assert.equal(core.crypto.sha256(bytes), core.crypto.sha256(table.concat(parts)))
      end
      ws:abort()
      peer:close()
    end)
  end

  for _, over in ipairs { "pair", "tls" } do
    row("#51 message sizes over " .. over .. ", to the server", function()
      local ws, peer = hostile.websocket(over)
      local reader = frames.reader(peer)
      for _, n in ipairs(SIZES) do
        local bytes = random_bytes(n)
        local sender = core.spawn(ws.write, ws, bytes)
        local parts, got = {}, 0
        while got < n do
          local frame = assert(reader:next())
          assert.equal(2, frame.opcode)
          parts[#parts + 1] = frame.payload
          got = got + #frame.payload
        end
        assert(sender:await())
        assert.equal(core.crypto.sha256(bytes), core.crypto.sha256(table.concat(parts)))
      end
      ws:abort()
      peer:close()
    end)
  end

  row("#52 masking: another key each frame, right at any offset", function()
    local ws, peer = hostile.websocket "pair"
    local reader, seen = frames.reader(peer), {}
    for n = 0, 40 do
      local text = core.crypto.random(n * 37 + 1)
      assert(ws:write(text))
      local frame = reader:next()
      assert.equal(text, frame.payload)
      assert.is_nil(seen[frame.mask])
      seen[frame.mask] = true
    end
    ws:abort()
    peer:close()
  end)
end)

describe("relay frames, floods", function()
  -- The program's own memory, in KB.
  local function resident()
    local file = assert(io.open "/proc/self/status")
    local text = file:read "a"
    file:close()
    return tonumber(text:match "VmRSS:%s*(%d+)")
  end

  local function flood(what, times)
    local ws, peer = hostile.websocket "pair"
    local burst = what:rep(times // 100)
    local before, most = resident(), 0
    local sender = core.spawn(function()
      for _ = 1, 100 do
        assert(peer:write(burst))
        most = math.max(most, resident())
      end
      return assert(peer:write(make(2, "data")))
    end)
    assert.equal("data", ws:read())
    sender:await()
    ws:abort()
    peer:close()
    assert.is_true(most - before < 16384, most - before)
  end

  row("#39 ping flood of 10^6, nobody reads the pongs", function()
    flood(make(9, ""), 1000000)
  end)

  row("#39 flood of 10^6 empty fragments and pongs", function()
    local ws, peer = hostile.websocket "pair"
    ws:abort()
    peer:close()
    flood(make(2, "") .. make(10, "pong"), 500000)
  end)

  row("#54 reader stalled: back-pressure, pings answered, memory bounded", function()
    local ws, peer = hostile.websocket "pair"
    local before = resident()
    local sender = core.spawn(function()
      core.timeout(0.1, function()
        while peer:write(make(2, ("s"):rep(20000))) do
        end
      end)
    end)
    sender:await()
    assert.is_true(resident() - before < 8192)
    ws:abort()
    peer:close()
    ws, peer = hostile.websocket "pair"
    assert(peer:write(make(2, ("s"):rep(60000)) .. make(9, "still?")))
    assert.equal("still?", (frames.reader(peer):find(10)))
    ws:abort()
    peer:close()
  end)
end)

describe("relay frames, the end", function()
  -- What a client reads when the line ends that way after part of a frame.
  local function cut(finish, bytes, over)
    local ws, peer = hostile.websocket(over or "pair")
    assert(peer:write(bytes))
    local got = ""
    while #got < 4 do
      got = got .. assert(ws:read())
    end
    finish(peer)
    local rest, err = harness.drain(ws)
    ws:close()
    peer:close()
    assert.equal("part", got .. rest)
    assert.equal("relay.reset", err.reason)
    assert.equal(1006, err.status)
    assert.is_false(err.retryable)
  end

  row("#48 rst_mid_frame", function()
    cut(function(peer) peer:abort() end, make(2, "part", { claim = 100 }))
  end)

  row("#48 fin_mid_frame, fin_without_close", function()
    cut(function(peer) peer:shutdown() end, make(2, "part", { claim = 100 }))
    cut(function(peer) peer:shutdown() end, make(2, "part"))
  end)

  row("#48 fin_without_close over TLS", function()
    cut(function(peer) peer:close() end, make(2, "part"), "tls")
  end)

  row("#49 tls_close_notify mid frame", function()
    local peer = hostile.tls { commands = true }
    local ws = hostile.connect(peer)
    assert(peer:write(make(2, "part", { claim = 100 })))
    assert.equal("part", ws:read())
    peer:notify()
    local rest, err = harness.drain(ws)
    assert.equal("", rest)
    assert.equal("relay.reset", err.reason)
    ws:close()
    peer:close()
  end)

  row("#49 TLS record corruption", function()
    local peer = hostile.tls()
    local line = hostile.bent(peer.port)
    local ws = hostile.connect(peer, line.port)
    assert(peer:write(make(2, "part")))
    assert.equal("part", ws:read())
    line.bend = true
    assert(peer:write(make(2, "bent")))
    local rest, err = harness.drain(ws)
    assert.equal("", rest)
    assert.equal("relay.reset", err.reason)
    ws:abort()
    peer:close()
    line.close()
  end)

  row("#55 stdin_EOF: Close 1000, reads on while data flows, not for ever", function()
    local ws, peer = hostile.websocket "pair"
    local reader = frames.reader(peer)
    ws:shutdown()
    assert.equal("\x03\xe8", (reader:find(8)))
    for i = 1, 5 do -- 30 s in all, never 10 s without a byte
      assert(core.sleep(6))
      assert(peer:write(make(2, "more" .. i)))
      assert.equal("more" .. i, ws:read())
    end
    local data, err = ws:read()
    assert.is_nil(data)
    assert.equal("relay.reset", err.reason)
    assert.truthy(err.message:find("Close", 1, true))
    ws:close()
    peer:close()
  end, 50)

  row("#56 peer_close_while_stdin_full: writing ends, the Close is answered", function()
    local ws, peer = hostile.websocket "pair"
    local writer = core.spawn(function() return ws:write(("w"):rep(1 << 20)) end)
    core.sleep(0.1)
    assert.equal("running", writer:status())
    assert(peer:write(close(1011, "going")))
    local data, err = ws:read()
    assert.is_nil(data)
    assert.equal(1011, err.status)
    local ok, why = writer:await()
    assert.is_nil(ok)
    assert.equal(1011, why.status)
    assert.equal(1011, code_of(frames.reader(peer):find(8)))
    ws:close()
    peer:close()
  end, 50)

  row("#57 both_close_at_once", function()
    local ws, peer = hostile.websocket "pair"
    assert(peer:write(make(2, "last") .. close(1000)))
    ws:shutdown()
    local data, err = harness.drain(ws)
    assert.equal("last", data)
    assert.is_nil(err)
    assert.equal(1000, code_of(frames.reader(peer):find(8)))
    ws:close()
    peer:close()
  end)
end)

describe("relay frames, silence", function()
  row("#58 idle_130_s against a limit of 120 s: pings keep it alive", function()
    local ws, peer = hostile.websocket "pair"
    local reader = frames.reader(peer)
    local last, longest = core.now(), 0
    local relay = core.spawn(function()
      while reader:find(9) do
        longest, last = math.max(longest, core.now() - last), core.now()
        peer:write(make(10, ""))
      end
    end)
    assert(core.sleep(150))
    assert.is_true(longest < 120, longest)
    assert(peer:write(make(2, "alive")))
    assert.equal("alive", ws:read())
    ws:abort()
    relay:await()
    peer:close()
  end, 100)

  row("#59 pong_never_comes: dead in 90 s", function()
    local ws, peer = hostile.websocket "pair"
    local began = core.now()
    local data, err = ws:read()
    assert.is_nil(data)
    assert.equal("relay.reset", err.reason)
    assert.is_true(core.now() - began >= 89)
    ws:close()
    peer:close()
  end, 200)

  -- What it has taken stands in front of our pings: 90 s, and 256 s for 8 MiB at 32 KiB/s.
  row("a peer with megabytes to swallow has more time", function()
    local ws, peer = hostile.websocket "pair"
    local swallow = core.spawn(function()
      local got = 0
      while got < 8 << 20 do
        got = got + #assert(peer:read())
      end
    end)
    assert(ws:write(("w"):rep(8 << 20)))
    swallow:await()
    core.scale(200)
    assert(core.sleep(200))
    assert(peer:write(make(2, "at last")))
    assert.equal("at last", ws:read())
    ws:abort()
    peer:close()
  end, 1, 2000)

  row("a reader who stalls for long is not dead while its host acknowledges", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local mine = assert(core.tcp.connect("127.0.0.1", listener:port()))
    local peer = assert(listener:accept())
    local ws = core.relay.websocket(mine, "client")
    local total = 32 << 20
    local writer = core.spawn(function() return ws:write(("w"):rep(total)) end)
    assert(core.sleep(0.6)) -- TCP has found out that the window is shut
    core.scale(1000)
    assert(core.sleep(1500)) -- what is in flight alone gives it less than 700 s
    core.scale(1)
    assert.equal("running", writer:status())
    local got = 0
    while got < total do
      got = got + #assert(peer:read())
    end
    assert.is_true(writer:await())
    ws:abort()
    peer:close()
    listener:close()
  end, 1, 2000)

  row("TCP probes a silent peer after a minute", function()
    local ws, peer = hostile.websocket "tls"
    core.sleep(0.3) -- no retransmission is pending
    local file = assert(io.open "/proc/net/tcp")
    local text = file:read "a"
    file:close()
    -- remote address, ESTABLISHED, queues, the timer of keep-alive and its hundredths of seconds
    local timer = text:match((":%04X 01 %%x+:%%x+ 02:(%%x+)"):format(peer.port))
    local left = tonumber(timer, 16) / 100
    assert.is_true(left > 50 and left <= 60, left)
    ws:abort()
    peer:close()
  end)

  row("small writes of one turn leave together", function()
    local ws, peer = hostile.websocket "pair"
    for i = 1, 20 do
      assert(ws:write(string.char(i)))
    end
    assert.equal(20 * 7, #assert(peer:read()))
    ws:abort()
    peer:close()
  end)
end)
