-- SPDX-License-Identifier: MIT
-- What the environment's variables say a pipeline or a machine signs in with.
local assertion = require "arclua.credential.assertion"
local azure_cli = require "arclua.credential.azure_cli"
local azure_developer_cli = require "arclua.credential.azure_developer_cli"
local client_certificate = require "arclua.credential.client_certificate"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local errors = require "arclua.errors"
local managed_identity = require "arclua.credential.managed_identity"
local paths = require "arclua.paths"
local static = require "arclua.credential.static"
local workload_identity = require "arclua.credential.workload_identity"

local environment = {}

local function unavailable(message, remedy)
  return errors.fail { reason = "cred.unavailable", op = "credential", message = message,
    remedy = remedy }
end

local SECRET = { AZURE_ACCESS_TOKEN = true, AZURE_CLIENT_SECRET = true,
  [assertion.BEARER] = true }

-- Whether a variable is set and not empty; a secret becomes no string of Lua.
local function is_set(context, name)
  if SECRET[name] then
    return paths.has_secret(name, context.core)
  end
  return paths.env(name) ~= nil
end

-- The variables that are missing, in words; nil when none is.
local function lacking(names, context)
  local list = {}
  for _, name in ipairs(names) do
    local given = name == "AZURE_TENANT_ID" and (context.tenant or context.cloud.adfs)
    if not is_set(context, name) and not given then
      list[#list + 1] = name
    end
  end
  return #list > 0 and table.concat(list, ", ")
    .. (#list == 1 and " is not set" or " are not set") or nil
end

-- The tenant, when the variables are there and may be used for this cloud.
local function tenant_of(context, names, remedy)
  local what = lacking(names, context)
  if what then
    return unavailable(what, remedy)
  end
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  return clouds.tenant(context.tenant or paths.env "AZURE_TENANT_ID"
    or clouds.any_tenant(context.cloud))
end

--- The token of AZURE_ACCESS_TOKEN.
function environment.token(context)
  if not is_set(context, "AZURE_ACCESS_TOKEN") then
    return unavailable("AZURE_ACCESS_TOKEN is not set", "set it to an ARM access token")
  end
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  return static.new({ token = context.core.secret_env "AZURE_ACCESS_TOKEN" }, context.core)
end

--- The application of AZURE_CLIENT_ID with a secret.
function environment.secret(context)
  local tenant, err = tenant_of(context, { "AZURE_TENANT_ID", "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET" }, "set them to an application's values")
  if not tenant then
    return nil, err
  end
  return client_secret.new({ cloud = context.cloud, tenant = tenant,
    client_id = paths.env "AZURE_CLIENT_ID",
    secret = context.core.secret_env "AZURE_CLIENT_SECRET" }, context.core)
end

--- A password of a person, which is no way in any more: says so where nothing else is set up.
function environment.password()
  if not paths.env "AZURE_USERNAME" or not paths.env "AZURE_PASSWORD" then
    return unavailable("AZURE_USERNAME and AZURE_PASSWORD are not set",
      "they are not supported: use one of the others")
  end
  return unavailable("signing in with AZURE_USERNAME and AZURE_PASSWORD is not supported: a "
    .. "password alone does not satisfy Entra any more",
    "run `arclua login`, or use an application")
end

--- The application of AZURE_CLIENT_ID with a certificate.
function environment.certificate(context)
  local tenant, err = tenant_of(context, { "AZURE_TENANT_ID", "AZURE_CLIENT_ID",
    "AZURE_CLIENT_CERTIFICATE_PATH" }, "set them to an application's values")
  if not tenant then
    return nil, err
  end
  return client_certificate.new({ cloud = context.cloud, tenant = tenant,
    client_id = paths.env "AZURE_CLIENT_ID", path = paths.env "AZURE_CLIENT_CERTIFICATE_PATH",
    password = context.core.secret_env "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    send_chain = paths.says_yes "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN" }, context.core)
end

--- The platform that vouches for a workload: by a file that it keeps fresh, or GitHub's service.
--- Errors: auth (cred.unavailable).
---@param given string?  the file, instead of what AZURE_FEDERATED_TOKEN_FILE says
---@return (fun(core: table): arclua.Secret?, arclua.Error?)|nil, arclua.Error?
function environment.platform(context, given)
  local file = given or paths.env "AZURE_FEDERATED_TOKEN_FILE"
  local url = paths.env "ACTIONS_ID_TOKEN_REQUEST_URL"
  if file then
    return assertion.file(file)
  elseif url and is_set(context, assertion.BEARER) then
    return assertion.github(url, context.cloud)
  elseif paths.env "GITHUB_ACTIONS" then
    return unavailable("ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN are not set",
      "give the job `permissions: id-token: write`")
  end
  return unavailable("AZURE_FEDERATED_TOKEN_FILE is not set",
    "it is set where a platform vouches for the workload")
end

--- The application of AZURE_CLIENT_ID, which trusts the platform that this runs on.
function environment.workload(context)
  local vouch, err = environment.platform(context)
  if not vouch then
    return nil, err
  end
  local tenant
  tenant, err = tenant_of(context, { "AZURE_TENANT_ID", "AZURE_CLIENT_ID" },
    "set them to the values of the application that trusts the workload")
  if not tenant then
    return nil, err
  end
  return workload_identity.new({ cloud = context.cloud, tenant = tenant,
    client_id = paths.env "AZURE_CLIENT_ID", assertion = vouch }, context.core)
end

--- The identity of what this runs on. probe: first see whether this is a virtual machine at all.
--- Without a choice AZURE_CLIENT_ID chooses among several, as in Microsoft's libraries.
---@param choice { client_id: string?, object_id: string?, resource_id: string? }?
function environment.managed(context, probe, choice)
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  choice = choice or {}
  local chosen = choice.client_id or choice.object_id or choice.resource_id
  return managed_identity.new({ object_id = choice.object_id, resource_id = choice.resource_id,
    client_id = choice.client_id or (not chosen and paths.env "AZURE_CLIENT_ID") or nil,
    probe = probe }, context.core)
end

--- Who is signed in to the Azure CLI.
function environment.cli(context)
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  return azure_cli.new({ tenant = context.tenant }, context.core)
end

--- Who is signed in to the Azure Developer CLI.
function environment.azd(context)
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  return azure_developer_cli.new({ tenant = context.tenant }, context.core)
end

return environment
