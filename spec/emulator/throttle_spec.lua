-- SPDX-License-Identifier: MIT
local arc = require "arclua"
local core = require "arclua.core"
local emulated = require "emulated"
local throttle = require "arclua.emulator.throttle"

-- A throttle with a clock of its own, which core.now is replaced by.
local function with_clock(mode, fn)
  local clock, now = { now = 0 }, core.now
  core.now = function() return clock.now end
  local ok, err = pcall(fn, throttle.new(mode), clock)
  core.now = now
  if not ok then
    error(err, 0)
  end
end

describe("emulator: throttle", function()
  it("gives what is documented: at once, then so many a second", function()
    for kind, size in pairs { reads = 250, writes = 200, deletes = 200 } do
      with_clock("documented", function(it, clock)
        for i = 1, size do
          assert.equal(size - i, (it:take("s", "p", kind)))
        end
        local left, wait = it:take("s", "p", kind)
        assert.is_nil(left)
        assert.equal(1, wait)
        clock.now = 1
        assert.equal(kind == "reads" and 24 or 9, (it:take("s", "p", kind)))
      end)
    end
  end)

  it("sends who comes back too early away anew", function()
    with_clock("0.01", function(it, clock) -- 2 writes, one in ten seconds
      it:take("s", "p", "writes")
      it:take("s", "p", "writes")
      assert.equal(10, select(2, it:take("s", "p", "writes")))
      clock.now = 8
      assert.equal(2, select(2, it:take("s", "p", "writes")))
      clock.now = 9.9
      assert.is_nil((it:take("s", "p", "writes")))
      clock.now = 11
      assert.equal(0, (it:take("s", "p", "writes")))
    end)
  end)

  it("keeps principals and subscriptions apart, up to what all share", function()
    with_clock("documented", function(it)
      local granted = 0
      for p = 1, 16 do
        for _ = 1, 200 do
          granted = granted + (it:take("s", p, "writes") and 1 or 0)
        end
      end
      assert.equal(3000, granted)
      assert.equal(199, (it:take("t", 1, "writes")))
      assert.equal(249, (it:take("s", 1, "reads")))
    end)
  end)

  it("refuses nothing when it is off", function()
    with_clock("off", function(it)
      for _ = 1, 500 do
        assert.same({ 199, 2999 }, { it:take("s", "p", "writes") })
      end
    end)
    assert.has_error(function() throttle.new "much" end)
  end)

  emulated.spec("tells it in ARM's headers", { machines = 1, throttle = "documented" },
    function(e)
      local path = "/subscriptions/" .. e.state.subscriptions[1].id
      local _, _, headers = emulated.arm(e, "GET", path)
      assert.equal("249", headers["x-ms-ratelimit-remaining-subscription-reads"])
      assert.equal("3749", headers["x-ms-ratelimit-remaining-subscription-global-reads"])
      _, _, headers = emulated.arm(e, "GET", "/tenants")
      assert.equal("249", headers["x-ms-ratelimit-remaining-tenant-reads"])
      _, _, headers = emulated.arm(e, "DELETE", emulated.endpoint(e, "web-01"))
      assert.equal("199", headers["x-ms-ratelimit-remaining-subscription-deletes"])
    end)

  local function sign_in(e)
    return assert(arc.login { cloud = e.cloud, config = "none", credential =
      arc.credential.client_secret { tenant = e.env.AZURE_TENANT_ID, cloud = e.state.cloud,
        client_id = e.env.AZURE_CLIENT_ID, client_secret = e.env.AZURE_CLIENT_SECRET } })
  end

  -- Credentials for all machines with a fast clock, 16 at a time: how many came.
  local function get_all(az, list)
    local before = core.scale(20)
    local got = core.shield(600, arc.map, list, function(machine)
      return (az.connectivity:access(machine, {}))
    end, { parallel = 16 })
    core.scale(before)
    return #got
  end

  -- The mechanism of bench/arm.lua, small: the bucket is nearly empty when it begins.
  emulated.spec("is paced by us, so that nothing is refused", { machines = 60,
    throttle = "documented" }, function(e)
    local az = sign_in(e)
    local list = assert(az:machines {})
    for _ = 1, 180 do
      e.state.throttle:take(e.state.subscriptions[1].id, e.state.object_id, "writes")
    end
    assert(az.connectivity:access(list[1], {})) -- its answer tells what is left
    assert.equal(60, get_all(az, list))
    assert.is_true(e.log:count { event = "throttled" } <= 1)
  end)

  emulated.spec("loses no machine where it gives less than documented", { machines = 60,
    throttle = "0.05" }, function(e)
    local az = sign_in(e)
    assert.equal(60, get_all(az, assert(az:machines {})))
    local refused = e.log:count { event = "throttled" }
    assert.is_true(refused > 0 and refused < 40, refused)
  end)
end)
