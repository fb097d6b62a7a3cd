-- SPDX-License-Identifier: MIT
-- ARM resource IDs of machines: parsed, compared without case.
local resource_id = {}

local MACHINES = "Microsoft.HybridCompute/machines"

local SEGMENT = "^[^/%c<>%%&\\?]+$"

--- { subscription, resource_group, type, name } of a machine's ID, nil when it is none.
---@param id string
---@return table|nil
function resource_id.parse(id)
  local namespace, kind = id:lower():match(
    "^/subscriptions/[^/]+/resourcegroups/[^/]+/providers/([^/]+)/([^/]+)/[^/]+/?$")
  if not namespace then
    return nil
  end
  local parts = {}
  for part in id:gmatch "[^/]+" do
    if not part:find(SEGMENT) then
      return nil
    end
    parts[#parts + 1] = part
  end
  local type_name = parts[6] .. "/" .. parts[7]
  if (namespace .. "/" .. kind) == MACHINES:lower() then
    type_name = MACHINES
  end
  return { subscription = parts[2], resource_group = parts[4], type = type_name, name = parts[8] }
end

--- The ID of an Arc machine.
---@param type_name string?  when it is of another type
---@return string
function resource_id.machine(subscription, resource_group, name, type_name)
  return ("/subscriptions/%s/resourceGroups/%s/providers/%s/%s"):format(subscription,
    resource_group, type_name or MACHINES, name)
end

--- The form by which IDs are compared.
---@return string
function resource_id.key(id)
  return (id:lower():gsub("/+$", ""))
end

local function escape(byte)
  return ("%%%02X"):format(byte:byte())
end

--- One path segment, percent-encoded.
---@return string
function resource_id.segment(text)
  return (text:gsub("[^%w%-._~()]", escape))
end

--- The ID as a URL path: each segment encoded, one leading slash.
---@return string
function resource_id.path(id)
  local parts = {}
  for part in id:gmatch "[^/]+" do
    parts[#parts + 1] = resource_id.segment(part)
  end
  return "/" .. table.concat(parts, "/")
end

return resource_id
