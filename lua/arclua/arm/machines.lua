-- SPDX-License-Identifier: MIT
-- Arc machines and subscriptions as ARM lists them, in one shape.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local machines = {}

local API = "2025-01-13"
local SUBSCRIPTIONS_API = "2022-12-01"
local PROVIDER = "/providers/Microsoft.HybridCompute/machines"

local FAMILIES = { windows = "windows", linux = "linux" }

local function text(value)
  return type(value) == "string" and value ~= "" and value or nil
end

local function os_of(properties)
  local kind = (text(properties.osType) or text(properties.osName) or ""):lower()
  if FAMILIES[kind] then
    return FAMILIES[kind]
  end
  return text(properties.osName) and (kind:find "windows" and "windows" or "linux") or nil
end

local function tags_of(entry)
  local tags = {}
  for key, value in pairs(type(entry.tags) == "table" and entry.tags or {}) do
    tags[key] = tostring(value)
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
    os_name = text(properties.osSku) or text(properties.osName),
    status = text(properties.status) or "Unknown",
    last_status_change = text(properties.lastStatusChange),
    agent_version = text(properties.agentVersion), tags = tags_of(entry),
  }
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

--- One machine by its ID. Errors: notfound (arm.machine-not-found) ...
---@return arclua.MachineData|nil, arclua.Error?
function machines.get(client, id)
  local value, err = client:request { url = client:url(resource_id.path(id), API) }
  if value == nil then
    if err.status == 404 then
      err = errors.new { reason = "arm.machine-not-found", op = "machine", cause = err,
        status = 404, message = "there is no machine " .. id }
    end
    return nil, err
  end
  local machine = type(value) == "table" and machines.normalise(value)
  if not machine then
    return errors.fail { reason = "http.bad-answer", op = "machine",
      message = "ARM's answer for " .. id .. " is not a machine" }
  end
  return machine
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
