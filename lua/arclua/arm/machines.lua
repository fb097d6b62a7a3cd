-- SPDX-License-Identifier: MIT
-- Arc machines and subscriptions as ARM lists them, in one shape.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local machines = {}

local API = "2025-01-13"
local SUBSCRIPTIONS_API = "2022-12-01"
local PROVIDER = "/providers/Microsoft.HybridCompute/machines"

-- Of a machine of another type than today's, where Resource Graph cannot be asked.
local OLD_API = { ["microsoft.connectedvmwarevsphere/virtualmachines"] = "2022-07-15-preview" }
-- Private clouds by the kinds of their machines: their provider and its api-version.
local CLOUDS = {
  vmware = { "Microsoft.ConnectedVMwarevSphere", "2023-12-01" },
  avs = { "Microsoft.ConnectedVMwarevSphere", "2023-12-01" },
  scvmm = { "Microsoft.ScVmm", "2024-06-01" }, hci = { "Microsoft.AzureStackHCI", "2024-01-01" },
}

local GUEST = "guestAgentProfile"
local FAMILIES = { windows = "windows", linux = "linux" }

local function text(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- A property, which the first generation of private clouds' machines has in a profile.
local function property(properties, name, profile)
  local nested = properties[profile]
  return text(properties[name]) or type(nested) == "table" and text(nested[name]) or nil
end

local function os_of(properties)
  local kind = (property(properties, "osType", "osProfile") or text(properties.osName) or "")
    :lower()
  if FAMILIES[kind] then
    return FAMILIES[kind]
  end
  return text(properties.osName) and (kind:find "windows" and "windows" or "linux") or nil
end

-- The entry's own table, its values as texts.
local function tags_of(entry)
  local tags = type(entry.tags) == "table" and entry.tags or {}
  for key, value in pairs(tags) do
    if type(value) ~= "string" then
      tags[key] = tostring(value)
    end
  end
  return tags
end

---@class arclua.MachineData
---@field id string
---@field name string
---@field resource_group string
---@field subscription string
---@field type string
---@field location string?
---@field os "linux"|"windows"|nil
---@field os_name string?            "Ubuntu 24.04.1 LTS"
---@field status string              "Connected", "Disconnected", "Expired", ...
---@field last_status_change string? RFC 3339
---@field agent_version string?
---@field tags table<string, string>
---@field kind string?              "VMware", "AVS", "SCVMM", "HCI", "AWS", "GCP"; nil: none of them
---@field fqdn string?
---@field vm_id string?             the agent's ID

--- ARM's JSON of a machine in our shape; nil when it has no usable ID.
---@return arclua.MachineData|nil
function machines.normalise(entry)
  local parts = type(entry.id) == "string" and resource_id.parse(entry.id)
  if not parts then
    return nil
  end
  local properties = type(entry.properties) == "table" and entry.properties or {}
  return {
    id = entry.id, name = text(entry.name) or parts.name,
    resource_group = parts.resource_group, subscription = parts.subscription, type = parts.type,
    location = text(entry.location), os = os_of(properties),
    os_name = text(properties.osSku) or property(properties, "osName", "osProfile"),
    status = property(properties, "status", GUEST) or "Unknown",
    last_status_change = property(properties, "lastStatusChange", GUEST),
    agent_version = property(properties, "agentVersion", GUEST), tags = tags_of(entry),
    kind = text(entry.kind), fqdn = text(properties.machineFqdn), vm_id = text(properties.vmId),
  }
end

--- A row of Resource Graph (arclua.arm.kql: machines) in the same shape.
---@return arclua.MachineData|nil
function machines.from_row(row)
  return machines.normalise { id = row.id, name = row.name, location = row.location,
    kind = row.kind, tags = row.tags, properties = row }
end

--- All machines of a subscription, or of one of its groups.
---@return arclua.MachineData[]|nil, arclua.Error?
function machines.list(client, subscription, resource_group)
  local path = "/subscriptions/" .. resource_id.segment(subscription)
  if resource_group then
    path = path .. "/resourceGroups/" .. resource_id.segment(resource_group)
  end
  return client:list(client:url(path .. PROVIDER, API), machines.normalise)
end

-- Where a machine can be read: its URL, nil when no api-version of its type is known.
local function url_of(client, id, query)
  local parts = resource_id.parse(id)
  local api = resource_id.is_today(parts.type) and API or OLD_API[parts.type:lower()]
  return api and client:url(resource_id.path(id), api, query)
end

--- Whether machines.get can read a machine of this ID's type.
---@return boolean
function machines.can_get(id)
  local kind = resource_id.parse(id).type:lower()
  return resource_id.is_today(kind) or OLD_API[kind] ~= nil
end

local function read(client, id, query)
  local url = url_of(client, id, query)
  if not url then
    return errors.fail { code = "config", op = "machine", message = ("%s: a machine of this "
      .. "type can be read by Resource Graph only"):format(id),
      remedy = "arclua machines -o json NAME tells what that knows" }
  end
  local value, err = client:request { url = url }
  if value == nil and err.status == 404 then
    err = errors.new { reason = "arm.machine-not-found", op = "machine", cause = err, status = 404,
      message = "there is no machine " .. id }
  end
  return value, err
end

--- One machine by its ID. Errors: notfound (arm.machine-not-found) ...
---@return arclua.MachineData|nil, arclua.Error?
function machines.get(client, id)
  local value, err = read(client, id)
  if value == nil then
    return nil, err
  end
  local machine = type(value) == "table" and machines.normalise(value)
  if not machine then
    return errors.fail { reason = "http.bad-answer", op = "machine",
      message = "ARM's answer for " .. id .. " is not a machine" }
  end
  return machine
end

--- Everything that ARM says of a machine, its extensions too; and of its virtual machine, as
--- `instance`, when it is in a private cloud that this sign-in may read. Errors: as machines.get.
---@return table|nil, arclua.Error?
function machines.details(client, id)
  local value, err = read(client, id, "$expand=instanceView")
  if value == nil then
    return nil, err
  elseif type(value) ~= "table" then
    return errors.fail { reason = "http.bad-answer", op = "machine",
      message = "ARM's answer for " .. id .. " is not a machine" }
  end
  local cloud = CLOUDS[(text(value.kind) or ""):lower()]
  if cloud then
    local path = ("%s/providers/%s/virtualMachineInstances/default"):format(resource_id.path(id),
      cloud[1])
    value.instance, err = client:request { url = client:url(path, cloud[2]) }
    if err and err.code ~= "notfound" and err.code ~= "denied" then
      return nil, err
    end
  end
  return value
end

--- The subscriptions that can be seen and used: { id, name }.
---@return { id: string, name: string }[]|nil, arclua.Error?
function machines.subscriptions(client)
  return client:list(client:url("/subscriptions", SUBSCRIPTIONS_API), function(entry)
    if entry.state and entry.state ~= "Enabled" and entry.state ~= "Warned"
      and entry.state ~= "PastDue" then
      return nil
    end
    return { id = entry.subscriptionId, name = entry.displayName }
  end)
end

return machines
