-- SPDX-License-Identifier: MIT
-- Azure Resource Manager: which resource a path means, and the checks that come before it, in
-- ARM's order: api-version, token, subscription, type, provider, version, group, machine.
local json = require "arclua.json"
local checks = require "arclua.emulator.arm_checks"
local connectivity = require "arclua.emulator.arm_connectivity"
local graph = require "arclua.emulator.arm_graph"
local machines = require "arclua.emulator.arm_machines"
local reply = require "arclua.emulator.arm_reply"
local text = require "arclua.emulator.text"

local arm = {}

local function subscription_resource(state, s)
  return { id = "/subscriptions/" .. s.id, subscriptionId = s.id, tenantId = state.tenant,
    displayName = s.name, state = "Enabled", authorizationSource = "RoleBased",
    managedByTenants = json.array {}, subscriptionPolicies = {
      locationPlacementId = "Public_2014-09-01", quotaId = "Internal_2014-09-01",
      spendingLimit = "Off" } }
end

-- What this cloud is, for whoever knows no more than where its ARM is.
local function metadata(state)
  local cloud = state.cloud
  return 200, {}, { name = "arclua-emulator", resourceManager = cloud.resource_manager .. "/",
    authentication = { loginEndpoint = cloud.authority .. "/", tenant = "common",
      identityProvider = "AAD", audiences = json.array { cloud.audience } },
    suffixes = {} }
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

local function list_groups(state, subscription_id)
  local value = json.array {}
  for _, group in ipairs(state.group_list) do
    if group.subscription == subscription_id then
      value[#value + 1] = { id = ("/subscriptions/%s/resourceGroups/%s")  :format(subscription_id,
        group.name), name = group.name, type = "Microsoft.Resources/resourceGroups",
        location = group.location, tags = group.tags,
        properties = { provisioningState = "Succeeded" } }
    end
  end
  return 200, {}, { value = value }
end

local function provider(subscription)
  local name = "Microsoft.HybridConnectivity"
  return 200, {}, { id = ("/subscriptions/%s/providers/%s"):format(subscription.id, name),
    namespace = name, registrationPolicy = "RegistrationRequired",
    registrationState = subscription.registered and "Registered" or "NotRegistered",
    resourceTypes = json.array {} }
end

local function not_allowed()
  return reply.fail(405, "MethodNotAllowed", "The emulator does not offer this method here.")
end

-- Paths, names in braces; method: the only one that is served (else the handler decides);
-- namespace and kind: for the checks. handle(state, request, at): at.s, at.g, ... as the path
-- has them, at.subscription and at.machine what they mean.
local MACHINE_TYPE = "Microsoft.HybridCompute/machines"
local ROOT = "subscriptions/{s}"
local MACHINES = "providers/microsoft.hybridcompute/machines"
local GROUP = ROOT .. "/resourcegroups/{g}/"
local ENDPOINTS = GROUP .. MACHINES .. "/{m}/providers/microsoft.hybridconnectivity/endpoints"

local ROUTES = {
  { path = "tenants", method = "GET", handle = list_tenants },
  { path = "subscriptions", method = "GET", handle = list_subscriptions },
  { path = ROOT, method = "GET", handle = function(state, _, at)
    return 200, {}, subscription_resource(state, at.subscription)
  end },
  { path = ROOT .. "/resourcegroups", method = "GET", handle = function(state, _, at)
    return list_groups(state, at.subscription.id)
  end },
  { path = ROOT .. "/providers/microsoft.hybridconnectivity", method = "GET",
    handle = function(_, _, at)
      return provider(at.subscription)
    end },
  { path = ROOT .. "/providers/microsoft.hybridconnectivity/register", method = "POST",
    handle = function(_, _, at)
      at.subscription.registered = true
      return provider(at.subscription)
    end },
  { path = ROOT .. "/" .. MACHINES, method = "GET", namespace = "compute", kind = "machines",
    handle = function(state, request, at)
      return machines.list(state, request, at.subscription.id, nil, at.type)
    end },
  { path = GROUP .. MACHINES, method = "GET", namespace = "compute", kind = "machines",
    handle = function(state, request, at)
      return machines.list(state, request, at.subscription.id, at.g, at.type)
    end },
  { path = GROUP .. MACHINES .. "/{m}", method = "GET", namespace = "compute", kind = "machines",
    handle = function(state, _, at)
      return machines.get(state, at.machine)
    end },
  { path = GROUP .. MACHINES .. "/{m}/providers/{n}/virtualmachineinstances/{i}", method = "GET",
    namespace = "compute", kind = "machines", handle = function(state, _, at)
      return machines.instance(state, at.machine, at.n, at.i)
    end },
  { path = "providers/microsoft.resourcegraph/resources", method = "POST",
    handle = graph.query },
  { path = ENDPOINTS, namespace = "connect", kind = "endpoints",
    handle = function(state, request, at)
      return connectivity.endpoint(state, at.machine, request)
    end },
  { path = ENDPOINTS .. "/{e}", namespace = "connect", kind = "endpoints",
    handle = function(state, request, at)
      return connectivity.endpoint(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/listcredentials", method = "POST", namespace = "connect",
    kind = "endpoints", handle = function(state, request, at)
      return connectivity.list_credentials(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/serviceconfigurations", namespace = "connect",
    kind = "serviceConfigurations", handle = function(state, request, at)
      return connectivity.service(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/serviceconfigurations/{n}", namespace = "connect",
    kind = "serviceConfigurations", handle = function(state, request, at)
      return connectivity.service(state, at.machine, request, at.e, at.n)
    end },
}

-- The first generation of private clouds' machines has the same paths below other types.
local OLD_TYPES = { "Microsoft.ConnectedVMwarevSphere/virtualMachines",
  "Microsoft.ScVmm/virtualMachines", "Microsoft.AzureStackHCI/virtualMachines" }

local function add_old_types()
  for i = 1, #ROUTES do
    local route = ROUTES[i]
    for _, kind in ipairs(route.path:find(MACHINES, 1, true) and OLD_TYPES or {}) do
      local from, to = route.path:find(MACHINES, 1, true)
      ROUTES[#ROUTES + 1] = { method = route.method, kind = route.kind, handle = route.handle,
        namespace = route.namespace == "connect" and "connect" or nil, type = kind,
        path = route.path:sub(1, from - 1) .. "providers/" .. kind:lower()
          .. route.path:sub(to + 1) }
    end
  end
end

add_old_types()

local function split(path)
  local out = {}
  for segment in path:gmatch "[^/]+" do
    out[#out + 1] = segment
  end
  return out
end

for _, route in ipairs(ROUTES) do
  route.segments = split(route.path)
end

-- What the braces of the route stand for, or nil when it is another one.
local function match(route, segments)
  if #route.segments ~= #segments then
    return nil
  end
  local at = {}
  for i, wanted in ipairs(route.segments) do
    local name = wanted:match "^{(.)}$"
    if name then
      at[name] = segments[i]
    elseif wanted ~= segments[i]:lower() then
      return nil
    end
  end
  return at
end

local function find(segments)
  for _, route in ipairs(ROUTES) do
    local at = match(route, segments)
    if at then
      return route, at
    end
  end
end

local function unknown(request)
  return { reply.fail(404, "InvalidResourceType", ("There is no resource type for '%s' here.")
    :format(text.plain(request.path, 300)), { cause = "gateway" }) }
end

local function check_subscription(state, segments, request, headers)
  if segments[1]:lower() ~= "subscriptions" or not segments[2] then
    return nil
  end
  local subscription = state.subscriptions[segments[2]:lower()]
  if not subscription then
    return { reply.fail(404, "SubscriptionNotFound",
      ("The subscription '%s' could not be found."):format(segments[2]), { cause = "gateway" }) }
  end
  return checks.throttled(state, subscription.id, request, headers)
end

-- Group and machine that the path names.
local function check_parents(state, at)
  if not at.g then
    return nil
  elseif not state.groups[at.subscription.id .. "/" .. at.g:lower()] then
    return { reply.fail(404, "ResourceGroupNotFound",
      ("Resource group '%s' could not be found."):format(at.g), { cause = "gateway" }) }
  elseif not at.m then
    return nil
  end
  local id = ("/subscriptions/%s/resourceGroups/%s/providers/%s/%s"):format(at.subscription.id,
    at.g, at.type, at.m)
  at.machine = state.by_id[id:lower()]
  if not at.machine then
    return { reply.fail(404, "ResourceNotFound", ("The Resource '%s/%s' under resource group '%s' "
      .. "was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix")
      :format(at.type, at.m, at.g), { cause = "gateway" }) }
  end
end

-- The checks that need no route.
local function check_request(state, segments, request, headers)
  return checks.version(request) or checks.token(state, request)
    or (segments[1] and check_subscription(state, segments, request, headers))
end

local function route_request(state, request, headers)
  local segments = split(request.path)
  for i, segment in ipairs(segments) do
    segments[i] = text.decode(segment)
  end
  local refusal = check_request(state, segments, request, headers)
  if refusal then
    return table.unpack(refusal)
  end
  local route, at = find(segments)
  if not route then
    return table.unpack(unknown(request))
  end
  at.subscription = at.s and state.subscriptions[at.s:lower()]
  at.type = route.type or MACHINE_TYPE
  refusal = (route.namespace == "connect" and checks.registered(at.subscription, request.method))
    or checks.type_version(route.namespace, route.kind, request.query_table["api-version"])
    or check_parents(state, at)
  if refusal then
    return table.unpack(refusal)
  elseif route.method and route.method ~= request.method then
    return not_allowed()
  end
  return route.handle(state, request, at)
end

local function answer_request(state, request, headers)
  if request.path == "/metadata/endpoints" and request.method == "GET" then
    return metadata(state)
  end
  return route_request(state, request, headers)
end

-- The machine that a path names, for faults.
local function machine_name(path)
  return path:lower():match "/machines/([^/]+)"
end

local function answer_of(fault)
  local status, more, body = reply.fail(fault.status or 500, fault.code or "InternalServerError",
    fault.message or "The server encountered an internal error.", { headers = {
      ["Retry-After"] = fault.retry_after and ("%d"):format(fault.retry_after) or nil } })
  return status, more, fault.body or body
end

--- Answers one request: status, headers, body; or nil and the fault to act out.
function arm.handle(state, request)
  local headers = {}
  request.query_table = text.pairs(request.query, false, false)
  local fault = state.faults:take("arm", machine_name(request.path), request)
  local status, more, body
  if fault and fault.kind == "answer" then
    status, more, body = answer_of(fault)
  elseif fault and fault.kind ~= "short-lived" then
    return nil, fault
  else
    request.lifetime = fault and (fault.lifetime or 0)
    status, more, body = answer_request(state, request, headers)
  end
  for name, value in pairs(more) do
    headers[name] = value
  end
  state.log:add("arm", { method = request.method, path = request.path, status = status })
  return status, reply.finish(request, headers), body
end

return arm
