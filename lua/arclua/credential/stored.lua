-- SPDX-License-Identifier: MIT
-- A sign-in that `arclua login` has stored: of a person (refresh token) or an application.
local client_secret = require "arclua.credential.client_secret"
local errors = require "arclua.errors"
local refresh = require "arclua.credential.refresh"
local store = require "arclua.credential.store"

local Source = {}
Source.__index = Source

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

local function for_person(self, secret, scope, opts)
  local account, context = self.account, self.context
  local token, info = refresh.redeem(self.core, { cloud = context.cloud,
    tenant = context.tenant or account.tenant, client_id = account.client_id },
    self.rotated or secret, scope, opts)
  if token and info.refresh_token then
    -- The old one stays good for a while: a store that cannot be written now costs nothing yet.
    self.rotated = info.refresh_token
    store.renew(context, account.id, info.refresh_token)
  elseif not token and refresh.needs_person(info) then
    info = errors.with(info, { remedy = "run `arclua login` again" })
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
