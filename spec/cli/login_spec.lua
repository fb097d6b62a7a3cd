-- SPDX-License-Identifier: MIT
-- login, logout, account, token: as a user types them.
local cli = require "cli"
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local users = require "arclua.emulator.users"

local it_runs = cli.it

local NOBODY = { AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false, AZURE_TENANT_ID = false }

describe("login", function()
  cli.with { { name = "web-01" } }

  before_each(function()
    cli.e.state.users.interval = 1
    core.sys.remove(cli.e.env.ARCLUA_STATE)
  end)

  local function run(args, changes)
    local env = {}
    for _, source in ipairs { NOBODY, changes or {} } do
      for name, value in pairs(source) do
        env[name] = value
      end
    end
    return cli.run(args, env)
  end

  -- Starts a login, and answers on the page.
  local function sign_in(answer, args)
    local u = cli.e.state.users
    u.devices = {}
    local started = cli.start(args or { "login", "--device" }, NOBODY)
    while not next(u.devices) do
      assert(core.sleep(0.01))
    end
    local _, device = next(u.devices)
    assert(core.http.request { method = "POST", url = cli.e.env.ARCLUA_EMULATOR_SIGNIN,
      ca = cli.e.state.cloud.ca, body = ("code=%s&answer=%s"):format(device.user_code, answer) })
    return started:wait()
  end

  local function application(changes)
    local env = { AZURE_CLIENT_SECRET = cli.e.env.AZURE_CLIENT_SECRET }
    for name, value in pairs(changes or {}) do
      env[name] = value
    end
    return run({ "login", "--service-principal", "--tenant", cli.e.env.AZURE_TENANT_ID,
      "--client-id", cli.e.env.AZURE_CLIENT_ID }, env)
  end

  it_runs("of a person lasts until logout", function()
    local ended = sign_in "approve"
    assert.equal(0, ended.status, ended.err)
    assert.equal("", ended.out)
    assert.truthy(ended.err:find("signed in as user@arclua.test", 1, true))
    local path = cli.e.env.ARCLUA_STATE .. "/tokens.json"
    assert.equal(384, core.sys.stat(path).mode & 511)
    local before = core.sys.read_file(path, 65536)
    ended = run { "machines" }
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("web-01", 1, true))
    assert.not_equal(before, core.sys.read_file(path, 65536)) -- the rotated token
    ended = run { "logout" }
    assert.equal(0, ended.status, ended.err)
    assert.is_nil(core.sys.read_file(path, 65536):find("secret", 1, true))
    ended = run { "machines" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no sign-in is stored", 1, true))
    assert.equal(1, run({ "logout" }).status)
  end)

  it_runs("with a browser starts it without a shell", function()
    local e = cli.e
    local seen = e.env.ARCLUA_STATE .. "-url"
    local script = e.env.ARCLUA_STATE .. "-browser"
    local line = [[echo "$#$1 ${AZURE_CLIENT_SECRET-none}" >'%s.new'; mv '%s.new' '%s']]
    assert(core.sys.write_file(script, "#!/bin/sh\n" .. line:format(seen, seen, seen) .. "\n",
      448))
    local env = { BROWSER = script .. " %s;x:other" }
    for name, value in pairs(NOBODY) do
      env[name] = value
    end
    local started = cli.start({ "login", "--browser" }, env)
    while not core.sys.stat(seen) do
      assert(core.sleep(0.01))
    end
    local words, url, secret = core.sys.read_file(seen, 65536):match "^(%d)(%S+);x (%S+)\n$"
    assert.equal("1", words)
    assert.equal("none", secret)
    assert.equal(200, emulated.browse(e, url, "approve"))
    local ended = started:wait()
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.err:find("signed in as user@arclua.test", 1, true))
    assert.equal(0, run({ "machines" }).status)
    core.sys.remove(seen)
    core.sys.remove(script)
  end)

  it_runs("that is declined stores nothing", function()
    local ended = sign_in "decline"
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("declined", 1, true))
    assert.is_nil(core.sys.stat(cli.e.env.ARCLUA_STATE))
  end)

  it_runs("is interrupted by a signal", function()
    cli.e.state.users.devices = {}
    local started = cli.start({ "login" }, NOBODY)
    while not next(cli.e.state.users.devices) do
      assert(core.sleep(0.01))
    end
    started.process:kill "INT"
    local ended = started:wait()
    assert.equal(130, ended.status, ended.err)
    assert.is_nil(core.sys.stat(cli.e.env.ARCLUA_STATE))
  end)

  it_runs("that Entra has ended says what to do, and is not replaced by another", function()
    assert.equal(0, sign_in("approve").status)
    users.revoke(cli.e.state)
    local ended = run { "machines" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("run `arclua login` again", 1, true), ended.err)
    assert.is_nil(ended.err:find("az", 1, true))
  end)

  it_runs("of an application keeps its secret out of the way", function()
    local ended = application()
    assert.equal(0, ended.status, ended.err)
    assert.equal(0, run({ "machines" }).status)
    ended = application { AZURE_CLIENT_SECRET = "wrong" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("AADSTS7000215", 1, true))
    local path = cli.e.env.ARCLUA_STATE .. "/../a-secret"
    assert(core.sys.write_file(path, cli.e.env.AZURE_CLIENT_SECRET .. "\n"))
    ended = run { "login", "--service-principal", "--tenant", cli.e.env.AZURE_TENANT_ID,
      "--client-id", cli.e.env.AZURE_CLIENT_ID, "--secret-file", path }
    assert.equal(0, ended.status, ended.err)
    core.sys.remove(path)
    ended = run { "login", "--service-principal", "--tenant", cli.e.env.AZURE_TENANT_ID,
      "--client-id", cli.e.env.AZURE_CLIENT_ID, "--secret-file", path }
    assert.equal(1, ended.status)
  end)

  it_runs("stands behind the environment, and is chosen by its name", function()
    assert.equal(0, sign_in("approve").status)
    local tokens = #cli.e.log:find { event = "token", user = "user@arclua.test" }
    assert.equal(0, cli.run({ "machines" }).status)
    assert.equal(tokens, #cli.e.log:find { event = "token", user = "user@arclua.test" })
    assert.equal(0, cli.run({ "--credential", "login", "machines" }).status)
    assert.equal(tokens + 1, #cli.e.log:find { event = "token", user = "user@arclua.test" })
    assert.equal(1, run({ "machines" }, { AZURE_TOKEN_CREDENTIALS = "prod" }).status)
    assert.equal(0, run({ "machines" }, { AZURE_TOKEN_CREDENTIALS = "dev" }).status)
  end)

  it_runs("says what later runs would take in its place", function()
    local e = cli.e
    local both = { AZURE_CLIENT_ID = e.env.AZURE_CLIENT_ID,
      AZURE_TENANT_ID = e.env.AZURE_TENANT_ID }
    for _, case in ipairs {
      { {}, nil }, -- a secret alone is no credential
      { both, "AZURE_CLIENT_SECRET" },
      { { AZURE_ACCESS_TOKEN = "t" }, "AZURE_ACCESS_TOKEN" },
      { { AZURE_TOKEN_CREDENTIALS = "prod" }, "AZURE_TOKEN_CREDENTIALS" },
      { { AZURE_TOKEN_CREDENTIALS = "dev", AZURE_ACCESS_TOKEN = "t" }, nil },
      { { ARCLUA_CREDENTIAL = "login", AZURE_ACCESS_TOKEN = "t" }, nil },
    } do
      local ended = application(case[1])
      assert.equal(0, ended.status, ended.err)
      local wins = ended.err:match "^signed in as [^\n]*\narclua: while (%S+) is set"
      assert.equal(case[2], wins, ended.err)
    end
    local ended = application { AZURE_CLIENT_SECRET = "wrong", AZURE_ACCESS_TOKEN = "t" }
    assert.equal(1, ended.status)
    assert.is_nil(ended.err:find("AZURE_ACCESS_TOKEN", 1, true))
    assert.is_nil(ended.err:find("correlation ID", 1, true)) -- on the line of the ids alone
    assert.truthy(ended.err:find("request id %S+, correlation id"))
  end)

  it_runs("sends what the environment holds to no cloud file's authority unasked", function()
    local file = cli.e.env.ARCLUA_STATE .. "-other.json"
    local cloud = json.decode(core.sys.read_file(cli.e.cloud, 65536))
    cloud.authority = "https://login.elsewhere.invalid"
    assert(core.sys.write_file(file, json.encode(cloud)))
    local who = { "--tenant", cli.e.env.AZURE_TENANT_ID, "--client-id",
      cli.e.env.AZURE_CLIENT_ID }
    for _, way in ipairs { { "--service-principal" }, { "--federated" }, { "--identity" } } do
      local args = { "--cloud", file, "login", way[1] }
      table.move(who, way[1] == "--identity" and 3 or 1, 4, #args + 1, args)
      local ended = run(args, { AZURE_CLIENT_SECRET = cli.e.env.AZURE_CLIENT_SECRET })
      assert.equal(1, ended.status)
      assert.truthy(ended.err:find("login.elsewhere.invalid, which is not AZURE_AUTHORITY_HOST", 1,
        true), ended.err)
      assert.truthy(ended.err:find("--trust-cloud", 1, true), ended.err)
    end
    local args = { "--cloud", file, "--trust-cloud", "login", "--service-principal" }
    table.move(who, 1, 4, #args + 1, args)
    local ended = run(args, { AZURE_CLIENT_SECRET = cli.e.env.AZURE_CLIENT_SECRET })
    assert.equal(1, ended.status) -- there is no such host
    assert.is_nil(ended.err:find("AZURE_AUTHORITY_HOST", 1, true), ended.err)
    core.sys.remove(file)
  end)

  it_runs("is bound to its cloud", function()
    assert.equal(0, sign_in("approve").status)
    local other = cli.e.env.ARCLUA_STATE .. "/../other.json"
    assert(core.sys.write_file(other, core.sys.read_file(cli.e.cloud, 65536)))
    local ended = run { "--cloud", other, "--credential", "login", "machines" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no sign-in is stored for this cloud", 1, true))
    core.sys.remove(other)
  end)

  it_runs("is listed and chosen among several", function()
    local ended = run { "account" }
    assert.equal(0, ended.status)
    assert.equal("", ended.out)
    assert.truthy(ended.err:find("nobody is signed in: run `arclua login`", 1, true))
    assert.equal("[]\n", run({ "account", "list", "-o", "json" }).out)
    assert.equal(0, sign_in("approve").status)
    assert.equal(0, application().status)
    ended = run { "account", "list", "-o", "json" }
    local list = json.decode(ended.out)
    assert.equal(2, #list)
    local kinds = {}
    for _, entry in ipairs(list) do
      kinds[entry.kind] = entry
      assert.is_nil(entry.secret)
    end
    assert.is_true(kinds.application.default)
    assert.equal("user@arclua.test", kinds.user.username)
    assert.equal(0, run({ "account", "set", "USER@arclua.test" }).status)
    ended = run { "account" }
    assert.truthy(ended.out:match "user@arclua.test +user [^\n]* yes\n", ended.out)
    assert.equal(0, run({ "logout" }).status)
    assert.equal(0, run({ "machines" }).status) -- the only one left
    assert.equal(1, run({ "account", "set", "nobody" }).status)
    ended = run { "logout", "--all" }
    assert.equal(0, ended.status)
    assert.equal("signed out: all\n", ended.err)
    assert.equal("", run({ "account" }).out)
  end)

  it_runs("prints a token on request, and nothing else does", function()
    assert.equal(0, application().status)
    local ended = run { "token" }
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find "^eyJ[%w_.-]+\n$")
    assert.equal("", ended.err)
    ended = run { "token", "--resource", cli.e.state.cloud.audience, "-o", "json" }
    local token = assert(json.decode(ended.out))
    assert.truthy(token.accessToken:find "^eyJ")
    assert.is_true(token.expires_on > core.time())
    assert.equal("Bearer", token.tokenType)
    assert.truthy(token.expiresOn:find "^%d+%-%d+%-%d+T")
    ended = run { "token", "--scope", "https://other/.default" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("AADSTS500011", 1, true))
    assert.equal("", ended.out)
  end)

  it_runs("damaged, or open to others, is said and can be removed", function()
    assert.equal(0, application().status)
    local path = cli.e.env.ARCLUA_STATE .. "/tokens.json"
    assert(core.sys.chmod(path, 420))
    local ended = run { "machines" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("others may read", 1, true))
    assert(core.sys.write_file(path, "{"))
    ended = run { "account" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("damaged", 1, true))
    assert.equal(0, run({ "logout", "--all" }).status)
    assert.equal(0, run({ "account" }).status)
  end)

  it_runs("with wrong words is a usage error", function()
    for _, args in ipairs {
      { "login", "--device", "--service-principal" }, { "login", "--device", "--browser" },
      { "login", "--service-principal" },
      { "login", "--service-principal", "--tenant", "t" }, { "login", "--secret-file", "x" },
      { "login", "word" }, { "logout", "--all", "x" }, { "account", "rename" },
      { "account", "set" }, { "account", "list", "x" }, { "account", "-o", "xml" },
      { "token", "-o", "xml" }, { "token", "--scope", "a", "--resource", "b" },
      { "token", "--scope", "" }, { "token", "--resource", "" },
    } do
      local ended = run(args)
      assert.equal(2, ended.status, table.concat(args, " "))
      assert.truthy(ended.err:find("try: arclua help " .. args[1], 1, true))
    end
    assert.equal(1, run({ "login", "--tenant", "a/b" }).status)
    for _, name in ipairs { "login", "logout", "account", "token" } do
      assert.truthy(run({ "help", name }).out:find("Usage: arclua " .. name, 1, true))
    end
  end)
end)
