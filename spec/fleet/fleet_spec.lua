-- SPDX-License-Identifier: MIT
-- The fleet over sessions that are made up: what is tried, sent and reported.
local arc_machine = require "arclua.machine"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local fleet = require "arclua.fleet"
local harness = require "harness"
local quote = require "arclua.quote"

local both = harness.both

local function machine(name, fields)
  local m = { id = "/" .. name, name = name, status = "Connected", os = "linux" }
  for key, value in pairs(fields or {}) do
    m[key] = value
  end
  return arc_machine.of(m)
end

local function machines(n)
  local list = {}
  for i = 1, n do
    list[i] = machine(("m%02d"):format(i))
  end
  return list
end

local OK = { state = "ok", status = 0, stdout = "hi\n", stderr = "", truncated = 0, seconds = 0,
  ended = "confirmed" }

-- connect() by a plan: name -> list of outcomes, one a connection. An outcome is an error's
-- fields (refused), an answer, or a function of the command.
local function world(plan)
  local seen = { sent = {}, connects = {} }
  function seen.connect(target, _, progress)
    local n = (seen.connects[target.name] or 0) + 1
    seen.connects[target.name] = n
    local outcomes = plan[target.name] or { OK }
    local outcome = outcomes[math.min(n, #outcomes)]
    progress.phase = "ssh"
    if type(outcome) == "table" and outcome.message then
      return errors.fail(outcome)
    end
    return { close = function() end, exec = function(_, line, opts)
      table.insert(seen.sent, target.name .. ": " .. line)
      if type(outcome) == "function" then
        return outcome(line, opts)
      end
      return outcome
    end }
  end
  return seen
end

local function run(list, plan, opts, command)
  local seen = world(plan)
  opts = opts or {}
  opts.connect = seen.connect
  local report = assert(fleet.new(list, opts):exec(command or "uptime"))
  return report, seen
end

describe("fleet", function()
  both("runs everywhere and reports all", function()
    local report, seen = run(machines(30), {}, { parallel = 4 })
    assert.equal(30, #report.results)
    assert.equal(30, #seen.sent)
    assert.is_true(report:ok())
    assert.equal("m30", report.results[30].name)
    assert.equal("hi\n", report.results[1].stdout)
  end)

  both("connects again before the command was sent", function()
    local report, seen = fake.fast(run, machines(1),
      { m01 = { { reason = "ssh.no-banner", message = "x" }, { reason = "relay.reset",
        message = "y" }, OK } })
    assert.is_true(report:ok())
    assert.equal(3, report.results[1].attempts)
    assert.equal(1, #seen.sent)
  end)

  both("gives up after --retries, and at once where it makes no sense", function()
    local report, seen = fake.fast(run, machines(1),
      { m01 = { { reason = "ssh.no-banner", message = "x" } } }, { retries = 1 })
    assert.equal("unreachable", report.results[1].state)
    assert.equal(2, seen.connects.m01)
    report, seen = run(machines(1), { m01 = { { reason = "ssh.auth-refused", message = "x" } } })
    assert.equal("denied", report.results[1].state)
    assert.equal(1, seen.connects.m01)
    report, seen = run(machines(1), { m01 = { { reason = "relay.no-listener", message = "x" } } })
    assert.equal("unreachable", report.results[1].state)
    assert.equal(1, seen.connects.m01)
  end)

  both("sends a command at most once", function()
    local lost = errors.new { reason = "ssh.lost", message = "gone" }
    local report, seen = run(machines(1), { m01 = { { state = "unknown", stdout = "a",
      stderr = "", truncated = 0, ended = "unconfirmed", err = lost } } })
    assert.equal("unknown", report.results[1].state)
    assert.equal("unconfirmed", report.results[1].ended)
    assert.equal(1, #seen.sent)
    assert.equal(4, report:exit_status())
  end)

  both("tries again when the command was not sent on a session", function()
    local report, seen = fake.fast(run, machines(1), { m01 = { function()
      return errors.fail { reason = "ssh.lost", message = "before" }
    end, OK } })
    assert.is_true(report:ok())
    assert.equal(2, seen.connects.m01)
  end)

  both("does not dial machines that are not connected", function()
    local list = machines(2)
    list[1].status, list[1].last_status_change = "Disconnected", "2026-01-01T00:00:00Z"
    local report, seen = run(list, {})
    assert.equal("unreachable", report.results[1].state)
    assert.equal("machine.disconnected", report.results[1].err.reason)
    assert.truthy(report.results[1].err.message:find("2026-01-01", 1, true))
    assert.is_nil(seen.connects.m01)
    assert.equal(4, report:exit_status())

    report = run(list, {}, { try_disconnected = true })
    assert.is_true(report:ok())
    report = run(list, {}, { skip_disconnected = true })
    assert.equal(1, #report.results)
    assert.truthy(report:summary():find("1 disconnected left out", 1, true))
  end)

  both("fails a Windows machine by name for a POSIX-only option, sending nothing", function()
    local list = { machine("win", { os = "windows" }), machine "lin" }
    local report, seen = run(list, {}, { sudo = true }, { "id", "-u" })
    assert.equal("machine.posix-only", report.results[1].err.reason)
    assert.truthy(report.results[1].err.message:find("win", 1, true))
    assert.same({ "lin: sudo -n -- sh -c 'id -u'" }, seen.sent)
    assert.equal(5, report:exit_status())
  end)

  both("quotes words for the machine's shell", function()
    local list = { machine("win", { os = "windows" }), machine "lin" }
    local _, seen = run(list, {}, { parallel = 1 }, { "echo", "a b" })
    assert.same({ "win: " .. quote.line({ "echo", "a b" }, "windows"), "lin: echo 'a b'" },
      seen.sent)
  end)

  both("passes the command's options on", function()
    local given
    run(machines(1), { m01 = { function(_, opts)
      given = opts
      return OK
    end } }, { timeout = 7, stdin = "in", pty = true, max_output = 10 })
    assert.equal(7, given.timeout)
    assert.equal("in", given.stdin)
    assert.is_true(given.pty)
    assert.equal(10, given.max_output)
    assert.is_nil(given.on_stdout)
  end)

  both("hands output and results on as they come", function()
    local chunks, told = {}, {}
    run(machines(2), { m01 = { function(_, opts)
      opts.on_stdout "x"
      opts.on_stderr "y"
      return OK
    end } }, {
      on_output = function(m, stream, chunk)
        chunks[#chunks + 1] = m.name .. " " .. stream .. " " .. chunk
      end,
      on_result = function(result) told[result.name] = result.state end,
    })
    assert.same({ "m01 stdout x", "m01 stderr y" }, chunks)
    assert.same({ m01 = "ok", m02 = "ok" }, told)
  end)

  both("blames the deadline for what it cut short", function()
    local report = run(machines(3), { m01 = { function()
      local _, err = core.sleep(20)
      return { state = "timeout", stdout = "part", stderr = "", truncated = 0, err = err,
        ended = "confirmed" }
    end } }, { deadline = 0.05, parallel = 1 })
    assert.equal("fleet.deadline", report.results[1].err.reason)
    assert.equal("part", report.results[1].stdout)
    assert.equal("fleet.deadline", report.results[3].err.reason)
    assert.equal(3, report:exit_status())
  end)

  both("has a result for every machine after a cancel", function()
    local report
    local task = core.spawn(function()
      report = run(machines(5), { m01 = { function()
        local _, err = core.sleep(20)
        return { state = "cancelled", stdout = "", stderr = "", truncated = 0, err = err,
          ended = "confirmed" }
      end } }, { parallel = 1 })
    end)
    core.sleep(0.02)
    task:cancel()
    task:await()
    assert.equal(5, #report.results)
    assert.equal("confirmed", report.results[1].ended)
    assert.equal("fleet.stopped", report.results[2].err.reason)
    assert.equal(130, report:exit_status())
  end)

  both("says unknown, not nothing, when we ourselves break", function()
    local report = run(machines(1), { m01 = { function() error "bug" end } })
    assert.equal("unknown", report.results[1].state)
  end)

  it("raises on misuse", function()
    assert.has_error(function() fleet.new(nil) end)
    assert.has_error(function() fleet.new({}, { paralel = 1 }) end)
    assert.has_error(function() fleet.new({}, { parallel = "x" }) end)
    assert.has_error(function() fleet.new({}, { parallel = 0 }):exec "x" end)
    assert.has_error(function() fleet.new({ 5 }):exec "x" end)
  end)
end)
