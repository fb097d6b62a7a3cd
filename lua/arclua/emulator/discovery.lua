-- SPDX-License-Identifier: MIT
-- What Entra tells about itself without a token: where its endpoints are, for a tenant (OpenID
-- Connect) and for an authority that a client has been given (instance discovery); its keys.
local json = require "arclua.json"
local text = require "arclua.emulator.text"

local discovery = {}

local ANY = { common = true, organizations = true }

--- Whether there is such a tenant; common and organizations stand for whatever one has.
function discovery.has_tenant(state, tenant)
  return tenant == state.tenant or ANY[tenant] or false
end

--- GET TENANT/v2.0/.well-known/openid-configuration; nil, refusal for a tenant that is not there.
function discovery.tenant(state, tenant)
  if not discovery.has_tenant(state, tenant) then
    return nil, { 400, "invalid_tenant", 90002, ("Tenant '%s' not found. Check to make sure you "
      .. "have the correct tenant ID and are signing into the correct cloud."):format(
      text.plain(tenant, 100)) }
  end
  local base = ("%s/%s"):format(state.cloud.authority, tenant)
  local issuer = ANY[tenant] and "{tenantid}" or tenant
  return {
    issuer = ("%s/%s/v2.0"):format(state.cloud.authority, issuer),
    token_endpoint = base .. "/oauth2/v2.0/token",
    authorization_endpoint = base .. "/oauth2/v2.0/authorize",
    device_authorization_endpoint = base .. "/oauth2/v2.0/devicecode",
    jwks_uri = base .. "/discovery/v2.0/keys",
    token_endpoint_auth_methods_supported = json.array { "client_secret_post",
      "private_key_jwt" },
    response_modes_supported = json.array { "query", "form_post" },
    response_types_supported = json.array { "code" },
    scopes_supported = json.array { "openid", "profile", "offline_access" },
    subject_types_supported = json.array { "pairwise" },
    id_token_signing_alg_values_supported = json.array { "RS256" },
    tenant_region_scope = "EU", cloud_instance_name = "arc.localhost",
  }
end

--- GET common/discovery/instance: the authority that an authorize address is of, by the names that
--- mean it; nil, refusal for another cloud's.
function discovery.instance(state, query)
  local authority = state.cloud.authority
  local own = authority:match "^https://(.+)$"
  local host, tenant = (query.authorization_endpoint or ""):match "^https://([^/]+)/([^/]+)/"
  if host ~= own then
    return nil, { 400, "invalid_instance", 50049, "Unknown or invalid instance." }
  end
  return {
    tenant_discovery_endpoint = ("%s/%s/v2.0/.well-known/openid-configuration"):format(authority,
      tenant),
    ["api-version"] = "1.1",
    metadata = json.array { { preferred_network = own, preferred_cache = own,
      aliases = json.array { own, own:match "^[^:]+" } } },
  }
end

--- The keys that tokens are signed with.
function discovery.keys(state)
  local jwk = state.key:jwk()
  jwk.use, jwk.alg, jwk.kid = "sig", "RS256", state.kid
  return { keys = json.array { jwk } }
end

return discovery
