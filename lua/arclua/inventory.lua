-- SPDX-License-Identifier: MIT
-- Machines as a table for people, or as stable JSON.
local columns = require "arclua.report.table"
local json = require "arclua.json"

local inventory = {}

local KEYS = { "id", "name", "resource_group", "subscription", "type", "location", "os", "os_name",
  "status", "last_status_change", "agent_version", "tags" }

local TITLES = { "NAME", "RESOURCE GROUP", "OS", "STATUS", "LOCATION", "AGENT", "TAGS" }

local function tags_text(tags)
  local list = {}
  for key, value in pairs(tags) do
    list[#list + 1] = key .. "=" .. value
  end
  table.sort(list)
  return table.concat(list, " ")
end

--- One machine as one line of JSON.
---@param machine arclua.MachineData
---@return string
function inventory.encode(machine)
  return json.encode(json.ordered(KEYS, machine))
end

--- A table with a line for each machine.
---@param list arclua.MachineData[]
---@return string
function inventory.table(list)
  local rows = {}
  for i, machine in ipairs(list) do
    rows[i] = { machine.name, machine.resource_group, machine.os_name or machine.os or "",
      machine.status, machine.location or "", machine.agent_version or "",
      tags_text(machine.tags) }
  end
  return columns.format(TITLES, rows)
end

return inventory
