-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local json = require "arclua.json"
local emulator = require "arclua.emulator"
local emulated = require "emulated"
local harness = require "harness"
local raw = require "raw"

local both = harness.both
local with = emulated.spec

describe("emulator: life", function()
  both("starts, is private, and leaves nothing", function()
    local dir, client
    emulated.with({ machines = 1 }, function(e)
      dir, client = e.dir, e.dir .. "/client"
      assert.equal(448, core.sys.stat(client).mode)
      for _, name in ipairs { "ca.pem", "cloud.json", "id_ed25519", "known_hosts" } do
        assert.equal(384, core.sys.stat(client .. "/" .. name).mode, name)
      end
      local cloud = json.decode(core.sys.read_file(e.cloud))
      assert.equal("environment", cloud.credential)
      assert.equal(("https://login.arc.localhost:%d"):format(e.port), cloud.authority)
      assert.equal(e.cloud, e.env.ARCLUA_CLOUD)
    end)
    assert.is_nil((core.sys.stat(dir)))
  end)

  both("can be stopped twice, and in mid-connection", function()
    local e = assert(emulator.start { machines = 1 })
    local to, from, process = raw.open(e.port, e.state.cloud.ca, "login.arc.localhost")
    to:write "GET / HTTP/1.1\r\n"
    e:stop()
    e:stop()
    raw.read(from)
    to:close()
    from:close()
    process:close()
  end)

  it("raises for what cannot be", function()
    for _, opts in ipairs { { machine = 1 }, { machines = "x" }, { throttle = "often" },
      { faults = { { at = "moon", kind = "full" } } },
      { faults = { { at = "relay", kind = "x" } } },
      { faults = { { at = "relay", kind = "busy", tiems = 1 } } },
      { machines = { { name = "a b" } } }, { machines = { { name = "a" }, { name = "A" } } },
      { machines = { { name = "a", subscription = 2 } } } } do
      assert.has_error(function() emulator.start(opts) end)
    end
    assert.equal("", harness.leftovers())
  end)

  with("answers its names only", { machines = 1 }, function(e)
    local function ask(host)
      return raw.exchange(e.port, e.state.cloud.ca, "login.arc.localhost",
        "GET / HTTP/1.1\r\n" .. host .. "\r\n", "\r\n\r\n")
    end
    assert.truthy(ask("Host: evil.example\r\n"):find "^HTTP/1.1 421 ")
    assert.truthy(ask("Host: login.arc.localhost\r\n"):find "^HTTP/1.1 421 ")
    assert.truthy(ask(("Host: localhost:%d\r\n"):format(e.port)):find "^HTTP/1.1 421 ")
    assert.truthy(ask(""):find "^HTTP/1.1 400 ")
    assert.truthy(ask("A b\r\n"):find "^HTTP/1.1 400 ")
    assert.truthy(ask(("Host: LOGIN.arc.localhost:%d\r\n"):format(e.port)):find "^HTTP/1.1 404 ")
  end)
end)

describe("emulator: faults by chance", function()
  it("come in the same places for the same seed", function()
    local faults = require "arclua.emulator.faults"
    local function run(seed)
      local table_ = faults.new(seed)
      table_:add { at = "relay", kind = "slow", chance = 0.25 }
      local out = {}
      for i = 1, 400 do
        out[i] = table_:take("relay", "a") and "x" or "."
      end
      return table.concat(out)
    end
    local one, two = run(7), run(8)
    assert.equal(one, run(7))
    assert.not_equal(one, two)
    local _, count = one:gsub("x", "")
    assert.is_true(count > 60 and count < 140)
  end)
end)

describe("emulator: the log", function()
  with("is kept, and written to a file when asked", { machines = 1,
    log_file = os.tmpname() }, function(e)
    emulated.post(e)
    assert.equal(1, e.log:count { event = "token" })
    local lines = {}
    for line in core.sys.read_file(e.log.path):gmatch "[^\n]+" do
      lines[#lines + 1] = json.decode(line).event
    end
    assert.same({ "started", "token" }, lines)
    assert.is_nil(core.sys.read_file(e.log.path):find(e.env.AZURE_CLIENT_SECRET, 1, true))
    os.remove(e.log.path)
    local log = require("arclua.emulator.log").new()
    for _ = 1, 6000 do
      log:add "x"
    end
    assert.equal(5000, log:count())
  end)
end)
