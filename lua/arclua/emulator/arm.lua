-- SPDX-License-Identifier: MIT
-- Azure Resource Manager: which resource a path means, and the checks that come before it, in
-- ARM's order: api-version, token, subscription, type, provider, version, group, machine.
local arm_faults = require "arclua.emulator.arm_faults"
local authorization = require "arclua.emulator.arm_authorization"
local batch = require "arclua.emulator.arm_batch"
local checks = require "arclua.emulator.arm_checks"
local connectivity = require "arclua.emulator.arm_connectivity"
local etags = require "arclua.emulator.arm_etags"
local extensions = require "arclua.emulator.arm_extensions"
local graph = require "arclua.emulator.arm_graph"
local machines = require "arclua.emulator.arm_machines"
local operations = require "arclua.emulator.arm_operations"
local providers = require "arclua.emulator.arm_providers"
local reply = require "arclua.emulator.arm_reply"
local resources = require "arclua.emulator.arm_resources"
local run_commands = require "arclua.emulator.arm_run_commands"
local scopes = require "arclua.emulator.arm_scopes"
local text = require "arclua.emulator.text"

local arm = {}

local function not_allowed()
  return reply.fail(405, "MethodNotAllowed", "The emulator does not offer this method here.")
end

-- Paths, names in braces; method: the only one that is served (else the handler decides);
-- namespace and kind: for the checks; resource: what a right is needed for (or action, a function
-- that gives the right). handle(state, request, at): at.s, at.g, ... as the path
-- has them, at.subscription and at.machine what they mean. etag: its resources have ETags.
local MACHINE_TYPE = "Microsoft.HybridCompute/machines"
local CONNECT = "Microsoft.HybridConnectivity/"
local EXTENSIONS = "Microsoft.HybridCompute/machines/extensions"
local ROOT = "subscriptions/{s}"
local MACHINES = "providers/microsoft.hybridcompute/machines"
local GROUP = ROOT .. "/resourcegroups/{g}/"
local ENDPOINTS = GROUP .. MACHINES .. "/{m}/providers/microsoft.hybridconnectivity/endpoints"

local LOCATION = ROOT .. "/providers/microsoft.hybridcompute/locations/{l}/"
local MACHINE = GROUP .. MACHINES .. "/{m}"

local route_request

local function poll(name)
  return function(state, request, at)
    return operations.poll(state, request, name, at.o)
  end
end

local ROUTES = {
  { path = "batch", method = "POST", handle = function(state, request)
    return batch.handle(state, request, function(one, headers)
      return route_request(state, one, headers)
    end)
  end },
  { path = "providers/microsoft.resources/operationresults/{o}", method = "GET",
    handle = poll "operationresults" },
  { path = LOCATION .. "operationstatus/{o}", method = "GET", handle = poll "operationstatus" },
  { path = LOCATION .. "operationresults/{o}", method = "GET", handle = poll "operationresults" },
  { path = LOCATION .. "updatecenteroperationresults/{o}", method = "GET",
    handle = poll "updateCenterOperationResults" },
  { path = MACHINE .. "/extensions", method = "GET", namespace = "compute",
    kind = "machines/extensions", resource = EXTENSIONS, handle = function(_, _, at)
      return extensions.list(at.machine)
    end },
  { path = MACHINE .. "/extensions/{x}", namespace = "compute", kind = "machines/extensions",
    etag = true, resource = EXTENSIONS, handle = function(state, request, at)
      return extensions.one(state, at.machine, request, at.x)
    end },
  { path = MACHINE .. "/assesspatches", method = "POST", namespace = "compute", kind = "machines",
    resource = "Microsoft.HybridCompute/machines/assessPatches",
    handle = function(state, request, at)
      return extensions.assess(state, at.machine, request)
    end },
  { path = "tenants", method = "GET", handle = scopes.tenants },
  { path = "subscriptions", method = "GET", handle = scopes.subscriptions },
  { path = ROOT, method = "GET", handle = function(state, _, at)
    return 200, {}, scopes.subscription(state, at.subscription)
  end },
  { path = ROOT .. "/resources", method = "GET", handle = function(state, request, at)
    return resources.list(state, request, at.subscription.id)
  end },
  { path = GROUP .. "resources", method = "GET", handle = function(state, request, at)
    return resources.list(state, request, at.subscription.id, at.g)
  end },
  { path = ROOT .. "/resourcegroups", method = "GET", handle = function(state, _, at)
    return scopes.groups(state, at.subscription.id)
  end },
  { path = ROOT .. "/" .. MACHINES, method = "GET", namespace = "compute", kind = "machines",
    resource = MACHINE_TYPE,
    handle = function(state, request, at)
      return machines.list(state, request, at.subscription.id, nil, at.type)
    end },
  { path = GROUP .. MACHINES, method = "GET", namespace = "compute", kind = "machines",
    resource = MACHINE_TYPE,
    handle = function(state, request, at)
      return machines.list(state, request, at.subscription.id, at.g, at.type)
    end },
  { path = GROUP .. MACHINES .. "/{m}", method = "GET", namespace = "compute",
    kind = "machines", resource = MACHINE_TYPE,
    handle = function(state, _, at)
      return machines.get(state, at.machine)
    end },
  { path = GROUP .. MACHINES .. "/{m}/providers/{n}/virtualmachineinstances/{i}", method = "GET",
    namespace = "compute", kind = "machines", resource = MACHINE_TYPE,
    handle = function(state, _, at)
      return machines.instance(state, at.machine, at.n, at.i)
    end },
  { path = "providers/microsoft.resourcegraph/resources", method = "POST",
    handle = graph.query },
  { path = ENDPOINTS, namespace = "connect", kind = "endpoints", resource = CONNECT .. "endpoints",
    handle = function(state, request, at)
      return connectivity.endpoint(state, at.machine, request)
    end },
  { path = ENDPOINTS .. "/{e}", namespace = "connect", kind = "endpoints", etag = true,
    resource = CONNECT .. "endpoints",
    handle = function(state, request, at)
      return connectivity.endpoint(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/listcredentials", method = "POST", namespace = "connect",
    kind = "endpoints", resource = CONNECT .. "endpoints/listCredentials",
    handle = function(state, request, at)
      return connectivity.list_credentials(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/serviceconfigurations", namespace = "connect",
    kind = "serviceConfigurations", resource = CONNECT .. "endpoints/serviceConfigurations",
    handle = function(state, request, at)
      return connectivity.service(state, at.machine, request, at.e)
    end },
  { path = ENDPOINTS .. "/{e}/serviceconfigurations/{n}", namespace = "connect",
    kind = "serviceConfigurations", resource = CONNECT .. "endpoints/serviceConfigurations",
    etag = true, handle = function(state, request, at)
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

for _, room in ipairs { providers, run_commands } do
  table.move(room.routes, 1, #room.routes, #ROUTES + 1, ROUTES)
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
  return authorization.find(segments)
end

local function unknown(request)
  return { reply.fail(404, "InvalidResourceType", ("There is no resource type for '%s' here.")
    :format(text.plain(request.path, 300)), { cause = "gateway" }) }
end

local function check_subscription(state, segments, request, headers)
  if segments[1]:lower() ~= "subscriptions" or not segments[2] then
    return checks.throttled(state, "tenant", request, headers)
  end
  local subscription = state.subscriptions[segments[2]:lower()]
  if not subscription then
    return { reply.fail(404, "SubscriptionNotFound",
      ("The subscription '%s' could not be found."):format(segments[2]), { cause = "gateway" }) }
  end
  return checks.throttled(state, subscription.id, request, headers)
end

-- The group that the path names.
local function check_group(state, at)
  if at.g and not state.groups[at.subscription.id .. "/" .. at.g:lower()] then
    return { reply.fail(404, "ResourceGroupNotFound",
      ("Resource group '%s' could not be found."):format(at.g), { cause = "gateway" }) }
  end
end

-- The machine that the path names.
local function check_machine(state, at)
  if not at.m then
    return nil
  end
  at.machine = state.by_id[checks.scope(at):lower()]
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

-- The checks that come before the provider's own, in ARM's order.
local function check_place(state, request, route, at)
  return (route.namespace == "connect" and checks.registered(at.subscription, request.method))
    or checks.type_version(route.namespace, route.kind, request.query_table["api-version"])
    or check_group(state, at) or checks.right(state, request, route, at)
    or check_machine(state, at) or checks.lock(request, at)
end

local function handle(state, request, route, at)
  if not route.etag then
    return route.handle(state, request, at)
  end
  local refusal = etags.check(state, request, route, at)
  if refusal then
    return table.unpack(refusal)
  end
  return etags.add(route.handle(state, request, at))
end

function route_request(state, request, headers)
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
  refusal = check_place(state, request, route, at)
  if refusal then
    return table.unpack(refusal)
  elseif route.method and route.method ~= request.method then
    return not_allowed()
  end
  return handle(state, request, route, at)
end

local function answer_request(state, request, headers)
  if request.path == "/metadata/endpoints" and request.method == "GET" then
    return scopes.metadata(state)
  end
  return route_request(state, request, headers)
end

-- The machine that a path names, for faults.
local function machine_name(path)
  return path:lower():match "/machines/([^/]+)"
end

--- Answers one request: status, headers, body; or nil and the fault to act out.
function arm.handle(state, request)
  local headers = {}
  request.query_table = text.pairs(request.query, false, false)
  request.machine = machine_name(request.path)
  operations.settle(state)
  local fault = state.faults:take("arm", request.machine, request)
  if fault and not arm_faults.is_answered(fault) then
    return nil, fault
  end
  local status, more, body = arm_faults.answer(state, request, fault, function()
    return answer_request(state, request, headers)
  end)
  for name, value in pairs(more) do
    headers[name] = value
  end
  state.log:add("arm", { method = request.method, path = request.path, status = status })
  return status, reply.finish(request, headers), body
end

return arm
