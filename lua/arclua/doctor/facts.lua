-- SPDX-License-Identifier: MIT
-- The agents' settings and extensions of all machines, from Resource Graph in a few requests; from
-- ARM, one request a machine, where Graph is denied or the machine was just changed.
local graph = require "arclua.arm.graph"
local kql = require "arclua.arm.kql"
local resource_id = require "arclua.resource_id"

local facts = {}

local API = "2025-01-13"
-- So many machines are named in the query; for more their whole subscriptions are cheaper.
local NAMED = 50

local SETTINGS = "Resources | where type =~ 'microsoft.hybridcompute/machines'%s | project id, "
  .. "agent=properties.agentConfiguration, private_link=tostring(properties."
  .. "privateLinkScopeResourceId) | order by id asc"
local EXTENSIONS = "Resources | where type =~ 'microsoft.hybridcompute/machines/extensions' and "
  .. "properties.type =~ 'AADSSHLoginForLinux' | project id, "
  .. "publisher=tostring(properties.publisher), type_=tostring(properties.type), "
  .. "state=tostring(properties.provisioningState), version=tostring(properties."
  .. "typeHandlerVersion), message=tostring(properties.instanceView.status.message) "
  .. "| order by id asc"

local function ids_of(list)
  local ids = {}
  for i, machine in ipairs(list) do
    ids[i] = machine.id
  end
  return ids
end

local function filter_of(list)
  return #list > NAMED and "" or " and " .. kql.ids(ids_of(list))
end

local function text(value)
  return type(value) == "string" and value ~= "" and value or nil
end

local function query(client, list, statement)
  return graph.query(client, statement, resource_id.subscriptions(ids_of(list)))
end

--- What Resource Graph knows, by resource_id.key: { agent, private_link, extensions }.
--- Errors: denied, and the others of ARM's.
---@param client arclua.ArmClient
---@param list arclua.MachineData[]
---@return table<string, table>|nil, arclua.Error?
function facts.graph(client, list)
  local settings, err = query(client, list, SETTINGS:format(filter_of(list)))
  local extensions
  if settings then
    extensions, err = query(client, list, EXTENSIONS)
  end
  if not extensions then
    return nil, err
  end
  local out = {}
  for _, row in ipairs(settings) do
    out[resource_id.key(row.id)] = { agent = type(row.agent) == "table" and row.agent or {},
      private_link = text(row.private_link), extensions = {} }
  end
  for _, row in ipairs(extensions) do
    local machine = out[resource_id.key((row.id:gsub("/[^/]+/[^/]+/*$", "")))]
    if machine then
      table.insert(machine.extensions, { publisher = row.publisher, type = row.type_,
        state = row.state, version = text(row.version), message = text(row.message) })
    end
  end
  return out
end

local function extension_of(entry)
  local properties = type(entry.properties) == "table" and entry.properties or {}
  local view = type(properties.instanceView) == "table" and properties.instanceView or {}
  local status = type(view.status) == "table" and view.status or {}
  return { publisher = text(properties.publisher) or "", type = text(properties.type) or "",
    state = text(properties.provisioningState), version = text(properties.typeHandlerVersion),
    message = text(status.message) }
end

--- What ARM says of one machine. Errors: ARM's.
---@return table|nil, arclua.Error?
function facts.arm(client, machine)
  local value, err = client:request { path = resource_id.path(machine.id), api_version = API }
  if value == nil then
    return nil, err
  end
  local properties = type(value.properties) == "table" and value.properties or {}
  local out = { extensions = {}, private_link = text(properties.privateLinkScopeResourceId),
    agent = type(properties.agentConfiguration) == "table" and properties.agentConfiguration
      or {} }
  for i, entry in ipairs(type(value.resources) == "table" and value.resources or {}) do
    out.extensions[i] = extension_of(entry)
  end
  return out
end

return facts
