-- SPDX-License-Identifier: MIT
-- The emulator's rights, providers, extensions, run commands and defects.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local json = require "arclua.json"
local emulated = require "emulated"

local function with(name, opts, fn)
  opts.operation_time = opts.operation_time or 0.05
  emulated.spec(name, opts, fn)
end

local ENTRA = { publisher = "Microsoft.Azure.ActiveDirectory", type = "AADSSHLoginForLinux" }

-- A token of another application of the emulator's.
local function token_of(e, env)
  local _, body = emulated.post(e, { client_id = env.AZURE_CLIENT_ID,
    client_secret = env.AZURE_CLIENT_SECRET })
  return body.access_token
end

local function call(e, method, path, body, token)
  return emulated.arm(e, method, path, { token = token, body = body and json.encode(body),
    version = "2025-01-13" })
end

-- Polls an operation to its end: its last body.
local function finish(e, headers)
  local url = headers["azure-asyncoperation"]
  while true do
    local status, body = emulated.arm(e, "GET", url, { version = false })
    assert.equal(200, status)
    if body.status ~= "InProgress" and body.status ~= "Queued" and body.status ~= "Running" then
      return body
    end
    core.sleep(0.02)
  end
end

describe("emulator: rights", function()
  with("are nothing against a lock (85)", { machines = { { name = "locked",
    defects = { "locked" } } } }, function(e)
    local status, body = emulated.credentials(e, "locked")
    assert.equal(409, status)
    assert.equal("ScopeLocked", body.error.code)
    assert.equal(200, (call(e, "GET", e:machine "locked".id)))
  end)

  with("refuse before existence, and are inherited (85)", { machines = 3 }, function(e)
    local web, db = e:machine "web-01".id, e:machine "db-01".id
    local reader = token_of(e, e:principal { roles = { "Reader" }, scope = web })
    assert.equal(200, (call(e, "GET", web, nil, reader)))
    local status, body = call(e, "GET", db, nil, reader)
    assert.equal(403, status)
    assert.equal("AuthorizationFailed", body.error.code)
    assert.matches("Microsoft.HybridCompute/machines/read", body.error.message, 1, true)
    assert.equal(403, (call(e, "GET", db .. "-absent", nil, reader)))
    assert.equal(404, (call(e, "GET", db .. "-absent")))
    local group = token_of(e, e:principal { roles = { "Reader" },
      scope = db:match "^(.-)/providers" })
    assert.equal(200, (call(e, "GET", db, nil, group)))
    status, body = emulated.arm(e, "POST", emulated.endpoint(e, "db-01") .. "/listCredentials",
      { token = group, body = "{}" })
    assert.equal(403, status)
    assert.matches("endpoints/listCredentials/action", body.error.message, 1, true)
  end)

  with("are told for the caller, one set a role", { machines = 1, page_size = 1 }, function(e)
    local web = e:machine "web-01".id
    local token = token_of(e, e:principal { roles = { "Reader", "Virtual Machine User Login" } })
    local url, sets = web .. "/providers/Microsoft.Authorization/permissions", {}
    while url do
      local status, body = call(e, "GET", url, nil, token)
      assert.equal(200, status)
      table.move(body.value, 1, #body.value, #sets + 1, sets)
      url = body.nextLink
    end
    assert.equal(2, #sets)
    assert.same({ "*/read" }, sets[1].actions)
    assert.equal("Microsoft.HybridCompute/machines/login/action", sets[2].dataActions[2])
  end)

  with("trim what lists and Resource Graph show", { machines = 3 }, function(e)
    local token = token_of(e, e:principal { roles = { "Reader" }, scope = e:machine "web-01".id })
    local body = json.encode { query = "Resources | project id, name | order by id asc",
      options = { resultFormat = "objectArray" } }
    local _, found = emulated.arm(e, "POST", "/providers/Microsoft.ResourceGraph/resources",
      { token = token, body = body, version = "2022-10-01",
        headers = { ["Content-Type"] = "application/json" } })
    assert.equal(1, #found.data)
    assert.equal("web-01", found.data[1].name)
    _, found = call(e, "GET", "/subscriptions/" .. e.state.subscriptions[1].id .. "/resources",
      nil, token)
    assert.equal(1, #found.value)
  end)

  with("hide subscriptions that one has no role in", { machines = 1 }, function(e)
    local token = token_of(e, e:principal {})
    local _, body = call(e, "GET", "/subscriptions", nil, token)
    assert.same({}, body.value)
  end)

  with("are given by role assignments", { machines = 1 }, function(e)
    local web = e:machine "web-01".id
    local definitions = "/providers/Microsoft.Authorization/roleDefinitions"
    local _, found = call(e, "GET", web .. definitions .. "?$filter=roleName%20eq%20'Reader'")
    local role = found.value[1].id
    local base = web .. "/providers/Microsoft.Authorization/roleAssignments/"
    local name = core.crypto.uuid()
    local wanted = { properties = { roleDefinitionId = role, principalId = "someone" } }
    assert.equal(201, (call(e, "PUT", base .. name, wanted)))
    assert.equal(200, (call(e, "PUT", base .. name, wanted)))
    local status, body = call(e, "PUT", base .. core.crypto.uuid(), wanted)
    assert.equal(409, status)
    assert.equal("RoleAssignmentExists", body.error.code)
    _, body = call(e, "GET", base:sub(1, -2) .. "?$filter=atScope()%20and%20assignedTo('someone')")
    assert.equal(name, body.value[1].name)
    assert.equal(1, #body.value)
    assert.equal(200, (call(e, "DELETE", base .. name)))
    assert.equal(204, (call(e, "DELETE", base .. name)))
    e.state.fresh.newborn = "Group"
    wanted.properties.principalId = "newborn"
    status, body = call(e, "PUT", base .. name, wanted)
    assert.equal(400, status)
    assert.equal("PrincipalNotFound", body.error.code)
    wanted.properties.principalType = "User"
    _, body = call(e, "PUT", base .. name, wanted)
    assert.equal("UnmatchedPrincipalType", body.error.code)
    wanted.properties.principalType = "Group"
    assert.equal(201, (call(e, "PUT", base .. name, wanted)))
  end)

  it("are of roles that exist", function()
    assert.has_error(function() emulator.start { machines = 1, roles = { "King" } } end,
      "there is no role 'King'")
  end)
end)

describe("emulator: providers", function()
  with("are registered after a while", { machines = 1, registered = false, provider_delay = 0.2 },
    function(e)
    local path = "/subscriptions/" .. e.state.subscriptions[1].id
      .. "/providers/Microsoft.HybridConnectivity"
    local _, body = call(e, "GET", path)
    assert.equal("NotRegistered", body.registrationState)
    _, body = call(e, "POST", path .. "/register")
    assert.equal("Registering", body.registrationState)
    local status = call(e, "GET", emulated.endpoint(e, "web-01"))
    assert.equal(404, status)
    repeat
      core.sleep(0.02)
      _, body = call(e, "GET", path)
    until body.registrationState ~= "Registering"
    assert.equal("Registered", body.registrationState)
    assert.equal(404, (call(e, "GET", path .. "x")))
    _, body = call(e, "GET", path:match "^(.*)/")
    assert.equal(3, #body.value)
  end)
end)

describe("emulator: extensions", function()
  local function put(e, name, changes)
    local machine = e:machine(name)
    local properties = { publisher = ENTRA.publisher, type = ENTRA.type, settings = {} }
    for key, value in pairs(changes or {}) do
      properties[key] = value
    end
    return call(e, "PUT", machine.id .. "/extensions/AADSSHLogin",
      { location = machine.location, properties = properties })
  end

  with("are installed and removed by long-running operations", { operation_time = 0.1,
    machines = { { name = "web-01", extensions = {} } } }, function(e)
    local path = e:machine "web-01".id .. "/extensions/AADSSHLogin"
    assert.equal(404, (call(e, "GET", path)))
    local status, body, headers = put(e, "web-01")
    local _
    assert.equal(202, status)
    assert.is_nil(body)
    _, body = call(e, "GET", path)
    assert.equal("Creating", body.properties.provisioningState)
    assert.is_nil(body.properties.instanceView)
    status, body = put(e, "web-01")
    assert.equal(409, status)
    assert.equal("HCRP409", body.error.code)
    assert.equal("Succeeded", finish(e, headers).status)
    _, body = call(e, "GET", path)
    assert.equal("Succeeded", body.properties.provisioningState)
    assert.equal("0", body.properties.instanceView.status.code)
    _, body = call(e, "GET", path:match "^(.*)/")
    assert.equal(1, #body.value)
    _, body = call(e, "GET", e:machine "web-01".id)
    assert.equal(ENTRA.type, body.resources[1].properties.type)
    status, _, headers = call(e, "DELETE", path)
    assert.equal(202, status)
    assert.equal("Succeeded", finish(e, headers).status)
    assert.equal(204, (call(e, "DELETE", path)))
  end)

  with("fail where the agent may not, or cannot", { machines = {
    { name = "monitor", defects = { "monitor-mode" } },
    { name = "off", defects = { "extensions-off" } },
    { name = "broken", defects = { "extension-failed" } },
    { name = "blocked", agent_config = { blocklist = {
      "Microsoft.Azure.ActiveDirectory/AADSSHLoginForLinux" } }, extensions = {} },
    { name = "win", os = "windows" } } }, function(e)
    for _, machine in ipairs(e.state.machines) do
      local status, _, headers = put(e, machine.name)
      assert.equal(202, status, machine.name)
      local ended = finish(e, headers)
      assert.equal("Failed", ended.status)
      assert.equal("ExtensionOperationFailure", ended.error.code)
      local _, body = call(e, "GET", machine.id .. "/extensions/aadsshlogin")
      assert.equal("Failed", body.properties.provisioningState)
    end
  end)

  with("refuse what is none", { machines = 1 }, function(e)
    local machine = e:machine "web-01"
    local path = machine.id .. "/extensions/x"
    assert.equal(400, (call(e, "PUT", path, { location = "moon", properties = {
      publisher = "a", type = "b" } })))
    assert.equal(400, (call(e, "PUT", path, { location = machine.location, properties = {} })))
    assert.equal(400, (call(e, "PUT", path, {})))
    assert.equal(405, (call(e, "POST", path, {})))
  end)
end)

describe("emulator: run commands", function()
  local function put(e, name, properties, id)
    local machine = e:machine(name)
    return call(e, "PUT", machine.id .. "/runCommands/" .. (id or "one"),
      { location = machine.location, properties = properties })
  end

  local function run(e, name, properties)
    local status, body, headers = put(e, name, properties)
    assert.is_true(status == 200 or status == 201, status)
    assert.equal("Creating", body.properties.provisioningState)
    local ended = finish(e, headers)
    assert.equal("Succeeded", ended.status)
    return ended.properties.properties
  end

  with("really run, as the machine's user, in its home", { machines = 1 }, function(e)
    local ran = run(e, "web-01", { source = { script = 'echo "$ARC_MACHINE $A $B $1"; pwd; '
      .. 'echo bad >&2; touch was-here; exit 3' },
      parameters = { { name = "A", value = "a" }, { name = "", value = "first" } },
      protectedParameters = { { name = "B", value = "secret" } } })
    local view = ran.instanceView
    assert.equal("Failed", view.executionState)
    assert.equal(3, view.exitCode)
    assert.equal("web-01 a secret first\n" .. e:home "web-01" .. "\n", view.output)
    assert.equal("bad\n", view.error)
    assert.same({ { name = "B" } }, ran.protectedParameters)
    assert.truthy(core.sys.stat(e:home "web-01" .. "/was-here"))
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%d%d%+00:00$", view.startTime)
  end)

  with("keep the last 4 KB", { machines = 1 }, function(e)
    local ran = run(e, "web-01", { source = { script = "seq 1 5000" } })
    assert.equal(4096, #ran.instanceView.output)
    assert.equal("5000\n", ran.instanceView.output:sub(-5))
  end)

  with("end after their time", { machines = 1 }, function(e)
    local ran = run(e, "web-01", { source = { script = "echo begun; sleep 60" },
      timeoutInSeconds = 1 })
    assert.equal("TimedOut", ran.instanceView.executionState)
    assert.equal("begun\n", ran.instanceView.output)
  end)

  with("run again with every PUT, whatever it changes", { machines = 1 }, function(e)
    local spec = { source = { script = "echo x >> count" } }
    run(e, "web-01", spec)
    run(e, "web-01", spec)
    assert.equal("x\nx\n", core.sys.read_file(e:home "web-01" .. "/count"))
  end)

  with("are ended by a DELETE", { machines = 1 }, function(e)
    local path = e:machine "web-01".id .. "/runCommands/one"
    put(e, "web-01", { source = { script = "echo $$ > pid; sleep 60" } })
    local home = e:home "web-01"
    repeat
      core.sleep(0.02)
      local pid = core.sys.read_file(home .. "/pid")
    until pid and pid ~= ""
    local status, _, headers = call(e, "DELETE", path)
    assert.equal(202, status)
    assert.equal("Succeeded", finish(e, headers).status)
    assert.equal(404, (call(e, "GET", path)))
    local pid = core.sys.read_file(home .. "/pid"):match "%d+"
    while core.sys.stat("/proc/" .. pid) do
      core.sleep(0.02)
    end
  end)

  with("say when they have started, with asyncExecution", { machines = 1 }, function(e)
    local _, _, headers = put(e, "web-01", { source = { script = "sleep 0.3" },
      asyncExecution = true })
    assert.equal("Running", finish(e, headers).properties.properties.instanceView.executionState)
    local _, body
    repeat
      core.sleep(0.02)
      _, body = call(e, "GET", e:machine "web-01".id .. "/runCommands/one")
    until body.properties.instanceView.executionState ~= "Running"
    assert.equal("Succeeded", body.properties.instanceView.executionState)
  end)

  with("are PowerShell on Windows", { machines = { { name = "win", os = "windows" } } },
    function(e)
    local ran = run(e, "win", { source = { script = "Write-Output 'a b'; exit 4" } })
    assert.equal("a b\r\n", ran.instanceView.output)
    assert.equal(4, ran.instanceView.exitCode)
  end)

  with("have limits", { machines = { { name = "web-01" },
    { name = "old", agent_version = "1.32.1" }, { name = "off", agent_config = {
      extensions_enabled = false } } } }, function(e)
    local spec = { source = { script = "true" } }
    for i = 1, 25 do
      assert.equal(201, (put(e, "web-01", spec, "r" .. i)))
    end
    local _
    local status, body = put(e, "web-01", spec, "r26")
    assert.equal(400, status)
    assert.equal("HCRP400", body.error.code)
    assert.equal(200, (put(e, "web-01", spec, "r25")))
    assert.equal(400, (put(e, "web-01", spec, ("x"):rep(37))))
    assert.equal(400, (put(e, "old", spec)))
    assert.equal(400, (put(e, "off", spec)))
    assert.equal(400, (put(e, "web-01", { source = { scriptUri = "https://x" } })))
    _, body = call(e, "GET", e:machine "web-01".id .. "/runcommands")
    assert.equal(25, #body.value)
  end)
end)

describe("emulator: defects", function()
  with("are put on machines by name", { machines = 5, defects = { ["web-01"] = "old-agent",
    ["web-02"] = { "expired", "region" } } }, function(e)
    local _, body = call(e, "GET", e:machine "web-01".id)
    assert.equal("1.4.02015.1", body.properties.agentVersion)
    _, body = call(e, "GET", e:machine "web-02".id)
    assert.equal("Expired", body.properties.status)
    assert.equal("antarcticasouth", body.location)
    _, body = call(e, "GET", "/subscriptions/" .. e.state.subscriptions[1].id
      .. "/providers/Microsoft.HybridConnectivity")
    assert.same({ "West Europe", "North Europe" }, body.resourceTypes[1].locations)
  end)

  it("are of the list, on machines that exist", function()
    assert.has_error(function()
      emulator.start { machines = 1, defects = { ["web-01"] = "rust" } }
    end)
    assert.has_error(function()
      emulator.start { machines = 1, defects = { nobody = "old-agent" } }
    end, "there is no machine 'nobody'")
  end)
end)
