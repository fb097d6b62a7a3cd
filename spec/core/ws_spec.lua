-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local frames = require "frames"
local harness = require "harness"
local both = harness.both

local make = frames.make
local MASK = "\x01\x02\x03\x04"

local function open(role)
  local mine, theirs = core.pair()
  return core.relay.websocket(mine, role or "client"), theirs, frames.reader(theirs)
end

local read_all = harness.drain

-- What a client reads when its peer sends `bytes`, and the Close code it answers.
local function told(bytes)
  local ws, peer, reader = open()
  assert(peer:write(bytes))
  local data, err = read_all(ws)
  local closing = reader:find(8)
  ws:close()
  peer:close()
  return data, err, closing and #closing >= 2 and string.unpack(">I2", closing) or closing
end

describe("websocket violations", function()
  local cases = {
    masked_server_frame = { 1002, make(2, "x", { mask = MASK }) },
    rsv1 = { 1002, make(2, "x", { rsv = 4 }) },
    rsv3_on_control = { 1002, make(9, "x", { rsv = 1 }) },
    unknown_opcode_3 = { 1002, make(3, "x") },
    unknown_control_11 = { 1002, make(11, "") },
    ping_126_bytes = { 1002, make(9, ("p"):rep(126)) },
    fragmented_ping = { 1002, make(9, "x", { fin = false }) },
    fragmented_close = { 1002, make(8, "\x03\xe8", { fin = false }) },
    continuation_first = { 1002, make(0, "x") },
    data_inside_fragment = { 1002, make(2, "", { fin = false }) .. make(2, "x") },
    padded_length_16 = { 1002, make(2, "xx", { length = "16" }) },
    padded_length_64 = { 1002, make(2, "xx", { length = "64" }) },
    length_with_top_bit = { 1002, string.pack(">BBI8", 0x82, 127, -1) .. "x" },
    close_of_one_byte = { 1002, make(8, "\x03") },
    close_reason_not_utf8 = { 1007, frames.close(1000, "\xff\xfe") },
    text_message = { 1003, make(1, "x") },
  }
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535 } do
    cases["close_code_" .. code] = { 1002, frames.close(code) }
  end
  for name, case in pairs(cases) do
    it(name, function()
      local data, err, code = told(make(2, "before") .. case[2])
      assert.equal("before", data)
      assert.equal("protocol", err.code)
      assert.equal(case[1], code)
    end)
  end

  both("of a client: a frame that is not masked", function()
    local ws, peer, reader = open "server"
    peer:write(make(2, "bare"))
    local data, err = ws:read()
    assert.is_nil(data)
    assert.equal("protocol", err.code)
    assert.equal(1002, (string.unpack(">I2", (reader:find(8)))))
    ws:close()
    peer:close()
  end)
end)

describe("websocket close", function()
  for _, code in ipairs { 1001, 1003, 1008, 1011, 1012, 3000, 4999 } do
    it("code " .. code .. " is a reset with its status, after the data", function()
      local data, err, answer = told(make(2, "last") .. frames.close(code, ("r"):rep(123)))
      assert.equal("last", data)
      assert.equal("relay.reset", err.reason)
      assert.equal(code, err.status)
      assert.truthy(err.message:find("rrrr", 1, true))
      assert.equal(code, answer)
    end)
  end

  both("1000 and no code are the orderly end; what follows is ignored", function()
    for _, code in ipairs { 1000, false } do
      local ws, peer = open()
      peer:write(make(2, "all") .. frames.close(code or nil) .. make(2, "late"))
      local data, err = read_all(ws)
      assert.equal("all", data)
      assert.is_nil(err)
      ws:close()
      peer:close()
    end
  end)

  both("of the transport without a Close is a failure, after the data", function()
    local ws, peer = open()
    peer:write(make(2, "part") .. make(2, "torn", { claim = 100 }))
    peer:close()
    local data, err = read_all(ws)
    assert.equal("parttorn", data)
    assert.equal("relay.reset", err.reason)
    assert.equal(1006, err.status)
    ws:close()
  end)

  both("shutdown sends 1000 and reading goes on", function()
    local ws, peer, reader = open()
    assert(ws:write("bye"))
    ws:shutdown()
    assert.equal("bye", (reader:find(2)))
    assert.equal("\x03\xe8", (reader:find(8)))
    local ok, err = ws:write("more")
    assert.is_nil(ok)
    assert.equal("closed", err.code)
    peer:write(make(2, "tail") .. frames.close(1000))
    assert.equal("tail", (read_all(ws)))
    ws:close()
    peer:close()
  end)

  both("after the peer's Close there is still time to write", function()
    local ws, peer, reader = open()
    peer:write(frames.close(1000))
    assert.is_nil(ws:read())
    assert(ws:write("rest"))
    ws:shutdown()
    assert.equal("rest", (reader:find(2)))
    assert.equal("\x03\xe8", (reader:find(8)))
    ws:close()
    peer:close()
  end)

  it("the peer's Close is answered by itself after a while", function()
    local before = core.scale(50)
    local ws, peer, reader = open()
    peer:write(frames.close(1000))
    assert.equal("\x03\xe8", (reader:find(8)))
    ws:close()
    peer:close()
    core.scale(before)
  end)

  both("close waits for the peer's Close, then closes the line", function()
    local ws, peer, reader = open()
    ws:write("x")
    ws:close()
    assert.equal("\x03\xe8", (reader:find(8)))
    assert.equal(1, core.stats().lingers)
    peer:write(make(2, ("z"):rep(70000)) .. frames.close(1000))
    assert.is_nil(peer:read())
    peer:close()
  end)

  it("close gives up on a silent peer", function()
    local before = core.scale(50)
    local ws, peer, reader = open()
    ws:close()
    assert.truthy(reader:find(8))
    assert.is_nil(reader:next())
    peer:close()
    core.scale(before)
  end)

  both("abort is felt at once, without a Close", function()
    local ws, peer, reader = open()
    ws:abort()
    assert.is_nil(reader:find(8))
    peer:close()
  end)

  both("both ends closing at once are both content", function()
    local a, b = core.pair()
    local client = core.relay.websocket(a, "client")
    local server = core.relay.websocket(b, "server")
    client:close()
    server:close()
  end)
end)

describe("websocket messages", function()
  both("keep their bytes at every length and both ways", function()
    for _, n in ipairs { 1, 125, 126, 127, 65535, 65536, 65537, 1 << 20 } do
      local a, b = core.pair()
      local client = core.relay.websocket(a, "client")
      local server = core.relay.websocket(b, "server")
      local sent = core.crypto.random(n)
      local echo = core.spawn(function()
        assert(server:write((read_all(server))))
        server:shutdown()
      end)
      assert(client:write(sent))
      client:shutdown()
      local got, err = read_all(client)
      assert.is_nil(err)
      assert.equal(core.crypto.sha256(sent), core.crypto.sha256(got))
      echo:await()
      client:close()
      server:close()
    end
  end)

  both("of one write are at most 32 KiB, each with its own mask", function()
    local ws, peer, reader = open()
    local writer = core.spawn(function() assert(ws:write(("m"):rep(100000))) end)
    local total, masks = 0, {}
    while total < 100000 do
      local frame = reader:next()
      assert.equal(2, frame.opcode)
      assert.is_true(frame.fin and #frame.payload <= 32768)
      assert.is_nil(masks[frame.mask])
      masks[frame.mask] = true
      total = total + #frame.payload
    end
    writer:await()
    ws:abort()
    peer:close()
  end)

  both("may be empty, fragmented and interleaved with pings", function()
    local ws, peer, reader = open()
    peer:write(make(2, "") .. make(2, "a", { fin = false }) .. make(9, "hey") ..
      make(0, "", { fin = false }) .. make(10, "unasked") .. make(0, "b") .. frames.close(1000))
    assert.equal("ab", (read_all(ws)))
    assert.equal("hey", (reader:find(10)))
    ws:close()
    peer:close()
  end)

  it("arrive one byte at a time", function()
    local bytes = make(2, "slow") .. make(9, "p") .. make(2, ("x"):rep(200)) .. frames.close(1000)
    local ws, peer = open()
    local drip = core.spawn(function()
      for i = 1, #bytes do
        peer:write(bytes:sub(i, i))
        core.sleep(0)
      end
    end)
    assert.equal("slow" .. ("x"):rep(200), (read_all(ws)))
    drip:await()
    ws:close()
    peer:close()
  end)

  it("of absurd announced size are streamed, not allocated", function()
    local ws, peer = open()
    peer:write(make(2, "begin", { claim = 1 << 62 }))
    assert.equal("begin", ws:read())
    ws:abort()
    peer:close()
  end)

  both("wait for a reader: the sender feels it", function()
    local ws, peer = open()
    local sent, flood = 0, make(2, ("f"):rep(32768))
    local writer = core.spawn(function()
      return core.timeout(0.2, function()
        while peer:write(flood) do
          sent = sent + #flood
        end
      end)
    end)
    writer:await()
    assert.is_true(sent < 4 << 20)
    ws:abort()
    peer:close()
  end)

  both("a writer waits for the peer, and goes on", function()
    local ws, peer, reader = open()
    local total = 2 << 20
    local writer = core.spawn(function() return ws:write(("w"):rep(total)) end)
    core.sleep(0.05)
    assert.equal("running", writer:status())
    local got = 0
    while got < total do
      got = got + #reader:find(2)
    end
    assert.is_true(writer:await())
    ws:abort()
    peer:close()
  end)

  it("a flood of pings is answered within bounds", function()
    local ws, peer = open()
    local ping = make(9, ("p"):rep(120)):rep(400)
    for _ = 1, 50 do
      assert(peer:write(ping))
    end
    assert(peer:write(make(9, "newest") .. make(2, "data")))
    assert.equal("data", ws:read())
    local reader = frames.reader(peer)
    while reader:find(10) ~= "newest" do
      core.sleep(0)
    end
    ws:abort()
    peer:close()
  end)
end)

-- The clock is fast here: the limit of `both` would ring at once.
describe("websocket keep-alive", function()
  local before
  before_each(function() before = core.scale(200) end)
  after_each(function()
    core.scale(before)
    assert.equal("", harness.leftovers())
  end)

  it("pings when idle, and dies of silence", function()
    local ws, peer, reader = open()
    assert.equal("", (reader:find(9)))
    local data, err = ws:read()
    assert.is_nil(data)
    assert.equal("relay.reset", err.reason)
    ws:close()
    peer:close()
  end)

  it("lives on answers", function()
    local a, b = core.pair()
    local client = core.relay.websocket(a, "client")
    local server = core.relay.websocket(b, "server")
    assert(core.sleep(200))
    assert(client:write("still here"))
    assert.equal("still here", server:read())
    client:abort()
    server:abort()
  end)

  it("does not blame a peer whom our own reader keeps waiting", function()
    local ws, peer = open()
    peer:write(make(2, ("q"):rep(70000)) .. frames.close(1000))
    assert(core.sleep(300))
    local data, err = read_all(ws)
    assert.equal(70000, #data)
    assert.is_nil(err)
    ws:close()
    peer:close()
  end)
end)
