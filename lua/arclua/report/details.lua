-- SPDX-License-Identifier: MIT
-- One machine for people: a line for each thing that ARM says of it and that somebody may ask.
local arm_machines = require "arclua.arm.machines"
local escape = require "arclua.report.escape"
local inventory = require "arclua.inventory"
local width = require "arclua.report.width"

local details = {}

local function at(value, ...)
  for _, key in ipairs { ... } do
    value = type(value) == "table" and value[key] or nil
  end
  return value
end

local function text(value)
  if type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return nil
end

local function addresses(properties)
  local list = {}
  for _, interface in ipairs(at(properties, "networkProfile", "networkInterfaces") or {}) do
    for _, address in ipairs(at(interface, "ipAddresses") or {}) do
      list[#list + 1] = text(at(address, "address"))
    end
  end
  return table.concat(list, ", ")
end

-- One line an extension: its type, version, state, and what it says when it failed.
local function extensions(resource)
  local lines = {}
  for i, one in ipairs(at(resource, "resources") or {}) do
    local properties = at(one, "properties")
    local state = text(at(properties, "provisioningState")) or "Unknown"
    local message = state ~= "Succeeded"
      and text(at(properties, "instanceView", "status", "message")) or nil
    lines[i] = ("%s/%s %s %s%s"):format(text(at(properties, "publisher")) or "?",
      text(at(properties, "type")) or "?", text(at(properties, "typeHandlerVersion")) or "",
      state, message and ": " .. message or "")
  end
  return lines
end

local function errors_of(properties)
  local lines = {}
  for _, one in ipairs(at(properties, "errorDetails") or {}) do
    lines[#lines + 1] = ("%s: %s"):format(text(at(one, "code")) or "error",
      text(at(one, "message")) or "")
  end
  return lines
end

-- Title, value; a value is a text, a list of texts, or nothing.
local function rows_of(resource, machine)
  local properties = at(resource, "properties") or {}
  return {
    { "name", machine.name }, { "id", machine.id }, { "type", machine.type },
    { "kind", machine.kind }, { "location", machine.location },
    { "status", machine.status }, { "since", machine.last_status_change },
    { "errors", errors_of(properties) },
    { "system", machine.os_name }, { "version", text(properties.osVersion) },
    { "agent", machine.agent_version },
    { "agent mode", text(at(properties, "agentConfiguration", "configMode")) },
    { "fqdn", machine.fqdn }, { "addresses", addresses(properties) },
    { "vm id", machine.vm_id },
    { "hardware", text(at(properties, "detectedProperties", "model")) },
    { "cores", text(at(properties, "detectedProperties", "logicalCoreCount")) },
    { "power", text(at(resource, "instance", "properties", "powerState")) },
    { "host", text(at(resource, "instance", "extendedLocation", "name")) },
    { "private link", text(properties.privateLinkScopeResourceId) },
    { "cluster", text(properties.parentClusterResourceId) },
    { "tags", inventory.tags(machine.tags) },
    { "extensions", extensions(resource) },
  }
end

--- The lines of what machine:details gave.
---@param resource table
---@param paint fun(role: string, text: string): string  arclua.report.style
---@return string
function details.text(resource, paint)
  local machine = arm_machines.normalise(resource)
  if not machine then
    return ""
  end
  local lines, margin = {}, 0
  local rows = rows_of(resource, machine)
  for _, row in ipairs(rows) do
    margin = math.max(margin, width.of(row[1]) + 2)
  end
  for _, row in ipairs(rows) do
    local title = row[1] .. (" "):rep(margin - #row[1])
    for _, value in ipairs(type(row[2]) == "table" and row[2] or { row[2] }) do
      value = escape.text(value)
      if row[1] == "status" then
        value = inventory.paint(paint, machine.status, value)
      end
      lines[#lines + 1] = value ~= "" and title .. value .. "\n" or nil
      title = (" "):rep(margin)
    end
  end
  return table.concat(lines)
end

return details
