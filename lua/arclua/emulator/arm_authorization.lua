-- SPDX-License-Identifier: MIT
-- Microsoft.Authorization at any scope: permissions, role definitions, role assignments.
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"
local roles = require "arclua.emulator.roles"

local authorization = {}

local NAMESPACE = "Microsoft.Authorization"

local function permissions_of(role)
  return { actions = json.array(role.actions), notActions = json.array(role.no_actions or {}),
    dataActions = json.array(role.data or {}), notDataActions = json.array {} }
end

local function definition_id(subscription, role)
  local base = subscription and "/subscriptions/" .. subscription or ""
  return ("%s/providers/%s/roleDefinitions/%s"):format(base, NAMESPACE, role.id)
end

local function subscription_in(scope)
  return scope:match "^/[Ss]ubscriptions/([^/]+)"
end

local function definition(scope, role)
  return { id = definition_id(subscription_in(scope), role), name = role.id,
    type = NAMESPACE .. "/roleDefinitions", properties = { roleName = role.name,
      type = "BuiltInRole", description = role.name .. ".", assignableScopes = json.array { "/" },
      permissions = json.array { permissions_of(role) } } }
end

local function resource(state, assignment)
  local scope = assignment.scope == "/" and "" or assignment.scope
  local time = reply.time(assignment.created)
  return { id = ("%s/providers/%s/roleAssignments/%s"):format(scope, NAMESPACE, assignment.name),
    name = assignment.name, type = NAMESPACE .. "/roleAssignments", properties = {
      roleDefinitionId = definition_id(subscription_in(scope), assignment.role),
      principalId = assignment.principal, principalType = assignment.kind or "ServicePrincipal",
      scope = assignment.scope, createdOn = time, updatedOn = time,
      createdBy = state.object_id, updatedBy = state.object_id } }
end

local function list(items)
  return 200, {}, { value = json.array(items) }
end

-- What the caller may do here, one set a role; pages of the emulator's size.
local function permissions(state, request, at)
  return reply.page(state, request, roles.effective(state, request.principal, at.scope),
    function(assignment)
      return permissions_of(assignment.role)
    end)
end

local function definitions(_, request, at)
  local wanted = (request.query_table["$filter"] or ""):match "^roleName eq '(.*)'$"
  local out = {}
  for _, role in ipairs(roles.BUILT_IN) do
    if not wanted or role.name:lower() == wanted:gsub("''", "'"):lower() then
      out[#out + 1] = definition(at.scope, role)
    end
  end
  return list(out)
end

local function one_definition(_, _, at)
  local role = roles.find(at.name)
  if not role then
    return reply.fail(404, "RoleDefinitionDoesNotExist",
      ("The specified role definition with ID '%s' does not exist."):format(at.name))
  end
  return 200, {}, definition(at.scope, role)
end

local function below(state, scope)
  local out, prefix = {}, scope:lower():gsub("/+$", "") .. "/"
  for key, assignments in pairs(state.assignments) do
    if key:sub(1, #prefix) == prefix then
      table.move(assignments, 1, #assignments, #out + 1, out)
    end
  end
  return out
end

-- atScope(), principalId eq '...', assignedTo('...'), joined by "and".
local function assignments(state, request, at)
  local filter = request.query_table["$filter"] or ""
  local principal = filter:match "principalId eq '([^']+)'"
    or filter:match "assignedTo%('([^']+)'%)"
  local found = roles.effective(state, principal, at.scope)
  if not filter:find("atScope()", 1, true) then
    for _, assignment in ipairs(below(state, at.scope)) do
      if not principal or assignment.principal == principal then
        found[#found + 1] = assignment
      end
    end
  end
  for i, assignment in ipairs(found) do
    found[i] = resource(state, assignment)
  end
  return list(found)
end

-- The assignment of this name at the scope: it, the list that has it, its place.
local function by_name(state, at)
  local held = state.assignments[at.scope:lower():gsub("/+$", "")] or {}
  for i, assignment in ipairs(held) do
    if assignment.name == at.name:lower() then
      return assignment, held, i
    end
  end
end

local function equal_one(state, scope, role, principal)
  for _, assignment in ipairs(state.assignments[scope:lower():gsub("/+$", "")] or {}) do
    if assignment.role == role and assignment.principal == principal then
      return assignment
    end
  end
end

-- Who is asked for: fresh principals are not known everywhere yet, unless their type is told.
local function wrong_principal(state, wanted)
  if type(wanted.principalId) ~= "string" then
    return { reply.fail(400, "BadRequest", "properties.principalId is required.") }
  elseif state.fresh[wanted.principalId] and not wanted.principalType then
    return { reply.fail(400, "PrincipalNotFound", ("Principal %s does not exist in the directory "
      .. "%s."):format(wanted.principalId:gsub("-", ""), state.tenant)) }
  elseif wanted.principalType and state.fresh[wanted.principalId]
    and state.fresh[wanted.principalId] ~= wanted.principalType then
    return { reply.fail(400, "UnmatchedPrincipalType", ("The PrincipalId '%s' has type '%s', "
      .. "which is different from specified PrincipalType '%s'."):format(wanted.principalId,
      state.fresh[wanted.principalId], wanted.principalType)) }
  end
end

local function put_assignment(state, request, at)
  local body = json.decode(request.body)
  local wanted = type(body) == "table" and body.properties or {}
  local role = type(wanted.roleDefinitionId) == "string"
    and roles.find(wanted.roleDefinitionId:match "[^/]+$" or "")
  local refusal = wrong_principal(state, wanted)
  if not role then
    return reply.fail(404, "RoleDefinitionDoesNotExist",
      "The specified role definition does not exist.")
  elseif refusal then
    return table.unpack(refusal)
  end
  local old = by_name(state, at)
  local equal = equal_one(state, at.scope, role, wanted.principalId)
  if equal and equal ~= old then
    return reply.fail(409, "RoleAssignmentExists", "The role assignment already exists.")
  elseif old then
    return 200, {}, resource(state, old)
  end
  local made = roles.assign(state, role, wanted.principalId, at.scope,
    { name = at.name:lower(), kind = wanted.principalType or "User" })
  state.log:add("role-assigned", { role = role.name, principal = wanted.principalId,
    scope = at.scope })
  return 201, {}, resource(state, made)
end

local function delete_assignment(state, _, at)
  local old, held, i = by_name(state, at)
  if not old then
    return 204, {}, ""
  end
  table.remove(held, i)
  state.log:add("role-removed", { role = old.role.name, principal = old.principal })
  return 200, {}, resource(state, old)
end

local function get_assignment(state, _, at)
  local one = by_name(state, at)
  if not one then
    return reply.fail(404, "RoleAssignmentNotFound",
      ("The role assignment '%s' is not found."):format(at.name))
  end
  return 200, {}, resource(state, one)
end

-- By the type in lower case, without and with a name: method → handler.
local COLLECTIONS = {
  permissions = { GET = permissions },
  roledefinitions = { GET = definitions },
  roleassignments = { GET = assignments },
}
local ITEMS = {
  roledefinitions = { GET = one_definition },
  roleassignments = { GET = get_assignment, PUT = put_assignment, DELETE = delete_assignment },
}

-- Where the segments of the last provider begin.
local function last_provider(segments)
  for i = #segments - 1, 1, -1 do
    if segments[i]:lower() == "providers" then
      return i
    end
  end
end

local VERBS = { GET = "read", PUT = "write", DELETE = "delete" }
local TYPES = { roledefinitions = "roleDefinitions", roleassignments = "roleAssignments" }

-- What the path names: the scope before the provider, which begins at i, and a name behind it.
local function place_of(segments, i)
  local at = { scope = "/" .. table.concat(segments, "/", 1, i - 1), name = segments[i + 3] }
  at.s = i > 2 and segments[2] or nil
  at.g = i > 4 and segments[4] or nil
  at.m = i > 8 and segments[8] or nil
  return at
end

-- The handlers by method of what stands behind the provider at i; nil: there is none.
local function handlers_of(segments, i)
  if not i or segments[i + 1]:lower() ~= NAMESPACE:lower() or #segments > i + 3 then
    return nil
  end
  local kind = (segments[i + 2] or ""):lower()
  return (segments[i + 3] and ITEMS or COLLECTIONS)[kind], TYPES[kind]
end

--- The route and place of a path of this provider; nil when it is another's.
function authorization.find(segments)
  local i = last_provider(segments)
  local handlers, kind = handlers_of(segments, i)
  if not handlers then
    return nil
  end
  local at = place_of(segments, i)
  local route = { handle = function(state, request)
    local handle = handlers[request.method]
    if not handle then
      return reply.fail(405, "MethodNotAllowed", "The emulator does not offer this method here.")
    end
    return handle(state, request, at)
  end }
  -- What one may do oneself needs no right of its own.
  route.action = kind and function(method)
    return ("%s/%s/%s"):format(NAMESPACE, kind, VERBS[method] or "read")
  end
  return route, at
end

return authorization
