-- SPDX-License-Identifier: MIT
-- Entra's token endpoint: addresses, retries, what is not asked again, other tenants, claims.
local arc = require "arclua"
local client_secret = require "arclua.credential.client_secret"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local fake = require "fake"
local json = require "arclua.json"
local peer = require "peer"
local tenants = require "arclua.credential.tenants"

local SCOPE = "https://arm.test/.default"
local OWN = "11111111-1111-4111-8111-111111111111"

local function failure(fields)
  fields.reason, fields.message = fields.reason or "entra.server-error", fields.message or "no"
  return { nil, errors.new(fields) }
end

local TOKEN = { "token", { expires_on = 5000 } }

-- A source whose requests get these answers, with a clock of its own.
local function setup(answers, spec)
  local clock = { now = 1000, slept = {} }
  clock.request = fake.script(answers)
  local primitives = fake.core { token = { request = clock.request },
    time = function() return clock.now end,
    sleep = function(seconds)
      clock.slept[#clock.slept + 1] = seconds
      clock.now = clock.now + seconds
      return true
    end }
  local all = { cloud = fake.CLOUD, tenant = OWN, client_id = "app",
    secret = core.secret "hush" }
  for key, value in pairs(spec or {}) do
    all[key] = value
  end
  local source = assert(client_secret.new(all, primitives))
  return source, clock, all
end

local function fetch(source, opts)
  return fake.env({}, source.fetch, source, SCOPE, opts or {})
end

describe("Entra's endpoint", function()
  it("is below the tenant, but of AD FS (§8 row 20)", function()
    assert.equal("https://login.test/t/oauth2/v2.0/token", endpoint.url(fake.CLOUD, "t", "token"))
    assert.equal("https://login.test/adfs/oauth2/devicecode",
      endpoint.url(fake.CLOUD, "ADFS", "devicecode"))
    assert.equal("https://x/adfs/oauth2/token",
      endpoint.url({ authority = "https://x", adfs = true }, "t", "token"))
  end)

  it("gets a double slash as it is (§8 row 3)", function()
    local source, clock = setup { TOKEN }
    fake.env({}, source.fetch, source, "https://management.core.windows.net//.default", {})
    assert.equal("https://management.core.windows.net//.default",
      clock.request.calls[1][1].form.scope)
  end)

  it("is asked again when it is busy, later each time (§8 row 8)", function()
    local source, clock = setup { failure { status = 503 }, failure { status = 503 }, TOKEN }
    assert.equal("token", (fetch(source)))
    assert.equal(2, #clock.slept)
    for i, slept in ipairs(clock.slept) do
      local base = 0.8 * 2 ^ (i - 1)
      assert.is_true(slept >= base * 0.8 and slept <= base * 1.3, slept)
    end
    source, clock = setup { failure { status = 503 } }
    local secret, err = fetch(source)
    assert.is_nil(secret)
    assert.equal(503, err.status)
    assert.equal(3, #clock.slept)
  end)

  it("is asked again after it was not reached (§8 row 10)", function()
    local source, clock = setup { failure { code = "closed" }, failure { code = "dns" }, TOKEN }
    assert.equal("token", (fetch(source)))
    assert.equal(2, #clock.slept)
    source, clock = setup { { nil, errors.new { code = "tls", message = "unknown authority" } } }
    assert.is_nil((fetch(source)))
    assert.equal(0, #clock.slept)
  end)

  it("is waited for as long as it says, if that is not too long (§8 row 9)", function()
    local function throttled(after)
      return failure { reason = "entra.throttled", status = 429, retry_after = after }
    end
    local source, clock = setup { throttled(2), throttled(0.3), TOKEN }
    assert.equal("token", (fetch(source)))
    assert.same({ 2, 0.3 }, clock.slept)
    source, clock = setup { throttled(99999), TOKEN }
    local secret, err = fetch(source)
    assert.is_nil(secret)
    assert.equal("entra.throttled", err.reason)
    assert.equal(0, #clock.slept)
  end)

  it("says how long to wait in three ways (§8 row 9)", function()
    local function told(fields)
      fields["Content-Type"] = "application/json"
      return peer.serve(peer.answer("429 No", fields, "{}"), function(url)
        return core.token.request { url = url, form = { a = "b" } }
      end)[2].retry_after
    end
    assert.equal(2, told { ["Retry-After"] = "2" })
    assert.equal(0.3, told { ["retry-after-ms"] = "300", ["Retry-After"] = "9" })
    assert.equal(0.4, told { ["x-ms-retry-after-ms"] = "400" })
    local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(core.time()) + 100)
    assert.is_true(math.abs(told { ["Retry-After"] = date } - 100) < 5)
    assert.is_nil(told { ["Retry-After"] = "soon" })
  end)

  it("is not asked what it has just refused (§8 row 14)", function()
    for _, case in ipairs { { 400, 60 }, { 401, 5 }, { 503, 5 } } do
      local answer = failure { status = case[1], reason = "entra.bad-client" }
      answer[2].retryable = false
      local source, clock, spec = setup { answer }
      fetch(source)
      local other = assert(client_secret.new(spec, source.core))
      clock.now = clock.now + case[2] - 1
      local secret, err = fetch(other)
      assert.is_nil(secret)
      assert.equal(1, #clock.request.calls)
      assert.equal("entra.bad-client", err.reason)
      assert.matches("known for %d+ s, asked again in 1 s", err.message)
      assert.equal(1, err.retry_after)
      clock.now = clock.now + 1
      fetch(other)
      assert.equal(2, #clock.request.calls)
    end
  end)

  it("is asked at once about anything else", function()
    local answer = failure { status = 400, reason = "entra.bad-client" }
    local source, clock, spec = setup { answer }
    fetch(source)
    for _, change in ipairs { { secret = core.secret "other" }, { client_id = "b" },
      { tenant = "other.test" } } do
      local calls = #clock.request.calls
      local changed = {}
      for key, value in pairs(spec) do
        changed[key] = change[key] or value
      end
      fetch(assert(client_secret.new(changed, source.core)))
      assert.equal(calls + 1, #clock.request.calls)
    end
    fetch(source, { claims = "{}" })
    assert.equal(4, #clock.request.calls) -- no claims of its own: the same request
    fetch(source, { claims = '{"access_token":{"nbf":{"value":"1"}}}' })
    assert.equal(5, #clock.request.calls)
  end)

  it("keeps what it was told to wait, an hour at most", function()
    local source, clock = setup { failure { status = 429, reason = "entra.throttled",
      retry_after = 99999 } }
    fetch(source)
    clock.now = clock.now + 3599
    fetch(source)
    assert.equal(1, #clock.request.calls)
    clock.now = clock.now + 2
    fetch(source)
    assert.equal(2, #clock.request.calls)
  end)

  it("does not hold the network's failures against it", function()
    local source, clock = setup { { nil, errors.new { code = "tls", message = "no" } } }
    fetch(source)
    fetch(source)
    assert.equal(2, #clock.request.calls)
  end)

  it("says who was refused what, and no secret (§8 row 7)", function()
    local source = setup { failure { status = 401, reason = "entra.bad-client",
      message = "AADSTS7000215: no" } }
    local _, err = fetch(source)
    assert.equal(("AADSTS7000215: no; client secret of application app in tenant %s, for %s")
      :format(OWN, SCOPE), err.message)
    assert.is_nil(tostring(err):find("hush", 1, true))
  end)
end)

describe("a clock", function()
  emulated.spec("that is wrong is said at once", { machines = 1 }, function(e)
    for _, seconds in ipairs { 1000, -1000, 100 } do
      local fault = e:fault { at = "clock", kind = "skew", seconds = seconds }
      local told = {}
      assert(arc.login { cloud = e.cloud, credential = arc.credential.client_secret {
        cloud = assert(clouds.load(e.cloud)), tenant = e.env.AZURE_TENANT_ID,
        client_id = e.env.AZURE_CLIENT_ID,
        client_secret = core.secret(e.env.AZURE_CLIENT_SECRET) },
        log = function(level, text) told[#told + 1] = level .. ": " .. text end })
      e:clear(fault)
      if seconds == 100 then
        assert.same({}, told)
      else
        assert.matches("^warn: this machine's clock is %d+ s " .. (seconds > 0 and "behind"
          or "ahead of") .. " Entra's$", told[1])
      end
    end
  end)

  emulated.spec("that is wrong is told from a wrong certificate", { machines = 1,
    sign_in = "certificate" }, function(e)
    e:fault { at = "clock", kind = "skew", seconds = 3600 }
    local it_ = assert(arc.credential.client_certificate { cloud = assert(clouds.load(e.cloud)),
      tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
      certificate = e.env.AZURE_CLIENT_CERTIFICATE_PATH })
    local secret, err = it_:token "https://management.arc.localhost/.default"
    assert.is_nil(secret)
    assert.equal("entra.clock-skew", err.reason)
    assert.matches("clock is 3[56]%d%d s behind Entra's: AADSTS700024", err.message)
    assert.matches("timedatectl", err.remedy)
  end)
end)

describe("claims", function()
  local VECTOR = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAwMDAw"
    .. "MDAwIn19fQ=="

  local function merged(challenge, env)
    return fake.env(env or {}, endpoint.claims, core, challenge)
  end

  it("say that challenges can be answered, beside what one asks for (§6.1)", function()
    assert.equal('{"access_token":{"xms_cc":{"values":["CP1"]}}}', (merged()))
    assert.same({ access_token = { nbf = { essential = true, value = "1700000000" },
      xms_cc = { values = { "CP1" } } } }, json.decode(merged(core.crypto.unbase64(VECTOR))))
  end)

  it("say nothing when that is switched off", function()
    for _, value in ipairs { "true", "1", "yes" } do
      assert.is_nil((merged(nil, { AZURE_IDENTITY_DISABLE_CP1 = value })))
      assert.equal("{}", (merged("{}", { AZURE_IDENTITY_DISABLE_CP1 = value })))
    end
    assert.truthy((merged(nil, { AZURE_IDENTITY_DISABLE_CP1 = "false" })))
  end)

  it("that are no JSON object end the request", function()
    for _, challenge in ipairs { "", "[]", "x", '"a"' } do
      local claims, err = merged(challenge)
      assert.is_nil(claims)
      assert.equal("http.bad-answer", err.reason)
      local source, clock = setup { TOKEN }
      assert.is_nil((fetch(source, { claims = challenge })))
      assert.equal(0, #clock.request.calls)
    end
  end)
end)

describe("another tenant (§8 row 39)", function()
  local function choose(own, wanted, env)
    local tenant, err = fake.env(env or {}, tenants.choose, { tenant = own }, wanted)
    return tenant or err.reason or err.code
  end

  it("is asked only where that is allowed", function()
    assert.equal("own", choose("own"))
    assert.equal("own", choose("own", "OWN"))
    assert.equal("cred.other-tenant", choose("own", "other"))
    assert.equal("other", choose("own", "other", {
      AZURE_ADDITIONALLY_ALLOWED_TENANTS = "x; Other" }))
    assert.equal("other", choose("own", "other", { AZURE_ADDITIONALLY_ALLOWED_TENANTS = "*" }))
    assert.equal("own", choose("own", "other", { AZURE_ADDITIONALLY_ALLOWED_TENANTS = "*",
      AZURE_IDENTITY_DISABLE_MULTITENANTAUTH = "True" }))
    assert.equal("other", choose("organizations", "other"))
    assert.equal("other", choose(nil, "other"))
    assert.equal("adfs", choose("adfs", "other"))
    assert.equal("config", choose("own", "../x", { AZURE_ADDITIONALLY_ALLOWED_TENANTS = "*" }))
  end)

  it("is part of the request", function()
    local source, clock = setup { TOKEN }
    fake.env({ AZURE_ADDITIONALLY_ALLOWED_TENANTS = "*" }, source.fetch, source, SCOPE,
      { tenant = "other.test" })
    assert.equal("https://login.test/other.test/oauth2/v2.0/token",
      clock.request.calls[1][1].url)
    local secret, err = fetch(source, { tenant = "third.test" })
    assert.is_nil(secret)
    assert.equal("cred.other-tenant", err.reason)
    assert.equal(1, #clock.request.calls)
  end)
end)
