-- SPDX-License-Identifier: MIT
-- The emulated cloud as Resource Graph's tables. Rows make their properties when a query looks.
local json = require "arclua.json"
local kql = require "arclua.emulator.kql"
local reply = require "arclua.emulator.arm_reply"
local roles = require "arclua.emulator.roles"
local shape = require "arclua.emulator.machine_shape"

local tables = {}

-- Every table's columns, in the order of a row that is not projected.
local COLUMNS = { "id", "name", "type", "tenantId", "kind", "location", "resourceGroup",
  "subscriptionId", "managedBy", "sku", "plan", "properties", "tags", "identity", "zones",
  "extendedLocation" }

local KIND_OF = {} -- the type in lower case, as the service has it

local function kind_of(name)
  KIND_OF[name] = KIND_OF[name] or name:lower()
  return KIND_OF[name]
end

local function row(state, resource)
  return { id = resource.id, name = resource.name, type = kind_of(resource.type),
    tenantId = state.tenant, kind = resource.kind or "", location = resource.location or "",
    resourceGroup = resource.group and kind_of(resource.group) or "",
    subscriptionId = resource.subscription, managedBy = "", tags = resource.tags,
    properties = resource.properties, identity = resource.identity }
end

local function machine_row(state, machine)
  local made = row(state, machine)
  made.tags = next(machine.tags) ~= nil and machine.tags or nil
  made.properties = shape.lazy(state, machine)
  made.identity = { type = "SystemAssigned", principalId = machine.vm_id, tenantId = state.tenant }
  return made
end

local function add_extensions(state, machine, rows)
  for _, one in ipairs(machine.extensions) do
    rows[#rows + 1] = row(state, { id = machine.id .. "/extensions/" .. one.name, name = one.name,
      type = machine.type .. "/extensions", location = machine.location, group = machine.group,
      subscription = machine.subscription, properties = shape.extension(one) })
  end
end

local READ = "Microsoft.HybridCompute/machines/read"

-- Whether the caller may read a machine: rights of the subscription are rights on all of it.
local function reader(state, principal)
  local all = {}
  return function(machine)
    local id = machine.subscription
    if all[id] == nil then
      all[id] = roles.allowed(state, principal, "/subscriptions/" .. id, READ)
    end
    return all[id] or roles.allowed(state, principal, machine.id, READ)
  end
end

local function resources(state, wanted, principal)
  local rows, may = {}, reader(state, principal)
  for _, machine in ipairs(state.machines) do
    if wanted(machine.subscription) and may(machine) then
      rows[#rows + 1] = machine_row(state, machine)
      add_extensions(state, machine, rows)
    end
  end
  return rows
end

local function containers(state, wanted, principal)
  local rows = {}
  for _, one in ipairs(state.subscriptions) do
    if wanted(one.id) and roles.sees(state, principal, one.id) then
      rows[#rows + 1] = row(state, { id = "/subscriptions/" .. one.id, name = one.name,
        type = "microsoft.resources/subscriptions", subscription = one.id,
        properties = { state = "Enabled" } })
    end
  end
  for _, group in ipairs(state.group_list) do
    if wanted(group.subscription) then
      rows[#rows + 1] = row(state, { name = group.name, location = group.location,
        id = ("/subscriptions/%s/resourceGroups/%s"):format(group.subscription, group.name),
        type = "microsoft.resources/subscriptions/resourcegroups", group = group.name,
        subscription = group.subscription, tags = group.tags,
        properties = { provisioningState = "Succeeded" } })
    end
  end
  return rows
end

-- What the machine's last assessment found; those with an agent that is connected have one.
local function patches(state, wanted, principal)
  local rows, may = {}, reader(state, principal)
  for _, machine in ipairs(state.machines) do
    if wanted(machine.subscription) and may(machine) and shape.is_server(machine)
      and machine.status == "Connected" then
      local n = machine.index
      rows[#rows + 1] = row(state, { id = machine.id .. "/patchAssessmentResults/latest",
        name = "latest", type = "microsoft.hybridcompute/machines/patchassessmentresults",
        location = machine.location, group = machine.group, subscription = machine.subscription,
        properties = { status = "Succeeded", lastModifiedDateTime = reply.time(machine.changed),
          availablePatchCountByClassification = { security = n % 5, critical = n % 3 // 2,
            other = n % 17 } } })
    end
  end
  return rows
end

local function assignments(state, wanted, principal)
  local rows = {}
  for _, one in ipairs(roles.all(state)) do
    local id = one.scope:match "^/subscriptions/([^/]+)"
    if id and wanted(id) and roles.sees(state, principal, id) then
      rows[#rows + 1] = row(state, { name = one.name, subscription = id,
        id = one.scope .. "/providers/Microsoft.Authorization/roleAssignments/" .. one.name,
        type = "microsoft.authorization/roleassignments", properties = { scope = one.scope,
          principalId = one.principal, principalType = one.kind or "ServicePrincipal",
          roleDefinitionId = "/providers/Microsoft.Authorization/RoleDefinitions/"
            .. one.role.id } })
    end
  end
  return rows
end

local OPEN = { resources = resources, resourcecontainers = containers,
  patchassessmentresources = patches, authorizationresources = assignments }

--- The tables for kql.run, of the subscriptions for which wanted(id), as the principal may see
--- them.
function tables.of(state, wanted, principal)
  local out = {}
  for name, open in pairs(OPEN) do
    out[name] = function()
      return open(state, wanted, principal), kql.columns(COLUMNS)
    end
  end
  return out
end

--- A value of a row as JSON has it.
function tables.cell(value, plain)
  if value == nil then
    return json.null
  elseif type(value) == "table" then
    return plain(value)
  end
  return value
end

return tables
