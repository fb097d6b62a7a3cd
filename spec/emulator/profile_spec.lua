-- SPDX-License-Identifier: MIT
-- Link profiles: the times of the model, measured on the loop's clock.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local emulated = require "emulated"
local harness = require "harness"

local with = emulated.spec

-- What answers instead of sshd: each byte comes back.
local ECHO = { "cat" }

-- The best of three in milliseconds: rendezvous from the first SYN, echo of one byte.
local function measure(e, name)
  local info <close> = emulated.relayinfo(e, name)
  local rendezvous, echo = math.huge, math.huge
  for _ = 1, 3 do
    local since = core.now()
    local stream <close> = assert(core.relay.connect(info, { port = 22, ca = e.state.cloud.ca }))
    rendezvous = math.min(rendezvous, core.now() - since)
    for _ = 1, 3 do
      since = core.now()
      stream:write "x"
      assert.equal("x", stream:read())
      echo = math.min(echo, core.now() - since)
    end
  end
  return rendezvous * 1000, echo * 1000
end

-- A machine that is busy with other things may be late, never early.
local function about(wanted, got)
  assert.is_true(got >= 0.9 * wanted and got <= 1.1 * wanted + 25, ("%.0f, measured %.0f"):format(
    wanted, got))
end

describe("emulator: profiles", function()
  with("near has the model's times", { machines = { { name = "a", program = ECHO },
    { name = "b", program = ECHO, profile = "mid" } }, profile = "near" }, function(e)
    local rendezvous, echo = measure(e, "a")
    about(200, rendezvous)
    about(20, echo)
    rendezvous, echo = measure(e, "b") -- 2*40 + 5*5 + 6*35 + 35 + 60
    about(410, rendezvous)
    about(80, echo)
  end)

  with("mid has, for Entra and ARM as well", { machines = { { name = "a", program = ECHO } },
    profile = "mid" }, function(e)
    local since = core.now()
    emulated.token(e)
    assert.is_true(core.now() - since >= 6 * 0.035) -- TCP, TLS, the request
    local rendezvous, echo = measure(e, "a")
    about(560, rendezvous)
    about(140, echo)
  end)

  with("azure is slow now and then, by the seed", { machines = { { name = "a",
    program = ECHO } }, profile = "azure", seed = 15 }, function(e)
    local took = {}
    for i = 1, 3 do
      local info <close> = emulated.relayinfo(e, "a")
      local since = core.now()
      core.scale(5)
      local stream, err = core.relay.connect(info, { port = 22, ca = e.state.cloud.ca })
      core.scale(1)
      took[i] = core.now() - since
      assert(stream, err):close()
    end
    local found = e.log:find { event = "fault" }
    assert.equal(1, #found)
    assert.equal("slow", found[1].kind)
    assert.is_true(found[1].seconds >= 3 and found[1].seconds <= 7)
    assert.is_true(took[3] >= 3.4, took[3])
  end)

  with("azure carries 14 Mbit/s", { machines = { { name = "a", profile = "azure",
    program = { "head", "-c", "1750000", "/dev/zero" } } } }, function(e)
    local stream <close> = assert(emulated.connect(e, "a"))
    local since = core.now()
    local text = harness.drain(stream)
    local took = core.now() - since
    assert.equal(1750000, #text)
    assert.is_true(took >= 0.9 and took < 3, took)
  end)

  with("pushes back after what the relay absorbs", { machines = { { name = "a",
    program = { "sleep", "60" } } }, profile = "near" }, function(e)
    local stream = assert(emulated.connect(e, "a"))
    local chunk, sent = ("x"):rep(65536), 0
    while core.timeout(1, stream.write, stream, chunk) do
      sent = sent + #chunk
    end
    local mib = sent / (1 << 20)
    assert.is_true(mib >= 11 and mib <= 18, mib) -- how much the sockets hold varies
    stream:abort()
  end)

  it("has names", function()
    assert.has_error(function() emulator.start { profile = "moon" } end)
    assert.has_error(function()
      emulator.start { machines = { { name = "a", profile = "moon" } } }
    end)
    assert.equal("", harness.leftovers())
  end)
end)
