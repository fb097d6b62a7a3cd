-- SPDX-License-Identifier: MIT
-- A workload whose platform vouches for it: the token's file, GitHub's service, Entra's refusals.
local assertion = require "arclua.credential.assertion"
local assertions = require "arclua.emulator.assertions"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local errors = require "arclua.errors"
local credential = require "arclua.credential"
local emulated = require "emulated"
local fake = require "fake"
local harness = require "harness"
local program = require "program"
local workload_identity = require "arclua.credential.workload_identity"

local function source_of(e, vouch)
  local cloud = assert(clouds.load(e.cloud))
  return workload_identity.new { cloud = cloud, tenant = e.env.AZURE_TENANT_ID,
    client_id = e.env.AZURE_CLIENT_ID, assertion = vouch }, cloud
end

local function machines(e, changes, ...)
  local env = {}
  for name, value in pairs(e.env) do
    env[name] = value
  end
  for name, value in pairs(changes or {}) do
    env[name] = value
  end
  return program.run({ "machines", "--all", ... }, { env = env })
end

describe("workload identity", function()
  local dir
  setup(function() dir = assert(core.sys.mkdtemp "arclua-spec-") end)
  teardown(function() core.sys.remove(dir) end)

  it("reads the file anew at each use, through links", function()
    os.execute(("cd %s && mkdir v1 v2 && echo one >v1/t && printf 'two-\\r\\n' >v2/t && ln -s v1 d "
      .. "&& ln -s d/t t"):format(dir))
    local sizes, sent = {}, nil
    local source = workload_identity.new({ cloud = fake.CLOUD, tenant = "t", client_id = "app",
      assertion = assertion.file(dir .. "/t") }, fake.core {
      secret_file = function(...)
        local secret, info = core.secret_file(...)
        sizes[#sizes + 1] = info.size
        return secret, info
      end,
      token = { request = function(request)
        sent = request
        return core.secret "x", { expires_on = 1 }
      end } })
    assert.truthy(source:fetch("s", { claims = "{}" }))
    assert.equal("https://login.test/t/oauth2/v2.0/token", sent.url)
    assert.equal("client_credentials", sent.form.grant_type)
    assert.equal("app", sent.form.client_id)
    assert.equal('{"access_token":{"xms_cc":{"values":["CP1"]}}}', sent.form.claims)
    os.execute(("cd %s && ln -sfn v2 d"):format(dir))
    assert.truthy(source:fetch("s", {}))
    assert.same({ 3, 4 }, sizes)
  end)

  it("says what is wrong with the file", function()
    assert(core.sys.write_file(dir .. "/empty", "\n"))
    assert(core.sys.write_file(dir .. "/huge", ("x"):rep(70000)))
    for name, pattern in pairs { absent = "absent", empty = "is empty", huge = "more than 65536",
      ["."] = "no regular file" } do
      local secret, err = assertion.file(dir .. "/" .. name)(core)
      assert.is_nil(secret)
      assert.equal("cred.bad-token-file", err.reason)
      assert.matches(pattern, err.message)
    end
  end)

  harness.both("asks GitHub for the cloud's audience", function()
    for url, wanted in pairs {
      ["https://g/t"] = "https://g/t?audience=api%3A%2F%2FAzureADTokenExchange",
      ["https://g/t?a=b"] = "https://g/t?a=b&audience=api%3A%2F%2FAzureADTokenExchange" } do
      local sent
      local bearer = core.secret "b"
      local vouch = assertion.github(url, { name = "public", authority = "https://l", ca = "x" })
      vouch(fake.core { secret_env = function(name)
        return name == "ACTIONS_ID_TOKEN_REQUEST_TOKEN" and bearer
      end, token = { request = function(request)
        sent = request
        return core.secret "jwt", {}
      end } })
      assert.equal(wanted, sent.url)
      assert.equal(bearer, sent.headers.Authorization)
      assert.has_error(function() core.crypto.equal(bearer, "b") end) -- wiped after its use
      assert.is_nil(sent.ca)
    end
  end)

  emulated.spec("signs in by the file", { machines = 1, sign_in = "workload" }, function(e)
    local ended = machines(e)
    assert.equal(0, ended.status, ended.err)
    assert.matches("web%-01", ended.out)
    ended = machines(e, nil, "--credential", "workload-identity")
    assert.equal(0, ended.status, ended.err)
  end)

  emulated.spec("is refused with the claim that does not match", { machines = 1,
    sign_in = "workload" }, function(e)
    local now = core.time()
    for _, case in ipairs { { { iss = "https://x" }, 700211, "https://x" },
      { { aud = "x" }, 700212, "'x'" }, { { sub = "repo:a/b" }, 700213, "repo:a/b" },
      { { exp = now - 1000 }, 700024, "time range" } } do
      local jwt = assertions.issue(e.state, case[1])
      local source, cloud = source_of(e, function() return core.secret(jwt) end)
      local secret, err = source:fetch(cloud.scope, {})
      assert.is_nil(secret)
      assert.equal("entra.bad-client", err.reason)
      assert.truthy(err.message:find("AADSTS" .. case[2], 1, true), err.message)
      assert.truthy(err.message:find(case[3], 1, true), err.message)
      assert.equal(tostring(case[2]):sub(1, 5) == "70021", err.message:find("presented was iss '",
        1, true) ~= nil, err.message) -- §8 row 23
      assert.is_nil(err.message:find("eyJ", 1, true))
    end
    local forged = assertions.issue(e.state):gsub("%.[^.]*$", ".AAAA")
    local source, cloud = source_of(e, function() return core.secret(forged) end)
    local secret, err = source:fetch(cloud.scope, {})
    assert.is_nil(secret)
    assert.matches("AADSTS50012", err.message)
  end)

  harness.both("asks GitHub again when it fails (§8 row 23)", function()
    local slept = 0
    local answers = fake.script { { nil, errors.new { reason = "entra.server-error", status = 500,
      message = "no" } }, { core.secret "jwt", {} } }
    local vouch = assertion.github("https://g/t", fake.CLOUD)
    assert.equal("<redacted>", tostring((vouch(fake.core {
      secret_env = function() return core.secret "b" end, token = { request = answers },
      sleep = function() slept = slept + 1 return true end }))))
    assert.equal(1, slept)
  end)

  it("is passed over where a variable is missing (§8 row 22)", function()
    for _, missing in ipairs { "AZURE_TENANT_ID", "AZURE_CLIENT_ID",
      "AZURE_FEDERATED_TOKEN_FILE" } do
      local env = { AZURE_TENANT_ID = "t", AZURE_CLIENT_ID = "c",
        AZURE_FEDERATED_TOKEN_FILE = "/x" }
      env[missing] = nil
      local source, err = fake.env(env, credential.workload_identity, { cloud = fake.CLOUD })
      assert.is_nil(source)
      assert.equal("cred.unavailable", err.reason)
      assert.truthy(err.message:find(missing .. " is not set", 1, true), err.message)
    end
  end)

  emulated.spec("signs in by GitHub's service", { machines = 1, sign_in = "github" }, function(e)
    local ended = machines(e)
    assert.equal(0, ended.status, ended.err)
    assert.equal(1, #e.log:find { event = "oidc" })
    ended = machines(e, { ACTIONS_ID_TOKEN_REQUEST_TOKEN = "wrong" })
    assert.equal(1, ended.status)
    assert.matches("GitHub's token service: status 401", ended.err)
    assert.matches("id%-token: write", ended.err)
    ended = machines(e, { ACTIONS_ID_TOKEN_REQUEST_TOKEN = "", GITHUB_ACTIONS = "true" },
      "--credential", "workload_identity")
    assert.equal(1, ended.status)
    assert.matches("id%-token: write", ended.err)
  end)

  emulated.spec("is not trusted unless so set up", { machines = 1 }, function(e)
    e.state.federation = { issuer = "https://i", subject = "s" }
    local jwt = assertions.issue(e.state)
    e.state.federation = nil
    local source, cloud = source_of(e, function() return core.secret(jwt) end)
    local secret, err = source:fetch(cloud.scope, {})
    assert.is_nil(secret)
    assert.matches("AADSTS700211", err.message)
    local answer = assert(core.http.request { url = cloud.authority .. "/oidc/token",
      ca = cloud.ca })
    assert.equal(401, answer.status)
  end)
end)
