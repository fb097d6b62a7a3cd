-- SPDX-License-Identifier: MIT
-- Machines as a table for people, as stable JSON, or by their names.
local columns = require "arclua.report.table"
local json = require "arclua.json"

local inventory = {}

local KEYS = { "id", "name", "resource_group", "subscription", "type", "location", "os", "os_name",
  "status", "last_status_change", "agent_version", "tags", "kind", "fqdn", "vm_id" }

local TITLES = { "NAME", "RESOURCE GROUP", "OS", "STATUS", "LOCATION", "AGENT", "TAGS" }
local STATUS = 4 -- its column
local LEAST = { [STATUS] = #"Disconnected" }
local ROLES = { connected = "good", disconnected = "bad", expired = "bad", error = "bad" }
local CHUNK = 200 -- lines written at once

--- Tags as one text, sorted by their keys.
---@param tags table<string, string>
---@return string
function inventory.tags(tags)
  local list = {}
  for key, value in pairs(tags) do
    list[#list + 1] = key .. "=" .. value
  end
  table.sort(list)
  return table.concat(list, " ")
end

--- A status in its colour.
---@param paint fun(role: string, text: string): string  arclua.report.style
---@param status string
---@param text string  what is shown of it
---@return string
function inventory.paint(paint, status, text)
  local role = ROLES[status:lower()]
  return role and paint(role, text) or text
end

--- One machine as one line of JSON.
---@param machine arclua.MachineData
---@return string
function inventory.encode(machine)
  return json.encode(json.ordered(KEYS, machine))
end

local writers = {}

-- Writes texts many at a time.
local function gather(write)
  local parts = {}
  return function(text)
    parts[#parts + 1] = text
    if #parts == CHUNK or not text then
      write(table.concat(parts))
      parts = {}
    end
  end
end

function writers.table(list, write, opts)
  if #list == 0 then
    return
  end
  local tags = {} -- a row is asked for twice
  columns.write(write, TITLES, #list, function(i)
    local machine = list[i]
    tags[i] = tags[i] or inventory.tags(machine.tags)
    return { machine.name, machine.resource_group, machine.os_name or machine.os or "",
      machine.status, machine.location or "", machine.agent_version or "", tags[i] }
  end, { width = opts.width, least = LEAST, paint = opts.paint and function(k, text, row)
    return k == STATUS and row and inventory.paint(opts.paint, row[STATUS], text) or text
  end })
end

function writers.jsonl(list, write)
  local add = gather(write)
  for _, machine in ipairs(list) do
    add(inventory.encode(machine) .. "\n")
  end
  add(nil)
end

function writers.json(list, write)
  local add = gather(write)
  add "["
  for i, machine in ipairs(list) do
    add((i > 1 and ",\n " or "") .. inventory.encode(machine))
  end
  add "]\n"
  add(nil)
end

local function forms(machine)
  return { machine.name, machine.resource_group .. "/" .. machine.name, ("%s/%s/%s"):format(
    machine.subscription, machine.resource_group, machine.name) }
end

-- The shortest form of each name that means no other of the list.
function writers.names(list, write)
  local add, used = gather(write), {}
  for _, machine in ipairs(list) do
    for _, form in ipairs(forms(machine)) do
      used[form:lower()] = (used[form:lower()] or 0) + 1
    end
  end
  for _, machine in ipairs(list) do
    local all = forms(machine)
    local n = 1
    while n < #all and used[all[n]:lower()] > 1 do
      n = n + 1
    end
    add((used[all[n]:lower()] > 1 and machine.id or all[n]) .. "\n")
  end
  add(nil)
end

inventory.FORMATS = { "table", "json", "jsonl", "names" }

--- Writes machines in a format of inventory.FORMATS, piece by piece. Of the table: width, the
--- terminal's columns, cuts lines; paint colours.
---@param format string
---@param list arclua.MachineData[]
---@param write fun(text: string)
---@param opts { width: integer?, paint: (fun(role: string, text: string): string)? }?
function inventory.write(format, list, write, opts)
  writers[format](list, write, opts or {})
end

return inventory
