-- SPDX-License-Identifier: MIT
local core = require "arclua.core"

local crypto = core.crypto


describe("core.crypto", function()
  it("hashes", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      crypto.hex(crypto.sha256("abc")))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      crypto.hex(crypto.sha256("")))
  end)

  it("authenticates (RFC 4231, cases 1 and 2)", function()
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      crypto.hex(crypto.hmac_sha256(("\11"):rep(20), "Hi There")))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      crypto.hex(crypto.hmac_sha256("Jefe", "what do ya want for nothing?")))
  end)

  it("takes a secret as key", function()
    local key = core.secret "Jefe"
    assert.equal(crypto.hmac_sha256("Jefe", "x"), crypto.hmac_sha256(key, "x"))
    assert.is_true(crypto.equal(key, "Jefe"))
    key:close()
  end)

  it("signs a relay's resource as the service does", function()
    local sr = "http%3A%2F%2Fazgn-test.servicebus.windows.net%2Fmicrosoft.hybridcompute%2F"
      .. "machines%2Fabc%2F1%2Fv2%2F"
    assert.equal("6Hhs2kKoCP+ORNAtzz/bY+thnn4uba83Ao9Essg56dQ=",
      crypto.base64(crypto.hmac_sha256("dGVzdC1rZXktZm9yLXJlbGF5LXNwZWM=",
        sr .. "\n1767225600")))
  end)

  it("writes and reads base64 (RFC 4648 §10)", function()
    local vectors = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
      fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" }
    for plain, text in pairs(vectors) do
      assert.equal(text, crypto.base64(plain))
      assert.equal((text:gsub("=", "")), crypto.base64url(plain))
      assert.equal(plain, crypto.unbase64(text))
      assert.equal(plain, crypto.unbase64((text:gsub("=", ""))))
    end
    assert.equal("-_-_", crypto.base64url "\xfb\xff\xbf")
    assert.equal("+/+/", crypto.base64 "\xfb\xff\xbf")
    assert.equal("\xfb\xff\xbf", crypto.unbase64 "-_+/")
  end)

  it("refuses what is no base64", function()
    for _, text in ipairs { "A", "A===", "Zg=", "Zg===", "Zm9v=", "Z g=", "Zm9vY",
      "Zm9v\0\0\0\0" } do
      assert.is_nil(crypto.unbase64(text), text)
    end
  end)

  it("makes random bytes and ids", function()
    assert.equal(32, #crypto.random(32))
    assert.equal("", crypto.random(0))
    assert.not_equal(crypto.random(16), crypto.random(16))
    assert.has_error(function() crypto.random(-1) end)
    local id = crypto.uuid()
    assert.truthy(id:match "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$")
    assert.equal(36, #id)
    assert.equal("00ff10", crypto.hex "\0\xff\16")
  end)

  it("compares", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("abc", "abc"))
    assert.is_false(crypto.equal("abc", "abd"))
    assert.is_false(crypto.equal("abc", "abcd"))
  end)

  describe("JWT", function()
    local key
    setup(function()
      key = crypto.rsa_key()
    end)

    it("verifies what it signed", function()
      local token = crypto.jwt_sign(key, '{"alg":"RS256","typ":"JWT"}', '{"sub":"a"}')
      assert.equal('{"sub":"a"}', crypto.jwt_verify(key, token))
    end)

    it("refuses another key, a changed token, another algorithm, no token", function()
      local token = crypto.jwt_sign(key, '{"alg":"RS256"}', '{"sub":"a"}')
      local _, err = crypto.jwt_verify(crypto.rsa_key(), token)
      assert.equal("auth", err.code)
      local head, body, sig = token:match "^([^.]+)%.([^.]+)%.([^.]+)$"
      _, err = crypto.jwt_verify(key, head .. "." .. crypto.base64url '{"sub":"b"}' .. "." .. sig)
      assert.equal("auth", err.code)
      for _, bad in ipairs { "", "a.b", head .. "." .. body, head .. "." .. body .. ".!",
        crypto.base64url '{"alg":"none"}' .. "." .. body .. "." } do
        _, err = crypto.jwt_verify(key, bad)
        assert.equal("protocol", err.code, bad)
      end
    end)

    it("shows its public half, and closes", function()
      local jwk = key:jwk()
      assert.equal("RSA", jwk.kty)
      assert.equal("AQAB", jwk.e)
      assert.equal(256, #crypto.unbase64(jwk.n))
      assert.truthy(key:pem():find("BEGIN PRIVATE KEY", 1, true))
      local other = crypto.rsa_key()
      other:close()
      other:close()
      assert.has_error(function() other:jwk() end)
    end)
  end)

  describe("make_ca", function()
    it("makes an authority for the names and 127.0.0.1 only", function()
      local made = crypto.make_ca { "a.localhost", "b.localhost" }
      assert.truthy(made.ca:find("BEGIN CERTIFICATE", 1, true))
      assert.truthy(made.cert:find("BEGIN CERTIFICATE", 1, true))
      assert.truthy(made.key:find("PRIVATE KEY", 1, true))
      assert.is_nil(made.ca:find("PRIVATE", 1, true))
    end)

    it("raises for names that are none", function()
      for _, names in ipairs { {}, { "a b" }, { "a,DNS:evil" }, { "" }, { "a\0b" }, { 1 } } do
        assert.has_error(function() crypto.make_ca(names) end)
      end
    end)
  end)
end)
