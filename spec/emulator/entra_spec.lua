-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local json = require "arclua.json"
local emulated = require "emulated"

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
