-- SPDX-License-Identifier: MIT
-- The refresh token that the Azure CLI keeps for its user, where it is not encrypted. Read at each
-- use and never written: the CLI's own goes on being good, ours is kept in memory.
local azure_profile = require "arclua.credential.azure_profile"
local clouds = require "arclua.clouds"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local refresh = require "arclua.credential.refresh"

local Source = {}
Source.__index = Source

local TRIES, PAUSE = 3, 0.5 -- seconds: the CLI may be writing it

local function unavailable(message, remedy, cause)
  return errors.fail { reason = "cred.unavailable", op = "credential", message = message,
    remedy = remedy or "run `az login`", cause = cause }
end

local function modified(core, name)
  local stat = core.sys.stat(paths.azure_cli() .. "/" .. name)
  return stat and stat.mtime
end

-- Newer CLIs encrypt the cache, and leave a sign of that beside the old file.
local function is_encrypted(core)
  local plain = modified(core, "msal_token_cache.json")
  for _, name in ipairs { "msal_token_cache.sig", "msal_token_cache.bin" } do
    local sign = modified(core, name)
    if sign and (not plain or sign >= plain) then
      return true
    end
  end
  return false
end

-- The names by which the cache may know this cloud.
local function hosts_of(cloud)
  local own = cloud.authority:match "^https://(.+)$"
  local hosts = { own, own:match "^[^:]+" }
  return table.move(cloud.aliases or {}, 1, #(cloud.aliases or {}), 3, hosts)
end

local function read(self)
  local core, profile = self.core, self.profile
  local secret, err
  for try = 1, TRIES do
    secret, err = core.msal.refresh_token(paths.azure_cli() .. "/msal_token_cache.json", {
      username = profile.user.name, tenant = profile.tenantId,
      home_tenant = profile.homeTenantId, client_id = refresh.CLIENT,
      hosts = hosts_of(self.spec.cloud) })
    if secret or err.code ~= "protocol" then
      break
    end
    local ok, ended = core.sleep(try < TRIES and PAUSE or 0)
    if not ok then
      return nil, ended
    end
  end
  if secret then
    return secret
  end
  return unavailable("the Azure CLI's token cache: " .. err.message, nil, err)
end

local function challenged(self, scope, err)
  local claims = err.claims and " --claims-challenge " .. self.core.crypto.base64(err.claims) or ""
  return errors.with(err, { remedy = ("run: az login --tenant %s%s --scope %s"):format(
    self.spec.tenant, claims, scope) })
end

function Source:fetch(scope, opts)
  local token, err = self.rotated, nil
  local is_of_file = not token
  if is_of_file then
    token, err = read(self)
  end
  if not token then
    return nil, err
  end
  local secret, info = refresh.redeem(self, token, scope, opts)
  if is_of_file then
    token:close()
  end
  if secret then
    self.rotated = info.refresh_token or self.rotated
  elseif refresh.needs_person(info) then
    self.rotated = nil -- the person may sign in to the CLI meanwhile
    info = challenged(self, scope, info)
  end
  return secret, info
end

function Source:close()
  if self.rotated then
    self.rotated:close()
  end
end

--- Errors: auth (cred.unavailable): nobody is signed in, not a person, encrypted.
---@return arclua.TokenSource|nil, arclua.Error?
local function open(context)
  local ok, err = clouds.may_use_environment(context.cloud, context.trust_cloud)
  if not ok then
    return nil, err
  end
  local profile = azure_profile.default(context.cloud)
  local user = profile and profile.user
  if type(user) ~= "table" or type(user.name) ~= "string" then
    return unavailable "the Azure CLI has no sign-in for this cloud"
  elseif user.type ~= "user" or user.cloudShellID then
    return unavailable("the Azure CLI is not signed in as a person with a token of its own",
      "use --credential azure_cli")
  elseif is_encrypted(context.core) then
    return unavailable("the Azure CLI's token cache is encrypted",
      "use --credential azure_cli, or run `arclua login`")
  end
  local tenant
  tenant, err = clouds.tenant(context.tenant or profile.tenantId or "")
  if not tenant then
    return nil, err
  end
  return setmetatable({ name = "Azure CLI's cache", core = context.core, profile = profile,
    spec = { cloud = context.cloud, tenant = tenant, client_id = refresh.CLIENT } }, Source)
end

return { open = open }
