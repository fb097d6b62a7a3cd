-- SPDX-License-Identifier: MIT
-- A machine's connectivity endpoint and its service configurations: read, made, removed.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"
local times = require "arclua.times"

local endpoints = {}

local API = "2023-03-15"
local ENDPOINT = "/providers/Microsoft.HybridConnectivity/endpoints/default"
local SERVICES = ENDPOINT .. "/serviceConfigurations"
local SSH = SERVICES .. "/SSH"

local function call(client, machine, tail, method, properties)
  return client:request { method = method, path = resource_id.path(machine.id) .. tail,
    api_version = API, body = properties and { properties = properties } or nil }
end

local function port_of(value)
  local properties = type(value) == "table" and value.properties
  return type(properties) == "table" and math.tointeger(tonumber(properties.port)) or nil
end

-- When a resource was changed last, as it says.
local function modified(value)
  local data = type(value) == "table" and value.systemData
  return type(data) == "table" and times.rfc3339(data.lastModifiedAt) or nil
end

--- A machine's SSH service configuration: its port, and when it was set (seconds since 1970), each
--- nil where it is not told. Errors: notfound, denied, and the others of ARM's.
---@return { port: integer?, modified: number? }|nil, arclua.Error?
function endpoints.service(client, machine)
  local value, err = call(client, machine, SSH)
  if value == nil then
    return nil, err
  end
  return { port = port_of(value), modified = modified(value) }
end

---@class arclua.EndpointState
---@field endpoint boolean   it is there
---@field service boolean    it has an SSH service configuration
---@field port integer?      of that

--- How far a machine is set up, by one or two reads. Errors: denied, and the others of ARM's.
---@return arclua.EndpointState|nil, arclua.Error?
function endpoints.read(client, machine)
  local service, err = endpoints.service(client, machine)
  if service then
    return { endpoint = true, service = true, port = service.port }
  elseif err.status ~= 404 or err.reason == "arm.provider-not-registered" then
    return nil, err
  end
  local value
  value, err = call(client, machine, ENDPOINT)
  if value == nil and err.status ~= 404 then
    return nil, err
  end
  return { endpoint = value ~= nil, service = false }
end

--- The names of an endpoint's service configurations; {} also when there is no endpoint.
---@return string[]|nil, arclua.Error?
function endpoints.services(client, machine)
  local list, err = client:list({ path = resource_id.path(machine.id) .. SERVICES,
    api_version = API }, function(entry)
      return entry.name
    end)
  if not list and err.status == 404 then
    return {}
  end
  return list, err
end

--- Makes the endpoint. Errors: notfound (arm.machine-not-found), denied, and ARM's.
---@return true|nil, arclua.Error?
function endpoints.create(client, machine)
  local value, err = call(client, machine, ENDPOINT, "PUT", { type = "default" })
  if value == nil and err.status == 404 then
    err = errors.new { reason = "arm.machine-not-found", op = "enable", cause = err,
      status = 404, message = "there is no machine " .. machine.id }
  end
  return value ~= nil or nil, err
end

--- Lets SSH through to a port: for all users of the machine.
---@return true|nil, arclua.Error?
function endpoints.allow(client, machine, port)
  local value, err = call(client, machine, SSH, "PUT", { serviceName = "SSH", port = port })
  return value ~= nil or nil, err
end

--- Removes a service configuration, by default SSH's.
---@return true|nil, arclua.Error?
function endpoints.forbid(client, machine)
  local value, err = call(client, machine, SSH, "DELETE")
  return value ~= nil or nil, err
end

--- Removes the endpoint.
---@return true|nil, arclua.Error?
function endpoints.remove(client, machine)
  local value, err = call(client, machine, ENDPOINT, "DELETE")
  return value ~= nil or nil, err
end

return endpoints
