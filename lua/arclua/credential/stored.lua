-- SPDX-License-Identifier: MIT
-- A sign-in that `arclua login` has stored: of a person (refresh token), an application (a secret,
-- a certificate's path, or who vouches for it) or a managed identity.
local client_certificate = require "arclua.credential.client_certificate"
local client_secret = require "arclua.credential.client_secret"
local defaults = require "arclua.defaults"
local device_code = require "arclua.credential.device_code"
local environment = require "arclua.credential.environment"
local errors = require "arclua.errors"
local keyring = require "arclua.credential.keyring"
local managed_identity = require "arclua.credential.managed_identity"
local refresh = require "arclua.credential.refresh"
local store = require "arclua.credential.store"
local workload_identity = require "arclua.credential.workload_identity"

local Source = {}
Source.__index = Source

local FOR_LOGIN = "; where logins to machines have a policy of their own, run this once at a "
  .. "terminal, which asks for what is missing"

---@param account table  of the store
---@param context { cloud: arclua.Cloud, tenant: string?, core: table, store: string? }
---@return arclua.TokenSource
local function new(account, context)
  local spec = { cloud = context.cloud, tenant = context.tenant or account.tenant,
    client_id = account.client_id }
  return setmetatable({ name = "stored sign-in of " .. account.username, account = account,
    context = context, core = context.core, spec = spec }, Source)
end

-- How an account signs in, by its method; each: source | nil, err.
local OPEN = {}

function OPEN.secret(self, secret)
  local account = self.account
  return client_secret.new({ cloud = self.context.cloud, tenant = account.tenant,
    client_id = account.client_id, secret = secret }, self.core)
end

-- secret: the file's password, nil when it has none.
function OPEN.certificate(self, secret)
  local account = self.account
  return client_certificate.new({ cloud = self.context.cloud, tenant = account.tenant,
    client_id = account.client_id, path = account.certificate, password = secret,
    send_chain = account.send_chain == "true" }, self.core)
end

function OPEN.federated(self)
  local account = self.account
  local vouch, err = environment.platform(self.context, account.token_file)
  if not vouch then
    return nil, err
  end
  return workload_identity.new({ cloud = self.context.cloud, tenant = account.tenant,
    client_id = account.client_id, assertion = vouch }, self.core)
end

function OPEN.identity(self)
  local account = self.account
  return managed_identity.new({ client_id = account.chosen_client_id,
    object_id = account.chosen_object_id, resource_id = account.chosen_resource_id }, self.core)
end

local function for_machine(self, secret, scope, opts)
  local source, err = OPEN[self.account.method or "secret"](self, secret)
  if not source then
    return nil, err
  end
  local given, info = source:fetch(scope, opts)
  if source.close then
    source:close()
  end
  return given, info
end

-- The one line that a person needs: the command, with what the directory asks for.
local function sign_in_again(self, err)
  local tenant = self.context.tenant and " --tenant " .. self.context.tenant or ""
  local claims = err.claims and " --claims-challenge " .. self.core.crypto.base64(err.claims) or ""
  return ("run `arclua login%s%s` again"):format(tenant, claims)
end

-- The old one stays good for a while: a store that cannot be written now costs nothing yet.
local function keep(self, token)
  self.rotated = token
  store.renew(self.context, self.account, token)
end

-- Whether somebody is there who can sign in for a certificate: machines' logins have policies of
-- their own, which a sign-in for ARM need not meet.
local function can_ask(self, opts)
  return opts.ssh_key and defaults.interactive and self.core.sys.isatty(2)
end

-- The person signs in again, for this scope; whoever else did is no help. claims: what that must
-- bring.
local function sign_in(self, scope, opts, claims)
  self.asking = self.asking or device_code.new(self.spec, self.core)
  local given, info = self.asking:fetch(scope, { ssh_key = opts.ssh_key,
    claims = claims or opts.claims })
  if not given then
    return nil, info
  end
  local who = info.id_token and self.core.token.claims(info.id_token) or {}
  if who.oid ~= self.account.oid then
    given:close()
    self.asking:close()
    self.asking = nil
    return errors.fail { code = "conflict", op = "credential",
      message = ("%s has signed in, not %s"):format(who.preferred_username or "somebody else",
        self.account.username), remedy = "sign in as that person, or run `arclua login`" }
  elseif info.refresh_token then
    keep(self, info.refresh_token)
  end
  return given, info
end

local function for_person(self, secret, scope, opts)
  local token, info = refresh.redeem(self, self.rotated or secret, scope, opts)
  if token and info.refresh_token then
    keep(self, info.refresh_token)
  elseif not token and refresh.needs_person(info) and can_ask(self, opts) then
    return sign_in(self, scope, opts, info.claims)
  elseif not token and refresh.needs_person(info) then
    info = errors.with(info, { remedy = sign_in_again(self, info)
      .. (opts.ssh_key and FOR_LOGIN or "") })
  end
  return token, info
end

-- Whether an account of this kind always has a secret.
local function has_secret(account)
  return account.kind == "user" or account.method == nil
end

function Source:fetch(scope, opts)
  local secret <close>, err = store.secret(self.context, self.account)
  if err then
    return nil, err
  elseif not secret and has_secret(self.account) then
    return errors.fail { reason = "cred.unavailable", op = "credential",
      message = "signed out meanwhile", remedy = "run `arclua login`" }
  end
  local ask = self.account.kind == "user" and for_person or for_machine
  return ask(self, secret, scope, opts)
end

--- The one that this cloud and tenant mean. It is bound to its authority, whatever file describes
--- that. Errors: as credential.store's find.
---@return arclua.TokenSource|nil, arclua.Error?
local function open(context)
  local account, err = store.find(context)
  if not account then
    return nil, err
  end
  return new(account, context)
end

function Source:close()
  if self.rotated then
    self.rotated:close()
  end
  if self.asking then
    self.asking:close()
  end
  keyring.close(self.context)
end

return { new = new, open = open }
