-- SPDX-License-Identifier: MIT
-- The properties of a machine as Azure writes them. Each member is made by itself, so that a query
-- over thousands makes only those that it looks at.
local estate = require "arclua.emulator.estate"
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"

local shape = {}

local AGENT = "1.66.03412.2214"

local function system(m)
  return estate.SYSTEMS[m.system or estate.DEFAULT[m.os]] or estate.SYSTEMS.debian
end

local function fqdn(m)
  return m.name .. ".arc.localhost"
end

local function constant(value)
  return function()
    return value
  end
end

local function empty()
  return json.array {}
end

local function status(m, s)
  return s.faults:active("machine", "offline", m.name) and "Disconnected" or m.status
end

local function changed(m)
  return reply.time(m.changed)
end

local function agent_version(m)
  return m.agent_version or AGENT
end

local PROCESSOR = "Intel(R) Xeon(R) Gold 5416S"

local function serial(m)
  return ("H%06d"):format(m.index)
end

local function detected(m)
  local cores = ("%d"):format(2 ^ (m.index % 4 + 1))
  return { architecture = "amd64", cloudprovider = m.kind == "AWS" and "AWS" or "N/A",
    coreCount = cores, logicalCoreCount = cores, manufacturer = "Dell Inc.",
    model = "PowerEdge R660", mssqldiscovered = "false", mysqldiscovered = "false",
    pgsqldiscovered = m.tags.role == "db" and "true" or "false", processorCount = "1",
    processorNames = PROCESSOR, serialNumber = serial(m),
    smbiosAssetTag = "", totalPhysicalMemoryInBytes = "67109617664",
    totalPhysicalMemoryInGigabytes = "63" }
end

local function network(m)
  local n = m.index
  local high, low = n // 250 % 250, n % 250 + 1
  return { networkInterfaces = json.array { { name = "eth0", id = "2",
    macAddress = ("b0:7b:25:%02x:%02x:%02x"):format(n >> 16 & 255, n >> 8 & 255, n & 255),
    ipAddresses = json.array {
      { address = ("127.10.%d.%d"):format(high, low), ipAddressVersion = "IPv4",
        subnet = { addressPrefix = "127.10.0.0/16" } },
      { address = ("2001:db8:10::%x"):format(n), ipAddressVersion = "IPv6",
        subnet = { addressPrefix = "2001:db8:10::/64" } } } } } }
end

local function blocked(list)
  local out = json.array {}
  for i, name in ipairs(list or {}) do
    local publisher, kind = name:match "^([^/]*)/(.*)$"
    out[i] = { publisher = publisher, type = kind }
  end
  return out
end

-- What `azcmagent config` says on the machine.
local function configuration(m)
  local config = m.agent_config
  return { proxyUrl = "", incomingConnectionsPorts = json.array(config.ports or {}),
    extensionsAllowList = json.array {}, extensionsBlockList = blocked(config.blocklist),
    proxyBypass = json.array {}, extensionsEnabled = tostring(config.extensions_enabled ~= false),
    guestConfigurationEnabled = "true", configMode = config.mode or "full" }
end

local RUNNING = { status = "running", startupType = "automatic" }

-- name -> function(machine, state)
local SERVER = {
  provisioningState = constant "Succeeded", status = status, lastStatusChange = changed,
  agentVersion = agent_version, errorDetails = empty, detectedProperties = detected,
  networkProfile = network, agentConfiguration = configuration, machineFqdn = fqdn,
  dnsFqdn = fqdn, domainName = constant "", mssqlDiscovered = constant "false",
  tpmEnabled = constant(false),
  displayName = function(m) return m.name end,
  adFqdn = function(m) return m.name end,
  osName = function(m) return system(m).name end,
  osVersion = function(m) return system(m).version end,
  osSku = function(m) return system(m).sku end,
  osType = function(m) return m.os end,
  osEdition = constant "N/A",
  privateLinkScopeResourceId = function(m) return m.private_link end,
  osProfile = function(m) return { computerName = m.name } end,
  vmId = function(m) return m.vm_id end,
  vmUuid = function(m) return m.vm_id:upper() end,
  cloudMetadata = function(m)
    return { provider = (m.kind == "AWS" or m.kind == "GCP") and m.kind or "N/A" }
  end,
  serviceStatuses = function()
    return { extensionService = RUNNING, guestConfigurationService = RUNNING }
  end,
  agentUpgrade = function() return { enableAutomaticUpgrade = false } end,
  locationData = function(m)
    return m.site and { name = m.site:upper(), countryOrRegion = "" } or nil
  end,
  hardwareProfile = function()
    return { totalPhysicalMemoryInBytes = 67109617664, numberOfCpuSockets = 1,
      processors = json.array { { name = PROCESSOR, numberOfCores = 8 } } }
  end,
  firmwareProfile = function(m) return { serialNumber = serial(m), type = "EFI" } end,
  storageProfile = function()
    return { disks = json.array { { path = "/dev/sda", diskType = "disk", id = "/dev/sda",
      generatedId = "/dev/sda", name = "sda", maxSizeInBytes = 480103981056 } } }
  end,
  osInstallDate = constant "2025-02-03T09:11:42+00:00",
}

-- The first generation of private clouds' machines.
local GUEST = {
  provisioningState = constant "Succeeded", powerState = constant "poweredOn",
  vmId = SERVER.vmId, uuid = SERVER.vmId, networkProfile = network,
  osProfile = function(m)
    return { computerName = m.name, osType = m.os == "windows" and "Windows" or "Linux",
      osName = system(m).sku }
  end,
  guestAgentProfile = function(m, s)
    return { status = status(m, s), lastStatusChange = changed(m), vmUuid = m.vm_id:upper(),
      agentVersion = agent_version(m), errorDetails = json.array {} }
  end,
}

local MACHINE, STATE = {}, {} -- keys that no member has

local function meta_of(members)
  local meta = { __name = "arclua.emulator.properties" }
  function meta.__index(t, name)
    local make = members[name]
    local value = make and make(t[MACHINE], t[STATE])
    rawset(t, name, value)
    return value
  end
  function meta.plain(t)
    local out = {}
    for name in pairs(members) do
      out[name] = t[name]
    end
    return out
  end
  return meta
end

local SERVER_META, GUEST_META = meta_of(SERVER), meta_of(GUEST)

--- Whether it is a machine of the current type, Microsoft.HybridCompute/machines.
function shape.is_server(machine)
  return machine.type == "Microsoft.HybridCompute/machines"
end

--- The properties, each made when it is looked at.
function shape.lazy(state, machine)
  return setmetatable({ [MACHINE] = machine, [STATE] = state },
    shape.is_server(machine) and SERVER_META or GUEST_META)
end

--- All properties.
function shape.properties(state, machine)
  local lazy = shape.lazy(state, machine)
  return getmetatable(lazy).plain(lazy)
end

--- The properties of an extension of a machine.
function shape.extension(one)
  local failed = one.state == "Failed"
  return {
    publisher = one.publisher, type = one.type, typeHandlerVersion = one.version,
    autoUpgradeMinorVersion = false, enableAutomaticUpgrade = true,
    settings = one.settings or {}, provisioningState = one.state,
    instanceView = { name = one.name, type = one.type, typeHandlerVersion = one.version,
      status = { code = failed and "1" or "0", level = failed and "Error" or "Information",
        message = one.message or failed and "Extension Message: it could not be enabled, see "
          .. "the extension's log." or "Extension Message: completed." } } }
end

return shape
