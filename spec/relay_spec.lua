-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local errors = require "arclua.errors"
local relay = require "arclua.relay"

local CANCELLED = errors.new { code = "cancelled", message = "stop" }

-- A relay that answers with one reason after the other (the last for ever), and its clock.
local function setup(answers, opts)
  opts = opts or {}
  local seen = { attempts = 0, waits = {}, texts = {}, renewals = 0, infos = {}, now = 0 }
  local primitives = setmetatable({
    now = function() return seen.now end,
    sleep = function(delay)
      if opts.cancel_after and #seen.waits >= opts.cancel_after then
        return nil, CANCELLED
      end
      seen.waits[#seen.waits + 1] = delay
      seen.now = seen.now + delay
      return true
    end,
    relay = { connect = function(info, options)
      seen.attempts = seen.attempts + 1
      seen.infos[#seen.infos + 1], seen.port = info, options.port
      seen.now = seen.now + (opts.slow or 0)
      local reason = answers[math.min(seen.attempts, #answers)]
      if reason == "ok" then
        return "stream"
      elseif reason == "late" then
        return errors.fail { code = "timeout", message = "the caller's time is up" }
      elseif reason == "net" then
        return errors.fail { code = "refused", message = "no", retryable = true }
      end
      return errors.fail { reason = reason, message = reason, status = opts.status }
    end },
  }, { __index = core })
  local stream, err = relay.connect {
    info = "info0", port = 22, changed = opts.changed,
    cached = opts.cached, primitives = primitives,
    random = function() return opts.random or 0.5 end,
    on_wait = function(text) seen.texts[#seen.texts + 1] = text end,
    renew = function()
      seen.renewals = seen.renewals + 1
      if opts.no_renewal then
        return nil, opts.no_renewal
      end
      return "info" .. seen.renewals
    end,
  }
  return stream, err, seen
end

local function sum(list)
  local total = 0
  for _, n in ipairs(list) do
    total = total + n
  end
  return total
end

describe("relay policy", function()
  it("gives the stream of the first attempt", function()
    local stream, _, seen = setup { "ok" }
    assert.equal("stream", stream)
    assert.equal(22, seen.port)
  end)

  it("waits 1, 2, 4, 5, 5 for an agent that is not there, within 30 s (#11 404_forever)", function()
    local stream, err, seen = setup({ "relay.no-listener" }, { status = 404 })
    assert.is_nil(stream)
    assert.equal("relay.no-listener", err.reason)
    assert.equal(404, err.status)
    assert.same({ 1, 2, 4, 5, 5, 5, 5 }, seen.waits)
    assert.equal(8, err.attempts)
    assert.equal(27, err.elapsed)
    assert.equal("relay.no-listener; gave up after 8 attempts in 27 s", err.message)
  end)

  it("says what it waits for, and how far that is (#10)", function()
    local stream, _, seen = setup { "relay.no-endpoint", "relay.no-endpoint", "relay.no-listener",
      "relay.busy", "ok" }
    assert.equal("stream", stream)
    assert.same({ "waiting for the agent (not registered yet), 0 s, attempt 2",
      "waiting for the agent (not registered yet), 1 s, attempt 3",
      "waiting for the agent (no listener yet), 3 s, attempt 4",
      "trying again (relay.busy), 7 s, attempt 5" }, seen.texts)
  end)

  it("waits up to 180 s after a change", function()
    local _, _, seen = setup({ "relay.no-listener" }, { changed = true })
    assert.is_true(sum(seen.waits) > 170 and sum(seen.waits) <= 180)
  end)

  it("jitters by a fifth", function()
    local _, _, seen = setup({ "relay.no-listener", "ok" }, { random = 0 })
    assert.same({ 0.8 }, seen.waits)
    _, _, seen = setup({ "relay.no-listener", "ok" }, { random = 0.75 })
    assert.same({ 1.1 }, seen.waits)
  end)

  it("connects after two times not there, with the same credentials (#10)", function()
    local stream, _, seen = setup { "relay.no-endpoint", "relay.no-listener", "ok" }
    assert.equal("stream", stream)
    assert.same({ "info0", "info0", "info0" }, seen.infos)
  end)

  it("asks for new credentials every 30 s of an endpoint's absence, never otherwise", function()
    local _, _, seen = setup({ "relay.no-endpoint" }, { changed = true })
    assert.is_true(seen.renewals >= 4 and seen.renewals <= 6, seen.renewals)
    _, _, seen = setup({ "relay.no-listener" }, { changed = true })
    assert.equal(0, seen.renewals)
  end)

  it("asks at once where credentials were kept: the endpoint may have another name", function()
    local stream, _, seen = setup({ "relay.no-endpoint", "ok" }, { cached = true })
    assert.equal("stream", stream)
    assert.same({ "info0", "info1" }, seen.infos)
    _, _, seen = setup({ "relay.no-endpoint" }, { cached = true })
    assert.equal(1, seen.renewals)
    _, _, seen = setup({ "relay.no-listener" }, { cached = true })
    assert.equal(0, seen.renewals)
  end)

  it("takes new credentials once after a refusal (#14 401_then_ok, _twice)", function()
    local stream, _, seen = setup { "relay.denied", "ok" }
    assert.equal("stream", stream)
    assert.same({ "info0", "info1" }, seen.infos)
    assert.same({}, seen.waits)
    local none, err
    none, err, seen = setup { "relay.denied" }
    assert.is_nil(none)
    assert.equal("relay.denied", err.reason)
    assert.equal(2, seen.attempts)
  end)

  it("tells the refusal when there are no new credentials", function()
    local none, err = setup({ "relay.denied" },
      { no_renewal = errors.new { code = "denied", message = "arm" } })
    assert.is_nil(none)
    assert.equal("relay.denied", err.reason)
    none, err = setup({ "relay.denied" }, { no_renewal = CANCELLED })
    assert.is_nil(none)
    assert.equal("cancelled", err.code)
  end)

  it("stops at once where the machine said no (#12 503_sshd_refused)", function()
    for _, reason in ipairs { "relay.sshd-refused", "relay.rejected", "relay.bad-answer" } do
      local none, err, seen = setup { reason }
      assert.is_nil(none)
      assert.equal(reason, err.reason)
      assert.equal(1, seen.attempts)
    end
  end)

  it("tries other failures three times (#13 503_generic, #23 blackhole_upgrade)", function()
    for _, reason in ipairs { "relay.busy", "relay.server-error", "relay.no-answer",
      "relay.too-slow", "net" } do
      local none, _, seen = setup { reason }
      assert.is_nil(none)
      assert.equal(3, seen.attempts, reason)
    end
  end)

  it("tells what kept it from connecting when the caller's time is up", function()
    local none, err = setup { "relay.no-listener", "late" }
    assert.is_nil(none)
    assert.equal("relay.no-listener", err.reason)
    none, err = setup({ "late" }, { cancel_after = 0 })
    assert.is_nil(none)
    assert.equal("cancelled", err.code)
  end)

  it("ends when the task is cancelled while it waits", function()
    local none, err = setup({ "relay.no-listener" }, { cancel_after = 2 })
    assert.is_nil(none)
    assert.equal("cancelled", err.code)
  end)
end)
