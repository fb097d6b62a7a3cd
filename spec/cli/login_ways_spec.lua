-- SPDX-License-Identifier: MIT
-- Sign-ins that need no person: certificates, a platform's token, managed identities.
local accounts = require "arclua.accounts"
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local program = require "program"

-- The emulator's environment without the credential that it exports; changes laid over it.
local function environment(e, changes)
  local env = { ARCLUA_CONFIG = "none", AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false,
    AZURE_TENANT_ID = false, AZURE_CLIENT_CERTIFICATE_PATH = false,
    AZURE_FEDERATED_TOKEN_FILE = false, AZURE_CLIENT_CERTIFICATE_PASSWORD = false }
  for name, value in pairs(e.env) do
    if env[name] == nil then
      env[name] = value
    end
  end
  for name, value in pairs(changes or {}) do
    env[name] = value
  end
  return env
end

local function run(e, args, changes, opts)
  opts = opts or {}
  opts.env = environment(e, changes)
  return program.run(args, opts)
end

local function stored(e)
  local text = assert(core.sys.read_file(e.env.ARCLUA_STATE .. "/tokens.json", 65536))
  local _, account = next(json.decode(text).accounts)
  return account, text
end

local function application(e, ...)
  return { "login", "--tenant", e.env.AZURE_TENANT_ID, "--client-id", e.env.AZURE_CLIENT_ID, ... }
end

local function works(e, changes)
  local ended = run(e, { "machines" }, changes)
  assert.equal(0, ended.status, ended.err)
  assert.matches("web%-01", ended.out)
end

describe("login with a certificate", function()
  emulated.spec("stores where it is, not what it is", { machines = 1, sign_in = "certificate" },
    function(e)
      local path = e.env.AZURE_CLIENT_CERTIFICATE_PATH
      local ended = run(e, application(e, "--service-principal", "--certificate", path,
        "--send-chain"))
      assert.equal(0, ended.status, ended.err)
      assert.equal(("signed in as %s (tenant %s)\n"):format(e.env.AZURE_CLIENT_ID,
        e.env.AZURE_TENANT_ID), ended.err)
      local account, text = stored(e)
      assert.equal(path, account.certificate)
      assert.equal("certificate", account.method)
      assert.equal("true", account.send_chain)
      assert.is_nil(account.secret)
      assert.is_nil(text:find("PRIVATE KEY", 1, true))
      works(e)
      ended = run(e, { "account" })
      assert.matches("application", ended.out)
      core.sys.remove(path)
      ended = run(e, { "machines" })
      assert.equal(1, ended.status)
      assert.truthy(ended.err:find("the application's certificate: read " .. path, 1, true))
    end)

  emulated.spec("asks for its password, or takes it from the environment", { machines = 1,
    sign_in = "certificate" }, function(e)
    local dir = e.env.ARCLUA_STATE .. "-keys"
    assert(core.sys.mkdir(dir, 448))
    assert(os.execute(("openssl pkcs12 -export -in '%s' -out '%s/a.pfx' -passout pass:p-w"):format(
      e.env.AZURE_CLIENT_CERTIFICATE_PATH, dir)))
    local args = application(e, "--service-principal", "--certificate", dir .. "/a.pfx")
    local ended = run(e, args)
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("set AZURE_CLIENT_CERTIFICATE_PASSWORD", 1, true), ended.err)
    ended = run(e, args, { AZURE_CLIENT_CERTIFICATE_PASSWORD = "wrong" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("the password is wrong", 1, true))
    ended = run(e, args, { AZURE_CLIENT_CERTIFICATE_PASSWORD = "p-w" })
    assert.equal(0, ended.status, ended.err)
    works(e)
    assert.equal("p-w", (stored(e)).secret)
    core.sys.remove(e.env.ARCLUA_STATE)
    local asker = dir .. "/asker"
    assert(core.sys.write_file(asker, "#!/bin/sh\necho \"$1\" >'" .. dir .. "/asked'\necho p-w\n",
      448))
    ended = run(e, args, { SSH_ASKPASS = asker, SSH_ASKPASS_REQUIRE = "force" })
    assert.equal(0, ended.status, ended.err)
    assert.equal("Password of " .. dir .. "/a.pfx: \n", core.sys.read_file(dir .. "/asked", 1000))
    works(e)
    core.sys.remove(dir)
  end)

  emulated.spec("names its file from where the user stands", { machines = 1,
    sign_in = "certificate" }, function(e)
    local path = e.env.AZURE_CLIENT_CERTIFICATE_PATH
    local dir, name = path:match "^(.*)/([^/]+)$"
    local process <close> = assert(core.process.spawn { cwd = dir, stdin = "null",
      stderr = "null", env = environment(e), args = table.move(application(e,
        "--service-principal", "--certificate", name), 1, 99, 2,
        { program.path:sub(1, 1) == "/" and program.path or core.sys.cwd() .. "/"
          .. program.path }) })
    assert.equal(0, assert(process:wait()).status)
    assert.equal(path, (stored(e)).certificate)
  end)
end)

describe("login with a platform's token", function()
  emulated.spec("stores the file's name", { machines = 1, sign_in = "workload" }, function(e)
    local file = e.env.AZURE_FEDERATED_TOKEN_FILE
    local ended = run(e, application(e, "--federated", "--token-file", file))
    assert.equal(0, ended.status, ended.err)
    local account, text = stored(e)
    assert.equal("federated", account.method)
    assert.equal(file, account.token_file)
    assert.is_nil(text:find("eyJ", 1, true))
    works(e)
    core.sys.remove(e.env.ARCLUA_STATE)
    ended = run(e, application(e, "--federated"), { AZURE_FEDERATED_TOKEN_FILE = file })
    assert.equal(0, ended.status, ended.err)
    works(e)
    for content, why in pairs { [""] = "is empty", [("x"):rep(70000)] = "more than" } do
      assert(core.sys.write_file(file, content))
      ended = run(e, { "machines" })
      assert.equal(1, ended.status)
      assert.truthy(ended.err:find(why, 1, true), ended.err)
      assert.truthy(ended.err:find("AZURE_FEDERATED_TOKEN_FILE", 1, true), ended.err)
    end
    ended = run(e, application(e, "--federated", "--token-file", e.env.ARCLUA_STATE))
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no regular file", 1, true), ended.err)
  end)

  emulated.spec("asks GitHub each time", { machines = 1, sign_in = "github" }, function(e)
    local ended = run(e, application(e, "--federated"))
    assert.equal(0, ended.status, ended.err)
    assert.is_nil((stored(e)).token_file)
    works(e)
    assert.equal(2, #e.log:find { event = "oidc" })
    ended = run(e, { "machines" }, { ACTIONS_ID_TOKEN_REQUEST_URL = false,
      GITHUB_ACTIONS = "true" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("id-token: write", 1, true), ended.err)
  end)

  emulated.spec("needs a platform", { machines = 1 }, function(e)
    local ended = run(e, application(e, "--federated"))
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("AZURE_FEDERATED_TOKEN_FILE is not set", 1, true), ended.err)
  end)
end)

describe("login with a managed identity", function()
  emulated.spec("stores which one", { machines = 1, sign_in = "imds" }, function(e)
    local ended = run(e, { "login", "--identity" })
    assert.equal(0, ended.status, ended.err)
    local account = stored(e)
    assert.equal("identity", account.kind)
    assert.equal(e.state.client_id, account.username)
    assert.is_nil(account.secret)
    works(e)
    core.sys.remove(e.env.ARCLUA_STATE)
    ended = run(e, { "login", "--identity", "--object-id", e.state.object_id })
    assert.equal(0, ended.status, ended.err)
    assert.equal(e.state.object_id, (stored(e)).chosen_object_id)
    works(e)
    assert.matches("identity", run(e, { "account" }).out)
    ended = run(e, { "login", "--identity", "--client-id", "other" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no such identity", 1, true), ended.err)
    assert.equal(0, run(e, { "logout" }).status)
    assert.equal(1, run(e, { "--credential", "login", "machines" }).status)
  end)
end)

describe("login's words", function()
  emulated.spec("fit together, or are refused", { machines = 1 }, function(e)
    for words, why in pairs {
      ["--identity --federated"] = "--federated and --identity exclude each other",
      ["--federated"] = "'--tenant' is needed with --federated",
      ["--federated --tenant t"] = "'--client-id' is needed with --federated",
      ["--federated --tenant t --client-id="] = "'--client-id' is needed with --federated",
      ["--device --certificate c"] = "'--certificate' is of --service-principal",
      ["--browser --token-file c"] = "'--token-file' is of --federated",
      ["--federated --tenant t --client-id c --object-id o"] = "'--object-id' is of --identity",
      ["--identity --client-id c --object-id o"] = "exclude each other",
      ["--service-principal --tenant t --client-id c --certificate c --secret-file f"]
        = "--secret-file and --certificate exclude each other",
      ["--service-principal --tenant t --client-id c --send-chain"]
        = "'--send-chain' is of --certificate",
      ["--identity --claims-challenge e30="] = "'--claims-challenge' is of --device and --browser",
    } do
      local args = { "login" }
      for word in words:gmatch "%S+" do
        args[#args + 1] = word
      end
      local ended = run(e, args)
      assert.equal(2, ended.status, words)
      assert.truthy(ended.err:find(why, 1, true), ended.err)
    end
    local ended = run(e, { "login", "--encrypt", "perhaps" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("auto, always or never expected, got 'perhaps'", 1, true))
  end)

  it("of Lua need what they need", function()
    assert.has_error(function() accounts.sign_in { method = "magic" } end)
    for _, method in ipairs { "client_certificate", "workload_identity" } do
      local ok, why = pcall(accounts.sign_in, { method = method, tenant = "t" })
      assert.is_false(ok)
      assert.matches("option 'client_id' is missing", why)
    end
  end)
end)
