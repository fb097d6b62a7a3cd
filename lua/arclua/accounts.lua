-- SPDX-License-Identifier: MIT
-- Stored sign-ins: made once, used by every later run until they are removed.
local browser = require "arclua.credential.browser"
local check = require "arclua.check"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local device_code = require "arclua.credential.device_code"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local real = require "arclua.core"
local refresh = require "arclua.credential.refresh"
local store = require "arclua.credential.store"

local accounts = {}

---@class arclua.SignInOptions
---@field method string?          "device_code" (default), "browser", "client_secret"
---@field cloud string?           name or cloud file; default ARCLUA_CLOUD, else public
---@field tenant string?          directory; of a person: default whoever signs in has one
---@field client_id string?       of a person: default the Azure CLI's application
---@field client_secret arclua.Secret?  of an application
---@field prompt fun(device: table)?    told { user_code, verification_uri, message? } instead of
---   the lines on standard error
---@field open fun(url: string)?  gets the address instead of the browser that BROWSER names

---@class arclua.Account
---@field id string
---@field kind string        "user" or "application"
---@field username string    of an application its client ID
---@field tenant string
---@field cloud string       name, or path of the cloud file
---@field authority string
---@field client_id string
---@field default boolean

local RULES = { method = "string", cloud = "string", tenant = "string", client_id = "string",
  client_secret = "secret", prompt = "function", open = "function",
  primitives = "table", store = "string" }

local function context_of(opts)
  return { core = opts.primitives or real, store = opts.store }
end

-- Who signed in, by the ID token that came straight from the token endpoint.
local function person(core, info, client_id)
  local claims = info.id_token and core.token.claims(info.id_token)
  if not claims or claims.aud ~= client_id or not claims.tid or not claims.oid then
    return errors.fail { reason = "http.bad-answer", op = "login",
      message = "Entra did not say who signed in" }
  elseif not info.refresh_token then
    return errors.fail { reason = "entra.bad-request", op = "login",
      message = "Entra gave no refresh token, so nothing can be stored" }
  end
  return { kind = "user", tenant = claims.tid, oid = claims.oid,
    username = claims.preferred_username or claims.upn or claims.oid }
end

local methods = {}

local function by_person(flow, core, cloud, opts)
  local client_id = opts.client_id or refresh.CLIENT
  local source = flow.new({ cloud = cloud, tenant = opts.tenant or refresh.ANY_TENANT,
    client_id = client_id, prompt = opts.prompt, open = opts.open }, core)
  local secret, info = source:fetch(cloud.scope, {})
  if not secret then
    return nil, info
  end
  secret:close()
  local who, err = person(core, info, client_id)
  if not who then
    return nil, err
  end
  who.client_id = client_id
  return who, nil, info.refresh_token
end

function methods.device_code(...)
  return by_person(device_code, ...)
end

function methods.browser(...)
  return by_person(browser, ...)
end

function methods.client_secret(core, cloud, opts)
  local source, err = client_secret.new({ cloud = cloud, tenant = opts.tenant,
    client_id = opts.client_id, secret = opts.client_secret }, core)
  if not source then
    return nil, err
  end
  local secret
  secret, err = source:fetch(cloud.scope, {})
  if not secret then
    return nil, err
  end
  secret:close()
  return { kind = "application", tenant = opts.tenant, oid = opts.client_id,
    username = opts.client_id, client_id = opts.client_id }, nil, opts.client_secret
end

local function check_method(opts)
  local method = opts.method or "device_code"
  if not methods[method] then
    error("option 'method': device_code, browser or client_secret expected, got '" .. method
      .. "'", 3)
  end
  for _, name in ipairs { "tenant", "client_id", "client_secret" } do
    if method == "client_secret" and not opts[name] then
      error("option '" .. name .. "' is missing", 3)
    end
  end
  return methods[method]
end

local function save(context, cloud, account, secret)
  account.cloud, account.authority = store.cloud_key(cloud), cloud.authority
  local id = ("%s %s %s"):format(account.cloud, account.tenant, account.oid)
  local ok, err = store.put(context, id, account, secret, true)
  if not ok then
    return nil, err
  end
  account.id, account.default = id, true
  return account
end

--- Signs in and stores it; it becomes the default account.
--- Raises: unknown options, no such method, an option that the method needs is missing.
--- Errors: config, auth, denied (declined), timeout (the code's time is over), cancelled, and what
--- Entra and the network give.
---@param opts arclua.SignInOptions?
---@return arclua.Account|nil, arclua.Error?
function accounts.sign_in(opts)
  opts = check.options(opts, RULES)
  local method, context = check_method(opts), context_of(opts)
  local cloud, err = clouds.load(opts.cloud or paths.env "ARCLUA_CLOUD")
  if cloud and opts.tenant then
    local ok
    ok, err = clouds.tenant(opts.tenant)
    cloud = ok and cloud
  end
  if not cloud then
    return nil, err
  end
  local account, secret
  account, err, secret = method(context.core, cloud, opts)
  if not account then
    return nil, err
  end
  return save(context, cloud, account, secret)
end

--- The stored sign-ins, sorted by name.
--- Errors: config (the file is damaged, or others may read it), io.
---@param opts { store: string? }?  store: another directory than ARCLUA_STATE
---@return arclua.Account[]|nil, arclua.Error?
function accounts.list(opts)
  opts = check.options(opts, { store = "string", primitives = "table" })
  return store.list(context_of(opts))
end

-- The account of a name (or ID); nil = the default one.
local function pick(context, name)
  local list, err = store.list(context)
  if not list then
    return nil, err
  end
  local found = {}
  for _, account in ipairs(list) do
    if name == nil and account.default or account.id == name
      or name and account.username:lower() == name:lower() then
      found[#found + 1] = account
    end
  end
  if #found == 1 then
    return found[1]
  elseif #found > 1 then
    return errors.fail { code = "conflict", op = "account",
      message = ("'%s' has signed in to several tenants or clouds"):format(name),
      remedy = "name one by its ID: arclua account list -o json" }
  end
  return errors.fail { code = "notfound", op = "account",
    message = name and ("no sign-in of '%s' is stored"):format(name) or "nobody is signed in",
    remedy = "`arclua account list` shows who is" }
end

local function change(how, name, opts)
  local context = context_of(check.options(opts, { store = "string", primitives = "table" }, 3))
  local account, err = pick(context, name)
  if not account then
    return nil, err
  end
  local done
  done, err = store[how](context, account.id)
  if err then
    return nil, err
  end
  return done and account
end

--- Makes a stored sign-in the default one.
--- Errors: notfound, conflict (the name has several), and those of accounts.list.
---@param name string  user name, client ID or the account's ID
---@param opts { store: string? }?
---@return arclua.Account|nil, arclua.Error?
function accounts.choose(name, opts)
  return change("choose", name, opts)
end

--- Forgets a stored sign-in.
--- Errors: as accounts.choose.
---@param name string?  default: the default one
---@param opts { store: string? }?
---@return arclua.Account|nil, arclua.Error?
function accounts.remove(name, opts)
  return change("remove", name, opts)
end

--- Forgets all, also those of a file that cannot be read.
--- Errors: io, denied.
---@param opts { store: string? }?
---@return true|nil, arclua.Error?
function accounts.remove_all(opts)
  local context = context_of(check.options(opts, { store = "string", primitives = "table" }))
  return context.core.sys.remove(store.dir(context) .. "/tokens.json")
end

return accounts
