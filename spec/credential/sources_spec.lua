-- SPDX-License-Identifier: MIT
-- Client secret, Azure CLI and static token: what they ask and what they make of refusals.
local azure_cli = require "arclua.credential.azure_cli"
local client_secret = require "arclua.credential.client_secret"
local core = require "arclua.core"
local credential = require "arclua.credential"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
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
      scope = SCOPE, claims = "{}" }, sent.form)
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
    local secret, err = fetch({ "s", {} }, { claims = "{}" })
    assert.is_nil(secret)
    assert.truthy(err.remedy:find("az login --claims-challenge e30=", 1, true))
  end)

  it("never takes a scope that could be an option or worse", function()
    local secret, err, sent = fetch({ "s", {} }, {}, "x y;z")
    assert.is_nil(secret)
    assert.equal("config", err.code)
    assert.is_nil(sent)
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
