-- SPDX-License-Identifier: MIT
-- A token request for an SSH certificate: what is sent, and which answers are believed.
local core = require "arclua.core"
local json = require "arclua.json"
local peer = require "peer"
local ssh_ca = require "arclua.emulator.ssh_ca"
local both = require("harness").both

local crypto = core.crypto
local JSON = { ["Content-Type"] = "application/json" }

local key, ca
local function keys()
  key = key or assert(crypto.ssh_key(2048))
  ca = ca or assert(crypto.ssh_key(2048))
  return key, ca
end

local function certificate(changes)
  keys()
  local jwk, now = json.decode(key:jwk()), math.floor(core.time())
  local plan = { e = crypto.unbase64(jwk.e), n = "\0" .. crypto.unbase64(jwk.n), key_id = "id",
    principals = { "me@contoso.test" }, valid_after = now - 300, valid_before = now + 600,
    extensions = "" }
  for name, value in pairs(changes or {}) do
    plan[name] = value
  end
  return ssh_ca.sign(ca, plan)
end

-- What the request gives for an answer of these members, and the body that was sent.
local function ask(members)
  keys()
  local answer = { token_type = "ssh-cert", expires_in = 3599, access_token = certificate(),
    refresh_token = "R", id_token = "I" }
  for name, value in pairs(members or {}) do
    answer[name] = value or nil
  end
  local results, _, body = peer.serve(peer.answer("200 OK", JSON, json.encode(answer)),
    function(url)
      return core.token.request { url = url, ssh_key = key, form = { scope = "s" } }
    end)
  return results[1], results[2], body
end

local function fields(body)
  local out = {}
  for name, value in body:gmatch "([^&=]+)=([^&]*)" do
    out[name] = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  return out
end

describe("a request for an SSH certificate", function()
  both("adds three fields, the JWK as it is and encoded once", function()
    local cert, info, body = ask()
    assert(cert, info)
    local sent = fields(body)
    assert.same({ scope = "s", token_type = "ssh-cert", key_id = key:id(), req_cnf = key:jwk() },
      sent)
    assert.truthy(body:find("req_cnf=%7B%22kty%22%3A%22RSA%22", 1, true))
    assert.equal(key:id(), json.decode(sent.req_cnf).kid)
    assert.same({ "me@contoso.test" }, cert:principals())
    -- Its own end counts, not what the answer says.
    assert.equal(select(2, cert:validity()), info.expires_on)
    assert.equal("<redacted>", tostring(info.refresh_token))
    assert.equal("<redacted>", tostring(info.id_token))
    cert:close()
  end)

  both("takes the kind in any case, and a certificate without refresh token", function()
    local cert, info = ask { token_type = "SSH-Cert", refresh_token = false, id_token = false }
    assert(cert, info)
    assert.is_nil(info.refresh_token)
  end)

  both("believes no other answer", function()
    keys()
    local now = math.floor(core.time())
    for _, case in ipairs {
      { { token_type = "Bearer", access_token = "eyJhbGciOiJub25lIn0.e30.x" },
        "entra.no-certificate" },
      { { token_type = "pop" }, "entra.no-certificate" },
      { { token_type = false }, "http.bad-answer" },
      { { access_token = false }, "http.bad-answer" },
      { { access_token = 5 }, "http.bad-answer" },
      { { access_token = "" }, "entra.bad-certificate" },
      { { access_token = "eyJhbGciOiJub25lIn0.e30.x" }, "entra.bad-certificate" },
      { { access_token = crypto.base64(crypto.unbase64(certificate()):sub(1, -2)) },
        "entra.bad-certificate" },
      { { access_token = certificate { n = "\0" .. ("\200"):rep(256) } }, "entra.bad-certificate" },
      { { access_token = certificate { principals = {} } }, "entra.bad-certificate" },
      { { access_token = certificate { valid_before = now - 5 } }, "entra.certificate-time" },
      { { access_token = certificate { valid_after = now + 99 } }, "entra.certificate-time" },
    } do
      local cert, err = ask(case[1])
      assert.is_nil(cert)
      assert.equal(case[2], err.reason)
      assert.equal("token.request", err.op)
      assert.is_nil(err.message:find("eyJ", 1, true))
    end
  end)

  both("is told what Entra refuses", function()
    keys()
    for name, reason in pairs { invalid_resource = "entra.bad-scope",
      invalid_scope = "entra.bad-scope", interaction_required = "entra.interaction-required" } do
      local results = peer.serve(peer.answer("400 Bad Request", JSON, json.encode { error = name,
        error_description = "AADSTS1: no" }), function(url)
        return core.token.request { url = url, ssh_key = key, form = {} }
      end)
      assert.is_nil(results[1])
      assert.equal(reason, results[2].reason)
    end
  end)

  both("goes on though the key is closed meanwhile", function()
    local own = assert(crypto.ssh_public_key(keys():public()))
    local results = peer.serve(peer.answer("200 OK", JSON, json.encode { token_type = "ssh-cert",
      access_token = certificate() }), function(url)
      local task = core.spawn(core.token.request, { url = url, ssh_key = own, form = {} })
      core.sleep(0)
      own:close()
      return task:await()
    end)
    assert(results[1], results[2])
  end)

  it("is misused with an error that names the option", function()
    local closed = crypto.ssh_public_key(keys():public())
    closed:close()
    for _, wrong in ipairs { closed, "text", 1, core.secret "s" } do
      assert.has_error(function()
        core.token.request { url = "x", form = {}, ssh_key = wrong }
      end)
    end
  end)
end)
