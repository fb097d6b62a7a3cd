-- SPDX-License-Identifier: MIT
-- Azure Resource Manager: which resource is meant, and the checks that come before it, in
-- ARM's order: api-version, token, subscription, provider, type and version, group, parent.
local core = require "arclua.core"
local json = require "arclua.json"
local connectivity = require "arclua.emulator.arm_connectivity"
local machines = require "arclua.emulator.arm_machines"
local reply = require "arclua.emulator.arm_reply"
local text = require "arclua.emulator.text"
local throttle = require "arclua.emulator.throttle"

local arm = {}

local COMPUTE, CONNECT = "microsoft.hybridcompute", "microsoft.hybridconnectivity"
local OLDEST_COMPUTE = "2020-08-02"

local function unauthorized(state, code, message, description)
  return { reply.fail(401, code, message, { headers = {
    ["WWW-Authenticate"] = ('Bearer authorization_uri="%s/%s", error="invalid_token", '
      .. 'error_description="%s"'):format(state.cloud.authority, state.tenant, description),
  } }) }
end

local function check_token(state, request)
  local header = request.headers.authorization
  if not header then
    return unauthorized(state, "AuthenticationFailed",
      "Authentication failed. The 'Authorization' header is missing.",
      "The authentication failed because of missing 'Authorization' header.")
  end
  local token = header:match "^[Bb]earer%s+(%S+)$"
  local raw = token and core.crypto.jwt_verify(state.key, token)
  local claims = raw and json.decode(raw)
  if not claims then
    return unauthorized(state, "InvalidAuthenticationToken",
      "The access token is invalid.", "The access token is invalid.")
  end
  local audience = tostring(claims.aud):gsub("/$", "")
  local now = core.time()
  if audience ~= state.cloud.audience and audience ~= state.cloud.resource_manager then
    return unauthorized(state, "InvalidAuthenticationTokenAudience",
      "The access token has been obtained for wrong audience or resource.",
      "The access token has been obtained for wrong audience or resource.")
  elseif claims.tid ~= state.tenant then
    return unauthorized(state, "InvalidAuthenticationTokenTenant",
      "The access token is from the wrong issuer.", "The access token is from the wrong issuer.")
  elseif claims.exp <= now then
    return unauthorized(state, "ExpiredAuthenticationToken",
      ("The access token expiry UTC time '%s' is earlier than current UTC time '%s'."):format(
        os.date("!%m/%d/%Y %I:%M:%S %p", math.floor(claims.exp)),
        os.date("!%m/%d/%Y %I:%M:%S %p", math.floor(now))), "The access token has expired.")
  end
end

local function check_version(request)
  local version = request.query_table["api-version"]
  if not version or version == "" then
    return { reply.fail(400, "MissingApiVersionParameter", "The api-version query parameter "
      .. "(?api-version=) is required for all requests.", { cause = "gateway" }) }
  elseif not version:match "^%d%d%d%d%-%d%d%-%d%d$"
      and not version:match "^%d%d%d%d%-%d%d%-%d%d%-%a+$" then
    return { reply.fail(400, "InvalidApiVersionParameter",
      ("The api-version '%s' is invalid."):format(text.plain(version, 40)),
      { cause = "gateway" }) }
  end
end

-- { "subscriptions", ID, "resourcegroups", NAME, ... }: odd segments in lower case.
local function segments_of(path)
  local out = {}
  for segment in path:gmatch "[^/]+" do
    out[#out + 1] = text.decode(segment)
  end
  return out
end

local function unknown(request)
  return { reply.fail(404, "InvalidResourceType", ("There is no resource type for '%s' here.")
    :format(text.plain(request.path, 300)), { cause = "gateway" }) }
end

local function wrong_version(namespace, kind, version, supported)
  return { reply.fail(400, "InvalidResourceType", ("The resource type '%s' could not be found "
    .. "in the namespace '%s' for api version '%s'. The supported api-versions are '%s'.")
    :format(kind, namespace, version, supported), { cause = "gateway" }) }
end

local function check_type_version(namespace, kind, version)
  if namespace == COMPUTE and version < OLDEST_COMPUTE then
    return wrong_version("Microsoft.HybridCompute", kind, version, OLDEST_COMPUTE)
  elseif namespace == CONNECT then
    local known = false
    for _, offered in ipairs(connectivity.versions) do
      known = known or offered == version
    end
    if not known or (kind:lower() == "serviceconfigurations"
        and not connectivity.has_services(version)) then
      return wrong_version("Microsoft.HybridConnectivity", kind, version,
        table.concat(connectivity.versions, ","))
    end
  end
end

local function check_registered(subscription, method)
  if subscription.registered then
    return nil
  elseif method == "GET" then
    return { reply.fail(404, "NoRegisteredProviderFound", "No registered resource provider "
      .. "found for location 'westeurope' and API version '2023-03-15' for type 'endpoints'. "
      .. "The supported api-versions are ''. The supported locations are ''.",
      { cause = "gateway" }) }
  end
  local message = "The subscription is not registered to use namespace "
    .. "'Microsoft.HybridConnectivity'. See https://aka.ms/rps-not-found for how to register "
    .. "subscriptions."
  return { reply.fail(409, "MissingSubscriptionRegistration", message, { cause = "gateway",
    details = json.array { { code = "MissingSubscriptionRegistration", message = message,
      target = "Microsoft.HybridConnectivity" } } }) }
end

local function throttled(state, subscription, request, headers)
  local kind = throttle.kind(request.method)
  local left, wait = state.throttle:take(subscription, kind)
  headers["x-ms-ratelimit-remaining-subscription-" .. kind] = ("%d"):format(left or 0)
  if not left then
    state.log:add("throttled", { kind = kind, subscription = subscription })
    return { reply.fail(429, "SubscriptionRequestsThrottled", ("Number of '%s' requests for "
      .. "subscription '%s' actor '%s' exceeded. Please try again after '%d' seconds."):format(
      kind:sub(1, -2), subscription, state.object_id, wait),
      { cause = "gateway", headers = { ["Retry-After"] = ("%d"):format(wait) } }) }
  end
end

local function subscription_resource(state, s)
  return { id = "/subscriptions/" .. s.id, subscriptionId = s.id, tenantId = state.tenant,
    displayName = s.name, state = "Enabled", authorizationSource = "RoleBased",
    managedByTenants = json.array {}, subscriptionPolicies = {
      locationPlacementId = "Public_2014-09-01", quotaId = "Internal_2014-09-01",
      spendingLimit = "Off" } }
end

local function list_subscriptions(state)
  local value = json.array {}
  for i, s in ipairs(state.subscriptions) do
    value[i] = subscription_resource(state, s)
  end
  return 200, {}, { value = value, count = { type = "Total", value = #value } }
end

local function list_tenants(state)
  return 200, {}, { value = json.array { { id = "/tenants/" .. state.tenant,
    tenantId = state.tenant, displayName = "arclua emulator", tenantCategory = "Home",
    tenantType = "AAD", defaultDomain = "arc.localhost",
    domains = json.array { "arc.localhost" } } } }
end

local function list_groups(state, subscription)
  local value = json.array {}
  for _, group in ipairs(state.group_list) do
    if group.subscription == subscription then
      value[#value + 1] = { id = ("/subscriptions/%s/resourceGroups/%s"):format(subscription,
        group.name), name = group.name, type = "Microsoft.Resources/resourceGroups",
        location = group.location, tags = {}, properties = { provisioningState = "Succeeded" } }
    end
  end
  return 200, {}, { value = value }
end

local function provider(subscription, name, request, verb)
  if verb and verb:lower() == "register" and request.method == "POST" then
    subscription.registered = true
  elseif verb or request.method ~= "GET" then
    return table.unpack(unknown(request))
  end
  return 200, {}, { id = ("/subscriptions/%s/providers/%s"):format(subscription.id, name),
    namespace = name, registrationPolicy = "RegistrationRequired",
    registrationState = subscription.registered and "Registered" or "NotRegistered",
    resourceTypes = json.array {} }
end

-- …/machines/{m}/providers/Microsoft.HybridConnectivity/endpoints…: `rest` from "endpoints" on.
local function connect_resource(state, machine, request, rest)
  local kind = (rest[3] or ""):lower()
  if #rest <= 2 then
    return connectivity.endpoint(state, machine, request, rest[2])
  elseif kind == "listcredentials" and #rest == 3 and request.method == "POST" then
    return connectivity.list_credentials(state, machine, request, rest[2])
  elseif kind == "serviceconfigurations" and #rest <= 4 then
    return connectivity.service(state, machine, request, rest[2], rest[4])
  end
  return table.unpack(unknown(request))
end

-- /subscriptions/S/resourceGroups/G/providers/Microsoft.HybridCompute/machines[/M[/...]]
local function group_resource(state, subscription, request, path)
  local group, name = path[4], path[8]
  local extension = path[9] and path[9]:lower() == "providers"
    and (path[10] or ""):lower() == CONNECT and (path[11] or ""):lower() == "endpoints"
  if (path[6] or ""):lower() ~= COMPUTE or (path[7] or ""):lower() ~= "machines"
      or (path[9] and not extension) then
    return table.unpack(unknown(request))
  end
  local version = request.query_table["api-version"]
  local refusal = extension and check_registered(subscription, request.method)
    or check_type_version(extension and CONNECT or COMPUTE,
      extension and (path[13] or "endpoints") or "machines", version)
  if refusal then
    return table.unpack(refusal)
  elseif not state.groups[subscription.id .. "/" .. group:lower()] then
    return reply.fail(404, "ResourceGroupNotFound",
      ("Resource group '%s' could not be found."):format(group), { cause = "gateway" })
  elseif not name then
    return machines.list(state, request, subscription.id, group)
  end
  local id = ("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.HybridCompute/machines/%s")
    :format(subscription.id, group, name)
  local machine = state.by_id[id:lower()]
  if not machine then
    return reply.fail(404, "ResourceNotFound", ("The Resource 'Microsoft.HybridCompute/machines"
      .. "/%s' under resource group '%s' was not found. For more details please go to "
      .. "https://aka.ms/ARMResourceNotFoundFix"):format(name, group), { cause = "gateway" })
  elseif extension then
    return connect_resource(state, machine, request, table.move(path, 11, #path, 1, {}))
  elseif request.method ~= "GET" then
    return reply.fail(405, "MethodNotAllowed", "The emulator only reads machines.")
  end
  return machines.get(state, machine)
end

local function subscription_resource_of(state, subscription, request, path)
  local kind, namespace = (path[3] or ""):lower(), (path[4] or ""):lower()
  if not path[3] then
    return 200, {}, subscription_resource(state, subscription)
  elseif kind == "resourcegroups" and not path[4] then
    return list_groups(state, subscription.id)
  elseif kind == "resourcegroups" and (path[5] or ""):lower() == "providers" then
    return group_resource(state, subscription, request, path)
  elseif kind == "providers" and namespace == COMPUTE and #path == 5
      and path[5]:lower() == "machines" and request.method == "GET" then
    local refusal = check_type_version(COMPUTE, "machines",
      request.query_table["api-version"])
    if refusal then
      return table.unpack(refusal)
    end
    return machines.list(state, request, subscription.id)
  elseif kind == "providers" and namespace == CONNECT and #path <= 5 then
    return provider(subscription, path[4], request, path[5])
  end
  return table.unpack(unknown(request))
end

local function route(state, request, headers)
  local refusal = check_version(request) or check_token(state, request)
  if refusal then
    return table.unpack(refusal)
  end
  local path = segments_of(request.path)
  local root = (path[1] or ""):lower()
  if root == "tenants" and #path == 1 then
    return list_tenants(state)
  elseif root ~= "subscriptions" then
    return table.unpack(unknown(request))
  elseif not path[2] then
    return list_subscriptions(state)
  end
  local subscription = state.subscriptions[path[2]:lower()]
  if not subscription then
    return reply.fail(404, "SubscriptionNotFound",
      ("The subscription '%s' could not be found."):format(path[2]), { cause = "gateway" })
  end
  refusal = throttled(state, subscription.id, request, headers)
  if refusal then
    return table.unpack(refusal)
  end
  return subscription_resource_of(state, subscription, request, path)
end

-- The machine that a path names, for faults.
local function machine_name(path)
  return path:lower():match "/machines/([^/]+)"
end

--- Answers one request: status, headers, body; or nil and the fault to act out.
function arm.handle(state, request)
  local headers = {}
  request.query_table = text.pairs(request.query, false, false)
  local fault = state.faults:take("arm", machine_name(request.path), request)
  local status, more, body
  if fault and fault.kind ~= "answer" then
    return nil, fault
  elseif fault then
    state.log:add("fault", { at = "arm", status = fault.status, path = request.path })
    status, more, body = reply.fail(fault.status or 500, fault.code or "InternalServerError",
      fault.message or "The server encountered an internal error.", { headers = {
        ["Retry-After"] = fault.retry_after and ("%d"):format(fault.retry_after) or nil } })
    body = fault.body or body
  else
    status, more, body = route(state, request, headers)
  end
  for name, value in pairs(more) do
    headers[name] = value
  end
  state.log:add("arm", { method = request.method, path = request.path, status = status })
  return status, reply.finish(request, headers), body
end

return arm
