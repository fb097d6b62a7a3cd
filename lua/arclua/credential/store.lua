-- SPDX-License-Identifier: MIT
-- The stored sign-ins: where they are, and which one a cloud and tenant mean. Each is bound to the
-- cloud and authority that it was made at.
local errors = require "arclua.errors"
local keyring = require "arclua.credential.keyring"
local paths = require "arclua.paths"
local real = require "arclua.core"

local store = {}

local PATIENCE, PAUSE = 5, 0.02 -- seconds, while another process writes

--- The directory; context.store names another.
---@param context { core: table, store: string? }
function store.dir(context)
  return context.store or paths.state()
end

-- Comes again while another process writes.
local function patiently(context, change, ...)
  local core = context.core
  local deadline = core.now() + PATIENCE
  while true do
    local done, err = core.store[change](store.dir(context), ...)
    if done ~= nil or err.code ~= "conflict" or core.now() > deadline then
      return done, err
    end
    local ok, why = core.sleep(PAUSE)
    if not ok then
      return nil, why
    end
  end
end

-- The key of an account's secret, nil alone when it is not encrypted.
local function key_of(context, account)
  if account.sealed then
    return keyring.of_stored(context, store.dir(context))
  end
end

--- The secret of an account; nil without an error when it has none, or is gone.
--- Errors: auth (cred.locked), and what reading the file gives.
---@return arclua.Secret|nil, arclua.Error?
function store.secret(context, account)
  local key, err = key_of(context, account)
  if err then
    return nil, err
  end
  return context.core.store.secret(store.dir(context), account.id, key)
end

--- key: encrypts it.
function store.put(context, id, account, secret, key)
  return patiently(context, "put", id, account, secret, true, key)
end

function store.renew(context, account, secret)
  local key, err = key_of(context, account)
  if err then
    return nil, err
  end
  return patiently(context, "renew", account.id, secret, key)
end

function store.remove(context, ...)
  return patiently(context, "remove", ...)
end

function store.choose(context, ...)
  return patiently(context, "choose", ...)
end

--- How the store names a cloud: a file by its path, as two files may have one name.
function store.cloud_key(cloud)
  local file = cloud.file
  if file and file:sub(1, 1) ~= "/" then
    file = (real.sys.cwd() or "") .. "/" .. file
  end
  return file or cloud.url or cloud.name
end

--- All accounts, sorted by name; the default one has `default`.
---@return table[]|nil, arclua.Error?
function store.list(context)
  local all, err = context.core.store.read(store.dir(context))
  if not all then
    return nil, err
  end
  for _, account in ipairs(all.accounts) do
    account.default = account.id == all.default
  end
  table.sort(all.accounts, function(a, b)
    return a.username .. a.id < b.username .. b.id
  end)
  return all.accounts
end

local function unavailable(message, remedy)
  return errors.fail { reason = "cred.unavailable", op = "credential", message = message,
    remedy = remedy }
end

-- Those of a list for which wanted(account).
local function filter(list, wanted)
  local out = {}
  for _, account in ipairs(list) do
    if wanted(account) then
      out[#out + 1] = account
    end
  end
  return out
end

-- Of another tenant than the person's own a person may be a guest; an application never is, and
-- an identity has one tenant, whatever is asked for.
local function of_tenant(list, tenant)
  if not tenant then
    return list
  end
  local own = filter(list, function(account)
    return account.tenant:lower() == tenant:lower()
  end)
  return #own > 0 and own or filter(list, function(account)
    return account.kind == "user"
  end)
end

--- The account to use: the default one, or the only one of this cloud and tenant.
--- Errors: auth (cred.unavailable), and what reading the file gives.
---@param context { cloud: arclua.Cloud, tenant: string?, core: table, store: string? }
---@return table|nil, arclua.Error?
function store.find(context)
  local list, err = store.list(context)
  if not list then
    return nil, err
  end
  local key = store.cloud_key(context.cloud)
  list = of_tenant(filter(list, function(account)
    return account.cloud == key and account.authority == context.cloud.authority
  end), context.tenant)
  local chosen = filter(list, function(account)
    return account.default
  end)[1]
  if chosen or #list == 1 then
    return chosen or list[1]
  elseif #list > 1 then
    return unavailable("several sign-ins are stored, and none is chosen",
      "choose one: arclua account set NAME")
  end
  return unavailable("no sign-in is stored for this cloud"
    .. (context.tenant and " and tenant" or ""), "run `arclua login`")
end

return store
