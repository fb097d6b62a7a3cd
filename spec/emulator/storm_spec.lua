-- SPDX-License-Identifier: MIT
-- Case 84 of the relay's checklist: clients that cannot stop, and some that never begin.
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local harness = require "harness"
local json = require "arclua.json"
local raw = require "raw"

local FRESH = 2048 -- of http.lua

local function descriptors()
  return #core.sys.list "/proc/self/fd"
end

local function open_ones(e)
  local n = 0
  for _ in pairs(e.open) do
    n = n + 1
  end
  return n
end

local ONE = { machines = 1, machine_agent = "external" }

describe("emulator: #84", function()
  emulated.spec("401 storm: hundreds of attempts leave nothing open", ONE, function(e)
    local _, body = emulated.credentials(e, "web-01")
    body.relay.accessKey = body.relay.accessKey:gsub("sig=...", "sig=AAA")
    local info <close> = assert(core.relayinfo(json.encode(body)))
    local before, tasks, denied = descriptors(), {}, 0
    for i = 1, 10 do
      tasks[i] = core.spawn(function()
        for _ = 1, 15 do
          local stream, err = core.relay.connect(info, { port = 22, ca = e.state.cloud.ca })
          assert(not stream)
          denied = denied + (err.status == 401 and 1 or 0)
        end
      end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.equal(150, denied)
    while descriptors() > before + 2 do
      core.sleep(0.01)
    end
    assert.equal(150, e.log:count { event = "relay-refused", status = 401 })
  end)

  emulated.spec("half-open sockets: the oldest go, who asks is served", ONE, function(e)
    local sockets = {}
    for i = 1, FRESH + 300 do
      sockets[i] = assert(core.tcp.connect("127.0.0.1", e.port))
    end
    while open_ones(e) < FRESH do
      core.sleep(0.01)
    end
    assert.equal(200, (emulated.credentials(e, "web-01")))
    assert.is_true(open_ones(e) <= FRESH + 10)
    for _, socket in ipairs(sockets) do
      socket:close()
    end
    while open_ones(e) > 10 do
      core.sleep(0.01)
    end
  end)

  emulated.spec("slowloris headers: a request has 30 s in all", ONE, function(e)
    local to, from, process = raw.open(e.port, e.state.cloud.ca, "localhost")
    to:write "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    assert.is_true(to ~= nil)
    local drip = core.spawn(function()
      while to:write "x" and core.sleep(1) do end
    end)
    core.shield(10000, fake.fast, function()
      assert.is_nil(from:read())
    end)
    drip:cancel()
    drip:await()
    to:close()
    from:close()
    process:close()
  end)

  it("leaves nothing behind", function()
    assert.equal("", harness.leftovers())
  end)
end)
