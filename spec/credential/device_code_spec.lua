-- SPDX-License-Identifier: MIT
-- The device code flow: pace, ends, refresh.
local core = require "arclua.core"
local credential = require "arclua.credential"
local device_code = require "arclua.credential.device_code"
local emulated = require "emulated"
local errors = require "arclua.errors"
local fake = require "fake"
local refresh = require "arclua.credential.refresh"
local users = require "arclua.emulator.users"

local SCOPE = "https://arm.test/.default"
local SPEC = { cloud = fake.CLOUD, tenant = "organizations", client_id = refresh.CLIENT,
  prompt = function() end }

local function failure(reason, more)
  local err = more or {}
  err.reason, err.message = reason, reason
  return { nil, errors.new(err) }
end

-- The flow with these answers to polls: secret, info, the sleeps, the requests.
local function run(answers, opts)
  opts = opts or {}
  local slept, now = {}, 1000
  local request = fake.script(answers)
  local source = device_code.new(SPEC, fake.core {
    time = function() return now end,
    sleep = function(seconds)
      slept[#slept + 1] = seconds
      now = now + seconds
      if #slept == opts.cancel_at then
        return nil, errors.new { code = "cancelled", message = "cancelled" }
      end
      return true
    end,
    token = { request = request, device = function(asked)
      opts.asked = asked
      return core.secret "code", { user_code = "ABC", verification_uri = "https://x",
        interval = 5, expires_on = now + (opts.life or 900) }
    end },
  })
  local secret, info = source:fetch(SCOPE, { claims = opts.claims })
  return secret, info, slept, request.calls, source
end

local TOKEN = { "token", { expires_on = 1, refresh_token = "r1" } }

describe("device code", function()
  it("asks with what brings a refresh token, and polls with the code", function()
    local opts = { claims = "{}" }
    local secret, _, slept, calls = run({ TOKEN }, opts)
    assert.equal("token", secret)
    assert.equal("https://login.test/organizations/oauth2/v2.0/devicecode", opts.asked.url)
    assert.same({ client_id = refresh.CLIENT,
      claims = '{"access_token":{"xms_cc":{"values":["CP1"]}}}',
      scope = SCOPE .. " openid profile offline_access" }, opts.asked.form)
    assert.equal("https://login.test/organizations/oauth2/v2.0/token", calls[1][1].url)
    assert.equal("<redacted>", tostring(calls[1][1].form.device_code):gsub("arclua.secret.*",
      "<redacted>"))
    assert.same({ 5 }, slept)
  end)

  it("slows down when told, and while the network fails", function()
    local _, _, slept = run { failure "entra.pending", failure "entra.slow-down",
      failure "entra.pending", failure("entra.server-error"), TOKEN }
    assert.same({ 5, 5, 10, 10, 20 }, slept)
    _, _, slept = run { failure("entra.throttled", { retry_after = 90 }), TOKEN }
    assert.same({ 5, 90 }, slept)
  end)

  it("ends when declined, refused, out of time or cancelled", function()
    for _, reason in ipairs { "entra.declined", "entra.code-expired", "entra.bad-client",
      "entra.interaction-required" } do
      local secret, err, slept = run { failure "entra.pending", failure(reason) }
      assert.is_nil(secret)
      assert.equal(reason, err.reason)
      assert.equal(2, #slept)
    end
    local secret, err, slept = run({ failure "entra.pending" }, { life = 12 })
    assert.is_nil(secret)
    assert.equal("entra.code-expired", err.reason)
    assert.same({ 5, 5, 2 }, slept)
    secret, err = run({ failure "entra.pending" }, { cancel_at = 2 })
    assert.is_nil(secret)
    assert.equal("cancelled", err.code)
  end)

  it("tells the person where to enter what", function()
    local told
    local source = device_code.new({ cloud = fake.CLOUD, tenant = "t", client_id = "c",
      prompt = function(device) told = device end }, fake.core { token = {
        device = function()
          return nil, errors.new { reason = "entra.bad-tenant", message = "no" }
        end } })
    local secret, err = source:fetch(SCOPE, {})
    assert.is_nil(secret)
    assert.equal("entra.bad-tenant", err.reason)
    assert.is_nil(told)
  end)

  it("asks the person again only when the refresh token is not enough", function()
    local answers = { TOKEN, { "second", { expires_on = 1 } },
      failure "entra.bad-client", failure "entra.signed-out", { "third", { expires_on = 1 } } }
    local _, _, _, calls, source = run(answers)
    assert.equal("second", (source:fetch(SCOPE, {})))
    assert.equal("refresh_token", calls[2][1].form.grant_type)
    assert.equal("r1", calls[2][1].form.refresh_token)
    local secret, err = source:fetch(SCOPE, {})
    assert.is_nil(secret)
    assert.equal("entra.bad-client", err.reason)
    assert.equal("third", (source:fetch(SCOPE, {})))
    assert.equal(5, #calls)
  end)

  emulated.spec("signs in at the emulator and goes on by refresh", { machines = 1 }, function(e)
    e.state.users.interval = 1
    local cloud = assert(require("arclua.clouds").load(e.cloud))
    local prompts = 0
    local it_ = assert(credential.device_code { cloud = cloud, prompt = function(device)
      prompts = prompts + 1
      users.by_code(e.state.users.devices, device.user_code).answer = "approve"
    end })
    local secret, info = it_:token(cloud.scope)
    assert.equal("<redacted>", tostring(secret), tostring(info))
    local claims = core.token.claims(info.id_token)
    assert.equal("user@arclua.test", claims.preferred_username)
    assert.equal(refresh.CLIENT, claims.aud)
    local again = assert(it_:token(cloud.scope, { stale = secret }))
    assert.not_equal(secret, again)
    assert.equal(1, prompts)
    assert.equal(2, #e.log:find { event = "token" })
  end)
end)
