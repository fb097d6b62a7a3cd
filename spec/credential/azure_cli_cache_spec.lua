-- SPDX-License-Identifier: MIT
-- The Azure CLI's own files, read where that was asked for and never written.
local azure_cli_cache = require "arclua.credential.azure_cli_cache"
local core = require "arclua.core"
local emulated = require "emulated"
local errors = require "arclua.errors"
local fake = require "fake"
local json = require "arclua.json"
local program = require "program"
local refresh = require "arclua.credential.refresh"

local HOME = "22222222-2222-4222-8222-222222222222"
local OTHER = "33333333-3333-4333-8333-333333333333"
local CLOUD = { name = "public", azure_name = "AzureCloud",
  authority = "https://login.microsoftonline.com", scope = "https://arm.test/.default",
  aliases = { "login.windows.net" } }
local HOSTS = { "login.microsoftonline.com", "login.windows.net" }

local dir

local function write(name, content)
  local text = type(content) == "table" and json.encode(content) or content
  assert(core.sys.write_file(dir .. "/" .. name, text, 384))
end

local function entry(more)
  local out = { credential_type = "RefreshToken", secret = "rt", home_account_id = "u." .. HOME,
    environment = "login.microsoftonline.com", client_id = refresh.CLIENT, unknown = { 1 },
    last_modification_time = "1767000000" }
  for key, value in pairs(more or {}) do
    out[key] = value or nil
  end
  return out
end

local function account(more)
  local out = { home_account_id = "u." .. HOME, environment = "login.microsoftonline.com",
    realm = HOME, username = "alice@contoso.test", authority_type = "MSSTS" }
  for key, value in pairs(more or {}) do
    out[key] = value
  end
  return out
end

local function cache(tokens, accounts)
  return { RefreshToken = tokens, Account = accounts or { A = account() }, AccessToken = {},
    AppMetadata = { x = 1 }, more = true }
end

local function find(content, changes)
  write("msal_token_cache.json", content)
  local query = { username = "Alice@contoso.test", tenant = HOME, home_tenant = HOME,
    client_id = refresh.CLIENT, hosts = HOSTS }
  for key, value in pairs(changes or {}) do
    query[key] = value
  end
  return core.msal.refresh_token(dir .. "/msal_token_cache.json", query)
end

local function is(text, secret, err)
  assert.truthy(secret, err and err.message)
  assert.is_true(core.crypto.equal(secret, text))
end

local function profile(more, user)
  local one = { id = OTHER, name = "S", state = "Enabled", isDefault = true, tenantId = HOME,
    homeTenantId = HOME, environmentName = "AzureCloud",
    user = user or { name = "alice@contoso.test", type = "user" } }
  for key, value in pairs(more or {}) do
    one[key] = value
  end
  return { installationId = "i", subscriptions = { { id = "x", isDefault = true,
    environmentName = "AzureChinaCloud", user = { name = "bob", type = "user" } }, one } }
end

local function open(context)
  context = context or {}
  context.cloud, context.core = context.cloud or CLOUD, context.core or core
  return fake.env({ AZURE_CONFIG_DIR = dir }, function()
    return fake.env({}, azure_cli_cache.open, context)
  end)
end

describe("the Azure CLI's token cache", function()
  local paths = require "arclua.paths"
  local usual = paths.azure_cli

  before_each(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    paths.azure_cli = function() return dir end
  end)

  after_each(function()
    paths.azure_cli = usual
    core.sys.remove(dir)
  end)

  it("is searched by what its entries say, not by their keys (§8 row 48)", function()
    is("rt", find(cache { ["U.HOME-login.microsoftonline.com-REFRESHTOKEN--x"] = entry() }))
    is("rt", find(cache { k = entry { environment = "login.windows.net" } }))
    is("new", find(cache { a = entry { secret = "old", last_modification_time = "5" },
      b = entry { secret = "new", last_modification_time = 9 }, c = entry { secret = "", } }))
    is("family", find(cache { k = entry { client_id = "other", secret = "family",
      family_id = "1" }, j = entry { client_id = "other" } }))
    is("own", find(cache { k = entry { client_id = "other", secret = "family", family_id = "1" },
      j = entry { secret = "own" } }))
  end)

  it("tells accounts of one name by their directory (§8 row 48)", function()
    local tokens = { a = entry { home_account_id = "g." .. OTHER, secret = "guest" },
      b = entry { secret = "home" } }
    local accounts = { a = account { home_account_id = "g." .. OTHER, realm = HOME },
      b = account() }
    is("home", find(cache(tokens, accounts)))
    is("guest", find(cache(tokens, accounts), { home_tenant = OTHER }))
    is("guest", find(cache(tokens, { a = accounts.a })))
  end)

  it("has no token of another cloud, user or client", function()
    for _, content in ipairs { cache { k = entry { environment = "login.chinacloudapi.cn" } },
      cache({ k = entry() }, { A = account { username = "bob" } }),
      cache({ k = entry() }, { A = account { home_account_id = "nodot" } }),
      cache { k = entry { client_id = "other" } }, cache {}, {}, cache { k = 5 },
      cache { k = entry { secret = false } }, { RefreshToken = 5, Account = 5 } } do
      local secret, err = find(content)
      assert.is_nil(secret)
      assert.equal("notfound", err.code)
    end
  end)

  it("that is cut, empty or absent is said (§8 row 48)", function()
    local whole = json.encode(cache { k = entry() })
    for text, code in pairs { [""] = "protocol", [whole:sub(1, -20)] = "protocol", ["[]"]
      = "protocol", [("x"):rep(4 * 1024 * 1024 + 1)] = "limit" } do
      local secret, err = find(text)
      assert.is_nil(secret)
      assert.equal(code, err.code)
    end
    core.sys.remove(dir .. "/msal_token_cache.json")
    local secret, err = core.msal.refresh_token(dir .. "/msal_token_cache.json", { username = "a",
      client_id = "c", hosts = {} })
    assert.is_nil(secret)
    assert.equal("notfound", err.code)
    for _, bad in ipairs { 5, { 5 }, ("x"):rep(17) } do
      assert.has_error(function()
        core.msal.refresh_token(dir, { username = "a", client_id = "c", hosts = bad })
      end)
    end
  end)

  it("is of who is signed in, in this cloud (§8 row 47)", function()
    write("azureProfile.json", "\xEF\xBB\xBF" .. json.encode(profile()))
    assert.equal(HOME, open().spec.tenant)
    write("azureProfile.json", profile { name = "N/A(tenant level account)", id = HOME })
    assert.equal("alice@contoso.test", open().profile.user.name)
    assert.equal(OTHER, open({ tenant = OTHER }).spec.tenant)
    local cases = { [json.encode(profile({}, { name = "app", type = "servicePrincipal" }))]
      = "not signed in as a person", [json.encode(profile({}, { name = "systemAssignedIdentity",
      type = "servicePrincipal", assignedIdentityInfo = "MSI" }))] = "not signed in as a person",
      [json.encode(profile({}, { name = "a", type = "user", cloudShellID = true }))]
        = "not signed in as a person", [json.encode(profile { isDefault = false })]
        = "no sign-in for this cloud", ["{"] = "no sign-in", [""] = "no sign-in" }
    for content, why in pairs(cases) do
      write("azureProfile.json", content)
      local source, err = open()
      assert.is_nil(source)
      assert.equal("cred.unavailable", err.reason)
      assert.truthy(err.message:find(why, 1, true), err.message)
    end
  end)

  it("that is encrypted is left alone (§8 row 48)", function()
    write("azureProfile.json", profile())
    for _, name in ipairs { "msal_token_cache.sig", "msal_token_cache.bin" } do
      write("msal_token_cache.json", cache { k = entry() })
      write(name, "")
      local source, err = open()
      assert.is_nil(source)
      assert.matches("is encrypted", err.message)
      assert.matches("azure_cli", err.remedy)
      os.execute(("touch -d '1 hour ago' '%s/%s'"):format(dir, name))
      assert.truthy(open())
      core.sys.remove(dir .. "/" .. name)
    end
  end)

  it("is read again while it is being written, not for ever", function()
    write("azureProfile.json", profile())
    write("msal_token_cache.json", "{")
    local slept = 0
    local source = open { core = fake.core { sleep = function()
      slept = slept + 1
      if slept == 2 then
        write("msal_token_cache.json", cache { k = entry() })
      end
      return true
    end, token = { request = function() return "token", { expires_on = 1 } end } } }
    assert.equal("token", (source:fetch("s", {})))
    assert.equal(2, slept)
    write("msal_token_cache.json", "{")
    local secret, err = open({ core = fake.core { sleep = function() return true end } })
      :fetch("s", {})
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
  end)

  it("is not written; what Entra gives anew stays in memory (§8 row 49)", function()
    write("azureProfile.json", profile())
    write("msal_token_cache.json", cache { k = entry() })
    local answers = { { "one", { expires_on = 1, refresh_token = core.secret "rt2" } },
      { "two", { expires_on = 1 } }, { nil, errors.new { reason = "entra.interaction-required",
        message = "no", claims = "{}" } }, { "three", { expires_on = 1 } } }
    local request = fake.script(answers)
    local before = core.sys.read_file(dir .. "/msal_token_cache.json", 65536)
    os.execute(("chmod 400 '%s'/*"):format(dir))
    local sent, read_by_it = {}, {}
    local source = open { core = fake.core { token = { request = function(it_)
      sent[#sent + 1] = fake.text(it_.form.refresh_token)
      return request(it_)
    end }, msal = { refresh_token = function(...)
      local secret, why = core.msal.refresh_token(...)
      read_by_it[#read_by_it + 1] = secret
      return secret, why
    end } } }
    assert.equal("one", (source:fetch("s", {})))
    assert.equal("two", (source:fetch("s", {})))
    local secret, err = source:fetch("s", {})
    assert.is_nil(secret)
    assert.equal("run: az login --tenant " .. HOME .. " --claims-challenge e30= --scope s",
      err.remedy)
    assert.equal("three", (source:fetch("other", {})))
    assert.same({ "rt", "rt2", "rt2", "rt" }, sent)
    for _, one in ipairs(read_by_it) do -- what was read is wiped after its use
      assert.has_error(function() core.crypto.equal(one, "rt") end)
    end
    assert.equal(2, #read_by_it)
    assert.equal(before, core.sys.read_file(dir .. "/msal_token_cache.json", 65536))
    assert.equal(2, #core.sys.list(dir))
  end)

  it("is wiped at the close", function()
    write("azureProfile.json", profile())
    write("msal_token_cache.json", cache { k = entry() })
    local rotated = core.secret "rt2"
    local source = open { core = fake.core { token = { request = fake.script {
      { "one", { expires_on = 1, refresh_token = rotated } } } } } }
    source:close() -- before the first use: nothing to do
    assert.equal("one", (source:fetch("s", {})))
    source:close()
    assert.has_error(function() core.crypto.equal(rotated, "rt2") end)
  end)

  emulated.spec("signs in where that was asked for by name (§8 row 50)",
    { machines = { { name = "web-01", login = "entra" } } }, function(e)
      local users = e.state.users
      users.refresh.planted = { scope = "x" }
      local host = e.state.cloud.authority:match "^https://(.+)$"
      write("azureProfile.json", profile { environmentName = e.state.cloud.name,
        tenantId = e.state.tenant })
      write("msal_token_cache.json", cache({ k = entry { secret = "planted", environment = host } },
        { A = account { environment = host } }))
      local env = { AZURE_CONFIG_DIR = dir, AZURE_CLIENT_SECRET = false, AZURE_CLIENT_ID = false }
      for name, value in pairs(e.env) do
        env[name] = env[name] == nil and value or env[name]
      end
      local before = core.sys.stat(dir .. "/msal_token_cache.json").mtime
      local ended = program.run({ "--credential", "azure-cli-cache", "machines" }, { env = env })
      assert.equal(0, ended.status, ended.err)
      assert.matches("web%-01", ended.out)
      assert.equal(1, #e.log:find { event = "token", user = users.upn })
      assert.equal(before, core.sys.stat(dir .. "/msal_token_cache.json").mtime)
      env.PATH = "/nowhere"
      ended = program.run({ "machines" }, { env = env }) -- not by itself
      assert.not_equal(0, ended.status)
      assert.equal(1, #e.log:find { event = "token", user = users.upn })
      users.refresh.planted = { scope = "x" }
      ended = program.run({ "--credential", "azure-cli-cache", "exec", "--entra", "web-01", "--",
        "id -un" }, { env = env })
      assert.equal(0, ended.status, ended.err)
      assert.truthy(ended.out:find(users.upn, 1, true), ended.out)
    end)
end)
