-- SPDX-License-Identifier: MIT
-- Sign-ins of a person at the emulator: device codes, the page, refresh tokens.
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local refresh = require "arclua.credential.refresh"
local users = require "arclua.emulator.users"

local with = emulated.spec

local GRANT = "urn:ietf:params:oauth:grant-type:device_code"

local function scope(e)
  return refresh.scope(e.state.cloud.audience .. "/.default")
end

local function post(e, url, body)
  local answer = assert(core.http.request { method = "POST", ca = e.state.cloud.ca, body = body,
    url = url, headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } })
  return answer.status, answer.body
end

local function device(e, changes, tenant)
  local form = { client_id = refresh.CLIENT, scope = scope(e) }
  for name, value in pairs(changes or {}) do
    form[name] = value or nil
  end
  local parts = {}
  for name, value in pairs(form) do
    parts[#parts + 1] = name .. "=" .. value:gsub(" ", "+")
  end
  local status, body = post(e, ("%s/%s/oauth2/v2.0/devicecode"):format(e.state.cloud.authority,
    tenant or "organizations"), table.concat(parts, "&"))
  return status, json.decode(body)
end

local function poll(e, code, tenant)
  return emulated.post(e, { grant_type = GRANT, client_id = refresh.CLIENT, device_code = code,
    client_secret = false, scope = false }, tenant)
end

local function decide(e, code, answer)
  return post(e, e.env.ARCLUA_EMULATOR_SIGNIN, ("code=%s&answer=%s"):format(code, answer))
end

local function redeem(e, token, changes)
  local form = { grant_type = "refresh_token", client_id = refresh.CLIENT, refresh_token = token,
    client_secret = false, scope = scope(e) }
  for name, value in pairs(changes or {}) do
    form[name] = value
  end
  return emulated.post(e, form)
end

-- Signed in: the answer with its tokens.
local function signed_in(e)
  local _, asked = device(e)
  decide(e, asked.user_code, "approve")
  local _, body = poll(e, asked.device_code)
  return body
end

describe("emulator: a person", function()
  with("signs in with a code, once", { machines = 1 }, function(e)
    local status, asked = device(e)
    assert.equal(200, status)
    assert.equal(900, asked.expires_in)
    assert.equal(5, asked.interval)
    assert.truthy(asked.message:find(asked.user_code, 1, true))
    local body
    status, body = poll(e, asked.device_code)
    assert.equal(400, status)
    assert.equal("authorization_pending", body.error)
    assert.equal(200, (decide(e, asked.user_code:lower(), "approve")))
    emulated.later(10)
    status, body = poll(e, asked.device_code, e.env.AZURE_TENANT_ID)
    assert.equal(200, status)
    local claims = json.decode(core.crypto.jwt_verify(e.state.key, body.access_token))
    assert.equal(e.state.cloud.audience, claims.aud)
    assert.equal("user@arclua.test", claims.upn)
    claims = json.decode(core.crypto.jwt_verify(e.state.key, body.id_token))
    assert.equal(refresh.CLIENT, claims.aud)
    assert.equal(e.state.tenant, claims.tid)
    assert.is_string(body.refresh_token)
    status, body = poll(e, asked.device_code)
    assert.equal(400, status)
    assert.equal("bad_verification_code", body.error)
  end)

  with("may decline, be late or be asked too often", { machines = 1 }, function(e)
    local _, asked = device(e)
    assert.equal(200, (decide(e, asked.user_code, "decline")))
    local _, body = poll(e, asked.device_code)
    assert.equal("authorization_declined", body.error)
    _, asked = device(e)
    poll(e, asked.device_code)
    _, body = poll(e, asked.device_code)
    assert.equal("slow_down", body.error)
    emulated.later(901)
    assert.equal(400, (decide(e, asked.user_code, "approve")))
    _, body = poll(e, asked.device_code)
    assert.equal("expired_token", body.error)
  end)

  with("is refused with Entra's codes", { machines = 1 }, function(e)
    for _, case in ipairs {
      { { client_id = e.env.AZURE_CLIENT_ID }, nil, 401, 7000218 },
      { { client_id = "other" }, nil, 400, 700016 },
      { {}, "elsewhere", 400, 90002 },
      { { scope = false }, nil, 400, 900144 },
      { { scope = "https://other/.default" }, nil, 400, 500011 },
    } do
      local status, body = device(e, case[1], case[2])
      assert.equal(case[3], status)
      assert.equal(case[4], body.error_codes[1])
    end
  end)

  with("finds the form behind a path that nobody can guess", { machines = 1 }, function(e)
    local authority = e.state.cloud.authority
    local function get(url)
      local answer = assert(core.http.request { url = url, ca = e.state.cloud.ca })
      return answer.status, answer.body, answer.headers
    end
    local status, body, headers = get(e.env.ARCLUA_EMULATOR_SIGNIN .. "?code=%22%3E%3Cscript%3E")
    assert.equal(200, status)
    assert.truthy(body:find("<form", 1, true))
    assert.is_nil(body:find("<script", 1, true))
    assert.truthy(headers["content-security-policy"]:find("default-src 'none'", 1, true))
    assert.equal(404, (get(authority .. "/guess/device")))
    assert.equal(404, (post(e, authority .. "/guess/device", "code=x&answer=approve")))
    local _, asked = device(e)
    assert.is_nil(json.encode(asked):find(e.state.users.page_key, 1, true))
    status, body = get(asked.verification_uri)
    assert.equal(200, status)
    assert.truthy(body:find("ARCLUA_EMULATOR_SIGNIN", 1, true))
    assert.is_nil(body:find(e.state.users.page_key, 1, true))
    assert.equal(400, (decide(e, "NOTACODE", "approve")))
    assert.equal(400, (decide(e, asked.user_code, "maybe")))
  end)

  with("gets a new refresh token for each use, until all are revoked", { machines = 1 },
    function(e)
      local first = signed_in(e)
      local status, second = redeem(e, first.refresh_token)
      assert.equal(200, status)
      assert.not_equal(first.refresh_token, second.refresh_token)
      assert.equal(200, (redeem(e, first.refresh_token)))
      local bad
      status, bad = redeem(e, "unknown")
      assert.equal(400, status)
      assert.equal("invalid_grant", bad.error)
      assert.is_nil(bad.suberror)
      users.revoke(e.state)
      status, bad = redeem(e, second.refresh_token)
      assert.equal(400, status)
      assert.equal(50173, bad.error_codes[1])
      assert.equal("bad_token", bad.suberror)
    end)
end)
