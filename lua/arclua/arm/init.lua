-- SPDX-License-Identifier: MIT
-- Resource IDs and paths of ARM, for those who ask it for any resource: az.arm.
local resource_id = require "arclua.resource_id"

local arm = {}

--- A path with names filled in, each encoded for a URL:
--- arc.arm.path("/subscriptions/%s/resourceGroups/%s", id, "rg (test)").
--- Raises: more or fewer names than the template has %s.
---@param template string  each %s stands for one name
---@param ... string
---@return string
function arm.path(template, ...)
  local names = table.pack(...)
  local used = 0
  local path = template:gsub("%%s", function()
    used = used + 1
    return resource_id.segment(tostring(names[used]))
  end)
  if used ~= names.n then
    error(("a path of %d names, but %d were given"):format(used, names.n), 2)
  end
  return path
end

--- Whether two resource IDs are of one resource: ARM compares them without case.
---@param a string
---@param b string
---@return boolean
function arm.same(a, b)
  return resource_id.key(a) == resource_id.key(b)
end

return arm
