-- SPDX-License-Identifier: MIT
-- The emulator's answers to those that ask for SSH certificates.
local core = require "arclua.core"
local emulated = require "emulated"
local emulator = require "arclua.emulator"
local json = require "arclua.json"

local with = emulated.spec

local APP = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0"

local key
local function form(changes)
  key = key or assert(core.crypto.ssh_key(2048))
  local out = { token_type = "ssh-cert", key_id = key:id(), req_cnf = key:jwk(),
    scope = APP .. "/.default" }
  for name, value in pairs(changes or {}) do
    out[name] = value
  end
  return out
end

local function jwk(changes)
  form()
  local value = json.decode(key:jwk())
  for name, what in pairs(changes) do
    value[name] = what or nil
  end
  return json.encode(value)
end

describe("emulator: SSH certificates", function()
  with("are as Entra makes them", { machines = 1 }, function(e)
    local now = math.floor(core.time())
    local status, body = emulated.post(e, form())
    assert.equal(200, status)
    assert.equal("ssh-cert", body.token_type)
    assert.is_true(body.expires_in > 3590 and body.expires_in <= 3600)
    local cert = assert(core.crypto.ssh_certificate(body.access_token, key))
    local id = e.state.object_id
    assert.equal(id .. "@" .. e.state.tenant, cert:key_id())
    assert.equal("0", cert:serial())
    assert.same({ id }, cert:principals())
    assert.same({}, cert:critical_options())
    local from, to = cert:validity()
    assert.is_true(math.abs(from - now + 300) <= 2 and to - from == 3900)
    assert.equal(id, cert:extensions()["oid@sshservice.azure.net"])
    assert.equal("", cert:extensions()["permit-pty"])
  end)

  with("take the key as az writes it: with the leading zero and padding", { machines = 1 },
    function(e)
      form()
      local n = core.crypto.unbase64(json.decode(key:jwk()).n)
      local status, body = emulated.post(e, form { req_cnf = jwk {
        n = core.crypto.base64("\0" .. n):gsub("+", "-"):gsub("/", "_") } })
      assert.equal(200, status)
      assert(core.crypto.ssh_certificate(body.access_token, key))
    end)

  with("are for the scope of machine logins, which gives nothing else", { machines = 1 },
    function(e)
      for _, case in ipairs {
        { form { scope = e.state.cloud.ssh_scope }, 200 },
        { form { scope = e.state.cloud.audience .. "/.default" }, 400, 500011 },
        { form { scope = "https://pas.windows.net/CheckMyAccess/Linux/.default" }, 400, 500011 },
        { { scope = APP .. "/.default" }, 400, 500011 },
      } do
        local status, body = emulated.post(e, case[1])
        assert.equal(case[2], status)
        assert.equal(case[3], body.error_codes and body.error_codes[1])
      end
    end)

  with("need a name and an RSA key of 2048 bits", { machines = 1 }, function(e)
    for _, changes in ipairs {
      { key_id = false }, { req_cnf = false }, { req_cnf = "{" }, { req_cnf = "[]" },
      { req_cnf = jwk { kty = "EC" } }, { req_cnf = jwk { n = false } },
      { req_cnf = jwk { n = "AQAB" } }, { req_cnf = jwk { n = "?" } }, { req_cnf = jwk { e = 3 } },
      { req_cnf = core.crypto.base64url(jwk {}) },
    } do
      local status, body = emulated.post(e, form(changes))
      assert.equal(400, status)
      assert.equal("invalid_request", body.error)
    end
  end)

  with("asked for at once are of one authority", { machines = 1 }, function(e)
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = core.spawn(emulated.post, e, form())
    end
    for _, task in ipairs(tasks) do
      local _, body = task:await()
      assert(core.crypto.ssh_certificate(body.access_token, key))
    end
    assert(core.sys.stat(e.state.ssh_ca.path))
  end)

  it("are accepted as the machine says", function()
    for _, wrong in ipairs { "passwords", 1 } do
      assert.has_error(function()
        emulator.start { machines = { { name = "a", login = wrong } } }
      end)
    end
    assert.has_error(function() emulator.start { login = "x" } end)
  end)
end)
