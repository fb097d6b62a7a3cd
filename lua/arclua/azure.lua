-- SPDX-License-Identifier: MIT
-- One sign-in: cloud, credential, ARM client and scope. What arc.login returns.
local alias = require "arclua.alias"
local arm_client = require "arclua.arm.client"
local arm_machines = require "arclua.arm.machines"
local check = require "arclua.check"
local clouds = require "arclua.clouds"
local config = require "arclua.config"
local connectivity = require "arclua.arm.connectivity"
local credential = require "arclua.credential"
local defaults = require "arclua.defaults"
local errors = require "arclua.errors"
local graph = require "arclua.arm.graph"
local known_machines = require "arclua.known_machines"
local machine = require "arclua.machine"
local machine_name = require "arclua.machine_name"
local machines = require "arclua.machines"
local paths = require "arclua.paths"
local readiness = require "arclua.readiness"
local resource_id = require "arclua.resource_id"
local real = require "arclua.core"
local scope = require "arclua.scope"
local ssh_certificate = require "arclua.credential.ssh_certificate"
local store = require "arclua.credential.store"

local Azure = {}
Azure.__index = Azure
Azure.__name = "arclua.azure"

for name, method in pairs(readiness) do
  Azure[name] = method
end

local azure = {}

local SKEW_MAX = 300 -- seconds that Entra tolerates

---@class arclua.LoginOptions
---@field cloud string?               name or cloud file; default ARCLUA_CLOUD, else public
---@field tenant string?              directory; default ARCLUA_TENANT, AZURE_TENANT_ID
---@field credential string|table|nil  a name (as --credential takes it), or an object of
---   arc.credential; default ARCLUA_CREDENTIAL, else default
---@field subscription string|string[]|nil  IDs or names; default AZURE_SUBSCRIPTION_ID, the
---   configuration, the Azure CLI's default, the only visible one
---@field all_subscriptions boolean?  every visible subscription
---@field trust_cloud boolean?        the environment's credential may go to this cloud file's hosts
---@field config string|table|nil     file, "none", or the parsed table
---@field known_hosts string?        file of host keys; default ~/.ssh/known_hosts
---@field no_cache boolean?           neither read nor write files that keep what ARM gave
---@field refresh boolean?           look names up that an earlier run has learnt minutes ago
---@field log fun(level: string, text: string)?  told of retries

local RULES = {
  cloud = "string", tenant = "string", credential = "string|table",
  subscription = "string|table", all_subscriptions = "boolean", trust_cloud = "boolean",
  config = "string|table", refresh = "boolean", known_hosts = "string", no_cache = "boolean",
  log = "function",
  primitives = "table",
}

-- opts over what the program's global options say.
local function complete(opts)
  local out = {}
  for _, source in ipairs { defaults.login, opts } do
    for name, value in pairs(source) do
      out[name] = value
    end
  end
  return out
end

local function load_config(given)
  if type(given) == "table" then
    return given
  end
  return config.load(given or paths.env "ARCLUA_CONFIG")
end

local function pick_credential(opts, cloud, settings)
  if type(opts.credential) == "table" then
    return opts.credential
  end
  local name = opts.credential or paths.env "ARCLUA_CREDENTIAL" or settings.credential
  return credential.by_name(name, { cloud = cloud, trust_cloud = opts.trust_cloud,
    tenant = opts.tenant or paths.env "ARCLUA_TENANT" or settings.tenant,
    primitives = opts.primitives })
end

-- The credential and its first token, with its info | nil, err.
local function first_token(opts, cloud, settings)
  local chosen, err = pick_credential(opts, cloud, settings)
  if not chosen then
    return nil, err
  end
  local secret, info = chosen:token(cloud.scope)
  if secret then
    return chosen, secret, info
  elseif chosen ~= opts.credential then
    chosen:close()
  end
  return nil, info
end

-- It explains refusals to come: of what we sign, and of certificates.
local function warn_of_clock(log, info)
  local skew = info.skew or 0
  if math.abs(skew) > SKEW_MAX then
    log("warn", ("this machine's clock is %d s %s Entra's"):format(math.floor(math.abs(skew)),
      skew > 0 and "ahead of" or "behind"))
  end
end

-- Who a token is of, nil when it does not say.
local function principal(secret)
  local claims = type(secret) == "userdata" and real.token.claims(secret)
  return claims and claims.tid and ("%s %s"):format(claims.tid, claims.oid or claims.appid)
end

-- Where relay credentials are kept for later runs, nil when they are not: those that a given token
-- brought are its own.
local function relay_files(opts, cloud, chosen, who)
  if opts.no_cache or not who or not chosen.is_static or chosen:is_static() then
    return nil
  end
  return { dir = paths.cache() .. "/relay",
    whose = ("%s\n%s\n%s"):format(store.cloud_key(cloud), cloud.resource_manager, who) }
end

local function list_of(value)
  if type(value) == "string" then
    return { value }
  end
  return value
end

--- Signs in: the first token is asked for here, so that a wrong set-up shows at once.
--- Raises: unknown options. Errors: config, auth and what Entra answers.
---@param opts arclua.LoginOptions?
---@return arclua.Azure|nil, arclua.Error?
function azure.login(opts)
  opts = complete(check.options(opts, RULES, 3))
  local settings, err = load_config(opts.config)
  if not settings then
    return nil, err
  end
  local cloud
  cloud, err = clouds.load(opts.cloud or paths.env "ARCLUA_CLOUD" or settings.cloud)
  if not cloud then
    return nil, err
  end
  local chosen, secret, info = first_token(opts, cloud, settings)
  if not chosen then
    return nil, secret
  end
  local log = opts.log or function() end
  warn_of_clock(log, info)
  local client = arm_client.new { cloud = cloud, credential = chosen, log = log,
    primitives = opts.primitives }
  return setmetatable({
    cloud = cloud, config = settings, client = client, arm = client,
    connectivity = connectivity.new(client,
      relay_files(opts, cloud, chosen, principal(secret))),
    log = log, primitives = opts.primitives, principal = principal(secret),
    refresh = opts.refresh, no_cache = opts.no_cache,
    _certificates = ssh_certificate.new({ credential = chosen, cloud = cloud }, opts.primitives),
    _keys = real.ssh.keep_keys(), _own = chosen ~= opts.credential and chosen or nil,
    known_hosts = opts.known_hosts or paths.env "ARCLUA_KNOWN_HOSTS" or settings.known_hosts,
    scope = { given = list_of(opts.subscription), all = opts.all_subscriptions,
      configured = settings.subscription, cloud = cloud },
  }, Azure)
end

local function wrap(self, data)
  data.azure = self
  return machine.of(data)
end

--- An access token: a secret that stream:write can pass on. Errors: auth and what Entra answers.
---@param for_scope string?  default: ARM's
---@return arclua.Secret|nil, table|arclua.Error info  { expires_on, ... }
function Azure:token(for_scope)
  return self.client.credential:token(for_scope or self.cloud.scope)
end

--- An SSH certificate of Entra, by which its person or application logs in to Linux machines; one
--- for all logins of this sign-in, renewed 5 minutes before its end.
--- Errors: auth (cred.no-certificate: this credential gets none; entra.interaction-required) and
--- what Entra answers.
---@param key arclua.SshKey?  to certify; default: a pair of this sign-in's own, in memory only
---@return arclua.SshCertificate|nil, { user: string, expires_on: number }|arclua.Error  user: whom
---   to log in as
function Azure:ssh_certificate(key)
  return self._certificates:get(key)
end

--- Ends the sign-in: wipes its relay credentials, SSH keys that were read meanwhile, and its
--- tokens, also those that az:token gave out. Sessions go on. A credential object that was given
--- stays as it is: close that, too. Idempotent; also __close.
function Azure:close()
  self.connectivity:close()
  self._keys:close()
  self._certificates:close()
  if self._own then
    self._own:close()
  end
  real.http.close_idle()
end

Azure.__close = Azure.close

--- The subscriptions in scope: IDs. Asked once a sign-in.
--- Errors: config (several are visible and none was chosen), denied (none is), and ARM's.
---@return string[]|nil, arclua.Error?
function Azure:subscriptions()
  if not self._subscriptions then
    local list, err = scope.subscriptions(self.scope, self.client)
    if not list then
      return nil, err
    end
    self._subscriptions = list
  end
  return self._subscriptions
end

-- The names that earlier runs have learnt of this sign-in's scope.
function Azure:_known_machines()
  if not self._known then
    local cloud = store.cloud_key(self.cloud)
    self._known = known_machines.new({ cloud, self.cloud.resource_manager,
      self.principal or "unknown", scope.key(self.scope) }, cloud,
      { refresh = self.refresh or not self.principal, off = self.no_cache })
  end
  return self._known
end

--- The rows that Azure Resource Graph gives for a query over the subscriptions in scope, each ID
--- once. More than 1,000 need the column id and an order; without, the rest would be lost: limit.
--- Errors: config (the service's words on a query that it cannot read, with the place), denied,
--- limit, those of az:subscriptions, and the network's.
---@param kql string
---@return table[]|nil, arclua.Error?
function Azure:query(kql)
  local subscriptions, err = self:subscriptions()
  if not subscriptions then
    return nil, err
  end
  return graph.query(self.client, kql, subscriptions)
end

--- All subscriptions that this credential can see.
--- Errors: ARM's.
---@return { id: string, name: string }[]|nil, arclua.Error?
function Azure:visible_subscriptions()
  return arm_machines.subscriptions(self.client)
end

-- An alias says which cloud it is of.
local function check_alias(self, text)
  local meant = alias.parse(text)
  local cloud = meant and (meant.cloud or "public")
  if not meant or cloud == self.cloud.name:lower() then
    return true
  end
  return errors.fail { code = "config", op = "machine",
    message = ("'%s' is of the cloud '%s', and this sign-in is to '%s'"):format(text, cloud,
      self.cloud.name), remedy = "choose the cloud with --cloud" }
end

local function check_aliases(self, names)
  for _, name in ipairs(type(names) == "table" and names or { names }) do
    local ok, err = check_alias(self, name)
    if not ok then
      return nil, err
    end
  end
  return true
end

--- The machines that a selector means, sorted by name; an empty selector means all in scope.
--- Errors: config (a selector that cannot be), notfound (a plain name that nothing has), conflict
--- (a plain name that several have), and ARM's. A pattern that matches nothing gives {}.
---@param selector arclua.Selector?
---@return arclua.Machine[]|nil, arclua.Error?
function Azure:machines(selector)
  local list
  local ok, err = check_aliases(self, selector and selector.names)
  if ok then
    list, err = machines.find(self, selector)
  end
  if not list then
    return nil, err
  end
  for _, data in ipairs(list) do
    wrap(self, data)
  end
  return list
end

--- One machine: an ID, RG/NAME, SUB/RG/NAME or a name unique in scope.
--- Errors: as az:machines; config for a pattern.
---@param spec string
---@return arclua.Machine|nil, arclua.Error?
function Azure:machine(spec)
  local data
  local ok, err = check_alias(self, spec)
  if ok then
    data, err = machines.resolve(self, spec)
  end
  return data and wrap(self, data), err
end

-- The machine that a full name means, or a name that was looked up minutes ago, without asking ARM
-- about it: for whoever goes on to ask for its credentials, which fails when there is none. Plain
-- nil for other names.
function Azure:_unread_machine(text)
  local name, err = machine_name.compile(text)
  local ok
  if name then
    ok, err = check_alias(self, text)
  end
  if not ok then
    return nil, err
  end
  local id = name.id or self:_known_machines():find(name)
  if not id then
    return nil
  end
  local data = resource_id.parse(id)
  data.id, data.status, data.tags = id, "Connected", {}
  return wrap(self, data)
end

return azure
