-- SPDX-License-Identifier: MIT
-- What the environment's variables say a pipeline or a machine signs in with.
local client_certificate = require "arclua.credential.client_certificate"
local clouds = require "arclua.clouds"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local environment = {}

local function unavailable(message, remedy)
  return errors.fail { reason = "cred.unavailable", op = "credential", message = message,
    remedy = remedy }
end

local function lacking(names, context)
  local list = {}
  for _, name in ipairs(names) do
    if not paths.env(name) and not (name == "AZURE_TENANT_ID" and context.tenant) then
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
  return clouds.tenant(context.tenant or paths.env "AZURE_TENANT_ID")
end

local function yes(name)
  local value = (paths.env(name) or ""):lower()
  return value == "1" or value == "true"
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
    send_chain = yes "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN" }, context.core)
end

return environment
