-- SPDX-License-Identifier: MIT
-- The emulator's faults themselves: when they strike, and that the log says so.
local core = require "arclua.core"
local emulated = require "emulated"
local faults = require "arclua.emulator.faults"
local harness = require "harness"
local json = require "arclua.json"
local outside = require "outside"

local with = emulated.spec
local both = harness.both

-- A machine whose "sshd" sends back what it gets, and one that only takes.
local ECHO = { { name = "a", program = { "cat" } } }
local POURS = { { name = "a", program = { "cat", "/dev/zero" } } }

-- Reads to the end: how many bytes, and the error.
local function count(stream)
  local text, err = harness.drain(stream)
  return #text, err
end

local function strikes(e, wanted)
  return e.log:count { event = "fault", at = wanted.at, kind = wanted.kind }
end

describe("emulator: faults in time", function()
  both("begin, last and end", function()
    local list = faults.new(1)
    list:add { at = "arm", kind = "answer", begins = 0.05, lasts = 0.1 }
    assert.is_nil(list:take("arm"))
    assert.is_true(list:expects "arm")
    core.sleep(0.06)
    assert.truthy(list:take("arm"))
    assert.truthy(list:take("arm"))
    core.sleep(0.1)
    assert.is_nil(list:take("arm"))
    assert.is_false(list:expects "arm")
  end)

  it("are drawn for each machine alone", function()
    local function fate(between)
      local list, out = faults.new(3), {}
      list:add { at = "relay", kind = "busy", chance = 0.5 }
      for i = 1, 64 do
        for _ = 1, between do
          list:take("relay", "other")
        end
        out[i] = list:take("relay", "a") and "x" or "."
      end
      return table.concat(out)
    end
    assert.equal(fate(0), fate(3))
  end)

  it("take a time between two", function()
    local list = faults.new(5)
    local one, two = list:delay({ delay = 3, upto = 7 }, "a"), list:delay({ delay = 3, upto = 7 },
      "a")
    assert.is_true(one >= 3 and one < 7 and two >= 3 and two < 7 and one ~= two)
    assert.equal(2, list:delay { delay = 2 })
    assert.equal(5, list:delay {})
  end)

  it("name a side that there is", function()
    assert.is_nil((faults.check { at = "link", kind = "reset", from = "moon" }))
    assert.is_true(faults.check { at = "link", kind = "reset", from = "sender" })
  end)
end)

describe("emulator: faults of a link", function()
  with("strike after bytes from the machine", { machines = POURS, seed = 1 }, function(e)
    for _, code in ipairs { 1001, 1008, 1011 } do
      for _, bytes in ipairs { 0, 100000 } do
        e:fault { at = "link", kind = "close", code = code, bytes = bytes, times = 1 }
        local stream <close> = assert(emulated.connect(e, "a"))
        local got, err = count(stream)
        assert.equal(bytes, got)
        assert.equal(code, err.status)
      end
    end
    assert.equal(6, strikes(e, { at = "link", kind = "close" }))
    assert.equal(0, e.log:count { event = "error" })
  end)

  with("strike after bytes from the sender", { machines = ECHO }, function(e)
    e:fault { at = "link", kind = "close", from = "sender", bytes = 5, times = 1 }
    local stream <close> = assert(emulated.connect(e, "a"))
    stream:write "1234"
    assert.equal("1234", stream:read())
    assert.equal(0, strikes(e, { at = "link", kind = "close" }))
    stream:write "567"
    local text, err = harness.drain(stream)
    assert.truthy(text == "" or text == "5", text) -- the echo may come first
    assert.equal(1011, err.status)
    assert.equal(1, e.log:count { event = "fault", at = "link", machine = "a" })
    e:fault { at = "link", kind = "reset", from = "sender", bytes = 1, times = 1 }
    local other <close> = assert(emulated.connect(e, "a"))
    other:write "x"
    err = select(2, harness.drain(other))
    assert.equal("relay.reset", err.reason)
  end)

  with("are not in the log when the connection ends before", { machines = ECHO }, function(e)
    e:fault { at = "link", kind = "reset", bytes = 1000, times = 1 }
    local stream = assert(emulated.connect(e, "a"))
    stream:write "x"
    assert.equal("x", stream:read())
    stream:close()
    while e.log:count { event = "disconnect" } == 0 do
      core.sleep(0.01)
    end
    assert.equal(0, e.log:count { event = "fault" })
  end)

  with("end all connections when the node restarts, again and again", { machines = ECHO,
    faults = { { at = "node", kind = "restart", begins = 0.3, every = 0.3, times = 2,
      down = 0.05 } } }, function(e)
    for _ = 1, 2 do
      local stream, err
      repeat
        stream, err = emulated.connect(e, "a")
        assert(stream or err.reason == "relay.no-listener", err)
      until stream
      assert.equal(1011, select(2, harness.drain(stream)).status)
      stream:close()
      _, err = emulated.connect(e, "a")
      assert.truthy(not err or err.reason == "relay.no-listener")
    end
    assert.equal(2, strikes(e, { at = "node", kind = "restart" }))
  end)

  with("reset what is older than they are", { machines = ECHO }, function(e)
    local stream <close> = assert(emulated.connect(e, "a"))
    stream:write "x"
    assert.equal("x", stream:read())
    local fault = e:fault { at = "node", kind = "restart" }
    local _, err = harness.drain(stream)
    assert.equal("relay.reset", err.reason)
    e:clear(fault)
    local again <close> = assert(emulated.connect(e, "a"))
    again:write "y"
    assert.equal("y", again:read())
  end)
end)

describe("emulator: faults of outside listeners", function()
  with("close the control channel at accept and at renew", { machines = 1,
    machine_agent = "external", rendezvous = 0.3 }, function(e)
    for _, code in ipairs { 1001, 1008, 1011 } do
      e:fault { at = "accept", kind = "close", code = code, times = 1 }
      local control <close> = outside.listen(e, "web-01")
      local sender <close> = outside.sender(e, "web-01")
      assert.equal(code, control:closing())
      assert.truthy(sender:head():find "^HTTP/1.1 404 ")
      e:fault { at = "renew", kind = "close", code = code, times = 1 }
      local other <close> = outside.listen(e, "web-01")
      other:send(1, '{"renewToken":{"token":"x"}}')
      assert.equal(code, other:closing())
    end
    assert.equal(3, strikes(e, { at = "accept", kind = "close" }))
    assert.equal(3, strikes(e, { at = "renew", kind = "close" }))
  end)

  with("close it, and its connections, when the node restarts", { machines = 1,
    machine_agent = "external" }, function(e)
    local control <close> = outside.listen(e, "web-01")
    e:fault { at = "node", kind = "restart" }
    assert.equal(1011, control:closing())
    assert.equal(1, strikes(e, { at = "node", kind = "restart" }))
  end)
end)

describe("emulator: faults of clocks and lifetimes", function()
  with("let tokens end before their time", { machines = 1 }, function(e)
    e:fault { at = "entra", kind = "short-lived", times = 1 }
    local _, body = emulated.post(e)
    assert.equal(3599, body.expires_in)
    local status, answer = emulated.arm(e, "GET", e:machine("web-01").id,
      { token = body.access_token, version = "2024-07-10" })
    assert.equal(401, status)
    assert.equal("ExpiredAuthenticationToken", answer.error.code)
  end)

  with("let relay credentials end before their time", { machines = ECHO }, function(e)
    e:fault { at = "arm", kind = "short-lived", times = 1 }
    assert.equal(200, (emulated.arm(e, "GET", e:machine("a").id, { version = "2024-07-10" })))
    local stream, err = emulated.connect(e, "a")
    assert.is_nil(stream)
    assert.equal("relay.denied", err.reason)
    assert.equal(401, err.status)
    stream = assert(emulated.connect(e, "a"))
    stream:close()
    e:fault { at = "relay", kind = "expired", times = 1 }
    err = select(2, emulated.connect(e, "a"))
    assert.equal(401, err.status)
    assert.equal(2, e.log:count { event = "fault" })
  end)

  with("set the cloud's clock wrong, or a machine's", { machines = ECHO }, function(e)
    local _, credentials = emulated.credentials(e, "a")
    local fault = e:fault { at = "clock", kind = "skew", seconds = 7200 }
    assert.truthy(emulated.upgrade(e, credentials.relay):find "401 ExpiredToken")
    _, credentials = emulated.credentials(e, "a")
    assert.equal("ExpiredAuthenticationToken", credentials.error.code)
    e.spec_token = nil
    _, credentials = emulated.credentials(e, "a")
    assert.is_true(credentials.relay.expiresOn > core.time() + 7200)
    e:clear(fault)
    e.spec_token = nil
    e:fault { at = "clock", kind = "skew", seconds = 20000, machine = "a" }
    local stream = assert(emulated.connect(e, "a"))
    local _, err = stream:read()
    assert.equal("relay.reset", err.reason)
    stream:close()
    assert.equal(2, strikes(e, { at = "clock", kind = "skew" }))
  end)

  with("slow every answer down, and still answer", { machines = 1 }, function(e)
    e:fault { at = "entra", kind = "slow", delay = 0.01, upto = 0.02 }
    assert.equal(200, (emulated.post(e)))
    assert.equal(200, (emulated.post(e)))
    assert.equal(2, strikes(e, { at = "entra", kind = "slow" }))
  end)

  with("are one line each in the log's file", { machines = ECHO, log_file = os.tmpname(),
    faults = { { at = "arm", kind = "answer", status = 429, lasts = 3600 },
      { at = "machine", kind = "offline" } } }, function(e)
    local status = emulated.arm(e, "GET", e:machine("a").id, { version = "2024-07-10" })
    assert.equal(429, status)
    local found = {}
    for line in core.sys.read_file(e.log.path):gmatch "[^\n]+" do
      local entry = json.decode(line)
      if entry.event == "fault" then
        found[#found + 1] = entry
      end
    end
    os.remove(e.log.path)
    assert.equal(1, #found)
    assert.equal("arm", found[1].at)
    assert.equal(429, found[1].status)
    assert.equal("a", found[1].machine)
    assert.is_number(found[1].time)
  end)
end)
