-- SPDX-License-Identifier: MIT
-- Microsoft.HybridConnectivity: endpoints, service configurations, credentials of the relay.
local core = require "arclua.core"
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"
local sas = require "arclua.emulator.sas"
local states = require "arclua.emulator.state"

local connectivity = {}

local LEAST, MOST = 600, 10800 -- seconds of expiresin
local GRACE = 600 -- seconds that the SAS outlives expiresOn
local WITHOUT_SERVICES = { ["2021-10-06-preview"] = true, ["2022-05-01-preview"] = true }

connectivity.versions = { "2021-10-06-preview", "2022-05-01-preview", "2023-03-15",
  "2024-12-01", "2027-01-01" }

--- Whether the version knows service configurations.
function connectivity.has_services(version)
  return not WITHOUT_SERVICES[version]
end

local function system_data(item)
  return { createdBy = "emulator", createdByType = "Application",
    createdAt = reply.time(item.created), lastModifiedBy = "emulator",
    lastModifiedByType = "Application", lastModifiedAt = reply.time(item.changed or item.created) }
end

local function endpoint_resource(machine)
  local endpoint = machine.endpoint
  return {
    id = machine.id .. "/providers/Microsoft.HybridConnectivity/endpoints/" .. endpoint.name,
    name = endpoint.name, type = "Microsoft.HybridConnectivity/endpoints",
    systemData = system_data(endpoint),
    properties = { type = "default", provisioningState = "Succeeded" },
  }
end

local function service_resource(machine, service)
  return {
    id = ("%s/providers/Microsoft.HybridConnectivity/endpoints/%s/serviceconfigurations/%s")
      :format(machine.id, machine.endpoint.name, service.name),
    name = service.name, type = "Microsoft.HybridConnectivity/endpoints/serviceConfigurations",
    systemData = system_data(service),
    properties = { serviceName = service.service, port = service.port,
      provisioningState = "Succeeded" },
  }
end

local function no_endpoint(name)
  return reply.fail(404, "ResourceNotFound",
    ("The resource 'endpoints/%s' was not found on the target machine."):format(name))
end

local function bad(message)
  return reply.fail(400, "BadRequest", message)
end

local function body_of(request)
  if request.body == "" then
    return {}
  end
  local value = json.decode(request.body)
  return type(value) == "table" and value or nil
end

-- The agent hears of a change only after a while.
local function settle(state, machine)
  machine.endpoint.ready = core.time() + state.registration_delay
end

local function put_endpoint(state, machine, name, request)
  local body = body_of(request)
  local kind = body and type(body.properties) == "table" and body.properties.type
  if kind ~= "default" then
    return bad("properties.type is required and must be 'default'.")
  elseif name:lower() ~= "default" then
    return bad("The name of the endpoint must be 'default'.")
  end
  machine.endpoint = machine.endpoint or { name = name, created = core.time() }
  settle(state, machine)
  state.log:add("endpoint-put", { machine = machine.name })
  return 200, {}, endpoint_resource(machine)
end

local function not_allowed()
  return reply.fail(405, "MethodNotAllowed", "The method is not allowed here.")
end

local function get_endpoint(_, machine, name, _, there)
  if not there then
    return no_endpoint(name)
  end
  return 200, {}, endpoint_resource(machine)
end

local function delete_endpoint(state, machine, _, _, there)
  if not there then
    return 204, {}, ""
  end
  machine.endpoint, machine.services = nil, {}
  state.log:add("endpoint-delete", { machine = machine.name })
  return 200, {}, ""
end

local ENDPOINT_METHODS = { GET = get_endpoint, PUT = put_endpoint, DELETE = delete_endpoint }

--- …/endpoints (name nil) and …/endpoints/{name}
function connectivity.endpoint(state, machine, request, name)
  if not name then
    if request.method ~= "GET" then
      return not_allowed()
    end
    local value = json.array {}
    value[1] = machine.endpoint and endpoint_resource(machine)
    return 200, {}, { value = value }
  end
  local method = ENDPOINT_METHODS[request.method]
  if not method then
    return not_allowed()
  end
  local there = machine.endpoint and name:lower() == machine.endpoint.name
  return method(state, machine, name, request, there)
end

local function port_of(value)
  local port = math.tointeger(tonumber(value))
  return port and port >= 1 and port <= 65535 and port or nil
end

local SERVICES = { SSH = true, WAC = true }

-- The service and port that a body asks for; a PATCH may leave the service out.
local function wanted_service(request, old)
  local body = body_of(request)
  local wanted = body and type(body.properties) == "table" and body.properties or {}
  local service = wanted.serviceName or (request.method == "PATCH" and old and old.service)
  return SERVICES[service] and service, port_of(wanted.port)
end

local function put_service(state, machine, name, request)
  local old = machine.services[name:lower()]
  if request.method == "PATCH" and not old then
    return reply.fail(404, "ResourceNotFound", "The service configuration was not found.")
  end
  local service, port = wanted_service(request, old)
  if not service then
    return bad("properties.serviceName must be one of SSH, WAC.")
  elseif not port then
    return bad("properties.port must be a port number.")
  end
  local new = { name = name, service = service, port = port,
    created = old and old.created or core.time(), changed = core.time() }
  machine.services[name:lower()] = new
  settle(state, machine)
  state.log:add("service-put", { machine = machine.name, port = port })
  return old and 200 or 201, {}, service_resource(machine, new)
end

local function get_service(_, machine, name)
  local service = machine.services[name:lower()]
  if not service then
    return reply.fail(404, "ResourceNotFound",
      ("The resource 'serviceConfigurations/%s' was not found."):format(name))
  end
  return 200, {}, service_resource(machine, service)
end

local function delete_service(state, machine, name)
  local service = machine.services[name:lower()]
  machine.services[name:lower()] = nil
  state.log:add("service-delete", { machine = machine.name })
  return service and 200 or 204, {}, ""
end

local function list_services(machine)
  local value = json.array {}
  for _, service in pairs(machine.services) do
    value[#value + 1] = service_resource(machine, service)
  end
  return 200, {}, { value = value }
end

local SERVICE_METHODS = { GET = get_service, PUT = put_service, PATCH = put_service,
  DELETE = delete_service }

--- …/endpoints/{endpoint}/serviceConfigurations (name nil) and …/{name}
function connectivity.service(state, machine, request, endpoint, name)
  if not machine.endpoint or endpoint:lower() ~= machine.endpoint.name then
    return no_endpoint(endpoint)
  elseif not name then
    if request.method ~= "GET" then
      return not_allowed()
    end
    return list_services(machine)
  end
  local method = SERVICE_METHODS[request.method]
  if not method then
    return not_allowed()
  end
  return method(state, machine, name, request)
end

-- The JWT that the agent will check: which machine, which port.
local function service_token(state, machine, service, dies)
  local header = json.encode { alg = "RS256", typ = "JWT", kid = state.kid }
  return core.crypto.jwt_sign(state.key, header, json.encode {
    aud = "arclua-emulator-agent", iss = state.cloud.resource_manager, exp = dies,
    nbf = math.floor(state.faults:time()) - 300, sub = machine.id:lower(),
    service = service.service, port = service.port, jti = core.crypto.uuid(),
  })
end

-- Each call names a hybrid connection of its own: the time in nanoseconds, never twice. Where
-- outsiders listen there is one for all.
local function open_relay(state, machine, dies)
  if machine.relay then
    return machine.relay
  end
  local now = math.floor(state.faults:time())
  state.last_ns = math.max(state.last_ns + 1, now * 1000000000)
  for path, relay in pairs(state.relays) do
    if relay.expires < now then
      state.relays[path] = nil
    end
  end
  local path = states.relay_path(machine, state.last_ns)
  state.relays[path] = { machine = machine, expires = dies }
  return path
end

local function seconds_of(query)
  if query.expiresin == nil then
    return MOST
  end
  local seconds = query.expiresin:match "^%d+$" and math.tointeger(tonumber(query.expiresin))
  return seconds and seconds >= LEAST and seconds <= MOST and seconds or nil
end

-- The configuration of a service, whatever name it was given; nil = none.
local function service_named(machine, wanted)
  for _, service in pairs(machine.services) do
    if service.service == wanted then
      return service
    end
  end
end

-- The credentials: good for a little longer than promised, or (a fault) for less.
local function grant(state, machine, request, seconds, service)
  local now = math.floor(state.faults:time())
  local expires = now + seconds
  local dies = request.lifetime and now + math.floor(request.lifetime) or expires + GRACE
  local path = open_relay(state, machine, dies)
  state.log:add("credentials", { machine = machine.name, expires = expires })
  return {
    namespaceName = state.relay_namespace, namespaceNameSuffix = state.cloud.relay_suffix,
    hybridConnectionName = path, accessKey = sas.make(state, path, dies), expiresOn = expires,
    serviceConfigurationToken = service and service_token(state, machine, service, dies) or nil,
  }
end

--- POST …/endpoints/{endpoint}/listCredentials
function connectivity.list_credentials(state, machine, request, endpoint)
  local body, seconds = body_of(request), seconds_of(request.query_table)
  local wanted = body and body.serviceName
  local version = request.query_table["api-version"]
  if not body then
    return bad("The body is not JSON.")
  elseif not seconds then
    return bad(("The value of expiresin must be between %d and %d."):format(LEAST, MOST))
  elseif not machine.endpoint or endpoint:lower() ~= machine.endpoint.name then
    return no_endpoint(endpoint)
  end
  local service = service_named(machine, wanted)
  if wanted and connectivity.has_services(version) and not service then
    return reply.fail(412, "PreconditionFailed",
      ("The service configuration for service '%s' is not enabled on the endpoint."):format(
        tostring(wanted)))
  end
  return 200, {}, { relay = grant(state, machine, request, seconds,
    connectivity.has_services(version) and service or nil) }
end

return connectivity
