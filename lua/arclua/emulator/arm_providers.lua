-- SPDX-License-Identifier: MIT
-- Resource providers of a subscription: registered by request, which takes its time.
local core = require "arclua.core"
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"

local providers = {}

local CONNECT = { "2027-01-01", "2024-12-01", "2023-03-15", "2022-05-01-preview",
  "2021-10-06-preview" }
local COMPUTE = { "2025-01-13", "2024-07-10", "2022-12-27", "2022-11-10" }

local KNOWN = {
  { name = "Microsoft.HybridCompute", versions = COMPUTE,
    types = { "machines", "machines/extensions", "machines/runCommands" } },
  { name = "Microsoft.HybridConnectivity", versions = CONNECT, extends = true,
    types = { "endpoints", "endpoints/serviceConfigurations" } },
  { name = "Microsoft.GuestConfiguration", versions = { "2022-01-25" },
    types = { "guestConfigurationAssignments" } },
}

--- What a subscription holds of its providers: all registered, but for the unwanted ones.
---@param registered boolean  whether Microsoft.HybridConnectivity is
function providers.new(registered)
  local held = {}
  for _, known in ipairs(KNOWN) do
    held[known.name:lower()] = { name = known.name, known = known, state = "Registered" }
  end
  if not registered then
    held["microsoft.hybridconnectivity"].state = "NotRegistered"
  end
  return held
end

-- The state by now: what is under way ends after its time.
local function settle(one)
  if one.ready and core.time() >= one.ready then
    one.state, one.ready = one.state == "Registering" and "Registered" or "Unregistered", nil
  end
  return one.state
end

--- The state of a provider of a subscription.
---@return string "Registered", "Registering", "NotRegistered", ...
function providers.state(subscription, name)
  return settle(subscription.providers[name:lower()])
end

local function resource(state, subscription, one)
  local types, locations = {}, {}
  for i, region in ipairs(one.known.extends and state.regions or {}) do
    locations[i] = region
  end
  for i, kind in ipairs(one.known.types) do
    types[i] = { resourceType = kind, locations = json.array(locations),
      apiVersions = json.array(one.known.versions),
      capabilities = one.known.extends and "SupportsExtension" or "None" }
  end
  return { id = ("/subscriptions/%s/providers/%s"):format(subscription.id, one.name),
    namespace = one.name, registrationPolicy = "RegistrationRequired",
    registrationState = settle(one), resourceTypes = json.array(types) }
end

-- Registering one that is registered changes nothing.
local function change(state, one, from, to)
  if settle(one) ~= from then
    one.state, one.ready = to, core.time() + state.provider_delay
    state.log:add("provider", { name = one.name, state = to })
  end
end

local function show(state, request, at)
  local one = at.subscription.providers[at.p:lower()]
  if not one then
    return reply.fail(404, "InvalidResourceNamespace",
      ("The resource namespace '%s' is invalid."):format(at.p), { cause = "gateway" })
  elseif request.path:lower():find "/register$" then
    change(state, one, "Registered", "Registering")
  elseif request.path:lower():find "/unregister$" then
    change(state, one, "Unregistered", "Unregistering")
  end
  return 200, {}, resource(state, at.subscription, one)
end

local function list(state, _, at)
  local value = json.array {}
  for i, known in ipairs(KNOWN) do
    value[i] = resource(state, at.subscription, at.subscription.providers[known.name:lower()])
  end
  return 200, {}, { value = value }
end

local function right(verb)
  return function(_, at)
    return ("%s/%s"):format(at.p, verb)
  end
end

local ROOT = "subscriptions/{s}/providers"

providers.routes = {
  { path = ROOT, method = "GET", handle = list },
  { path = ROOT .. "/{p}", method = "GET", handle = show },
  { path = ROOT .. "/{p}/register", method = "POST", handle = show,
    action = right "register/action" },
  { path = ROOT .. "/{p}/unregister", method = "POST", handle = show,
    action = right "unregister/action" },
}

return providers
