-- SPDX-License-Identifier: MIT
-- Scripts by Run Command: at most once, with their ends, and nothing left behind.
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local fleet = require "arclua.fleet"
local json = require "arclua.json"
local run_commands = require "arclua.arm.run_commands"
local signed = require "signed"

-- The seconds between two looks pass faster.
local function with(name, opts, fn)
  opts.operation_time = 0.05
  emulated.spec(name, opts, function(e)
    local before = core.scale(4)
    local ok, err = pcall(fn, e)
    core.scale(before or 1)
    if not ok then
      error(err, 0)
    end
  end)
end

local function run(e, name, spec)
  local az = signed.in_to(e)
  return run_commands.run(az.arm, assert(az:machine(name)), spec)
end

local function left(e, name)
  return next(e:machine(name).run_commands) ~= nil
end

local function count(e, event)
  return e.log:count { event = event or "run-command" }
end

describe("Run Command", function()
  with("tells output and status, and is removed afterwards (40, 43, 49)", { machines = 1 },
    function(e)
    local answer = assert(run(e, "web-01", { script = "echo out; echo err >&2; exit 3" }))
    assert.equal("failed", answer.state)
    assert.equal(3, answer.status)
    assert.equal("out\n", answer.stdout)
    assert.equal("err\n", answer.stderr)
    assert.equal(0, answer.truncated)
    assert.equal("confirmed", answer.ended)
    assert.is_not_nil(answer.err)
    assert.is_false(left(e, "web-01"))
    answer = assert(run(e, "web-01", { script = "true" }))
    assert.equal("ok", answer.state)
    assert.is_nil(answer.err)
    assert.equal(2, count(e))
    assert.equal(2, count(e, "run-command-delete"))
  end)

  with("says that output may be missing from 4096 bytes on (44)", { machines = 1 }, function(e)
    local answer = assert(run(e, "web-01", { script = "head -c 4095 /dev/zero | tr '\\0' x" }))
    assert.equal(0, answer.truncated)
    answer = assert(run(e, "web-01", { script = "head -c 4096 /dev/zero | tr '\\0' x" }))
    assert.equal(-1, answer.truncated)
    assert.equal(4096, #answer.stdout)
  end)

  with("gives variables as protected parameters only, and goes over a connection of its own (47)",
    { machines = 1 }, function(e)
    local puts, logged = {}, {}
    local az = signed.in_to(e, nil, { log = function(_, text) logged[#logged + 1] = text end,
      primitives = fake.core { arm = setmetatable({ request = function(opts)
        puts[#puts + 1] = opts.method == "PUT" and opts or nil
        return core.arm.request(opts)
      end }, { __index = core.arm }) } })
    local answer = assert(run_commands.run(az.arm, assert(az:machine "web-01"),
      { script = 'echo "$TOKEN"', env = { TOKEN = "s3cr3t" } }))
    assert.equal("s3cr3t\n", answer.stdout)
    assert.equal(1, #puts)
    assert.is_true(puts[1].once)
    local properties = assert(json.decode(puts[1].body)).properties
    assert.same({ { name = "TOKEN", value = "s3cr3t" } }, properties.protectedParameters)
    assert.is_nil(properties.parameters)
    assert.not_matches("s3cr3t", properties.source.script, 1, true)
    assert.not_matches("s3cr3t", table.concat(logged, "\n"), 1, true)
  end)

  with("looks for a run whose answer was lost, and does not send it again (41)", { machines = 1,
    faults = { { at = "arm", kind = "lost", method = "PUT", path = "/runcommands/", times = 1 } } },
    function(e)
    local answer = assert(run(e, "web-01", { script = "echo once" }))
    assert.equal("ok", answer.state)
    assert.equal("once\n", answer.stdout)
    assert.equal(1, count(e))
    assert.is_false(left(e, "web-01"))
  end)

  with("does not know when nothing can be found (81)", { machines = 1, faults = {
    { at = "arm", kind = "drop", method = "PUT", path = "/runcommands/" } } }, function(e)
    local answer = assert(run(e, "web-01", { script = "echo once" }))
    assert.equal("unknown", answer.state)
    assert.equal("unconfirmed", answer.ended)
    assert.matches("whether the script ran is unknown", answer.err.message, 1, true)
    assert.equal(0, count(e))
    assert.equal(1, #e.log:find { event = "fault" })
  end)

  with("was not sent when ARM refuses it", { machines = { { name = "old",
    agent_version = "1.32.1" } } }, function(e)
    local answer, err = run(e, "old", { script = "true" })
    assert.is_nil(answer)
    assert.equal(400, err.status)
    local env = e:principal { roles = { "Reader" } }
    local az = signed.in_to(e, env)
    answer, err = run_commands.run(az.arm, assert(az:machine "old"), { script = "true" })
    assert.is_nil(answer)
    assert.equal("denied", err.code)
  end)

  with("ends after its time", { machines = 1 }, function(e)
    local answer = assert(run(e, "web-01", { script = "echo begun; sleep 60", timeout = 0.5 }))
    assert.equal("timeout", answer.state)
    assert.equal("begun\n", answer.stdout)
    assert.equal("confirmed", answer.ended)
  end)

  with("makes room once where 25 are over, and says it where they are not (43)", { machines = 2 },
    function(e)
    for _, name in ipairs { "web-01", "web-02" } do
      for i = 1, 25 do
        e:machine(name).run_commands["arclua-" .. i] = { name = "arclua-" .. i, parameters = {},
          protected = {}, state = "Succeeded", script = "", seconds = 0, async = false,
          execution = name == "web-01" and "Succeeded" or "Running", ended = 1 }
      end
    end
    e:machine "web-01".run_commands["arclua-1"].name = "theirs"
    local answer = assert(run(e, "web-01", { script = "echo room" }))
    assert.equal("room\n", answer.stdout)
    local none, err = run(e, "web-02", { script = "echo room" })
    assert.is_nil(none)
    assert.matches("run-command delete", err.remedy, 1, true)
  end)

  with("ends the script when it is cancelled", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    local machine = assert(az:machine "web-01")
    local task = core.spawn(run_commands.run, az.arm, machine,
      { script = "echo $$ > pid; sleep 60" })
    local home = e:home "web-01"
    repeat
      core.sleep(0.02)
      local pid = core.sys.read_file(home .. "/pid")
    until pid and pid ~= ""
    task:cancel()
    local answer = task:await()
    assert.equal("cancelled", answer.state)
    assert.equal("confirmed", answer.ended)
    assert.is_false(left(e, "web-01"))
    local pid = core.sys.read_file(home .. "/pid"):match "%d+"
    while core.sys.stat("/proc/" .. pid) do
      core.sleep(0.02)
    end
  end)

  with("tells when somebody else has cancelled it", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    local machine = assert(az:machine "web-01")
    local task = core.spawn(run_commands.run, az.arm, machine, { script = "sleep 60" })
    while count(e) == 0 do
      core.sleep(0.02)
    end
    local name = next(e:machine "web-01".run_commands)
    emulated.arm(e, "DELETE", machine.id .. "/runCommands/" .. name, { version = "2025-01-13" })
    local answer = task:await()
    assert.equal("unknown", answer.state)
  end)
end)

describe("a fleet by Run Command", function()
  local function exec(e, command, opts)
    local az = signed.in_to(e)
    local all = { azure = az, via = "run-command", as_root = true }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    return fleet.new(assert(az:machines()), all):exec(command)
  end

  with("gives the report of a run by SSH", { machines = { { name = "a" }, { name = "b" },
    { name = "off", status = "Disconnected" }, { name = "old", agent_version = "1.32.9" },
    { name = "win", os = "windows" } } }, function(e)
    local chunks = {}
    local report = assert(exec(e, { "sh", "-c", "echo 'a  b'; exit 0" }, {
      on_output = function(machine, stream, chunk)
        chunks[machine.name] = stream .. " " .. chunk
      end }))
    local states = {}
    for _, result in ipairs(report.results) do
      states[result.name] = result.state
    end
    assert.equal("stdout a  b\n", chunks.a)
    assert.equal("ok", states.a)
    assert.equal("ok", states.b)
    assert.equal("unreachable", states.off)
    assert.equal("failed", states.old)
    assert.equal(4, report:exit_status())
    assert.same({}, e:sessions "a")
  end)

  with("says what a machine cannot", { machines = { { name = "off", status = "Disconnected" },
    { name = "vm", type = "Microsoft.ScVmm/virtualMachines" } } }, function(e)
    local report = assert(exec(e, "true", {}))
    local by = {}
    for _, result in ipairs(report.results) do
      by[result.name] = result.err
    end
    -- It cannot be tried: no remedy promises that.
    assert.is_nil(by.off.remedy:find("--try-disconnected", 1, true))
    assert.equal("config", by.vm.code)
    assert.matches("not Microsoft.ScVmm/virtualMachines", by.vm.message, 1, true)
    assert.equal(0, count(e))
  end)

  with("runs words by PowerShell on Windows", { machines = { { name = "win", os = "windows" } } },
    function(e)
    local report = assert(exec(e, { "Write-Output", "a b" }))
    assert.equal("a b\r\n", report.results[1].stdout)
  end)

  with("refuses by name what it cannot honour", { machines = 1 }, function(e)
    for option, value in pairs { sudo = true, pty = true, stdin = "x", user = "ops", port = 22,
      identity = "/key", retries = 1, enable = true, jump = "h", connect_timeout = 3 } do
      local report, err = exec(e, "true", { [option] = value })
      assert.is_nil(report)
      assert.equal("config", err.code)
      assert.matches("--" .. option:gsub("_", "-"), err.message, 1, true)
    end
    local report, err = exec(e, "true", { as_root = false })
    assert.is_nil(report)
    assert.matches("as root", err.message, 1, true)
    assert.has_error(function() exec(e, "true", { via = "pigeon" }) end)
    assert.equal(0, count(e))
  end)

  with("keeps the deadline, and ends what runs", { machines = 1 }, function(e)
    local report = assert(exec(e, "sleep 60", { deadline = 2 }))
    assert.equal("timeout", report.results[1].state)
    assert.equal("fleet.deadline", report.results[1].err.reason)
    assert.is_false(left(e, "web-01"))
  end)
end)
