-- SPDX-License-Identifier: MIT
-- Continuous access evaluation from end to end: ARM refuses a token that is good by its dates, says
-- what a new one must bring, and gets it.
local arc = require "arclua"
local cli = require "cli"
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"

local function token_events(e, fields)
  fields.event = "token"
  return #e.log:find(fields)
end

describe("a claims challenge", function()
  emulated.spec("is answered with one new token, once (§8 row 58)", { machines = 2 }, function(e)
    local azure = assert(arc.login { cloud = e.cloud, trust_cloud = true,
      credential = arc.credential.client_secret { cloud = assert(require("arclua.clouds")
        .load(e.cloud)), tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
        client_secret = core.secret(e.env.AZURE_CLIENT_SECRET) } })
    assert.equal(1, token_events(e, {}))
    e:fault { at = "arm", kind = "challenge" }
    assert.equal(2, #assert(azure:machines()))
    local found = e.log:find { event = "token" }
    assert.equal(2, #found)
    assert.truthy(json.decode(found[2].claims).access_token.nbf.value)
    assert.equal("CP1", json.decode(found[2].claims).access_token.xms_cc.values[1])
    assert.equal(1, #e.log:find { event = "fault", kind = "challenge" })
    assert.equal(2, #assert(azure:machines())) -- the new one is good from now on
    assert.equal(2, token_events(e, {}))
  end)

  emulated.spec("comes to a client that can answer only", { machines = 1 }, function(e)
    e:fault { at = "arm", kind = "challenge" }
    local status = emulated.arm(e, "GET", "/subscriptions", { version = "2022-12-01" })
    assert.equal(200, status) -- the token of a client without CP1
    local _, body = emulated.post(e, { claims = '{"access_token":{"xms_cc":{"values":["CP1"]}}}' })
    local headers
    status, _, headers = emulated.arm(e, "GET", "/subscriptions", { version = "2022-12-01",
      token = body.access_token })
    assert.equal(401, status)
    assert.matches('error="insufficient_claims", claims="[%w+/=]+"$', headers["www-authenticate"])
    local encoded = headers["www-authenticate"]:match 'claims="([^"]+)"'
    _, body = emulated.post(e, { claims = core.token.declare(core.crypto.unbase64(encoded)) })
    assert.equal(200, (emulated.arm(e, "GET", "/subscriptions", { version = "2022-12-01",
      token = body.access_token })))
    status, body = emulated.post(e, { claims = "[" })
    assert.equal(400, status)
    assert.equal(90013, body.error_codes[1])
  end)
end)

describe("a claims challenge to a person", function()
  cli.with { { name = "web-01" } }

  local NOBODY = { AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false, AZURE_TENANT_ID = false }

  before_each(function()
    cli.e.state.users.interval = 1
    cli.e:clear()
    core.sys.remove(cli.e.env.ARCLUA_STATE)
  end)

  local function login(more)
    local u = cli.e.state.users
    u.devices = {}
    local args = table.move(more or {}, 1, #(more or {}), 3, { "login", "--device" })
    local started = cli.start(args, NOBODY)
    while not next(u.devices) do
      assert(core.sleep(0.01))
    end
    local _, device = next(u.devices)
    device.answer = "approve"
    return started:wait()
  end

  cli.it("is answered by the refresh token", function()
    assert.equal(0, login().status)
    cli.e:fault { at = "arm", kind = "challenge" }
    emulated.later(0)
    local ended = cli.run({ "machines" }, NOBODY)
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("web-01", 1, true))
  end)

  cli.it("that needs the person says so in one line, which works (§8 rows 44, 56)", function()
    assert.equal(0, login().status)
    cli.e:fault { at = "entra", kind = "answer", number = 50076, times = 1 }
    local ended = cli.run({ "machines" }, NOBODY)
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("multi-factor authentication is needed: AADSTS50076", 1, true),
      ended.err)
    local challenge = ended.err:match "run `arclua login %-%-claims%-challenge ([%w+/=]+)` again"
    assert.truthy(challenge, ended.err)
    ended = login { "--claims-challenge", challenge }
    assert.equal(0, ended.status, ended.err)
    local asked = cli.e.log:find { event = "device-code" }
    local claims = json.decode(asked[#asked].claims)
    assert.truthy(claims.access_token.capolids.essential)
    assert.equal("CP1", claims.access_token.xms_cc.values[1])
    assert.equal(0, cli.run({ "machines" }, NOBODY).status)
  end)

  cli.it("is refused when it is no challenge", function()
    for _, bad in ipairs { "x", "!", "W10=", "" } do -- W10=: a list
      local ended = cli.run({ "login", "--claims-challenge", bad }, NOBODY)
      assert.equal(2, ended.status, bad)
      assert.truthy(ended.err:find("base64 of a JSON object expected", 1, true))
    end
  end)
end)
