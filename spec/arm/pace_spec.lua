-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local pace = require "arclua.arm.pace"

local WRITES = "x-ms-ratelimit-remaining-subscription-writes"

local function setup()
  local clock = { now = 0, slept = 0 }
  local it = pace.new { cond = core.cond, now = function() return clock.now end,
    sleep = function(delay)
      clock.slept = clock.slept + delay
      clock.now = clock.now + delay
      return true
    end }
  return it, clock
end

local function send(it, count, headers, throttled)
  for _ = 1, count do
    it:leave(assert(it:enter("s", "write")), headers, throttled)
  end
end

local function near(wanted, got)
  assert.is_true(math.abs(wanted - got) < 0.01, got)
end

describe("pace", function()
  it("lets a burst through but for one, then ten writes a second", function()
    local it, clock = setup()
    send(it, 199)
    assert.equal(0, clock.slept)
    send(it, 50)
    near(5, clock.slept)
  end)

  it("keeps subscriptions and kinds apart", function()
    local it, clock = setup()
    send(it, 199)
    for _, of in ipairs { { "t", "write" }, { "s", "read" }, { "s", "delete" } } do
      it:enter(of[1], of[2])
    end
    assert.equal(0, clock.slept)
    it:enter("S", "write")
    near(0.1, clock.slept)
  end)

  it("holds everybody back when ARM asked for it, then lets one after the other go", function()
    local it, clock = setup()
    send(it, 1, nil, 17)
    send(it, 1)
    near(17, clock.slept)
    send(it, 1)
    near(17 + 1 / (5 + 10 / 400), clock.slept)
  end)

  it("goes slower after a refusal, then faster again", function()
    local it, clock = setup()
    local first, second = it:enter("s", "write"), it:enter("s", "write")
    it:leave(first, nil, 1)
    it:leave(second, nil, 1)
    near(1 + 9 / 5, it:expected("s", "write", 10))
    send(it, 300)
    clock.slept = 0
    send(it, 10)
    near(1, clock.slept)
    for _ = 1, 20 do
      send(it, 1, nil, 1)
    end
    near(1 + 9 / (10 / 64), it:expected("s", "write", 10))
  end)

  it("learns what is left from ARM, more or less than it thought", function()
    local it, clock = setup()
    send(it, 1, { [WRITES] = "3" }) -- which may be 3.99
    send(it, 3)
    assert.equal(0, clock.slept)
    send(it, 1)
    near(0.1, clock.slept)
    it, clock = setup()
    send(it, 1, { [WRITES] = "799" })
    send(it, 798)
    assert.equal(0, clock.slept)
    send(it, 1, { [WRITES] = "nonsense" })
    near(0.1, clock.slept)
  end)

  it("takes from ARM's count what that may not have counted", function()
    local it, clock = setup()
    send(it, 190)
    local early, late = it:enter("s", "write"), it:enter("s", "write")
    send(it, 5)
    it:leave(late, { [WRITES] = "15" }) -- five were sent later, one is under way
    send(it, 8)
    assert.equal(0, clock.slept)
    send(it, 1)
    near(0.1, clock.slept)
    it:leave(early)
  end)

  it("waits for the end of Resource Graph's window", function()
    local it, clock = setup()
    local function ask(left, resets)
      it:leave(it:enter("tenant", "graph"), { ["x-ms-user-quota-remaining"] = left,
        ["x-ms-user-quota-resets-after"] = resets })
    end
    ask("1", "00:00:05")
    ask("0", "00:00:04")
    assert.equal(0, clock.slept)
    ask("0", "soon")
    near(4, clock.slept)
    ask("14")
    near(9, clock.slept)
  end)

  it("knows the bucket of a request", function()
    for text, want in pairs {
      ["GET https://a/subscriptions/S/x"] = { "s", "read" },
      ["PUT https://a/subscriptions/S/x?a=/subscriptions/t/"] = { "s", "write" },
      ["POST https://a/subscriptions/S/x"] = { "s", "write" },
      ["DELETE https://a/subscriptions/S?x"] = { "s", "delete" },
      ["GET https://a/tenants?x"] = { "tenant", "read" },
      ["POST https://a/providers/Microsoft.ResourceGraph/resources?x"] = { "tenant", "graph" },
    } do
      local method, url = text:match "(%S+) (%S+)"
      assert.same(want, { pace.classify(method, url) }, text)
    end
  end)

  it("says how long a number of requests will take", function()
    local it, clock = setup()
    assert.equal(0, it:expected("s", "write", 199))
    near(980.1, it:expected("s", "write", 10000))
    send(it, 199)
    near(1000, it:expected("s", "write", 10000))
    clock.now = clock.now + 10
    near(990, it:expected("s", "write", 10000))
    send(it, 1, nil, 30)
    near(30 + 9999 / 5, it:expected("s", "write", 10000))
  end)

  it("lets the next go when one in the line gives up", function()
    local it = pace.new()
    core.spawn(function()
      send(it, 200)
      local slow = core.spawn(it.enter, it, "s", "write")
      local given_up = core.spawn(it.enter, it, "s", "write")
      local last = core.spawn(it.enter, it, "s", "write")
      core.sleep(0)
      slow:cancel()
      given_up:cancel()
      local ticket, err = slow:await()
      assert.is_nil(ticket)
      assert.equal("cancelled", err.code)
      assert.is_nil((given_up:await()))
      assert.is_table((last:await()))
    end):await()
  end)
end)
