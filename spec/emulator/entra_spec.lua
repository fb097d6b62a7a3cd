-- SPDX-License-Identifier: MIT
local aadsts = require "arclua.emulator.aadsts"
local core = require "arclua.core"
local json = require "arclua.json"
local emulated = require "emulated"
local text = require "arclua.emulator.text"

local with = emulated.spec

describe("emulator: Entra", function()
  with("gives tokens to its application", { machines = 1, token_lifetime = 1234 }, function(e)
    local status, body = emulated.post(e)
    assert.equal(200, status)
    assert.equal("Bearer", body.token_type)
    assert.equal(1234, body.expires_in)
    local claims = json.decode(core.crypto.jwt_verify(e.state.key, body.access_token))
    assert.equal(e.env.AZURE_CLIENT_ID, claims.appid)
    assert.equal(e.env.AZURE_TENANT_ID, claims.tid)
    assert.equal(e.state.cloud.audience, claims.aud)
    assert.equal(1234, claims.exp - claims.iat)
    assert.equal(200, (emulated.post(e, { scope = "openid " .. e.state.cloud.audience
      .. "//.default" })))
  end)

  with("refuses with Entra's codes", { machines = 1 }, function(e)
    for _, case in ipairs {
      { { grant_type = false }, 400, "invalid_request", 900144 },
      { { grant_type = "password" }, 400, "unsupported_grant_type", 70003 },
      { { client_id = "x" }, 400, "unauthorized_client", 700016 },
      { { client_secret = "x" }, 401, "invalid_client", 7000215 },
      { { client_secret = false }, 401, "invalid_client", 7000218 },
      { { scope = false }, 400, "invalid_request", 900144 },
      { { scope = "a/.default b/.default" }, 400, "invalid_scope", 70011 },
      { { scope = e.state.cloud.audience }, 400, "invalid_scope", 1002012 },
      { { scope = "https://other/.default" }, 400, "invalid_resource", 500011 },
    } do
      local status, body = emulated.post(e, case[1])
      assert.equal(case[2], status)
      assert.equal(case[3], body.error)
      assert.equal(case[4], body.error_codes[1])
      assert.truthy(body.error_description:find("AADSTS" .. case[4] .. ": ", 1, true))
    end
    local status, body = emulated.post(e, nil, "elsewhere")
    assert.equal(400, status)
    assert.equal(90002, body.error_codes[1])
  end)

  local function get(e, path)
    local answer = assert(core.http.request { url = e.state.cloud.authority .. path,
      ca = e.state.cloud.ca })
    return answer.status, answer.body ~= "" and json.decode(answer.body) or nil
  end

  with("tells what it is, for each name of a tenant", { machines = 1 }, function(e)
    local authority = e.state.cloud.authority
    for tenant, issuer in pairs { [e.state.tenant] = e.state.tenant, common = "{tenantid}",
      organizations = "{tenantid}" } do
      local status, body = get(e, "/" .. tenant .. "/v2.0/.well-known/openid-configuration")
      assert.equal(200, status)
      assert.equal(("%s/%s/v2.0"):format(authority, issuer), body.issuer)
      assert.equal(("%s/%s/oauth2/v2.0/token"):format(authority, tenant), body.token_endpoint)
      status, body = get(e, body.jwks_uri:sub(#authority + 1))
      assert.equal(200, status)
      assert.equal(e.state.kid, body.keys[1].kid)
    end
    local status, body = get(e, "/elsewhere/v2.0/.well-known/openid-configuration")
    assert.equal(400, status)
    assert.equal(90002, body.error_codes[1])
  end)

  with("knows its own authority and no other (§8 row 60)", { machines = 1 }, function(e)
    local own = e.state.cloud.authority
    local function ask(url, tenant)
      return get(e, ("/%s/discovery/instance?api-version=1.1&authorization_endpoint=%s"):format(
        tenant or "common", text.encode(url)))
    end
    local status, body = ask(own .. "/organizations/oauth2/v2.0/authorize")
    assert.equal(200, status)
    assert.equal("1.1", body["api-version"])
    assert.equal(own .. "/organizations/v2.0/.well-known/openid-configuration",
      body.tenant_discovery_endpoint)
    assert.equal(own:match "^https://(.+)$", body.metadata[1].preferred_network)
    assert.equal(body.metadata[1].preferred_network, body.metadata[1].aliases[1])
    for _, other in ipairs { "https://login.evil.test/common/oauth2/v2.0/authorize", "x", "" } do
      status, body = ask(other)
      assert.equal(400, status)
      assert.equal("invalid_instance", body.error)
    end
    assert.equal(404, (ask(own .. "/common/x", "elsewhere")))
  end)

  with("gives every refusal of the list on request", { machines = 1 }, function(e)
    local file <close> = assert(io.open "core/azure/aadsts.c")
    local codes = 0
    for number in file:read("a"):gmatch '{(%d+), "' do
      codes, number = codes + 1, tonumber(number)
      e:fault { at = "entra", kind = "answer", number = number, times = 1 }
      local usual = assert(aadsts.find(number), number)
      local status, body = emulated.post(e)
      assert.equal(usual.status, status)
      assert.equal(usual.error, body.error)
      assert.equal(usual.suberror, body.suberror)
      assert.equal(number, body.error_codes[1])
      assert.equal(usual.error == "interaction_required",
        body.claims ~= nil and json.decode(body.claims).access_token ~= nil)
      local err = select(2, core.token.request { url = ("%s/%s/oauth2/v2.0/token"):format(
        e.state.cloud.authority, e.state.tenant), ca = e.state.cloud.ca, form = { a = "b" } })
      assert.is_not_nil(err.message) -- the emulator goes on
    end
    assert.is_true(codes >= 80)
    e:fault { at = "entra", kind = "answer", number = 12345, times = 1 }
    assert.equal(400, (emulated.post(e)))
    e:fault { at = "entra", kind = "answer", number = 50076, status = 401, error = "own",
      message = "Mine.", times = 1 }
    local status, body = emulated.post(e)
    assert.equal(401, status)
    assert.equal("own", body.error)
    assert.truthy(body.error_description:find("AADSTS50076: Mine.", 1, true))
    e:fault { at = "entra", kind = "answer", times = 1 }
    assert.equal(500, (emulated.post(e)))
  end)

  it("knows its ways of signing in", function()
    local ok, why = pcall(require("arclua.emulator").start, { sign_in = "magic" })
    assert.is_false(ok)
    assert.matches("option 'sign_in': secret, certificate.* expected, got 'magic'", why)
  end)

  with("has faults", { machines = 1 }, function(e)
    e:fault { at = "entra", kind = "answer", status = 429, error = "temporarily_unavailable",
      number = 90055, retry_after = 7, times = 1 }
    local status, body, headers = emulated.post(e)
    assert.equal(429, status)
    assert.equal(90055, body.error_codes[1])
    assert.equal("7", headers["retry-after"])
    assert.equal(200, (emulated.post(e)))
  end)
end)
