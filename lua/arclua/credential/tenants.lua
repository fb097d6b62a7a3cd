-- SPDX-License-Identifier: MIT
-- Whether a credential of one tenant may be used in another: as Microsoft's libraries, only where
-- the environment allows it, since whoever names the tenant may not be whoever owns the secret.
local clouds = require "arclua.clouds"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local tenants = {}

-- What a sign-in of a person names before it is known whose tenant it is.
local ANY = { organizations = true, common = true, consumers = true }

local function allowed(wanted)
  for tenant in (paths.env "AZURE_ADDITIONALLY_ALLOWED_TENANTS" or ""):gmatch "[^;%s]+" do
    if tenant == "*" or tenant:lower() == wanted then
      return true
    end
  end
  return false
end

--- Whether it names whatever tenant a person has.
function tenants.is_any(tenant)
  return tenant == nil or ANY[tenant:lower()] or false
end

--- A tenant that an application can be in. Errors: config.
---@return string|nil, arclua.Error?
function tenants.of_application(tenant)
  if ANY[tenant:lower()] then
    return errors.fail { code = "config", op = "credential",
      message = ("tenant '%s': an application needs its own tenant"):format(tenant),
      remedy = "name it by GUID or domain: --tenant, AZURE_TENANT_ID" }
  end
  return clouds.tenant(tenant)
end

--- The tenant to ask: the credential's own, or the one that a request names instead.
--- Errors: auth (cred.other-tenant), config (it cannot stand in a URL).
---@param spec { tenant: string? }
---@param wanted string?
---@return string|nil, arclua.Error?
function tenants.choose(spec, wanted)
  local own = spec.tenant
  if not wanted or paths.says_yes "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH"
    or own and (own:lower() == "adfs" or own:lower() == wanted:lower()) then
    return own
  end
  local ok, err = clouds.tenant(wanted)
  if not ok then
    return nil, err
  elseif tenants.is_any(own) or allowed(wanted:lower()) then
    return wanted
  end
  return errors.fail { reason = "cred.other-tenant", op = "credential",
    message = ("this credential is not set up to get tokens of the tenant %s"):format(wanted) }
end

return tenants
