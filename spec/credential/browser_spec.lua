-- SPDX-License-Identifier: MIT
-- The browser's flow against the emulator: what comes to the loopback port, and what Entra checks.
local browser = require "arclua.credential.browser"
local callback = require "arclua.credential.callback"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local harness = require "harness"
local refresh = require "arclua.credential.refresh"
local text = require "arclua.emulator.text"

local STATE = ("s"):rep(43)

local function get(port, target, headers)
  local answer = assert(core.http.request { headers = headers,
    url = ("http://127.0.0.1:%d%s"):format(port, target) })
  return answer.status, answer.body
end

describe("the loopback port", function()
  harness.both("takes the redirect of its own state alone, once", function()
    local server <close> = assert(callback.listen(core, STATE))
    assert.equal(404, (get(server.port, "/favicon.ico")))
    assert.equal(404, (get(server.port, "/?code=c&state=" .. STATE, { Host = "evil.test" })))
    assert.equal(400, (get(server.port, "/?code=c")))
    assert.equal(400, (get(server.port, "/?code=c&state=another")))
    assert.equal(400, (get(server.port, "/?state=" .. STATE)))
    local status, body = get(server.port, "/?code=a%2Fb%3Cc&state=" .. STATE)
    assert.equal(200, status)
    assert.truthy(body:find("Signed in", 1, true))
    assert.is_nil(body:find("<c", 1, true))
    assert.equal(400, (get(server.port, "/?code=second&state=" .. STATE)))
    assert.equal("a/b<c", server:wait())
  end)

  harness.both("hears that the person declined", function()
    local server <close> = assert(callback.listen(core, STATE))
    assert.equal(200, (get(server.port, "/?error=access_denied&error_description=No+way&state="
      .. STATE)))
    local code, err = server:wait()
    assert.is_nil(code)
    assert.equal("entra.declined", err.reason)
    assert.truthy(err.message:find("No way", 1, true))
  end)

  harness.both("is not held up by one who says nothing, or too much", function()
    local server <close> = assert(callback.listen(core, STATE))
    local silent <close> = assert(core.tcp.connect("127.0.0.1", server.port))
    local loud <close> = assert(core.tcp.connect("127.0.0.1", server.port))
    loud:write(("x"):rep(60000))
    assert.is_nil((loud:read()))
    assert.equal(200, (get(server.port, "/?code=c&state=" .. STATE)))
    assert.equal("c", server:wait())
    assert.truthy(silent:name())
  end)

  harness.both("ends with its task", function()
    local server <close> = assert(callback.listen(core, STATE))
    local code, err = core.timeout(0.05, server.wait, server)
    assert.is_nil(code)
    assert.equal("timeout", err.code)
  end)
end)

describe("a browser", function()
  -- The flow whose browser is act(url), run in a task: secret, info.
  local function sign_in(e, act)
    local cloud = assert(clouds.load(e.cloud))
    local source = browser.new({ cloud = cloud, tenant = "organizations",
      client_id = refresh.CLIENT, open = function(url) core.spawn(act, url) end })
    return source:fetch(cloud.scope, {})
  end

  local function post(e, url, answer, password)
    return assert(core.http.request { method = "POST", url = url, ca = e.state.cloud.ca,
      body = ("answer=%s&password=%s"):format(answer, password or e.state.users.page_key) })
  end

  local function follow(answer)
    assert(core.http.request { url = answer.headers.location })
  end

  emulated.spec("gets tokens for a code, and declines", { machines = 1 }, function(e)
    local secret, info = sign_in(e, function(url)
      assert.equal(200, core.http.request({ url = url, ca = e.state.cloud.ca }).status)
      assert.equal(401, post(e, url, "approve", "guess").status)
      follow(post(e, url, "approve"))
    end)
    assert.equal("<redacted>", tostring(secret), tostring(info))
    assert.equal("user@arclua.test", core.token.claims(info.id_token).preferred_username)
    assert.is_not_nil(info.refresh_token)
    local err
    secret, err = sign_in(e, function(url)
      follow(post(e, url, "decline"))
    end)
    assert.is_nil(secret)
    assert.equal("entra.declined", err.reason)
  end)

  emulated.spec("with the code of another sign-in gets nothing", { machines = 1 }, function(e)
    local secret, err = sign_in(e, function(url)
      local query = text.pairs(url:match "%?(.*)$", true, true)
      local other = url:gsub("code_challenge=[^&]*", "code_challenge=" .. ("A"):rep(43))
      local code = post(e, other, "approve").headers.location:match "code=([^&]*)"
      assert(core.http.request { url = ("%s?code=%s&state=%s"):format(query.redirect_uri, code,
        query.state) })
    end)
    assert.is_nil(secret)
    assert.truthy(err.message:find("AADSTS501481", 1, true))
  end)

  emulated.spec("is refused by Entra for another redirect or client", { machines = 1 }, function(e)
    local base = ("%s/common/oauth2/v2.0/authorize?response_type=code&scope=s&state=x"
      .. "&code_challenge=c&code_challenge_method=S256"):format(e.state.cloud.authority)
    local good = "&client_id=" .. refresh.CLIENT .. "&redirect_uri=http%3A%2F%2Flocalhost%3A1"
    assert.equal(302, post(e, base .. good, "approve").status)
    for _, bad in ipairs { (good:gsub("localhost", "evil.test")),
      (good:gsub("client_id=", "%0x")), (good:gsub("redirect_uri", "other")) } do
      local answer = post(e, base .. bad, "approve")
      assert.equal(400, answer.status)
      assert.is_nil(answer.headers.location)
    end
    local status, body = emulated.post(e, { grant_type = "authorization_code", code = "x",
      client_id = refresh.CLIENT, client_secret = false })
    assert.equal(400, status)
    assert.equal("invalid_grant", body.error)
  end)
end)
