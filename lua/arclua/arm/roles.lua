-- SPDX-License-Identifier: MIT
-- Role assignments at a machine's scope.
local core = require "arclua.core"
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local roles = {}

local API = "2022-04-01"
local BASE = "/providers/Microsoft.Authorization/"
local GUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"
-- A principal that was made a moment ago is not known everywhere: then its type must be told.
local KINDS = { "ServicePrincipal", "User", "Group" }

--- Whether a text is an object ID.
---@return boolean
function roles.is_id(text)
  return text:find(GUID) ~= nil
end

--- The ID of a role in a subscription, by its name or its own ID. Errors: notfound, ARM's.
---@return string|nil, arclua.Error?
function roles.definition(client, subscription, name)
  local base = "/subscriptions/" .. resource_id.segment(subscription) .. BASE .. "roleDefinitions"
  if roles.is_id(name) then
    return base .. "/" .. name:lower()
  end
  local list, err = client:list { path = base, api_version = API,
    query = { ["$filter"] = "roleName eq '" .. name:gsub("'", "''") .. "'" } }
  if not list then
    return nil, err
  elseif not list[1] then
    return errors.fail { code = "notfound", op = "role",
      message = ("there is no role '%s' in subscription %s"):format(name, subscription),
      remedy = "its name as Azure writes it, or its ID: az role definition list" }
  end
  return list[1].id
end

-- The same name for the same assignment, so that a second one changes nothing.
local function name_of(scope, definition, principal)
  local hex = core.crypto.hex(core.crypto.sha256((scope .. "\n" .. definition:match "[^/]+$" .. "\n"
    .. principal):lower()))
  return ("%s-%s-8%s-8%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16),
    hex:sub(18, 20), hex:sub(21, 32))
end

local function path(scope, definition, principal)
  return resource_id.path(scope) .. BASE .. "roleAssignments/"
    .. name_of(scope, definition, principal)
end

local function put(client, scope, definition, principal, kind)
  return client:request { method = "PUT", path = path(scope, definition, principal),
    api_version = API, body = { properties = { roleDefinitionId = definition,
      principalId = principal, principalType = kind } } }
end

--- Gives a role. One that is given already is as good. Errors: denied, config, ARM's.
---@param definition string  what roles.definition gave
---@param principal string   object ID
---@return true|nil, arclua.Error?
function roles.assign(client, scope, definition, principal)
  local value, err = put(client, scope, definition, principal)
  for _, kind in ipairs(KINDS) do
    local code = value == nil and err.service_code or ""
    if code ~= "PrincipalNotFound" and code ~= "UnmatchedPrincipalType" then
      break
    end
    value, err = put(client, scope, definition, principal, kind)
  end
  if value == nil and err.service_code == "RoleAssignmentExists" then
    return true
  end
  return value ~= nil or nil, err
end

--- Whether the principal has the role at this very scope, or inherited. Errors: denied, ARM's.
---@return boolean|nil, arclua.Error?
function roles.has(client, scope, definition, principal)
  local list, err = client:list { path = resource_id.path(scope) .. BASE .. "roleAssignments",
    api_version = API, query = { ["$filter"] = ("atScope() and assignedTo('%s')"):format(
      principal) } }
  if not list then
    return nil, err
  end
  local wanted = definition:match "[^/]+$":lower()
  for _, entry in ipairs(list) do
    local properties = type(entry.properties) == "table" and entry.properties or {}
    if tostring(properties.roleDefinitionId):lower():match "[^/]+$" == wanted then
      return true
    end
  end
  return false
end

--- The names of the assignments of this role and principal at this very scope. Errors: denied,
--- ARM's.
---@return string[]|nil, arclua.Error?
function roles.own(client, scope, definition, principal)
  local wanted = definition:match "[^/]+$":lower()
  return client:list({ path = resource_id.path(scope) .. BASE .. "roleAssignments",
    api_version = API, query = { ["$filter"] = ("principalId eq '%s'"):format(principal) } },
    function(entry)
      local properties = type(entry.properties) == "table" and entry.properties or {}
      local here = resource_id.key(tostring(properties.scope)) == resource_id.key(scope)
      return here and tostring(properties.roleDefinitionId):lower():match "[^/]+$" == wanted
        and entry.name or nil
    end)
end

--- Takes an assignment away.
---@return true|nil, arclua.Error?
function roles.remove(client, scope, name)
  local value, err = client:request { method = "DELETE", api_version = API,
    path = resource_id.path(scope) .. BASE .. "roleAssignments/" .. resource_id.segment(name) }
  return value ~= nil or nil, err
end

return roles
