-- SPDX-License-Identifier: MIT
-- What the caller may do at a scope: the sets that ARM tells, one a role, and the rule by which
-- they count. Deny assignments and locks are not in them.
local resource_id = require "arclua.resource_id"

local permissions = {}

local API = "2022-04-01"
local PATH = "/providers/Microsoft.Authorization/permissions"

--- The sets of the caller's permissions at a scope (inherited ones too). Errors: ARM's.
---@param client arclua.ArmClient
---@param scope string  a resource ID
---@return table[]|nil, arclua.Error?
function permissions.sets(client, scope)
  return client:list { path = resource_id.path(scope) .. PATH, api_version = API }
end

local function fits(glob, action)
  local pattern = glob:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
  return action:find("^" .. pattern .. "$") ~= nil
end

-- "*" is any run of characters, "/" too; no case. As "machines/*/read" lets the login roles read
-- the machine itself, a "/*/" is also nothing at all.
local function matches(globs, action)
  for _, glob in ipairs(type(globs) == "table" and globs or {}) do
    glob = glob:lower()
    if fits(glob, action) or glob:find("/*/", 1, true)
      and fits(glob:gsub("/%*/", "/"), action) then
      return true
    end
  end
  return false
end

--- Whether the sets allow an action: one of them must, by itself. data: a data action.
---@param sets table[]
---@param action string
---@param data boolean?
---@return boolean
function permissions.allow(sets, action, data)
  action = action:lower()
  local yes, no = "actions", "notActions"
  if data then
    yes, no = "dataActions", "notDataActions"
  end
  for _, set in ipairs(sets) do
    if matches(set[yes], action) and not matches(set[no], action) then
      return true
    end
  end
  return false
end

return permissions
