-- SPDX-License-Identifier: MIT
-- Client secret, Azure CLI and static token: what they ask and what they make of refusals.
local azure_cli = require "arclua.credential.azure_cli"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local credential = require "arclua.credential"
local emulated = require "emulated"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
local program = require "program"
local static = require "arclua.credential.static"

local SCOPE = "https://arm.test/.default"

describe("client secret", function()
  local SPEC = { cloud = fake.CLOUD, tenant = "contoso.com", client_id = "app", secret = "S" }

  it("asks the authority's token endpoint", function()
    local request = fake.script { { "secret", { expires_on = 1 } } }
    local source = assert(client_secret.new(SPEC, fake.core { token = { request = request } }))
    source:fetch(SCOPE, { claims = "{}" })
    local sent = request.calls[1][1]
    assert.equal("https://login.test/contoso.com/oauth2/v2.0/token", sent.url)
    assert.same({ grant_type = "client_credentials", client_id = "app", client_secret = "S",
      scope = SCOPE,
      claims = '{"access_token":{"xms_cc":{"values":["CP1"]}}}' }, sent.form)
  end)

  emulated.spec("arrives as it is, whatever is in it (§8 rows 1, 2)", { machines = 1 }, function(e)
    e.state.client_secret = "+ & = % ~ / g\u{fc}t;?#"
    local cloud = assert(clouds.load(e.cloud))
    local it_ = assert(credential.client_secret { cloud = cloud, tenant = e.env.AZURE_TENANT_ID,
      client_id = e.env.AZURE_CLIENT_ID, client_secret = core.secret(e.state.client_secret) })
    local secret, info = it_:token(cloud.scope)
    assert.equal("<redacted>", tostring(secret), tostring(info))
    assert.is_nil(info.refresh_token)
    assert.is_true(info.expires_on > core.time() + 3000)
  end)

  it("needs a tenant of its own", function()
    for _, tenant in ipairs { "common", "Organizations", "consumers" } do
      local source, err = client_secret.new({ cloud = fake.CLOUD, tenant = tenant })
      assert.is_nil(source)
      assert.equal("config", err.code)
    end
  end)

  it("by constructor refuses a tenant that is none", function()
    local it_, err = credential.client_secret { cloud = fake.CLOUD, tenant = "a/b",
      client_id = "x", client_secret = "y" }
    assert.is_nil(it_)
    assert.equal("config", err.code)
    assert.has_error(function() credential.client_secret { cloud = fake.CLOUD } end)
    assert.has_error(function() credential.client_secret { secrt = 1 } end)
  end)
end)

describe("Azure CLI", function()
  local function fetch(answer, opts, scope)
    local command = fake.script { answer }
    local source = azure_cli.new({ tenant = opts and opts.tenant },
      fake.core { token = { command = command } })
    local secret, info = source:fetch(scope or SCOPE, opts or {})
    return secret, info, command.calls[1] and command.calls[1][1]
  end

  it("runs az for the resource, or for another scope as it is", function()
    local _, _, sent = fetch({ "s", {} }, { tenant = "T" })
    assert.same({ "az", "account", "get-access-token", "--output", "json", "--resource",
      "https://arm.test", "--tenant", "T" }, sent.args)
    _, _, sent = fetch({ "s", {} }, {}, "https://x/user_impersonation")
    assert.equal("--scope", sent.args[6])
  end)

  it("is unavailable when absent or signed out, failed otherwise", function()
    for message, reason in pairs { ["Please run 'az login' to setup account."] = "cred.unavailable",
      ["something broke"] = "cred.az-failed" } do
      local secret, err = fetch { nil, errors.new { reason = "cred.az-failed", message = message } }
      assert.is_nil(secret)
      assert.equal(reason, err.reason)
    end
    local secret, err = fetch { nil, errors.new { code = "notfound", message = "no az" } }
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
  end)

  it("cannot answer a challenge: it says the command that can", function()
    local secret, err = fetch({ "s", {} }, { claims = "{}", tenant = "T" })
    assert.is_nil(secret)
    assert.equal("run: az login --claims-challenge e30= --tenant T --scope " .. SCOPE, err.remedy)
  end)

  it("that hangs is said, and not tried again", function()
    local secret, err = fetch { nil, errors.new { code = "timeout", message = "timed out" } }
    assert.is_nil(secret)
    assert.equal("cred.az-failed", err.reason)
    assert.equal("az did not answer within 15 s", err.message)
    assert.is_false(err.retryable)
    assert.truthy(err.remedy:find("az account get-access-token", 1, true))
  end)

  it("keeps the remedy of what it printed", function()
    local _, err = fetch { nil, errors.new { reason = "cred.az-failed", message = "x",
      remedy = "this" } }
    assert.equal("this", err.remedy)
    _, err = fetch { nil, errors.new { reason = "cred.az-failed", message = "x" } }
    assert.matches("`az account get%-access%-token`.*`az login`", err.remedy)
  end)

  it("never takes a word that could be an option or worse (§8 row 36)", function()
    for _, scope in ipairs { "x y;z", "$(id)", "-x", "a'b", 'a"b', "a`b", "a\nb", "" } do
      local secret, err, sent = fetch({ "s", {} }, {}, scope)
      assert.is_nil(secret)
      assert.equal("config", err.code)
      assert.is_nil(sent)
    end
    for _, tenant in ipairs { "a;b", "-x", "$(id)", "a b", "" } do
      local secret, err, sent = fake.env({}, function()
        local command = fake.script { { "s", {} } }
        local source = azure_cli.new({}, fake.core { token = { command = command } })
        local got, why = source:fetch(SCOPE, { tenant = tenant })
        return got, why, command.calls[1]
      end)
      assert.is_nil(secret)
      assert.equal("config", err.code)
      assert.is_nil(sent)
    end
  end)

  it("finds its files, and none of our secrets (§8 rows 36, 62)", function()
    local dir = assert(core.sys.mkdtemp "arclua-spec-")
    assert(core.sys.write_file(dir .. "/az", ([[#!/bin/sh
      { tr '\0' '\n' </proc/$$/environ; tr '\0' ' ' </proc/$$/cmdline; } >'%s/seen'
      echo '{"accessToken":"t","expires_on":1900000000}'
      ]]):format(dir), 448))
    local ended = program.run({ "token", "--credential", "azure-cli" }, { env = {
      PATH = dir .. ":" .. os.getenv "PATH", HOME = "/the/home", AZURE_CONFIG_DIR = "/the/dir",
      AZURE_CLIENT_SECRET = "hush1", AZURE_CLIENT_CERTIFICATE_PASSWORD = "hush2",
      AZURE_ACCESS_TOKEN = "hush3", AZURE_PASSWORD = "hush4", ARCLUA_CONFIG = "none",
      ARCLUA_CLOUD = false, AZURE_AUTHORITY_HOST = false } })
    assert.equal("t\n", ended.out, ended.err)
    local seen = core.sys.read_file(dir .. "/seen", 100000)
    assert.truthy(seen:find("\nHOME=/the/home\n", 1, true))
    assert.truthy(seen:find("\nAZURE_CONFIG_DIR=/the/dir\n", 1, true))
    assert.is_nil(seen:find("hush", 1, true))
    assert.truthy(seen:find("az account get-access-token --output json --resource "
      .. "https://management.azure.com", 1, true))
    core.sys.remove(dir)
  end)
end)

describe("static token", function()
  it("is used until it expires or is refused", function()
    local source = static.new { token = core.secret "t", expires_on = core.time() + 100 }
    assert.equal("<redacted>", tostring((source:fetch())))
    source:forget()
    local secret, err = source:fetch()
    assert.is_nil(secret)
    assert.equal("arm.token-refused", err.reason)
    secret, err = static.new({ token = core.secret "t", expires_on = 5 }):fetch()
    assert.is_nil(secret)
    assert.equal("arm.token-refused", err.reason)
  end)

  harness.both("is for one resource", function()
    local it_ <close> = credential.static { token = "abc" }
    assert.equal("<redacted>", tostring((it_:token(SCOPE))))
    local secret, err = it_:token "https://graph.test/.default"
    assert.is_nil(secret)
    assert.equal("config", err.code)
    assert.truthy(err.message:find("used for " .. SCOPE, 1, true))
    assert.truthy(it_:token(SCOPE))
  end)

  harness.both("is a credential like any other", function()
    local it_ = credential.static { token = "abc" }
    local secret, info = it_:token(SCOPE)
    assert.equal("<redacted>", tostring(secret))
    assert.is_true(info.expires_on > core.time())
    assert.is_nil(tostring(it_):find("abc", 1, true))
  end)
end)

describe("a credential's name", function()
  it("is one of few", function()
    local it_, err = credential.by_name("devise", { cloud = fake.CLOUD })
    assert.is_nil(it_)
    assert.equal("config", err.code)
    assert.equal("device code", assert(credential.by_name("device-code",
      { cloud = fake.CLOUD })).name)
    assert.equal("Azure CLI", assert(credential.by_name("az", { cloud = fake.CLOUD })).name)
  end)
end)
