-- SPDX-License-Identifier: MIT
-- A sign-in that `arclua login` has stored: of a person (refresh token) or an application.
local client_secret = require "arclua.credential.client_secret"
local defaults = require "arclua.defaults"
local device_code = require "arclua.credential.device_code"
local errors = require "arclua.errors"
local refresh = require "arclua.credential.refresh"
local store = require "arclua.credential.store"

local Source = {}
Source.__index = Source

local AGAIN = "run `arclua login` again"
local FOR_LOGIN = AGAIN .. "; where logins to machines have a policy of their own, run this once "
  .. "at a terminal, which asks for what is missing"

---@param account table  of the store
---@param context { cloud: arclua.Cloud, tenant: string?, core: table, store: string? }
---@return arclua.TokenSource
local function new(account, context)
  return setmetatable({ name = "stored sign-in of " .. account.username, account = account,
    context = context, core = context.core }, Source)
end

local function for_application(self, secret, scope, opts)
  local account = self.account
  local source, err = client_secret.new({ cloud = self.context.cloud, tenant = account.tenant,
    client_id = account.client_id, secret = secret }, self.core)
  if not source then
    return nil, err
  end
  return source:fetch(scope, opts)
end

-- The old one stays good for a while: a store that cannot be written now costs nothing yet.
local function keep(self, token)
  self.rotated = token
  store.renew(self.context, self.account.id, token)
end

-- Whether somebody is there who can sign in for a certificate: machines' logins have policies of
-- their own, which a sign-in for ARM need not meet.
local function can_ask(self, opts)
  return opts.ssh_key and defaults.interactive and self.core.sys.isatty(2)
end

-- The person signs in again, for this scope; whoever else did is no help.
local function sign_in(self, spec, scope, opts)
  self.asking = self.asking or device_code.new(spec, self.core)
  local given, info = self.asking:fetch(scope, opts)
  if not given then
    return nil, info
  end
  local claims = info.id_token and self.core.token.claims(info.id_token) or {}
  if claims.oid ~= self.account.oid then
    given:close()
    self.asking = nil
    return errors.fail { code = "conflict", op = "credential",
      message = ("%s has signed in, not %s"):format(claims.preferred_username or "somebody else",
        self.account.username), remedy = "sign in as that person, or run `arclua login`" }
  elseif info.refresh_token then
    keep(self, info.refresh_token)
  end
  return given, info
end

local function for_person(self, secret, scope, opts)
  local account, context = self.account, self.context
  local spec = { cloud = context.cloud, tenant = context.tenant or account.tenant,
    client_id = account.client_id }
  local token, info = refresh.redeem(self.core, spec, self.rotated or secret, scope, opts)
  if token and info.refresh_token then
    keep(self, info.refresh_token)
  elseif not token and refresh.needs_person(info) and can_ask(self, opts) then
    return sign_in(self, spec, scope, opts)
  elseif not token and refresh.needs_person(info) then
    info = errors.with(info, { remedy = opts.ssh_key and FOR_LOGIN or AGAIN })
  end
  return token, info
end

function Source:fetch(scope, opts)
  local secret, err = self.core.store.secret(store.dir(self.context), self.account.id)
  if not secret then
    return nil, err or errors.new { reason = "cred.unavailable", op = "credential",
      message = "signed out meanwhile", remedy = "run `arclua login`" }
  end
  local held <close> = secret
  local ask = self.account.kind == "application" and for_application or for_person
  return ask(self, held, scope, opts)
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

return { new = new, open = open }
