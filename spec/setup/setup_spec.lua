-- SPDX-License-Identifier: MIT
-- enable and disable against the emulator.
local core = require "arclua.core"
local emulated = require "emulated"
local errors = require "arclua.errors"
local signed = require "signed"

local with = emulated.spec

local ENTRA = { { name = "AADSSHLoginForLinux", type = "AADSSHLoginForLinux",
  publisher = "Microsoft.Azure.ActiveDirectory" } }
local SOMEONE = "33333333-cccc-4ddd-8eee-000000000001"

local function record(report, name)
  for _, one in ipairs(report.results) do
    if one.name == name then
      return one
    end
  end
end

local function kinds(one)
  local out = {}
  for i, step in ipairs(one.steps) do
    out[i] = step.kind
  end
  return table.concat(out, " ")
end

describe("enable", function()
  with("makes what is missing, and nothing else", { operation_time = 0.05, machines = {
    { name = "bare", setup = "none", extensions = ENTRA },
    { name = "half", setup = "endpoint", extensions = ENTRA },
    { name = "done", extensions = ENTRA }, { name = "entra" } } }, function(e)
    local az = signed.in_to(e)
    local report = assert(az:enable({}, { entra = true }))
    assert.equal("endpoint service", kinds(record(report, "bare")))
    assert.equal("service", kinds(record(report, "half")))
    assert.equal("unchanged", record(report, "done").state)
    assert.equal("extension", kinds(record(report, "entra")))
    assert.equal(0, report:exit_status())
    assert.matches("^3 changed, 1 unchanged in ", report:summary())
    assert.equal(1, e.log:count { event = "endpoint-put" })
    assert.equal(2, e.log:count { event = "service-put" })
    report = assert(az:enable({}, { entra = true }))
    assert.is_false(report:has_changes())
    assert.equal(2, e.log:count { event = "service-put" })
    local entra = e:machine "entra".extensions[1]
    assert.equal("AADSSHLoginForLinux", entra.type)
    assert.equal("Succeeded", entra.state)
  end)

  with("plans only, with dry_run", { machines = { { name = "bare", setup = "none" } } },
    function(e)
    local report = assert(signed.in_to(e):enable({}, { dry_run = true }))
    assert.equal("planned", report.results[1].state)
    assert.matches("create the connectivity endpoint: bare (1)", report:plan(), 1, true)
    assert.equal(0, e.log:count { event = "endpoint-put" })
    assert.equal(0, report:exit_status())
  end)

  with("changes nothing when the plan is refused", { machines = { { name = "bare",
    setup = "none" } } }, function(e)
    local shown
    local report = assert(signed.in_to(e):enable({}, { confirm = function(plan)
      shown = plan:plan()
      return false
    end }))
    assert.matches("let SSH through to port 22: bare", shown, 1, true)
    assert.equal("planned", report.results[1].state)
    assert.equal(4, report:exit_status())
    assert.equal(0, e.log:count { event = "endpoint-put" })
  end)

  with("changes a port only when that is said (7)", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    local report = assert(az:enable({}, { port = 2222 }))
    assert.equal("failed", report.results[1].state)
    assert.equal("config", report.results[1].err.code)
    assert.equal(22, e:machine "web-01".services.ssh.port)
    report = assert(az:enable({}, { port = 2222, replace = true, wait = false }))
    assert.equal("changed", report.results[1].state)
    assert.equal(2222, e:machine "web-01".services.ssh.port)
    report = assert(az:enable({}, { port = 2222 }))
    assert.equal("unchanged", report.results[1].state)
    report = assert(az:enable {})
    assert.equal("unchanged", report.results[1].state)
    report = assert(az:enable({}, { port = 22, replace = true }))
    assert.equal("changed", report.results[1].state)
  end)

  with("waits until the agent has heard of it, and tells that", { registration_delay = 2,
    machines = { { name = "bare", setup = "none" }, { name = "off", setup = "none",
      status = "Disconnected" } } }, function(e)
    local told = {}
    local report = assert(signed.in_to(e):enable({}, { on_wait = function(machine, text)
      told[#told + 1] = machine.name .. ": " .. text
    end }))
    assert.equal("changed", record(report, "bare").state)
    assert.equal("changed", record(report, "off").state)
    assert.matches("^bare: waiting for the agent", told[1])
    assert.is_true(report.seconds >= 1.5)
    assert.is_not_nil((emulated.session(e, "bare")))
  end)

  with("says when the agent does not answer after all", { machines = { { name = "bare",
    setup = "none", agent_config = { incoming = false } } } }, function(e)
    local az = signed.in_to(e)
    local before = core.scale(60)
    local report = assert(core.shield(400, function() return az:enable {} end))
    core.scale(before or 1)
    assert.equal("unreachable", report.results[1].state)
    assert.equal("relay.no-listener", report.results[1].err.reason)
    assert.same({ "endpoint created", "SSH let through to port 22" }, report.results[1].changes)
    assert.equal(4, report:exit_status())
  end)

  with("registers the provider first, to the end (62)", { registered = false,
    provider_delay = 0.05, machines = { { name = "bare", setup = "none" } } }, function(e)
    local report = assert(signed.in_to(e):enable {})
    assert.equal(1, #report.providers)
    assert.equal("changed", report.results[1].state)
    assert.equal(1, e.log:count { event = "provider" })
    assert.is_not_nil((emulated.session(e, "bare")))
  end)

  with("plans the provider, too", { registered = false, machines = 2 }, function(e)
    local report = assert(signed.in_to(e):enable({}, { dry_run = true }))
    assert.equal("planned", report.results[2].state)
    assert.equal("provider", kinds(report.results[2]))
    assert.matches("^register Microsoft.HybridConnectivity in .* need: web%-%[01%-02%] %(2%)\n$",
      report:plan())
    assert.matches("^2 planned in ", report:summary())
    assert.equal(0, e.log:count { event = "provider" })
  end)

  with("can be stopped while a provider is being registered", { registered = false,
    provider_delay = 1000, machines = 2 }, function(e)
    local az = signed.in_to(e)
    local task = core.spawn(function() return az:enable {} end)
    while e.log:count { event = "provider" } < 1 do
      core.sleep(0.01)
    end
    task:cancel()
    local report = task:await()
    assert.equal(130, report:exit_status())
    assert.equal("cancelled", report.results[1].state)
    assert.equal("cancelled", report.results[2].state)
  end)

  with("needs no look at the provider", { machines = { { name = "bare", setup = "none" } } },
    function(e)
    local az = signed.in_to(e)
    local request = az.arm.request
    function az.arm.request(client, opts)
      if opts.path and opts.path:find "^/subscriptions/[^/]+/providers/[^/]+$" then
        return errors.fail { code = "denied", message = "roles in a group only" }
      end
      return request(client, opts)
    end
    assert.equal("changed", assert(az:enable {}).results[1].state)
    assert.equal(1, e.log:count { event = "endpoint-put" })
  end)

  with("forgets kept credentials also where a later step fails", { operation_time = 0.05,
    machines = { { name = "broken", defects = { "extension-failed" } } } }, function(e)
    local az = signed.in_to(e)
    local machine = assert(az:machine "broken")
    assert(az.connectivity:access(machine, {}))
    local report = assert(az:enable({ machine }, { port = 2222, replace = true, entra = true }))
    assert.same({ "SSH port changed to 2222" }, report.results[1].changes)
    assert.equal("failed", report.results[1].state)
    assert.equal(2222, assert(az.connectivity:access(machine, {})).port)
  end)

  with("says who may register, where one may not (64)", { registered = false, machines = 1 },
    function(e)
    local env = e:principal { roles = { "Reader" } }
    local report = assert(signed.in_to(e, env):enable {})
    assert.equal("denied", report.results[1].err.code)
    assert.matches("az provider register", report.results[1].err.remedy, 1, true)
    assert.equal(5, report:exit_status())
  end)

  with("gives up on a provider that is never registered (64)", { registered = false,
    provider_delay = 100000, machines = 1 }, function(e)
    local az = signed.in_to(e)
    local before = core.scale(100)
    local report = assert(core.shield(1000, function() return az:enable {} end))
    core.scale(before or 1)
    assert.equal("timeout", report.results[1].err.code)
    assert.matches("still registering after 300 s", report.results[1].err.message, 1, true)
  end)

  with("names what it may not do", { machines = { { name = "bare", setup = "none" } } },
    function(e)
    local env = e:principal { roles = { "Reader" } }
    local report = assert(signed.in_to(e, env):enable {})
    assert.equal("failed", report.results[1].state)
    assert.equal("arm.authorization-failed", report.results[1].err.reason)
    assert.matches("endpoints/write", report.results[1].err.message, 1, true)
  end)

  with("tells why the extension was not installed (33)", { machines = {
    { name = "broken", defects = { "extension-failed" } }, { name = "win", os = "windows" },
    { name = "vm", type = "Microsoft.ScVmm/virtualMachines", extensions = {} } } },
    function(e)
    local report = assert(signed.in_to(e):enable({}, { entra = true }))
    assert.equal("arm.operation-failed", record(report, "broken").err.reason)
    assert.matches("Install: 23", record(report, "broken").err.message, 1, true)
    assert.equal("config", record(report, "win").err.code)
    assert.equal("config", record(report, "vm").err.code)
    assert.matches("not Microsoft.ScVmm/virtualMachines", record(report, "vm").err.message, 1, true)
    assert.equal(5, report:exit_status())
  end)

  with("gives a role, once (67)", { machines = 2 }, function(e)
    local az = signed.in_to(e)
    local opts = { assign_role = "Virtual Machine User Login", to = SOMEONE }
    local report = assert(az:enable({}, opts))
    assert.equal("role", kinds(report.results[1]))
    assert.equal(2, e.log:count { event = "role-assigned" })
    report = assert(az:enable({}, opts))
    assert.equal("unchanged", report.results[1].state)
    assert.equal(2, e.log:count { event = "role-assigned" })
    report = assert(az:enable({}, { assign_role = "King", to = SOMEONE }))
    assert.equal("notfound", report.results[1].err.code)
    report = assert(az:disable({}, { keep_ssh = true, remove_role = "Virtual Machine User Login",
      from = SOMEONE }))
    assert.equal("changed", report.results[1].state)
    assert.equal(2, e.log:count { event = "role-removed" })
  end)

  with("gives a role that is there under another name, and to a newborn (67)", { machines = 1 },
    function(e)
    local roles = require "arclua.emulator.roles"
    local az = signed.in_to(e)
    roles.assign(e.state, roles.find "Reader", SOMEONE, e:machine "web-01".id)
    -- Whoever may not read assignments gives it anyway: it exists.
    local arm_roles = require "arclua.arm.roles"
    local definition = assert(arm_roles.definition(az.arm, e.state.subscriptions[1].id, "reader"))
    assert.is_true(arm_roles.assign(az.arm, e:machine "web-01".id, definition, SOMEONE))
    e.state.fresh[SOMEONE] = "Group"
    assert.is_true(arm_roles.assign(az.arm, e:machine("web-01").id:match "^(.-)/providers",
      definition, SOMEONE))
    assert.equal(1, e.log:count { event = "role-assigned" })
  end)

  with("has options that need each other", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    assert.has_error(function() az:enable({}, { assign_role = "Reader" }) end)
    assert.has_error(function() az:disable({}, { from = SOMEONE }) end)
    assert.has_error(function() az:enable({}, { colour = "blue" }) end)
  end)

  with("can be stopped", { machines = { { name = "a", setup = "none" }, { name = "b",
    setup = "none" } }, registration_delay = 1000 }, function(e)
    local az = signed.in_to(e)
    local list = assert(az:machines())
    local task = core.spawn(function() return az:enable(list, { parallel = 1 }) end)
    while e.log:count { event = "credentials" } < 1 do
      core.sleep(0.01)
    end
    task:cancel()
    local report = task:await()
    assert.equal("stopped", report.why)
    assert.equal(130, report:exit_status())
    assert.equal("cancelled", report.results[2].state)
    assert.equal(1, e.log:count { event = "endpoint-put" })
  end)
end)

describe("disable", function()
  with("takes back what is there (16)", { operation_time = 0.05, machines = {
    { name = "done", extensions = ENTRA }, { name = "bare", setup = "none", extensions = ENTRA },
    { name = "half", setup = "endpoint", extensions = ENTRA } } }, function(e)
    local az = signed.in_to(e)
    local report = assert(az:disable({}, { entra = true }))
    assert.equal("service endpoint extension", kinds(record(report, "done")))
    assert.equal("extension", kinds(record(report, "bare")))
    assert.equal("endpoint extension", kinds(record(report, "half")))
    assert.equal(0, report:exit_status())
    assert.is_nil(e:machine "done".endpoint)
    assert.same({}, e:machine "done".extensions)
    report = assert(az:disable({}, { entra = true }))
    assert.is_false(report:has_changes())
  end)

  with("leaves an endpoint that serves something else", { machines = 1 }, function(e)
    local m = e:machine "web-01"
    m.services.wac = { name = "WAC", service = "WAC", port = 6516, created = 0 }
    local report = assert(signed.in_to(e):disable {})
    assert.equal("service", kinds(report.results[1]))
    assert.is_not_nil(m.endpoint)
  end)

  with("says so when it cannot tell what an endpoint serves", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    local list = assert(az:machines())
    function az.arm.list()
      return errors.fail { code = "unavailable", message = "not now" }
    end
    local report = assert(az:disable(list))
    assert.equal("unavailable", report.results[1].err.code)
    assert.equal(5, report:exit_status())
    assert.is_not_nil(next(e:machine("web-01").services))
  end)
end)
