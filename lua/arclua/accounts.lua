-- SPDX-License-Identifier: MIT
-- Stored sign-ins: made once, used by every later run until they are removed.
local check = require "arclua.check"
local clouds = require "arclua.clouds"
local errors = require "arclua.errors"
local keyring = require "arclua.credential.keyring"
local paths = require "arclua.paths"
local real = require "arclua.core"
local sign_in = require "arclua.credential.sign_in"
local store = require "arclua.credential.store"

local accounts = {}

---@class arclua.SignInOptions
---@field method string?          "device_code" (default), "browser", "client_secret",
---   "client_certificate", "workload_identity" or "managed_identity"
---@field cloud string?           name or cloud file; default ARCLUA_CLOUD, else public
---@field tenant string?          directory; of a person: default whoever signs in has one
---@field client_id string?       of a person: default the Azure CLI's application; of a managed
---   identity: which one, default the machine's own
---@field client_secret arclua.Secret?  of an application
---@field borrowed boolean?       client_secret is the environment's, not given for this
---@field trust_cloud boolean?    what the environment and the platform vouch with may go to a cloud
---   file's hosts
---@field certificate string?     of an application: the file of its certificate and key
---@field password arclua.Secret?  that the certificate's file is encrypted with
---@field send_chain boolean?     the certificate goes with its issuers
---@field token_file string?      of a workload: the file in which its platform keeps a token;
---   default AZURE_FEDERATED_TOKEN_FILE, else GitHub's service
---@field object_id string?       of a managed identity: which one
---@field resource_id string?     likewise
---@field claims string?          JSON of a claims challenge that the sign-in must satisfy
---@field encrypt string?         "auto": where the desktop has a secret service; "always"; "never";
---   default ARCLUA_ENCRYPT, else "auto"
---@field prompt fun(device: table)?    told { user_code, verification_uri, message? } instead of
---   the lines on standard error
---@field open fun(url: string)?  gets the address instead of the browser that BROWSER names
---@field log fun(text: string)?  told what somebody may want to know

---@class arclua.Account
---@field id string
---@field kind string        "user", "application" or "identity"
---@field username string    of an application its client ID
---@field method string?     "certificate", "federated" or "identity": nothing secret but perhaps a
---   password is stored
---@field sealed boolean     its secret is encrypted
---@field tenant string
---@field cloud string       name, or path of the cloud file
---@field authority string
---@field client_id string
---@field default boolean

local RULES = { method = "string", cloud = "string", tenant = "string", client_id = "string",
  client_secret = "secret", borrowed = "boolean",
  trust_cloud = "boolean", certificate = "string", password = "secret", send_chain = "boolean",
  token_file = "string", object_id = "string", resource_id = "string", claims = "string",
  encrypt = "string", prompt = "function", open = "function", log = "function",
  primitives = "table", store = "string" }

local function context_of(opts)
  return { core = opts.primitives or real, store = opts.store }
end

local function check_method(opts)
  local method = opts.method or "device_code"
  local how = sign_in[method]
  if not how then
    error("option 'method': device_code, browser, client_secret, client_certificate, "
      .. "workload_identity or managed_identity expected, got '" .. method .. "'", 3)
  end
  for _, name in ipairs(how.needs) do
    if not opts[name] then
      error("option '" .. name .. "' is missing", 3)
    end
  end
  return how.run
end

local function save(context, cloud, account, secret, key)
  account.cloud, account.authority = store.cloud_key(cloud), cloud.authority
  local id = ("%s %s %s"):format(account.cloud, account.tenant, account.oid)
  local ok, err = store.put(context, id, account, secret, key)
  if not ok then
    return nil, err
  end
  account.id, account.default, account.sealed = id, true, secret ~= nil and key ~= nil
  return account
end

-- The cloud to sign in at, its tenant checked.
local function cloud_of(opts)
  local cloud, err = clouds.load(opts.cloud or paths.env "ARCLUA_CLOUD")
  if cloud and opts.tenant then
    local ok
    ok, err = clouds.tenant(opts.tenant)
    cloud = ok and cloud
  end
  return cloud, err
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
  local wish, err = keyring.wish(opts.encrypt)
  local cloud = nil
  if wish then
    cloud, err = cloud_of(opts)
  end
  if not cloud then
    return nil, err
  end
  local account, secret, key
  account, err, secret = method(context.core, cloud, opts)
  if account and secret then
    key, err = keyring.for_new(context, store.dir(context), wish, opts.log or function() end)
  end
  if not account or err then
    return nil, err
  end
  local stored
  stored, err = save(context, cloud, account, secret, key)
  if key then
    key:close()
  end
  if account.kind == "user" then
    secret:close() -- others' are the caller's
  end
  return stored, err
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

--- Forgets what was kept of Azure's answers: credentials of relays, names.
--- Errors: io, denied.
---@param opts { store: string? }?
---@return true|nil, arclua.Error?
function accounts.clear_cache(opts)
  local context = context_of(check.options(opts, { store = "string", primitives = "table" }))
  return context.core.sys.remove(context.store and context.store .. "/cache" or paths.cache())
end

--- Forgets a stored sign-in, and what was kept of Azure's answers.
--- Errors: as accounts.choose.
---@param name string?  default: the default one
---@param opts { store: string? }?
---@return arclua.Account|nil, arclua.Error?
function accounts.remove(name, opts)
  local account, err = change("remove", name, opts)
  if not account then
    return account, err
  end
  local ok
  ok, err = accounts.clear_cache(opts)
  return ok and account, err
end

-- Whether the desktop keeps a key for what is stored.
local function has_sealed(context)
  for _, account in ipairs(store.list(context) or {}) do
    if account.sealed then
      return true
    end
  end
  return false
end

--- Forgets all, also those of a file that cannot be read, and what was kept of Azure's answers.
--- Errors: io, denied.
---@param opts { store: string? }?
---@return true|nil, arclua.Error?
function accounts.remove_all(opts)
  local context = context_of(check.options(opts, { store = "string", primitives = "table" }))
  local dir, encrypted = store.dir(context), has_sealed(context)
  local ok, err = context.core.sys.remove(dir .. "/tokens.json")
  if ok and encrypted then
    context.core.keyring.forget(dir) -- a key to nothing: no harm where it stays
  end
  if not ok then
    return nil, err
  end
  return accounts.clear_cache(opts)
end

return accounts
