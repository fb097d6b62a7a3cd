-- SPDX-License-Identifier: MIT
-- Credentials by name or by constructor. Each gives an object with
-- credential:token(scope, {claims=}) -> secret, info | nil, err.
local azure_cli_cache = require "arclua.credential.azure_cli_cache"
local browser = require "arclua.credential.browser"
local cached = require "arclua.credential.cached"
local chain = require "arclua.credential.default"
local chain_members = require "arclua.credential.members"
local check = require "arclua.check"
local client_certificate = require "arclua.credential.client_certificate"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local device_code = require "arclua.credential.device_code"
local real = require "arclua.core"
local environment = require "arclua.credential.environment"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local static = require "arclua.credential.static"
local stored = require "arclua.credential.stored"

local credential = {}

local CONTEXT = { cloud = "table", tenant = "string", trust_cloud = "boolean" }

local NAMES = {
  default = "default", environment = "environment", env = "environment",
  azure_cli = "azure_cli", az = "azure_cli", cli = "azure_cli",
  workload_identity = "workload_identity", login = "login", device_code = "device_code",
  managed_identity = "managed_identity", azure_developer_cli = "azure_developer_cli",
  azd = "azure_developer_cli", browser = "browser", azure_cli_cache = "azure_cli_cache",
}

local function rules(more)
  for key, value in pairs(CONTEXT) do
    more[key] = value
  end
  return more
end

local function environment_members(context)
  return {
    { name = "access token", open = function() return environment.token(context) end },
    { name = "client secret", open = function() return environment.secret(context) end },
    { name = "client certificate", open = function()
      return environment.certificate(context)
    end },
    { name = "user name and password", silent = not paths.env "AZURE_USERNAME",
      open = environment.password },
  }
end

local function members(context)
  return chain_members(context, { environment = environment_members, login = stored.open,
    cli = environment.cli })
end

-- opts with what every credential needs.
local function context_of(opts)
  local context = { cloud = opts.cloud, tenant = opts.tenant, core = opts.primitives or real,
    trust_cloud = opts.trust_cloud }
  if not context.cloud then
    local cloud, err = clouds.load(paths.env "ARCLUA_CLOUD")
    if not cloud then
      return nil, err
    end
    context.cloud = cloud
  end
  return context
end

local function of_chain(opts, list_of)
  local context, err = context_of(opts)
  if not context then
    return nil, err
  end
  local list
  list, err = list_of(context)
  if not list then
    return nil, err
  end
  return cached.new(chain.new(list), context.core)
end

-- The credential of the source that open(context) gives.
local function of_source(opts, open)
  local context, err = context_of(opts)
  if not context then
    return nil, err
  end
  local source
  source, err = open(context)
  if not source then
    return nil, err
  end
  return cached.new(source, context.core)
end

local function need(opts, names)
  for _, name in ipairs(names) do
    if not opts[name] then
      error("option '" .. name .. "' is missing", 3)
    end
  end
end

---@class arclua.CredentialOptions
---@field cloud arclua.Cloud?    default: what ARCLUA_CLOUD names, else public
---@field tenant string?         GUID or domain name
---@field trust_cloud boolean?   the environment's credential may go to this cloud file's hosts

--- The default chain: AZURE_ACCESS_TOKEN, the application of AZURE_CLIENT_ID, a workload's
--- identity, the sign-in that `arclua login` stored, a managed identity, the Azure CLI, the Azure
--- Developer CLI; the first that is configured. AZURE_TOKEN_CREDENTIALS narrows it.
--- Errors: config.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.default(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_chain(opts, members)
end

--- AZURE_ACCESS_TOKEN, else AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or
--- AZURE_CLIENT_CERTIFICATE_PATH.
--- Errors: config; auth (cred.none) at the first token when none is set.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.environment(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_chain(opts, environment_members)
end

--- The Azure CLI's login: runs `az account get-access-token` when a token is needed.
--- Errors: config; auth (cred.az-failed) at the first token.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.azure_cli(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_source(opts, environment.cli)
end

--- The sign-in that `arclua login` or arc.accounts.sign_in stored: the default one of this cloud,
--- or the only one of this cloud and tenant.
--- Errors: auth (cred.unavailable), config (the file is damaged, or others may read it), io.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.login(opts)
  return of_source(check.options(opts, rules { primitives = "table" }), stored.open)
end

--- A person with a browser anywhere: the first token asks, later ones come from the refresh token,
--- which is kept in memory only.
--- Errors: config; at the first token denied (declined), timeout (the code's time is over).
---@param opts { cloud: arclua.Cloud?, tenant: string?, client_id: string?,
---   prompt: fun(device: table)? }?  tenant: default whoever signs in has one; client_id: default
---   the Azure CLI's; prompt: told { user_code, verification_uri, message? } instead of the lines
---   on standard error
---@return arclua.Credential|nil, arclua.Error?
function credential.device_code(opts)
  opts = check.options(opts, rules { client_id = "string", prompt = "function",
    primitives = "table" })
  return of_source(opts, function(context)
    return device_code.open(context, opts.client_id, opts.prompt)
  end)
end

--- A person with a browser on this machine (authorization code with PKCE): the first token asks,
--- later ones come from the refresh token, which is kept in memory only.
--- Errors: config; at the first token denied (declined), timeout (five minutes are over).
---@param opts { cloud: arclua.Cloud?, tenant: string?, client_id: string?,
---   open: fun(url: string)? }?  tenant, client_id: as of device_code; open: gets the address
---   instead of the browser that BROWSER names
---@return arclua.Credential|nil, arclua.Error?
function credential.browser(opts)
  opts = check.options(opts, rules { client_id = "string", open = "function",
    primitives = "table" })
  return of_source(opts, function(context)
    return browser.open(context, opts.client_id, opts.open)
  end)
end

--- The refresh token that the Azure CLI keeps unencrypted for whoever is signed in to it. Only
--- read, never written, and never part of the default chain: other programs take it for an attack
--- when tokens are taken from there. azure_cli is the usual way.
--- Errors: config; auth (cred.unavailable) when there is none, or it is encrypted.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.azure_cli_cache(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_source(opts, azure_cli_cache.open)
end

-- One of a chain, as the chain wants it: its own cache is passed by, as the chain has one.
local function link(entry)
  return { name = entry.name, given = true, open = function() return entry._source end }
end

--- The first of several credentials that is set up. One that is set up and refused ends the search;
--- the first that gives a token is used from then on.
--- Raises: the list is empty, or what is in it is no credential of arc.credential.
---@param list arclua.Credential[]
---@param opts { primitives: table? }?
---@return arclua.Credential
function credential.chain(list, opts)
  opts = check.options(opts, { primitives = "table" })
  local links = {}
  for i, entry in ipairs(type(list) == "table" and list or {}) do
    if type(entry) ~= "table" or not entry._source then
      error(("credential %d of the chain: a credential of arc.credential expected"):format(i), 2)
    end
    links[i] = link(entry)
  end
  if #links == 0 then
    error("a chain of at least one credential expected", 2)
  end
  return cached.new(chain.new(links), opts.primitives or real)
end

--- An application (client credentials grant). A secret given as text stays in Lua's memory:
--- prefer core.secret_env or core.secret_file.
--- Raises: tenant, client_id or client_secret is missing.
--- Errors: config.
---@param opts { tenant: string, client_id: string, client_secret: arclua.Secret|string }
---@return arclua.Credential|nil, arclua.Error?
function credential.client_secret(opts)
  opts = check.options(opts, rules { client_id = "string", client_secret = "string|secret",
    primitives = "table" })
  need(opts, { "tenant", "client_id", "client_secret" })
  return of_source(opts, function(context)
    local secret = opts.client_secret
    if type(secret) == "string" then
      secret = context.core.secret(secret)
    end
    local tenant, err = clouds.tenant(opts.tenant)
    if not tenant then
      return nil, err
    end
    return client_secret.new({ cloud = context.cloud, tenant = tenant,
      client_id = opts.client_id, secret = secret }, context.core)
  end)
end

--- An application with a certificate: a file of PEM or PKCS #12 with its RSA key, too.
--- Raises: tenant, client_id or certificate is missing.
--- Errors: config (cred.bad-certificate), notfound, denied, io; at the first token auth
--- (cred.certificate-expired).
---@param opts { tenant: string, client_id: string, certificate: string, password: arclua.Secret?,
---   send_chain: boolean? }  certificate: the file's path; send_chain: with its issuers
---@return arclua.Credential|nil, arclua.Error?
function credential.client_certificate(opts)
  opts = check.options(opts, rules { client_id = "string", certificate = "string",
    password = "secret", send_chain = "boolean", primitives = "table" })
  need(opts, { "tenant", "client_id", "certificate" })
  return of_source(opts, function(context)
    local tenant, err = clouds.tenant(opts.tenant)
    if not tenant then
      return nil, err
    end
    return client_certificate.new({ cloud = context.cloud, tenant = tenant,
      client_id = opts.client_id, path = opts.certificate, password = opts.password,
      send_chain = opts.send_chain }, context.core)
  end)
end

--- The application of AZURE_CLIENT_ID in AZURE_TENANT_ID, for a workload that its platform vouches
--- for: by the file AZURE_FEDERATED_TOKEN_FILE (Kubernetes), else by GitHub's service for jobs.
--- Errors: config; auth (cred.unavailable) when there is no such platform.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.workload_identity(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_source(opts, environment.workload)
end

--- The identity that Azure gave to what this runs on: a virtual machine, App Service, Cloud Shell,
--- a machine with the Arc agent. At most one of the three chooses another than its own.
--- Raises: more than one is given.
--- Errors: config; auth (cred.unavailable, cred.identity-failed) at the first token.
---@param opts { client_id: string?, object_id: string?, resource_id: string? }?
---@return arclua.Credential|nil, arclua.Error?
function credential.managed_identity(opts)
  opts = check.options(opts, rules { client_id = "string", object_id = "string",
    resource_id = "string", primitives = "table" })
  if opts.client_id and (opts.object_id or opts.resource_id)
    or (opts.object_id and opts.resource_id) then
    error("options 'client_id', 'object_id', 'resource_id': one of them", 2)
  end
  return of_source(opts, function(context)
    return environment.managed(context, false, opts)
  end)
end

--- The Azure Developer CLI's login: runs `azd auth token` when a token is needed.
--- Errors: config; auth (cred.az-failed) at the first token.
---@param opts arclua.CredentialOptions?
---@return arclua.Credential|nil, arclua.Error?
function credential.azure_developer_cli(opts)
  opts = check.options(opts, rules { primitives = "table" })
  return of_source(opts, environment.azd)
end

--- A token that somebody else got; it is not renewed, and serves the first scope that is asked for.
--- Raises: token is missing.
---@param opts { token: arclua.Secret|string, expires_on: number? }  seconds since 1970; default:
---   what the token itself says
---@return arclua.Credential
function credential.static(opts)
  opts = check.options(opts, { token = "string|secret", expires_on = "number",
    primitives = "table" })
  local core = opts.primitives or real
  local token = opts.token
  if type(token) == "string" then
    token = core.secret(token)
  elseif not token then
    error("option 'token' is missing", 2)
  end
  return cached.new(static.new({ token = token, expires_on = opts.expires_on }, core), core)
end

local CHOICES = "default, environment, workload_identity, login, managed_identity, azure_cli, "
  .. "azure_developer_cli, device_code, browser or azure_cli_cache"

--- The credential of a name as --credential takes it. Errors: config.
---@param name string?  default, environment (env), workload_identity, login, managed_identity,
---   azure_cli (az, cli), azure_developer_cli (azd), device_code, browser or azure_cli_cache
---@param opts arclua.CredentialOptions
---@return arclua.Credential|nil, arclua.Error?
function credential.by_name(name, opts)
  local kind = NAMES[(name or "default"):lower():gsub("-", "_")]
  if not kind then
    return errors.fail { code = "config", op = "credential",
      message = ("option '--credential': %s expected, got '%s'"):format(CHOICES, name) }
  end
  return credential[kind](opts)
end

return credential
