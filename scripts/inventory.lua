-- SPDX-License-Identifier: MIT
-- Counts the Arc machines in scope by operating system, status and agent version, and writes
-- all of them as CSV when a file is named after --.
--
--   arclua run scripts/inventory.lua
--   arclua run scripts/inventory.lua --all-subscriptions -- machines.csv
local arc = require "arclua"

local line = assert(arc.cli.parse(arg, { select = true,
  summary = "Counts the machines in scope. -- FILE writes them as CSV." }))
local az = assert(arc.login(line.login))
local machines = assert(az:machines(line.selector))

-- How many machines have which value of a field.
local function count(field)
  local counts, values = {}, {}
  for _, machine in ipairs(machines) do
    local value = machine[field] or "unknown"
    if not counts[value] then
      counts[value] = 0
      values[#values + 1] = value
    end
    counts[value] = counts[value] + 1
  end
  table.sort(values, function(a, b)
    return counts[a] > counts[b] or (counts[a] == counts[b] and a < b)
  end)
  return values, counts
end

print(("%d machines"):format(#machines))
for _, field in ipairs { "os", "status", "agent_version", "location" } do
  print("\nby " .. field:gsub("_", " "))
  local values, counts = count(field)
  for _, value in ipairs(values) do
    print(("  %5d  %s"):format(counts[value], value))
  end
end

-- A field of CSV: quoted, and never read as a formula by a spreadsheet.
local function field(value)
  value = tostring(value or "")
  if value:find "^[=+@-]" then
    value = "'" .. value
  end
  return '"' .. value:gsub('"', '""') .. '"'
end

local path = line.command and line.command[1]
if path then
  local columns = { "name", "resource_group", "subscription", "location", "os", "os_name",
    "status", "last_status_change", "agent_version", "id" }
  local file = assert(io.open(path, "w"))
  file:write(table.concat(columns, ","), "\n")
  for _, machine in ipairs(machines) do
    local row = {}
    for i, column in ipairs(columns) do
      row[i] = field(machine[column])
    end
    file:write(table.concat(row, ","), "\n")
  end
  file:close()
  print(("\nwritten to %s"):format(path))
end
