-- SPDX-License-Identifier: MIT
-- Cases 80 to 83 of the relay's checklist: frames between a sender and an outside listener.
local core = require "arclua.core"
local emulated = require "emulated"
local frames = require "frames"
local outside = require "outside"

local MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

-- Declares a spec of a connected pair: fn(sender, data, emulator).
local function with(name, rules, fn)
  emulated.spec(name, { machines = 1, machine_agent = "external", bridge = rules }, function(e)
    local control <close> = outside.listen(e, "web-01")
    local pair <close> = outside.pair(e, "web-01", control)
    fn(pair.sender, pair.data, e)
  end)
end

local function closed(e)
  while e.log:count { event = "SenderConnectionClosed" } == 0 do
    core.sleep(0.005)
  end
  return e.log:find({ event = "SenderConnectionClosed" })[1]
end

-- All of a message: opcode, payload.
local function message(socket)
  local parts, opcode = {}, nil
  repeat
    local frame = socket:next()
    if not frame then
      return nil
    end
    opcode = opcode or frame.opcode
    parts[#parts + 1] = frame.payload
  until frame.fin
  return opcode, table.concat(parts)
end

describe("emulator: the bridge", function()
  with("#80 passes types, fragments and lengths as they are", {}, function(sender, data)
    for _, way in ipairs { { sender, data, true }, { data, sender, true } } do
      local from, to = way[1], way[2]
      from:send(TEXT, "text")
      from:send(BINARY, "a", { fin = false })
      from:send(PING, "inside")
      from:send(MORE, "", { fin = false })
      from:send(MORE, "bc")
      from:send(BINARY, "")
      for _, wanted in ipairs { { TEXT, "text", true }, { BINARY, "a", false },
        { MORE, "", false }, { MORE, "bc", true }, { BINARY, "", true } } do
        local frame = to:next()
        assert.same(wanted, { frame.opcode, frame.payload, frame.fin })
        assert.is_nil(frame.mask)
      end
      assert.equal("inside", from:find(PONG)) -- by the relay: the far side has seen no Ping
    end
    for _, n in ipairs { 1, 125, 126, 127, 65535, 65536, 65537, 300000 } do
      local payload = core.crypto.random(n)
      sender:send(BINARY, payload, { mask = core.crypto.random(4) })
      local opcode, got = message(data)
      assert.equal(BINARY, opcode)
      assert.is_true(got == payload, n)
    end
  end)

  with("#80 answers only the newest of many pings", {}, function(sender, data, e)
    sender.to:write(frames.make(PING, "x", { mask = "abcd" }):rep(10000)
      .. frames.make(PING, "last", { mask = "abcd" }))
    local n, payload = 1, sender:find(PONG)
    while payload == "x" do
      payload, n = sender:find(PONG), n + 1
    end
    assert.equal("last", payload)
    assert.is_true(n < 10000)
    sender:send(PONG, "nobody asked")
    sender:send(BINARY, "data")
    assert.equal(BINARY, data:next().opcode) -- neither Ping nor Pong
    assert.is_table(e)
  end)

  with("#80 passes the code and reason of a Close, and its answer", {}, function(sender, data, e)
    sender:send(BINARY, "last words")
    sender:send(CLOSE, string.pack(">I2", 3123) .. "because")
    sender:send(BINARY, "ignored")
    assert.equal("last words", data:next().payload)
    local code, reason = data:closing()
    assert.same({ 3123, "because" }, { code, reason })
    assert.is_true(sender:silent(0.05)) -- not answered before the listener does
    data:send(CLOSE, string.pack(">I2", 3124))
    code, reason = sender:closing()
    assert.same({ 3124, "" }, { code, reason })
    assert.is_nil(sender:next())
    assert.is_nil(data:next())
    local event = closed(e)
    assert.same({ "sender", "close", 3123, 10, 0 }, { event.ended, event.how, event.code,
      event.sent, event.received })
  end)

  with("#80 passes a Close without a code", {}, function(sender, data, e)
    data:send(CLOSE, "")
    assert.equal(1005, sender:closing())
    sender:send(CLOSE, "")
    assert.equal(1005, data:closing())
    assert.equal("listener", closed(e).ended)
  end)

  with("#81 forwards a half-close", { patience = 10 }, function(sender, data)
    sender:send(CLOSE, string.pack(">I2", 1000) .. "Shutdown")
    assert.equal(1000, data:closing())
    for i = 1, 20 do
      data:send(BINARY, ("%d"):format(i))
      assert.equal(("%d"):format(i), sender:find(BINARY))
    end
    data:send(CLOSE, string.pack(">I2", 1000))
    assert.equal(1000, sender:closing())
  end)

  with("#81 answers a Close itself when nobody else does", { patience = 0.1 },
    function(sender, data, e)
    sender:send(CLOSE, string.pack(">I2", 1000))
    assert.equal(1000, data:closing())
    assert.equal(1000, sender:closing())
    data:close()
    assert.equal("close", closed(e).how)
  end)

  with("#81 tells of an abort by Close 1011", {}, function(sender, data, e)
    sender:send(BINARY, "before")
    core.sleep(0.02)
    sender:close()
    assert.equal("before", data:find(BINARY))
    assert.equal(1011, data:closing())
    data:send(CLOSE, string.pack(">I2", 1011))
    assert.is_nil(data:next())
    local event = closed(e)
    assert.same({ "sender", "abort", 1006 }, { event.ended, event.how, event.code })
  end)

  with("#81 waits no longer for who answers by chatter", {}, function(sender, data, e)
    local real <close> = setmetatable({}, { __close = function() core.scale(1) end })
    core.scale(50)
    local writer = core.spawn(function()
      while data.to:write(frames.make(BINARY, "and so on")) do
        core.sleep(0.5)
      end
    end)
    sender:close()
    assert.equal(1011, data:closing())
    local ended = core.timeout(60, closed, e)
    writer:cancel()
    writer:await()
    assert.is_table(real)
    assert.is_table(ended)
    assert.equal("abort", ended.how)
  end)

  with("#81 or by another, as wished", { reset = true }, function(sender, data, e)
    data:close()
    assert.is_nil(sender:next())
    assert.equal("listener", closed(e).ended)
  end)

  with("#82 absorbs 12 MiB, then pushes back", nil, function(sender, data, e)
    local chunk, sent = frames.make(BINARY, ("x"):rep(65536), { mask = "\0\0\0\0" }), 0
    local writer = core.spawn(function()
      for _ = 1, 640 do -- 40 MiB
        sender.to:write(chunk)
        sent = sent + 65536
      end
    end)
    local before
    repeat
      before = sent
      core.sleep(0.3)
    until sent == before
    -- and what the two ends' sockets and openssl hold
    assert.is_true(sent >= 12 << 20 and sent < 36 << 20, tostring(sent))
    local got = 0
    while got < 640 * 65536 do
      local n = #data:next().payload
      got = got + n
    end
    writer:await()
    assert.equal(640 * 65536, got)
    assert.is_table(e)
  end)

  with("#83 ends what is idle", { idle = 0.15 }, function(sender, data, e)
    for _ = 1, 5 do
      core.sleep(0.05)
      sender:send(PING, "") -- a frame of any kind is a sign of life
    end
    assert.equal(1001, sender:closing())
    assert.equal(1001, data:closing())
    sender:send(CLOSE, string.pack(">I2", 1001))
    data:send(CLOSE, string.pack(">I2", 1001))
    assert.equal("idle", closed(e).how)
  end)

  local BAD = {
  ["an unmasked frame"] = { frames.make(BINARY, "x"), 1002 },
  ["reserved bits"] = { frames.make(BINARY, "x", { rsv = 4, mask = "abcd" }), 1002 },
  ["an unknown opcode"] = { frames.make(3, "x", { mask = "abcd" }), 1002 },
  ["a continuation of nothing"] = { frames.make(MORE, "x", { mask = "abcd" }), 1002 },
  ["a long Ping"] = { frames.make(PING, ("x"):rep(126), { mask = "abcd" }), 1002 },
  ["a Ping in parts"] = { frames.make(PING, "x", { fin = false, mask = "abcd" }), 1002 },
  ["a padded length"] = { frames.make(BINARY, "x", { length = "16", mask = "abcd" }), 1002 },
  ["a length beyond all"] = { frames.make(BINARY, "", { length = "64", claim = math.mininteger,
    mask = "abcd" }), 1002 },
  ["a message in a message"] = { frames.make(BINARY, "x", { fin = false, mask = "abcd" }):rep(2),
    1002 },
  ["a Close of one byte"] = { frames.make(CLOSE, "x", { mask = "abcd" }), 1002 },
  ["Close 1005"] = { frames.make(CLOSE, string.pack(">I2", 1005), { mask = "abcd" }), 1002 },
  ["a reason that is no text"] = { frames.make(CLOSE, "\3\232\255", { mask = "abcd" }), 1007 },
  }
  emulated.spec("#80 refuses frames that may not be", { machines = 1, bridge = {},
    machine_agent = "external" }, function(e)
    local control <close> = outside.listen(e, "web-01")
    for what, case in pairs(BAD) do
      local pair <close> = outside.pair(e, "web-01", control)
      pair.sender.to:write(case[1])
      assert.equal(case[2], pair.sender:closing(), what)
      assert.equal(1011, pair.data:closing(), what)
    end
    while e.log:count { event = "SenderConnectionClosed", how = "protocol", ended = "sender" }
      < 12 do
      core.sleep(0.01)
    end
  end)

  with("#80 streams a frame of any length", {}, function(sender, data, e)
    local head = frames.make(BINARY, "", { length = "64", claim = 1 << 40, mask = "\0\0\0\0" })
    sender.to:write(head .. ("y"):rep(100000))
    local got = 0
    while got < 100000 do
      local frame = data:next()
      got = got + #frame.payload
      assert.is_false(frame.fin)
    end
    data:send(BINARY, "the other way") -- and pings are answered meanwhile
    data:send(PING, "p")
    assert.equal("the other way", sender:find(BINARY))
    assert.equal("p", data:find(PONG))
    sender:close()
    assert.equal(1011, data:closing())
    data:close()
    assert.equal(100000, closed(e).sent)
  end)

  -- What is held never stops what follows it, however small the budget.
  with("#80 goes on behind a frame above the budget", { budget = 1 }, function(sender, data, e)
    sender:send(BINARY, ("x"):rep(300000))
    assert.equal(300000, #select(2, message(data)))
    data:send(BINARY, ("y"):rep(70000))
    data:send(CLOSE, string.pack(">I2", 1000))
    assert.equal(70000, #select(2, message(sender)))
    assert.equal(1000, sender:closing())
    sender:send(CLOSE, string.pack(">I2", 1000))
    assert.equal("listener", closed(e).ended)
  end)
end)
