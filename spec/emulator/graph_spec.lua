-- SPDX-License-Identifier: MIT
-- Resource Graph's endpoint: the queries of every inventory, pages, formats, quota, refusals.
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"

local with = emulated.spec

local MACHINES = "Resources | where type =~ 'microsoft.hybridcompute/machines' "

-- status, body, headers of a query; opts: $top ..., or subscriptions.
local function ask(e, query, opts)
  opts = opts or {}
  local options = { resultFormat = opts.format or "objectArray", ["$top"] = opts.top or 1000,
    ["$skip"] = opts.skip, ["$skipToken"] = opts.token }
  return emulated.arm(e, "POST", "/providers/Microsoft.ResourceGraph/resources",
    { version = "2022-10-01", headers = { ["Content-Type"] = opts.content or "application/json" },
      body = opts.body or json.encode { query = query, options = options,
        subscriptions = opts.subscriptions, managementGroups = opts.groups } })
end

local function rows(e, query, opts)
  local status, body = ask(e, query, opts)
  assert.equal(200, status, body.error and json.encode(body.error))
  return body.data, body
end

local function detail(body)
  return body.error.details[#body.error.details]
end

local ESTATE = { machines = 400, alike = 30, seed = 3, subscriptions = 2 }

describe("emulator: Resource Graph", function()
  with("answers the queries of an inventory", ESTATE, function(e)
    local linux = rows(e, MACHINES .. "and properties.osType =~ 'linux' and properties.osSku "
      .. "contains 'Ubuntu 24' | project id,name,osSku=tostring(properties.osSku)")
    assert.is_true(#linux > 10)
    assert.matches("^Ubuntu 24", linux[1].osSku)

    local all = rows(e, MACHINES .. "| project id, status=tostring(properties.status)")
    local away = rows(e, MACHINES .. "and properties.status in~ ('Disconnected','Expired','Error')"
      .. "| extend last=todatetime(properties.lastStatusChange) | project id,name,"
      .. "status=tostring(properties.status),days=datetime_diff('day',now(),last)"
      .. "| order by days desc")
    local connected = rows(e, MACHINES .. "and properties.status =~ 'Connected' | count")
    assert.equal(#all, #away + connected[1].Count)
    assert.is_true(away[1].days > away[#away].days)

    local old = rows(e, MACHINES .. "| extend v=tostring(properties.agentVersion) "
      .. "| where parse_version(v) < parse_version('1.31') | project id,name,v")
    assert.is_true(#old > 0)
    assert.equal("1.29.02270.1291", old[1].v)

    local spread = rows(e, MACHINES
      .. "| summarize n=count() by v=tostring(properties.agentVersion) | order by n desc")
    assert.equal("1.66.03412.2214", spread[1].v)
    assert.is_true(spread[1].n > 200)
  end)

  with("joins machines and extensions", ESTATE, function(e)
    local own = "Resources | where type =~ 'microsoft.hybridcompute/machines/extensions' "
    local with_list = rows(e, MACHINES .. "| project id,mid=tolower(id),name | join kind=leftouter "
      .. "(" .. own .. "| project mid=tolower(substring(id,0,indexof(id,'/extensions'))), "
      .. "ext=strcat(tostring(properties.publisher),'/',tostring(properties.type))) on mid "
      .. "| summarize exts=make_list(ext) by id,name")
    local machines = rows(e, MACHINES .. "| project id")
    assert.equal(#machines, #with_list)

    local without = rows(e, MACHINES .. "and properties.osType =~ 'linux' | extend mid=tolower(id) "
      .. "| join kind=leftanti (" .. own .. "and properties.type =~ 'AADSSHLoginForLinux' and "
      .. "properties.provisioningState =~ 'Succeeded' | project mid=tolower(substring(id,0,"
      .. "indexof(id,'/extensions')))) on mid | project id")
    local lacking = {}
    for _, row in ipairs(without) do
      lacking[row.id] = true
    end
    for _, machine in ipairs(e.state.machines) do
      local good = machine.extensions[1] and machine.extensions[1].type == "AADSSHLoginForLinux"
        and machine.extensions[1].state == "Succeeded"
      if machine.os == "linux" and machine.type == "Microsoft.HybridCompute/machines" then
        assert.equal(not good, lacking[machine.id] == true, machine.id)
      end
    end
    local failed = rows(e, own .. "and properties.provisioningState =~ 'Failed' | project id,"
      .. "msg=tostring(properties.instanceView.status.message)")
    assert.matches("Extension Message", failed[1].msg)
  end)

  with("has groups, subscriptions, patches; addresses and tags", ESTATE, function(e)
    local named = rows(e, MACHINES .. "| join kind=inner (ResourceContainers | where type =~ "
      .. "'microsoft.resources/subscriptions' | project subscriptionId,subName=name) "
      .. "on subscriptionId | distinct subName")
    assert.equal(2, #named)
    assert.is_true(#rows(e, MACHINES .. "| join kind=inner (ResourceContainers | where type =~ "
      .. "'microsoft.resources/subscriptions/resourcegroups' and tags['env'] =~ 'edge' | project "
      .. "resourceGroup,subscriptionId) on resourceGroup,subscriptionId | project id") > 5)
    assert.is_true(#rows(e, "PatchAssessmentResources | project id, "
      .. "c=properties.availablePatchCountByClassification.security") > 100)
    assert.equal(0, #rows(e, "AuthorizationResources | project id"))
    local web = e:machine "web-03"
    local by_address = rows(e, MACHINES .. "| mv-expand nic=properties.networkProfile."
      .. "networkInterfaces | mv-expand ip=nic.ipAddresses | where tostring(ip.address) == '"
      .. ("127.10.%d.%d"):format(web.index // 250, web.index % 250 + 1) .. "' | project id,name")
    assert.same({ { id = web.id, name = "web-03" } }, by_address)
    assert.is_true(#rows(e, MACHINES .. "| mv-expand bagexpansion=array tags | where "
      .. "tolower(tostring(tags[0])) == 'env' and tostring(tags[1]) =~ 'prod' | distinct id") > 50)
    assert.is_true(#rows(e, MACHINES .. "| summarize n=count() by kind=iff(isempty(kind),'server',"
      .. "kind)") > 3)
    assert.is_true(#rows(e, MACHINES .. "| summarize ids=make_list(id),n=count() by tolower(name) "
      .. "| where n > 1") > 0)
    assert.is_true(#rows(e, MACHINES .. "| where tostring(properties.agentConfiguration.configMode)"
      .. " =~ 'monitor' | project id") > 0)
  end)

  with("gives whole rows in the service's shape", { machines = 1 }, function(e)
    local row = rows(e, "Resources")[1]
    for _, name in ipairs { "id", "name", "type", "tenantId", "kind", "location", "resourceGroup",
      "subscriptionId", "tags", "identity", "properties" } do
      assert.is_not_nil(row[name], name)
    end
    assert.equal("microsoft.hybridcompute/machines", row.type)
    assert.equal("rg-prod", row.resourceGroup)
    for _, name in ipairs { "agentVersion", "status", "lastStatusChange", "osSku", "osType", "vmId",
      "detectedProperties", "agentConfiguration", "networkProfile", "serviceStatuses" } do
      assert.is_not_nil(row.properties[name], name)
    end
  end)

  with("pages a result as it was, once it is begun", { machines = 5 }, function(e)
    local query = "Resources | project id, name | order by id asc"
    local first, body = rows(e, query, { top = 2 })
    assert.equal(2, #first)
    assert.equal(5, body.totalRecords)
    assert.equal("false", body.resultTruncated)
    local names, token = { first[1].name, first[2].name }, body["$skipToken"]
    local removed = table.remove(e.state.machines)
    while token do
      local more
      more, body = rows(e, query, { top = 2, token = token })
      for _, row in ipairs(more) do
        names[#names + 1] = row.name
      end
      token = body["$skipToken"]
    end
    table.insert(e.state.machines, removed)
    table.sort(names)
    assert.same({ "db-01", "web-01", "web-02", "web-03", "web-04" }, names)
    assert.equal(3, #rows(e, query, { skip = 2 }))
  end)

  with("gives no token without an id, or with a limit", { machines = 5 }, function(e)
    for _, query in ipairs { "Resources | project name", "Resources | project id | take 4" } do
      local _, body = rows(e, query, { top = 2 })
      assert.equal("true", body.resultTruncated)
      assert.is_nil(body["$skipToken"])
    end
  end)

  with("gives tables with types", { machines = 2 }, function(e)
    local data = rows(e, "Resources | project id, n=1, t=tags, at=todatetime('2026-01-01'), k=kind"
      .. " | extend b=(n == 1), f=1.5", { format = "table" })
    local types = {}
    for i, column in ipairs(data.columns) do
      types[i] = column.name .. " " .. column.type
    end
    assert.same({ "id string", "n integer", "t object", "at datetime", "k string", "b boolean",
      "f number" }, types)
    assert.equal(2, #data.rows)
    assert.equal("2026-01-01T00:00:00.0000000Z", data.rows[1][4])
  end)

  with("asks for one subscription, some, or all", { machines = 10, subscriptions = 2 }, function(e)
    local one, two = e.state.subscriptions[1].id, e.state.subscriptions[2].id
    assert.equal(5, #rows(e, "Resources | project id", { subscriptions = { one:upper() } }))
    assert.equal(10, #rows(e, "Resources | project id", { subscriptions = { one, two, "x" } }))
    assert.equal(10, #rows(e, "Resources | project id"))
    assert.equal(10, #rows(e, "Resources | project id", { groups = { e.state.tenant } }))
    local status, body = ask(e, "Resources", { subscriptions = { "x" } })
    assert.equal(400, status)
    assert.equal("NoValidSubscriptionsInQueryRequest", detail(body).code)
    status, body = ask(e, "Resources", { groups = { "x" } })
    assert.equal(400, status)
    assert.equal("ManagementGroupNotFound", detail(body).code)
  end)

  with("refuses in the service's shape (59)", { machines = 1 }, function(e)
    local status, body = ask(e, "Resources | wher x")
    assert.equal(400, status)
    assert.equal("BadRequest", body.error.code)
    assert.equal("InvalidQuery", body.error.details[1].code)
    local why = detail(body)
    assert.same({ "ParserFailure", 1, 13, "wher" },
      { why.code, why.line, why.characterPositionInLine, why.token })
    assert.matches("'wher' on line [1,13]. Token: wher, Line: 1, Position: 13", why.message, 1,
      true)
    assert.equal(500, (ask(e, "Resources", { content = "text/plain" })))
    for code, opts in pairs {
      InvalidRequestBody = { body = "[" }, InvalidQueryOptions = { top = 1001 },
      InvalidSkipToken = { token = "x" }, InvalidQuery = { body = '{"query":""}' },
      NotSupported = { body = '{"query":"Resources","facets":[{}]}' },
    } do
      status, body = ask(e, "Resources", opts)
      assert.equal(400, status, code)
      assert.equal(code, detail(body).code)
    end
    for _, opts in ipairs { { format = "xml" }, { skip = -1 }, { top = 0 } } do
      status, body = ask(e, "Resources", opts)
      assert.equal("InvalidQueryOptions", detail(body).code, status)
    end
    local many = {}
    for i = 1, 1001 do
      many[i] = "s" .. i
    end
    status, body = ask(e, "Resources", { subscriptions = many })
    assert.equal("TooManySubscriptions", detail(body).code, status)
  end)

  with("counts the caller's queries", { machines = 1, throttle = "documented" }, function(e)
    local left
    for i = 1, 15 do
      local status, _, headers = ask(e, "Resources | project id")
      assert.equal(200, status, i)
      left = headers["x-ms-user-quota-remaining"]
      assert.matches("^00:00:0%d$", headers["x-ms-user-quota-resets-after"])
    end
    assert.equal("0", left)
    local status, body, headers = ask(e, "Resources | project id")
    assert.equal(429, status)
    assert.equal("RateLimiting", detail(body).code)
    assert.is_true(tonumber(headers["retry-after"]) >= 1)
    core.scale(1000)
    core.sleep(6)
    core.scale(1)
    assert.equal(200, (ask(e, "Resources | project id")))
  end)

  with("may be denied by a fault", { machines = 1 }, function(e)
    local fault = e:fault { at = "arm", kind = "answer", status = 403, code = "AuthorizationFailed",
      path = "microsoft.resourcegraph" }
    assert.equal(403, (ask(e, "Resources")))
    e:clear(fault)
    assert.equal(200, (ask(e, "Resources")))
  end)
end)

describe("emulator: a mixed estate", function()
  with("begins as a laboratory does", { machines = 8, alike = 5, seed = 9 }, function(e)
    local names = {}
    for i, machine in ipairs(e.state.machines) do
      names[i] = machine.name
      assert.is_true(i > 5 or machine.status == "Connected" and machine.os == "linux")
    end
    assert.same({ "web-01", "web-02", "db-01", "web-03", "web-04" },
      table.move(names, 1, 5, 1, {}))
    assert.is_string(e.state.machines[6].system)
  end)

  it("is the same for a seed, another for another", function()
    local estate = require "arclua.emulator.estate"
    local function specs(seed)
      return json.encode(json.array(estate.specs(300, { subscriptions = 2, windows = 1, alike = 10,
        seed = seed })))
    end
    assert.equal(specs(4), specs(4))
    assert.is_not_equal(specs(4), specs(5))
  end)

  with("shows private clouds' machines and those of the first generation", {
    machines = { { name = "vm-a", kind = "VMware" }, { name = "plain" },
      { name = "old", type = "Microsoft.ScVmm/virtualMachines" },
      { name = "old", type = "Microsoft.ConnectedVMwarevSphere/virtualMachines", os = "windows",
        status = "Disconnected", agent_version = "1.40.1.2" } } }, function(e)
    local function instance(name, provider)
      return emulated.arm(e, "GET", ("%s/providers/%s/virtualMachineInstances/default"):format(
        e:machine(name).id, provider), { version = "2023-12-01" })
    end
    local status, body = instance("vm-a", "Microsoft.ConnectedVMwarevSphere")
    assert.equal(200, status)
    assert.equal("poweredOn", body.properties.powerState)
    assert.equal(404, (instance("vm-a", "Microsoft.ScVmm")))
    assert.equal(404, (instance("plain", "Microsoft.ConnectedVMwarevSphere")))
    local old = e.state.machines[4]
    status, body = emulated.arm(e, "GET", old.id, { version = "2022-07-15-preview" })
    assert.equal(200, status)
    assert.equal("Windows", body.properties.osProfile.osType)
    assert.same({ "Disconnected", "1.40.1.2" }, { body.properties.guestAgentProfile.status,
      body.properties.guestAgentProfile.agentVersion })
    status = emulated.arm(e, "POST", old.id .. "/providers/Microsoft.HybridConnectivity/endpoints/"
      .. "default/listCredentials", { body = '{"serviceName":"SSH"}' })
    assert.equal(200, status)
    status, body = emulated.arm(e, "GET", (e:machine("plain").id:gsub("/[^/]*$", "")))
    assert.equal(200, status)
    assert.equal(2, #body.value) -- a list is of one type
  end)

  with("tells extensions with a machine", { machines = { { name = "a", extensions = {
    { name = "AADSSHLogin", publisher = "Microsoft.Azure.ActiveDirectory",
      type = "AADSSHLoginForLinux", version = "1.0", state = "Failed" } } } } }, function(e)
    local _, body = emulated.arm(e, "GET", e:machine("a").id)
    assert.equal("AADSSHLogin", body.resources[1].name)
    assert.equal("Failed", body.resources[1].properties.provisioningState)
    assert.equal("Error", body.resources[1].properties.instanceView.status.level)
  end)
end)
