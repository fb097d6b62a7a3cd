-- SPDX-License-Identifier: MIT
-- Who signed in, by an ID token: for whom, of which sign-in, until when, from whom (§8 row 43).
local core = require "arclua.core"
local fake = require "fake"
local id_token = require "arclua.credential.id_token"
local json = require "arclua.json"

local NOW = 1000000
local SPEC = { client_id = "app", cloud = { authority = "https://login.test:8443",
  aliases = { "login.alias.test" } } }

local function check(changes, nonce)
  local claims = { aud = "app", nonce = "n", exp = NOW, iss = "https://login.test/t/v2.0",
    tid = "t", oid = "o", sub = "s" }
  for name, value in pairs(changes or {}) do
    claims[name] = value or nil
  end
  local token = core.secret("h." .. core.crypto.base64url(json.encode(claims)) .. ".s")
  local got, err = id_token.check(fake.core { time = function() return NOW + 119 end },
    { id_token = token }, SPEC, nonce)
  return got, err and err.message, err
end

describe("an ID token", function()
  it("is taken for what it is for", function()
    assert.equal("o", check({}, "n").oid)
    assert.equal("s", check({ nonce = false }).sub)
    for _, iss in ipairs { "https://login.test:8443/t/v2.0", "https://login.alias.test/t",
      "https://sts.windows.net/t/" } do
      assert.truthy(check({ iss = iss:gsub(":8443", "") }, "n"))
    end
  end)

  it("is refused otherwise, each with its reason", function()
    for why, changes in pairs {
      ["for another application"] = { aud = "other" },
      ["not of this sign-in"] = { nonce = "other" },
      ["has expired"] = { exp = NOW - 2 },
      ["another issuer"] = { iss = "https://login.evil.test/t" },
    } do
      local got, message, err = check(changes, "n")
      assert.is_nil(got)
      assert.truthy(message:find(why, 1, true), message)
      assert.equal("entra.bad-token", err.reason)
      assert.truthy(err.remedy)
    end
    for _, changes in ipairs { { nonce = false }, { exp = false }, { exp = "soon" },
      { iss = false }, { iss = "http://login.test/t" }, { aud = false } } do
      assert.is_nil((check(changes, "n")))
    end
    local got, err = id_token.check(core, {}, SPEC)
    assert.is_nil(got)
    assert.matches("did not say who", err.message)
  end)
end)
