-- SPDX-License-Identifier: MIT
-- Microsoft.HybridCompute/machines: lists and single machines.
local core = require "arclua.core"
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"
local text = require "arclua.emulator.text"

local machines = {}

local SYSTEMS = {
  linux = { name = "debian", version = "12", sku = "Debian GNU/Linux 12 (bookworm)" },
  windows = { name = "windows", version = "10.0.20348.2700",
    sku = "Windows Server 2022 Datacenter" },
}

local function properties(state, machine)
  local system = SYSTEMS[machine.os] or SYSTEMS.linux
  local offline = state.faults:active("machine", "offline", machine.name)
  local n = machine.index
  return {
    provisioningState = "Succeeded",
    agentVersion = "1.66.03412.2214",
    status = offline and "Disconnected" or machine.status,
    lastStatusChange = reply.time(machine.changed),
    errorDetails = json.array {},
    displayName = machine.name,
    machineFqdn = machine.name .. ".arc.localhost",
    osName = system.name, osVersion = system.version, osType = machine.os, osSku = system.sku,
    osProfile = { computerName = machine.name },
    vmId = machine.vm_id, vmUuid = machine.vm_id:upper(),
    domainName = "", adFqdn = machine.name, dnsFqdn = machine.name .. ".arc.localhost",
    mssqlDiscovered = "false",
    cloudMetadata = { provider = "N/A" },
    detectedProperties = { cloudprovider = "N/A", logicalCoreCount = "2", coreCount = "1" },
    agentConfiguration = {
      proxyUrl = "", incomingConnectionsPorts = json.array {},
      extensionsAllowList = json.array {}, extensionsBlockList = json.array {},
      proxyBypass = json.array {}, extensionsEnabled = "true",
      guestConfigurationEnabled = "true", configMode = "full",
    },
    networkProfile = { networkInterfaces = json.array { {
      ipAddresses = json.array { { address = ("127.10.%d.%d"):format(n // 250, n % 250 + 1),
        ipAddressVersion = "IPv4", subnet = { addressPrefix = "127.10.0.0/16" } } } } } },
  }
end

local function resource(state, machine, single)
  return {
    id = machine.id, name = machine.name, location = machine.location, tags = machine.tags,
    type = "Microsoft.HybridCompute/machines",
    identity = { type = "SystemAssigned", principalId = machine.vm_id, tenantId = state.tenant },
    properties = properties(state, machine),
    resources = single and json.array {} or nil,
  }
end

-- The place that a skip token names; a token of ours is only ever passed back.
local function place(query)
  if not query["$skiptoken"] then
    return 1
  end
  local raw = core.crypto.unbase64(query["$skiptoken"])
  local from = raw and tonumber(raw:match '^{"o":(%d+)}$')
  return from and math.tointeger(from)
end

--- GET of the machines of a subscription or group.
function machines.list(state, request, subscription, group)
  local from = place(request.query_table)
  if not from then
    return reply.fail(400, "InvalidSkipToken", "The skip token is not valid.")
  end
  local found = {}
  for _, machine in ipairs(state.machines) do
    if machine.subscription == subscription
        and (not group or machine.group:lower() == group:lower()) then
      found[#found + 1] = machine
    end
  end
  local function render(machine)
    return resource(state, machine, false)
  end
  return reply.page(found, from, state.page_size, render, function(at)
    local token = core.crypto.base64(('{"o":%d}'):format(at))
    return ("%s%s?api-version=%s&%%24skiptoken=%s"):format(state.cloud.resource_manager,
      request.path, text.encode(request.query_table["api-version"]), text.encode(token))
  end)
end

--- GET of one machine.
function machines.get(state, machine)
  return 200, {}, resource(state, machine, true)
end

return machines
