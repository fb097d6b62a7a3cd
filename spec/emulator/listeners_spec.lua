-- SPDX-License-Identifier: MIT
-- Cases 77 and 78 of the relay's checklist: the control channel.
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local json = require "arclua.json"
local outside = require "outside"

local TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
local ONE = { machines = 1, machine_agent = "external" }

local with = emulated.spec

local function renewal(token)
  return json.encode { renewToken = { token = token } }
end

-- The control channel still works: a sender is announced.
local function alive(e, control)
  local sender <close> = outside.sender(e, "web-01")
  local accept = control:accept()
  return accept ~= nil and sender ~= nil
end

local function wait_for(e, event)
  while e.log:count { event = event } == 0 do
    core.sleep(0.005)
  end
end

describe("emulator: a listener", function()
  with("#77 renews its token", ONE, function(e)
    local control <close> = outside.listen(e, "web-01", { seconds = 10 })
    local path = e:machine "web-01".relay
    local id = e.log:find({ event = "NewListenerRegistered" })[1].id
    local listener = e.listeners[path][1]
    assert.equal(id, listener.id)
    local before = listener.expires
    control:send(TEXT, renewal(outside.token(e, path, "listener", 3600)))
    wait_for(e, "token-renewed")
    assert.is_true(listener.expires > before + 3000)
    assert.is_true(alive(e, control))
  end)

  with("#77 is closed with 1008 for a bad renewal", ONE, function(e)
    local path = e:machine "web-01".relay
    for what, token in pairs { nonsense = "nonsense", number = 5,
      sender = outside.token(e, path), expired = outside.token(e, path, "listener", -1) } do
      local control <close> = outside.listen(e, "web-01")
      control:send(TEXT, renewal(token))
      assert.equal(1008, control:closing(), what)
      control:send(CLOSE, string.pack(">I2", 1008))
      assert.is_nil(control:next())
    end
    assert.is_nil(next(e.listeners))
  end)

  with("#77 may say what is not known", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    for _, text in ipairs { '{"new":{"thing":1}}', "[]", "5", "null", "{", "",
      '{"renewToken":1}', ("["):rep(10000) .. ("]"):rep(10000), ('{"a":'):rep(10000) } do
      control:send(TEXT, text)
    end
    control:send(BINARY, "\0\1\2")
    control:send(PONG, "unasked")
    control:send(TEXT, '{"ren', { fin = false })
    control:send(PING, "still there?")
    assert.equal("still there?", control:find(PONG))
    control:send(0, 'ew":1}')
    assert.is_true(alive(e, control))
    assert.equal(10, e.log:count { event = "control-ignored" })
    assert.equal(2, e.log:count { event = "control-ignored", kind = "unknown" })
  end)

  local BAD = {
  ["a message of 1 MB"] = { 1009, TEXT, ("x"):rep(1000000) },
  ["parts of 1 MB"] = { 1009, 0, ("x"):rep(1000000), true },
  ["an announced exabyte"] = { 1009, TEXT, "", false, { claim = 1 << 60, length = "64" } },
  ["a text that is not UTF-8"] = { 1007, TEXT, "\255" },
  ["a frame out of order"] = { 1002, 0, "x" },
  ["an unknown opcode"] = { 1002, 3, "x" },
  ["an unmasked frame"] = { 1002, TEXT, "x", false, { mask = false } },
  ["a long Ping"] = { 1002, PING, ("x"):rep(126) },
  }
  with("#77 is closed for what may not be", ONE, function(e)
    for what, case in pairs(BAD) do
      local control <close> = outside.listen(e, "web-01")
      if case[4] then
        control:send(TEXT, "x", { fin = false })
      end
      if case[5] and case[5].mask == false then
        control.to:write(require("frames").make(case[2], case[3]))
      else
        control:send(case[2], case[3], case[5])
      end
      assert.equal(case[1], control:closing(), what)
    end
    while next(e.listeners) do
      core.sleep(0.01)
    end
  end)

  with("#78 is closed with 1008 when its token expires; its connections stay", ONE, function(e)
    local path = e:machine "web-01".relay
    local control <close> = outside.listen(e, "web-01", { seconds = 2 })
    local pair <close> = outside.pair(e, "web-01", control)
    assert.equal(1008, control:closing())
    assert.equal(1, e.log:count { event = "ListenerClosingFromExpiredToken" })
    assert.is_nil(e.listeners[path])
    pair.sender:send(BINARY, "still")
    assert.equal("still", pair.data:find(BINARY))
    local late <close> = outside.sender(e, "web-01")
    assert.truthy(late:head():find("404 There are no listeners", 1, true))
  end)

  with("says goodbye and is answered", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    control:send(CLOSE, string.pack(">I2", 1000))
    assert.equal(1000, control:closing())
    assert.is_nil(control:next())
    wait_for(e, "ListenerUnregistered")
  end)

  with("gets a Pong that it did not ask for, about every 210 s", ONE, function(e)
    local control <close> = outside.listen(e, "web-01", { seconds = 100000 })
    core.shield(10000, fake.fast, function()
      local began = core.now()
      assert.equal("", control:find(PONG))
      assert.equal("", control:find(PONG))
      assert.is_true(core.now() - began >= 400)
    end)
  end)

  with("is cut off when the node restarts, as its connections are", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local pair <close> = outside.pair(e, "web-01", control)
    e:fault { at = "node", kind = "restart" }
    assert.equal(1011, control:closing())
    assert.is_nil(pair.sender:next())
    assert.is_nil(pair.data:next())
    wait_for(e, "SenderConnectionClosed")
    assert.is_nil(next(e.links))
  end)

  with("may be closed on purpose", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    require("arclua.emulator.listeners").close(e, nil, 1001, "deleted")
    local code, reason = control:closing()
    assert.same({ 1001, "deleted" }, { code, reason })
    control:send(CLOSE, string.pack(">I2", 1001))
    wait_for(e, "ListenerUnregistered")
  end)
end)
