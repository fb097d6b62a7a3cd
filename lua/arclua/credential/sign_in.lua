-- SPDX-License-Identifier: MIT
-- The ways of a sign-in that is stored. Each: needs = the options that it cannot do without,
-- run(core, cloud, opts) = the account (without its id), nil, its secret if it has one | nil, err.
-- Whatever is stored has given a token before.
local browser = require "arclua.credential.browser"
local client_certificate = require "arclua.credential.client_certificate"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local device_code = require "arclua.credential.device_code"
local environment = require "arclua.credential.environment"
local errors = require "arclua.errors"
local id_token = require "arclua.credential.id_token"
local managed_identity = require "arclua.credential.managed_identity"
local paths = require "arclua.paths"
local refresh = require "arclua.credential.refresh"
local workload_identity = require "arclua.credential.workload_identity"

-- Who signed in.
local function person(core, info, spec)
  local claims, err = id_token.check(core, info, spec)
  if not claims then
    return nil, err
  elseif not claims.sub or not (claims.tid or spec.cloud.adfs) then
    return errors.fail { reason = "entra.bad-token", op = "login",
      message = "Entra did not say who signed in" }
  elseif not info.refresh_token then
    return errors.fail { reason = "entra.bad-token", op = "login",
      message = "Entra gave no refresh token, so nothing can be stored" }
  end
  local oid = claims.oid or claims.sub
  return { kind = "user", tenant = claims.tid or "adfs", oid = oid,
    username = claims.preferred_username or claims.upn or oid }
end

local methods = {}

local function by_person(flow, core, cloud, opts)
  local spec = { cloud = cloud, tenant = opts.tenant or clouds.any_tenant(cloud),
    client_id = opts.client_id or refresh.CLIENT, prompt = opts.prompt, open = opts.open }
  local secret, info = flow.new(spec, core):fetch(cloud.scope, { claims = opts.claims })
  if not secret then
    return nil, info
  end
  secret:close()
  local who, err = person(core, info, spec)
  if not who then
    return nil, err
  end
  who.client_id = spec.client_id
  return who, nil, info.refresh_token
end

function methods.device_code(...)
  return by_person(device_code, ...)
end

function methods.browser(...)
  return by_person(browser, ...)
end

-- Tries a source once: what its token says of itself | nil, err.
local function try(core, cloud, source, err)
  if not source then
    return nil, err
  end
  local secret
  secret, err = source:fetch(cloud.scope, {})
  if source.certificate then
    source:close()
  end
  if not secret then
    return nil, err
  end
  local held <close> = secret
  return core.token.claims(held) or {}
end

local function application(core, cloud, opts, source, err)
  local ok
  ok, err = try(core, cloud, source, err)
  if not ok then
    return nil, err
  end
  return { kind = "application", tenant = opts.tenant, oid = opts.client_id,
    username = opts.client_id, client_id = opts.client_id }
end

function methods.client_secret(core, cloud, opts)
  local ok, why = clouds.may_use_environment(cloud, opts.trust_cloud or not opts.borrowed)
  if not ok then
    return nil, why
  end
  local account, err = application(core, cloud, opts, client_secret.new({ cloud = cloud,
    tenant = opts.tenant, client_id = opts.client_id, secret = opts.client_secret }, core))
  return account, err, opts.client_secret
end

-- A path that means the same file wherever a later run starts.
local function absolute(core, path)
  path = paths.expand(path)
  return path:sub(1, 1) == "/" and path or core.sys.cwd() .. "/" .. path
end

function methods.client_certificate(core, cloud, opts)
  local path = absolute(core, opts.certificate)
  local account, err = application(core, cloud, opts, client_certificate.new({ cloud = cloud,
    tenant = opts.tenant, client_id = opts.client_id, path = path, password = opts.password,
    send_chain = opts.send_chain }, core))
  if not account then
    return nil, err
  end
  account.method, account.certificate = "certificate", path
  account.send_chain = opts.send_chain and "true" or nil
  return account, nil, opts.password
end

function methods.workload_identity(core, cloud, opts)
  local ok, why = clouds.may_use_environment(cloud, opts.trust_cloud)
  if not ok then
    return nil, why
  end
  local file = opts.token_file or paths.env "AZURE_FEDERATED_TOKEN_FILE"
  file = file and absolute(core, file)
  local vouch, err = environment.platform({ core = core, cloud = cloud }, file)
  if not vouch then
    return nil, err
  end
  local account
  account, err = application(core, cloud, opts, workload_identity.new({ cloud = cloud,
    tenant = opts.tenant, client_id = opts.client_id, assertion = vouch }, core))
  if not account then
    return nil, err
  end
  account.method, account.token_file = "federated", file
  return account
end

-- Who it is, its token says, which need not be readable.
function methods.managed_identity(core, cloud, opts)
  local ok, why = clouds.may_use_environment(cloud, opts.trust_cloud)
  if not ok then
    return nil, why
  end
  local claims, err = try(core, cloud, managed_identity.new({ client_id = opts.client_id,
    object_id = opts.object_id, resource_id = opts.resource_id, probe = true }, core))
  if not claims then
    return nil, err
  end
  local chosen = opts.client_id or opts.object_id or opts.resource_id
  local name = claims.appid or chosen or "managed identity"
  return { kind = "identity", method = "identity", tenant = claims.tid or "unknown",
    oid = claims.oid or name, username = name, client_id = claims.appid or "",
    chosen_client_id = opts.client_id, chosen_object_id = opts.object_id,
    chosen_resource_id = opts.resource_id }
end

return {
  device_code = { needs = {}, run = methods.device_code },
  browser = { needs = {}, run = methods.browser },
  client_secret = { needs = { "tenant", "client_id", "client_secret" },
    run = methods.client_secret },
  client_certificate = { needs = { "tenant", "client_id", "certificate" },
    run = methods.client_certificate },
  workload_identity = { needs = { "tenant", "client_id" }, run = methods.workload_identity },
  managed_identity = { needs = {}, run = methods.managed_identity },
}
