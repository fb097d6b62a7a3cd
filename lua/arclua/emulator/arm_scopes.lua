-- SPDX-License-Identifier: MIT
-- The cloud itself, its tenant, subscriptions and groups, as ARM shows them.
local json = require "arclua.json"
local roles = require "arclua.emulator.roles"

local scopes = {}

--- A subscription as ARM shows it.
function scopes.subscription(state, s)
  return { id = "/subscriptions/" .. s.id, subscriptionId = s.id, tenantId = state.tenant,
    displayName = s.name, state = "Enabled", authorizationSource = "RoleBased",
    managedByTenants = json.array {}, subscriptionPolicies = {
      locationPlacementId = "Public_2014-09-01", quotaId = "Internal_2014-09-01",
      spendingLimit = "Off" } }
end

--- What this cloud is, for whoever knows no more than where its ARM is.
function scopes.metadata(state)
  local cloud = state.cloud
  return 200, {}, { name = "arclua-emulator", resourceManager = cloud.resource_manager .. "/",
    authentication = { loginEndpoint = cloud.authority .. "/", tenant = "common",
      identityProvider = "AAD", audiences = json.array { cloud.audience } },
    suffixes = {} }
end

--- GET of the subscriptions in which the caller has a role.
function scopes.subscriptions(state, request)
  local value = json.array {}
  for _, s in ipairs(state.subscriptions) do
    if roles.sees(state, request.principal, s.id) then
      value[#value + 1] = scopes.subscription(state, s)
    end
  end
  return 200, {}, { value = value, count = { type = "Total", value = #value } }
end

--- GET of the tenants.
function scopes.tenants(state)
  return 200, {}, { value = json.array { { id = "/tenants/" .. state.tenant,
    tenantId = state.tenant, displayName = "arclua emulator", tenantCategory = "Home",
    tenantType = "AAD", defaultDomain = "arc.localhost",
    domains = json.array { "arc.localhost" } } } }
end

--- GET of a subscription's groups.
function scopes.groups(state, subscription_id)
  local value = json.array {}
  for _, group in ipairs(state.group_list) do
    if group.subscription == subscription_id then
      value[#value + 1] = { id = ("/subscriptions/%s/resourceGroups/%s"):format(subscription_id,
        group.name), name = group.name, type = "Microsoft.Resources/resourceGroups",
        location = group.location, tags = group.tags,
        properties = { provisioningState = "Succeeded" } }
    end
  end
  return 200, {}, { value = value }
end

return scopes
