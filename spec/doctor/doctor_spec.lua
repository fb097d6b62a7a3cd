-- SPDX-License-Identifier: MIT
-- The doctor on emulated estates.
local core = require "arclua.core"
local emulated = require "emulated"
local errors = require "arclua.errors"
local permissions = require "arclua.arm.permissions"
local signed = require "signed"

local with = emulated.spec

-- The finding of a check on a machine.
local function found(report, name, check)
  for _, it in ipairs(report.results) do
    if it.machine.name == name then
      return assert(it.by[check], ("%s has no finding '%s'"):format(name, check)), it
    end
  end
  error("no machine " .. name)
end

local function shared(report, check)
  for _, finding in ipairs(report.hosts) do
    if finding.check == check then
      return finding
    end
  end
end

local function state_of(report, name)
  for _, it in ipairs(report.results) do
    if it.machine.name == name then
      return it:state()
    end
  end
end

-- Waits for agents and greetings that never come pass faster.
local function hurried(fn)
  local before = core.scale(3)
  local ok, out = pcall(fn)
  core.scale(before or 1)
  return ok and out or error(out, 0)
end

-- Twelve machines, each with a defect of its own, and one that is well: what must be found.
local ESTATE = {
  { "well", nil, nil, "ok" },
  { "p-unregistered", "unregistered", "provider", "az provider register" },
  { "p-endpoint", "no-endpoint", "endpoint", "arclua enable {machine}" },
  { "p-service", "no-service", "service-configuration", "arclua enable {machine}" },
  { "p-agent", "old-agent", "agent-version", "azcmagent" },
  { "p-away", "disconnected", "status", "systemctl restart himdsd" },
  { "p-expired", "expired", "status", "azcmagent connect" },
  { "p-incoming", "incoming-off", "sshd", "incomingconnections.enabled true" },
  { "p-sshd", "sshd-down", "sshd", "systemctl enable --now ssh" },
  { "p-mode", "monitor-mode", "agent-mode", "config.mode full" },
  { "p-extension", "no-extension", "extension", "arclua enable {machine} --entra" },
  { "p-rights", "no-rights", "right-connect", "Virtual Machine Local User Login" },
  { "p-region", "region", "region", "another region" },
}

local function machines()
  local specs = {}
  for i, row in ipairs(ESTATE) do
    specs[i] = { name = row[1], defects = row[2] and { row[2] } or nil, group = "rg-a",
      subscription = row[2] == "unregistered" and 2 or 1 }
  end
  return specs
end

describe("the doctor", function()
  with("names twelve defects, each with its remedy",
    { machines = machines(), subscriptions = 2 }, function(e)
    local report = hurried(function()
      return assert(signed.in_to(e):doctor(nil, { entra = true }))
    end)
    assert.equal(#ESTATE, #report.results)
    for _, row in ipairs(ESTATE) do
      if row[2] then
        local finding = found(report, row[1], row[3])
        assert.equal("failed", finding.state, row[1])
        assert.is_truthy(finding.remedy:find(row[4], 1, true), row[1] .. ": " .. finding.remedy)
        assert.equal("failed", state_of(report, row[1]))
      else
        assert.equal("ok", state_of(report, row[1]), row[1])
      end
    end
    assert.equal(5, report:exit_status())
    assert.same({ ok = 1, warning = 0, failed = 12, unknown = 0 }, report:counts())
  end)

  with("finds nothing where all is well, and leaves no trace", { machines = 3 }, function(e)
    local report = assert(signed.in_to(e):doctor())
    assert.equal(0, report:exit_status())
    assert.matches("^3 ok in ", report:summary())
    for _, check in ipairs { "entra-host", "arm-host", "relay-host", "clock" } do
      assert.equal("ok", shared(report, check).state, check)
    end
    local finding = found(report, "web-01", "sshd")
    assert.matches("^SSH%-2%.0%-OpenSSH", finding.detail)
    finding = found(report, "web-01", "host-key")
    assert.matches("^ssh%-ed25519 SHA256:", finding.detail)
    assert.equal("", core.sys.read_file(e.env.ARCLUA_KNOWN_HOSTS))
    assert.same({}, e:sessions "web-01")
    assert.equal(0, e.log:count { event = "service-put" })
  end)

  with("asks per-subscription things once, and one read and one write a machine",
    { machines = 10 }, function(e)
    assert(signed.in_to(e):doctor(nil, { entra = true }))
    local asked = { providers = 0, listcredentials = 0, ssh = 0, permissions = 0 }
    for _, event in ipairs(e.log:find { event = "arm" }) do
      local last = event.path:lower():match "[^/]+$"
      last = last:find "^microsoft%.hybrid" and "providers" or last
      asked[last] = (asked[last] or 0) + 1
    end
    assert.equal(2, asked.providers)
    assert.equal(10, asked.listcredentials)
    assert.equal(10, asked.ssh)
    assert.equal(3, asked.permissions) -- one a group
    assert.equal(3, asked.resources) -- of Resource Graph: machines, agents, extensions
    assert.is_nil(asked["web-01"])
  end)

  with("knows an extension by publisher and type, whatever its name (35)", { machines = {
    { name = "named", extensions = { { name = "TheLogin", type = "aadsshloginforlinux",
      publisher = "microsoft.azure.activedirectory" } } },
    { name = "namesake", extensions = { { name = "AADSSHLogin", type = "Other",
      publisher = "Someone" } } },
    { name = "failed", defects = { "extension-failed" } },
    { name = "off", defects = { "extensions-off" } },
    { name = "win", os = "windows" },
  } }, function(e)
    local az = signed.in_to(e)
    local report = assert(az:doctor(nil, { entra = true }))
    assert.equal("ok", found(report, "named", "extension").state)
    assert.equal("failed", found(report, "namesake", "extension").state)
    local finding = found(report, "failed", "extension")
    assert.equal("failed", finding.state)
    assert.matches("Install: 23", finding.detail, 1, true)
    assert.matches("extensions.enabled true", found(report, "off", "extension").remedy, 1, true)
    assert.equal("failed", found(report, "win", "sign-in").state)
    report = assert(az:doctor())
    assert.equal("warning", found(report, "failed", "extension").state)
    assert.equal("ok", state_of(report, "namesake"))
    assert.equal(0, report:exit_status())
  end)

  with("says what else may be wrong", { machines = {
    { name = "port", ssh_port = 22, defects = { "wrong-port" } },
    { name = "noise", defects = { "no-ssh" } },
    { name = "listed", defects = { "port-not-listed" } },
    { name = "private", defects = { "private-link" } },
    { name = "zombie", status = "Zombie" },
    { name = "guest", status = "AwaitingConnection" },
    { name = "odd", agent_version = "newest" },
    { name = "locked", defects = { "locked" } },
  } }, function(e)
    local report = hurried(function()
      return assert(signed.in_to(e):doctor())
    end)
    assert.matches("--port 22 --replace", found(report, "port", "sshd").remedy, 1, true)
    assert.matches("no SSH server", found(report, "noise", "sshd").message, 1, true)
    assert.equal("warning", found(report, "listed", "incoming-ports").state)
    assert.matches("incomingconnections.ports 22", found(report, "listed",
      "incoming-ports").remedy, 1, true)
    assert.equal("warning", found(report, "private", "private-link").state)
    assert.matches("Zombie", found(report, "zombie", "status").message, 1, true)
    assert.matches("guest management", found(report, "guest", "status").message, 1, true)
    assert.equal("unknown", found(report, "odd", "agent-version").state)
    assert.matches("ScopeLocked", found(report, "locked", "right-connect").message, 1, true)
    assert.matches("az lock list", found(report, "locked", "right-connect").remedy, 1, true)
    assert.equal(4, report:exit_status())
  end)

  with("says which role lacks what", { machines = 2 }, function(e)
    local function judge(names)
      local report = assert(signed.in_to(e, (e:principal { roles = names })):doctor(nil,
        { entra = true }))
      return report
    end
    local report = judge { "Reader" }
    local finding = found(report, "web-01", "right-connect")
    assert.matches("endpoints/listCredentials/action", finding.message, 1, true)
    assert.equal("right-connect", found(report, "web-01", "sshd").because)
    assert.equal("ok", found(report, "web-01", "service-configuration").state)
    report = judge { "Virtual Machine Local User Login" }
    assert.equal("ok", found(report, "web-01", "sshd").state)
    assert.equal("failed", found(report, "web-01", "right-entra").state)
    assert.equal("Virtual Machine User Login", found(report, "web-01", "right-entra").remedy
      :match '"(.-)"')
    report = judge { "Virtual Machine User Login" }
    assert.equal("ok", found(report, "web-01", "right-entra").state)
    assert.matches("cannot be read with your roles", found(report, "web-01",
      "service-configuration").message, 1, true)
    assert.matches("without sudo", found(report, "web-01", "right-entra").message, 1, true)
    report = judge { "Contributor" }
    assert.equal("failed", found(report, "web-01", "right-entra").state)
    report = judge { "Azure Connected Machine Resource Administrator" }
    assert.matches("exec {machine} --via run-command --as-root -- COMMAND", found(report, "web-01",
      "right-connect").remedy, 1, true)
    report = judge { "Virtual Machine Administrator Login" }
    assert.matches("use sudo", found(report, "web-01", "right-entra").message, 1, true)
  end)

  with("says who may register the provider", { machines = 1, registered = false }, function(e)
    local report = assert(signed.in_to(e, (e:principal { roles = { "Reader" } })):doctor())
    assert.equal("warning", found(report, "web-01", "right-register").state)
    report = assert(signed.in_to(e):doctor())
    assert.equal("ok", found(report, "web-01", "right-register").state)
    assert.equal("provider", found(report, "web-01", "endpoint").because)
  end)

  with("believes a connection where the provider may not be looked at", { machines = 1 },
    function(e)
    local az = signed.in_to(e)
    local request = az.arm.request
    function az.arm.request(client, opts)
      if opts.path and opts.path:find "^/subscriptions/[^/]+/providers/[^/]+$" then
        return errors.fail { code = "denied", message = "roles in a group only" }
      end
      return request(client, opts)
    end
    local report = assert(az:doctor())
    assert.equal("ok", found(report, "web-01", "provider").state)
    assert.equal(0, report:exit_status())
  end)

  with("leaves the machines' own provider to its owner", { machines = 1 }, function(e)
    e.state.subscriptions[1].providers["microsoft.hybridcompute"].state = "NotRegistered"
    local az = signed.in_to(e)
    local report = assert(az:doctor(nil, { fix = true, consent = function() return true end }))
    local finding = found(report, "web-01", "provider")
    assert.matches("^Microsoft.HybridCompute is not registered", finding.message)
    assert.is_nil(finding.remedy:find("--fix", 1, true))
    assert.same({}, report.changes)
  end)

  with("says who may set up, where that is missing", { machines = 1, setup = "none" }, function(e)
    local report = assert(signed.in_to(e, (e:principal { roles = { "Reader",
      "Virtual Machine Local User Login" } })):doctor())
    assert.equal("failed", found(report, "web-01", "endpoint").state)
    assert.equal("warning", found(report, "web-01", "right-setup").state)
    report = assert(signed.in_to(e):doctor())
    assert.equal("ok", found(report, "web-01", "right-setup").state)
  end)

  with("reads permissions over pages (68)", { machines = 1, page_size = 1 }, function(e)
    local env = e:principal { roles = { "Reader", "Virtual Machine Local User Login",
      "Virtual Machine User Login" } }
    local az = signed.in_to(e, env)
    assert.equal(3, #assert(permissions.sets(az.arm, e:machine "web-01".id)))
    local none, err = permissions.sets(az.arm, e:machine "web-01".id .. "x/y")
    assert.is_nil(none)
    assert.equal(404, err.status)
  end)

  with("counts roles that are inherited from the group", { machines = { { name = "web-01" },
    { name = "web-02" }, { name = "other", group = "rg-other" } } }, function(e)
    local group = e:machine "web-01".id:match "^(.-)/providers"
    local env = e:principal { roles = { "Virtual Machine User Login" }, scope = group }
    local report = assert(signed.in_to(e, env):doctor(nil, { entra = true }))
    assert.equal(2, #report.results)
    assert.equal("ok", found(report, "web-01", "right-entra").state)
    assert.equal("ok", found(report, "web-02", "right-connect").state)
  end)

  with("sees a host key that has changed", { machines = 1 }, function(e)
    local az = signed.in_to(e)
    local alias = assert(az:machine "web-01"):alias()
    local other = assert(core.ssh.keygen(e.dir .. "/other"))
    assert(core.sys.write_file(e.env.ARCLUA_KNOWN_HOSTS, alias .. " " .. other .. "\n"))
    local finding = found(assert(az:doctor()), "web-01", "host-key")
    assert.equal("failed", finding.state)
    assert.matches("ssh-keygen -R " .. alias, finding.remedy, 1, true)
  end)

  with("judges the clock and the hosts", { machines = 1, faults = {
    { at = "clock", kind = "skew", seconds = -100 } } }, function(e)
    local report = assert(signed.in_to(e):doctor())
    local finding = shared(report, "clock")
    assert.equal("warning", finding.state)
    assert.matches("10%d s ahead", finding.message)
    assert.matches("timedatectl", finding.remedy, 1, true)
  end)

  with("asks ARM where Resource Graph is denied", { machines = { { name = "web-01",
    extensions = {} } }, faults = { { at = "arm", kind = "answer", status = 403,
    code = "AuthorizationFailed", message = "no", path = "/microsoft%.resourcegraph/" } } },
    function(e)
    local report = assert(signed.in_to(e):doctor(nil, { entra = true }))
    assert.equal("failed", found(report, "web-01", "extension").state)
    assert.equal("ok", found(report, "web-01", "agent-mode").state)
  end)

  with("tells what it could not judge, and why", { machines = 1, faults = {
    { at = "arm", kind = "answer", status = 400, code = "Odd", message = "an odd answer",
      path = "/listcredentials$" } } }, function(e)
    local report = assert(signed.in_to(e):doctor())
    local finding = found(report, "web-01", "endpoint")
    assert.equal("unknown", finding.state)
    assert.matches("an odd answer", finding.message, 1, true)
    assert.equal(4, report:exit_status())
  end)

  with("can be stopped", { machines = 2, faults = { { at = "relay", kind = "black-hole" } } },
    function(e)
    local az = signed.in_to(e)
    local list = assert(az:machines())
    local task = core.spawn(function() return az:doctor(list) end)
    while e.log:count { event = "credentials" } < 2 do
      core.sleep(0.01)
    end
    task:cancel()
    local report = task:await()
    assert.equal("stopped", report.why)
    assert.equal(130, report:exit_status())
    assert.equal(2, #report.results)
  end)
end)

describe("the doctor with fix", function()
  with("mends what may be mended, after consent, and looks again", { subscriptions = 2,
    operation_time = 0.05, provider_delay = 0.05, machines = {
    { name = "bare", setup = "none" }, { name = "half", defects = { "no-service" } },
    { name = "entra", extensions = {} }, { name = "new", setup = "none", subscription = 2,
      defects = { "unregistered" }, group = "rg-b" } } }, function(e)
    local asked = {}
    local report = assert(signed.in_to(e):doctor(nil, { entra = true, fix = true,
      consent = function(text)
        asked[#asked + 1] = text
        return true
      end }))
    assert.equal(3, #asked)
    assert.matches("^register Microsoft.HybridConnectivity", asked[1])
    assert.matches("3 machines %(bare,half,new%)", asked[2])
    assert.matches("^install the extension", asked[3])
    assert.equal(0, report:exit_status(), report:summary())
    assert.is_true(#report.changes >= 6)
    assert.equal(0, assert(signed.in_to(e):doctor()):exit_status())
  end)

  with("changes nothing without consent", { machines = { { name = "bare", setup = "none" } } },
    function(e)
    local az = signed.in_to(e)
    local report = assert(az:doctor(nil, { fix = true, consent = function() return false end }))
    assert.equal("failed", state_of(report, "bare"))
    assert(az:doctor(nil, { fix = true }))
    assert.equal(0, e.log:count { event = "endpoint-put" })
  end)

  with("tells what could not be mended", { machines = { { name = "poor", setup = "none" } } },
    function(e)
    local env = e:principal { roles = { "Reader", "Virtual Machine Local User Login" } }
    local report = assert(signed.in_to(e, env):doctor(nil, { fix = true,
      consent = function() return true end }))
    assert.equal(1, #report.changes)
    assert.equal("denied", report.changes[1].err.code)
    assert.equal(5, report:exit_status())
  end)

  with("keeps what was found when it is stopped while mending", { machines = 1,
    registered = false, provider_delay = 1000 }, function(e)
    local az = signed.in_to(e)
    local task = core.spawn(function()
      return az:doctor(nil, { fix = true, consent = function() return true end })
    end)
    while e.log:count { event = "provider" } < 1 do
      core.sleep(0.01)
    end
    task:cancel()
    local report = task:await()
    assert.equal("stopped", report.why)
    assert.equal(130, report:exit_status())
    assert.equal("failed", found(report, "web-01", "provider").state)
  end)
end)
