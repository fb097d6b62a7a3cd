-- SPDX-License-Identifier: MIT
-- Azure's role-based access: built-in roles, who was given which where, what that allows.
-- Rights are inherited from the tenant ("/") to subscription, group and machine.
local core = require "arclua.core"

local roles = {}

local COMPUTE, CONNECT = "Microsoft.HybridCompute/", "Microsoft.HybridConnectivity/"
local LOGIN_DATA = { "Microsoft.Compute/virtualMachines/login/action",
  COMPUTE .. "machines/login/action" }
local ADMIN_DATA = { "Microsoft.Compute/virtualMachines/login/action",
  "Microsoft.Compute/virtualMachines/loginAsAdmin/action", COMPUTE .. "machines/login/action",
  COMPUTE .. "machines/loginAsAdmin/action" }
local LOGIN = { "Microsoft.Network/publicIPAddresses/read",
  "Microsoft.Network/virtualNetworks/read",
  "Microsoft.Network/loadBalancers/read", "Microsoft.Network/networkInterfaces/read",
  "Microsoft.Compute/virtualMachines/*/read", COMPUTE .. "machines/*/read",
  CONNECT .. "endpoints/listCredentials/action" }

-- The built-in roles that concern Arc machines.
roles.BUILT_IN = {
  { name = "Owner", id = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", actions = { "*" } },
  { name = "Contributor", id = "b24988ac-6180-42a0-ab88-20f7382dd24c", actions = { "*" },
    no_actions = { "Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
      "Microsoft.Authorization/elevateAccess/Action",
      "Microsoft.Blueprint/blueprintAssignments/write",
      "Microsoft.Blueprint/blueprintAssignments/delete",
      "Microsoft.Compute/galleries/share/action", "Microsoft.Purview/consents/write",
      "Microsoft.Purview/consents/delete",
      "Microsoft.Resources/deploymentStacks/manageDenySetting/action" } },
  { name = "Reader", id = "acdd72a7-3385-48ef-bd42-f606fba81ae7", actions = { "*/read" } },
  { name = "User Access Administrator", id = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    actions = { "*/read", "Microsoft.Authorization/*", "Microsoft.Support/*" } },
  { name = "Virtual Machine Administrator Login", id = "1c0163c0-47e6-4577-8991-ea5c82e286e4",
    actions = LOGIN, data = ADMIN_DATA },
  { name = "Virtual Machine User Login", id = "fb879df8-f326-4884-b1cf-06f3ad86be52",
    actions = LOGIN, data = LOGIN_DATA },
  { name = "Virtual Machine Local User Login", id = "602da2ba-a5c2-41da-b01d-5360126ab525",
    actions = { COMPUTE .. "machines/*/read", CONNECT .. "endpoints/listCredentials/action" } },
  { name = "Azure Connected Machine Onboarding", id = "b64e21ea-ac4e-4cdf-9dc9-5b892992bee7",
    actions = { COMPUTE .. "machines/read", COMPUTE .. "machines/write",
      COMPUTE .. "privateLinkScopes/read",
      "Microsoft.GuestConfiguration/guestConfigurationAssignments/read" } },
  { name = "Azure Connected Machine Resource Administrator",
    id = "cd570a14-e51a-42ad-bac8-bafd67325302",
    actions = { COMPUTE .. "machines/*", COMPUTE .. "machines/extensions/*",
      COMPUTE .. "machines/licenseProfiles/*", COMPUTE .. "machines/runCommands/*",
      COMPUTE .. "machines/UpgradeExtensions/action", COMPUTE .. "privateLinkScopes/*",
      COMPUTE .. "licenses/*", COMPUTE .. "locations/*", COMPUTE .. "*/read",
      "Microsoft.Resources/deployments/*" } },
  { name = "Azure Connected Machine Resource Manager", id = "f5819b54-e033-4d82-ac66-4fec3cbf3f4c",
    actions = { "Microsoft.Authorization/*/read", COMPUTE .. "*/read", COMPUTE .. "machines/write",
      COMPUTE .. "machines/delete", COMPUTE .. "machines/extensions/write",
      COMPUTE .. "machines/extensions/delete", COMPUTE .. "machines/UpgradeExtensions/action",
      CONNECT .. "endpoints/read", CONNECT .. "endpoints/write",
      CONNECT .. "endpoints/serviceConfigurations/read",
      CONNECT .. "endpoints/serviceConfigurations/write",
      "Microsoft.Resources/subscriptions/resourceGroups/read" } },
}

local BY_NAME = {}
for _, role in ipairs(roles.BUILT_IN) do
  BY_NAME[role.name:lower()], BY_NAME[role.id] = role, role
end

--- A role by its name or id, without case; nil = none.
function roles.find(name)
  return BY_NAME[name:lower()]
end

-- "*" is any run of characters, "/" too; "/*/" may be nothing: machines/*/read reads machines.
local function pattern_of(glob)
  return "^" .. glob:lower():gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
end

local function compile(list)
  local out = {}
  for _, glob in ipairs(list or {}) do
    out[#out + 1] = pattern_of(glob)
    local short, n = glob:gsub("/%*/", "/")
    out[#out + 1] = n > 0 and pattern_of(short) or nil
  end
  return out
end

for _, role in ipairs(roles.BUILT_IN) do
  role.allows, role.forbids = compile(role.actions), compile(role.no_actions)
end

local function any(patterns, action)
  for _, pattern in ipairs(patterns) do
    if action:find(pattern) then
      return true
    end
  end
  return false
end

--- Gives a role to a principal at a scope ("/" or a resource ID): the assignment.
function roles.assign(state, role, principal, scope, more)
  local assignment = { name = core.crypto.uuid(), role = role, principal = principal,
    scope = scope, created = core.time() }
  for key, value in pairs(more or {}) do
    assignment[key] = value
  end
  local key = scope:lower():gsub("/+$", "")
  local list = state.assignments[key] or {}
  state.assignments[key] = list
  list[#list + 1] = assignment
  return assignment
end

--- All assignments, by name.
function roles.all(state)
  local out = {}
  for _, list in pairs(state.assignments) do
    table.move(list, 1, #list, #out + 1, out)
  end
  table.sort(out, function(a, b) return a.name < b.name end)
  return out
end

--- The scopes above and including one, from "" (the tenant) on.
function roles.scopes(scope)
  local list, at = { "" }, 1
  scope = scope:lower():gsub("/+$", "")
  local ends = { "^/subscriptions/[^/]+", "^/subscriptions/[^/]+/resourcegroups/[^/]+",
    "^/subscriptions/[^/]+/resourcegroups/[^/]+/providers/[^/]+/[^/]+/[^/]+" }
  for _, pattern in ipairs(ends) do
    local found = scope:match(pattern)
    if found then
      at = at + 1
      list[at] = found
    end
  end
  return list
end

--- The assignments of a principal (nil: of all) that count at a scope.
function roles.effective(state, principal, scope)
  local out = {}
  for _, at in ipairs(roles.scopes(scope)) do
    for _, assignment in ipairs(state.assignments[at] or {}) do
      if not principal or assignment.principal == principal then
        out[#out + 1] = assignment
      end
    end
  end
  return out
end

--- Whether the principal may do that action at the scope.
function roles.allowed(state, principal, scope, action)
  action = action:lower()
  for _, assignment in ipairs(roles.effective(state, principal, scope)) do
    local role = assignment.role
    if any(role.allows, action) and not any(role.forbids, action) then
      return true
    end
  end
  return false
end

--- Whether the principal has any role in the subscription or above.
function roles.sees(state, principal, subscription)
  local prefix = "/subscriptions/" .. subscription
  for scope, list in pairs(state.assignments) do
    if scope == "" or scope:sub(1, #prefix) == prefix then
      for _, assignment in ipairs(list) do
        if assignment.principal == principal then
          return true
        end
      end
    end
  end
  return false
end

return roles
