-- SPDX-License-Identifier: MIT
-- Microsoft's own libraries sign in to the emulator: npm @azure/msal-node and @azure/identity.
local core = require "arclua.core"
local emulated = require "emulated"
local peers = require "peers"

local function environment(e)
  local env = { NODE_EXTRA_CA_CERTS = e.state.cloud.ca, NODE_OPTIONS = "--require="
    .. os.getenv "ARCLUA_PEERS" .. "/names.cjs" }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  return env
end

local function start(e, way)
  return peers.start(peers.command("entra.mjs", way), environment(e))
end

-- The tokens that a peer got until its end.
local function tokens(peer)
  local list = {}
  repeat
    local got = peer.line()
    assert.not_equal("error", got.event, got.message)
    list[#list + 1] = got.event == "token" and got or nil
  until got.event == "end"
  return list
end

local function of_application(e, peer, count)
  local list = tokens(peer)
  assert.equal(count, #list)
  for _, token in ipairs(list) do
    assert.equal(e.state.tenant, token.tid)
    assert.equal("app", token.idtyp)
  end
  return list
end

local function of_person(e, peer)
  local list = tokens(peer)
  assert.equal(4, #list) -- signed in; from the cache; twice by the refresh token
  for _, token in ipairs(list) do
    assert.equal("user@arclua.test", token.upn)
    assert.equal("user@arclua.test", token.username)
    assert.equal(e.state.users.oid .. "." .. e.state.tenant, token.home)
  end
  assert.is_true(list[2].cached)
  assert.is_false(list[3].cached)
end

local function post(e, url, body)
  return assert(core.http.request { method = "POST", url = url, ca = e.state.cloud.ca,
    body = body })
end

describe("msal-node", function()
  for _, way in ipairs { "secret", "certificate" } do
    emulated.spec("signs in as an application with a " .. way, { machines = 1, sign_in = way },
      function(e)
        local peer <close> = start(e, way)
        local list = of_application(e, peer, 3)
        assert.is_true(list[2].cached)
        assert.is_false(list[3].cached)
        assert.equal(2, #e.log:find { event = "token" })
      end)
  end

  emulated.spec("signs a person in by a device code, and renews", { machines = 1 }, function(e)
    e.state.users.interval = 1
    local peer <close> = start(e, "device")
    local device = peer.line()
    assert.equal("device", device.event, device.message)
    assert.equal(200, post(e, e.env.ARCLUA_EMULATOR_SIGNIN,
      ("code=%s&answer=approve"):format(device.userCode)).status)
    of_person(e, peer)
  end)

  emulated.spec("is told that the person declined", { machines = 1 }, function(e)
    e.state.users.interval = 1
    local peer <close> = start(e, "device")
    post(e, e.env.ARCLUA_EMULATOR_SIGNIN, ("code=%s&answer=decline"):format(peer.line().userCode))
    local got = peer.line()
    assert.equal("error", got.event)
    assert.truthy(got.message:find("authorization_declined", 1, true), got.message)
  end)

  emulated.spec("redeems a code with its verifier, and renews", { machines = 1 }, function(e)
    local peer <close> = start(e, "code")
    local browse = peer.line()
    assert.equal("browse", browse.event, browse.message)
    local answer = post(e, browse.url, "answer=approve&password=" .. e.state.users.page_key)
    assert.equal(302, answer.status)
    assert(peer.input:write(answer.headers.location .. "\n"))
    of_person(e, peer)
  end)
end)

describe("@azure/identity", function()
  for _, way in ipairs { "secret", "certificate", "workload" } do
    emulated.spec("signs in with a " .. way, { machines = 1, sign_in = way }, function(e)
      local peer <close> = start(e, "identity-" .. way)
      of_application(e, peer, 1)
    end)
  end
end)
