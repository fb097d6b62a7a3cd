-- SPDX-License-Identifier: MIT
-- The browser's flow against the emulator: what comes to the loopback port, and what Entra checks.
local browser = require "arclua.credential.browser"
local callback = require "arclua.credential.callback"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local harness = require "harness"
local refresh = require "arclua.credential.refresh"
local text = require "arclua.emulator.text"

local STATE = ("s"):rep(43)

local function ask(port, method, target, headers, body)
  local answer = assert(core.http.request { headers = headers, method = method, body = body,
    url = ("http://127.0.0.1:%d%s"):format(port, target) })
  return answer.status, answer.body
end

local function send(port, body, headers, target)
  return ask(port, "POST", target or "/", headers, body)
end

describe("the loopback port (§8 row 42)", function()
  harness.both("takes the form of its own state alone, once", function()
    local server <close> = assert(callback.listen(core, STATE))
    local port = server.port
    assert.equal(404, (ask(port, "GET", "/favicon.ico")))
    assert.equal(404, (send(port, "code=c&state=" .. STATE, { Host = "evil.test" })))
    assert.equal(404, (send(port, "code=c&state=" .. STATE, nil, "/other")))
    assert.equal(405, (ask(port, "GET", "/?code=c&state=" .. STATE)))
    assert.equal(400, (send(port, "code=c")))
    local status, body = send(port, "code=c&state=another")
    assert.equal(400, status)
    assert.truthy(body:find("Start it again in the terminal", 1, true))
    assert.equal(400, (send(port, "state=" .. STATE)))
    status, body = send(port, "code=a%2Fb%3Cc&state=" .. STATE)
    assert.equal(200, status)
    assert.truthy(body:find("Signed in", 1, true))
    assert.is_nil(body:find("<c", 1, true))
    assert.equal(400, (send(port, "code=second&state=" .. STATE)))
    assert.is_true(core.crypto.equal("a/b<c", server:wait()))
  end)

  harness.both("hears that the person declined, and shows nothing of a peer's text", function()
    local server <close> = assert(callback.listen(core, STATE))
    local status, body = send(server.port, "error=access_denied&error_description=%3Cscript%3E"
      .. "No+way&state=" .. STATE)
    assert.equal(200, status)
    assert.is_nil(body:find("script>", 1, true))
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
    local big <close> = assert(core.tcp.connect("127.0.0.1", server.port))
    big:write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n")
    assert.is_nil((big:read()))
    local short <close> = assert(core.tcp.connect("127.0.0.1", server.port))
    short:write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc")
    short:shutdown()
    assert.is_nil((short:read()))
    assert.equal(200, (send(server.port, "code=c&state=" .. STATE)))
    assert.is_true(core.crypto.equal("c", server:wait()))
    assert.truthy(silent:name())
  end)

  harness.both("listens on loopback only, of both kinds", function()
    local server <close> = assert(callback.listen(core, STATE))
    local file <close> = assert(io.open "/proc/net/tcp")
    local port, seen = (":%04X 00000000:0000 0A"):format(server.port), {}
    for line in file:lines() do
      local at = line:match("%d+: (%x+)" .. port)
      seen[#seen + 1] = at
    end
    assert.same({ "0100007F" }, seen)
    local six = core.tcp.connect("::1", server.port)
    if six then
      six:close()
      assert.equal(200, assert(core.http.request { method = "POST", body = "code=c&state=" .. STATE,
        url = ("http://[::1]:%d/"):format(server.port),
        headers = { Host = "localhost:" .. server.port } }).status)
      assert.is_true(core.crypto.equal("c", server:wait()))
    end
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

  emulated.spec("gets tokens for a code, and declines", { machines = 1 }, function(e)
    local secret, info = sign_in(e, function(url)
      assert.equal(200, core.http.request({ url = url, ca = e.state.cloud.ca }).status)
      assert.equal(401, post(e, url, "approve", "guess").status)
      assert.equal(200, emulated.browse(e, url, "approve"))
    end)
    assert.equal("<redacted>", tostring(secret), tostring(info))
    assert.equal("user@arclua.test", core.token.claims(info.id_token).preferred_username)
    assert.is_not_nil(info.refresh_token)
    local err
    secret, err = sign_in(e, function(url)
      assert.equal(200, emulated.browse(e, url, "decline"))
    end)
    assert.is_nil(secret)
    assert.equal("entra.declined", err.reason)
  end)

  it("proves that it began what it ends (RFC 7636; §8 row 41)", function()
    assert.equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", core.crypto.base64url(
      core.crypto.sha256 "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
    local asked, sent
    local source = browser.new({ cloud = fake.CLOUD, tenant = "t", client_id = "c",
      open = function(url)
        asked = text.pairs(url:match "%?(.*)$", true, true)
        core.spawn(function()
          core.http.request { method = "POST", url = asked.redirect_uri,
            body = "code=the%2Fcode&state=" .. asked.state }
        end)
      end }, fake.core { token = { request = function(request)
        sent = request
        sent.code, sent.verifier = fake.text(request.form.code),
          fake.text(request.form.code_verifier)
        return nil, { code = "auth", message = "no" }
      end } })
    assert.is_nil((source:fetch("s", {})))
    assert.equal(asked.redirect_uri, sent.form.redirect_uri)
    assert.matches("^http://localhost:%d+$", asked.redirect_uri)
    assert.equal("form_post", asked.response_mode)
    assert.equal("S256", asked.code_challenge_method)
    assert.equal("the/code", sent.code)
    assert.equal(43, #asked.code_challenge)
    assert.equal(43, #asked.state)
    assert.not_equal(asked.state, asked.nonce)
    assert.equal('{"access_token":{"xms_cc":{"values":["CP1"]}}}', asked.claims)
    assert.equal(asked.claims, sent.form.claims)
    local verifier = sent.verifier
    assert.is_true(#verifier >= 43 and #verifier <= 128)
    assert.equal(asked.code_challenge, core.crypto.base64url(core.crypto.sha256(verifier)))
  end)

  it("at AD FS comes back to the port that is registered there", function()
    local asked
    local source = browser.new({ cloud = { authority = "https://a.test", adfs = true },
      tenant = "adfs", client_id = "c", open = function(url) asked = url end }, core)
    core.timeout(0.05, source.fetch, source, "s", {})
    assert.matches("^https://a.test/adfs/oauth2/authorize%?", asked)
    assert.matches("redirect_uri=http%%3A%%2F%%2Flocalhost%%3A8400&", asked)
  end)

  emulated.spec("with the code of another sign-in gets nothing", { machines = 1 }, function(e)
    local secret, err = sign_in(e, function(url)
      local query = text.pairs(url:match "%?(.*)$", true, true)
      local other = url:gsub("code_challenge=[^&]*", "code_challenge=" .. ("A"):rep(43))
      local _, body = emulated.form_of(post(e, other, "approve").body)
      assert(core.http.request { method = "POST", url = query.redirect_uri,
        body = ("code=%s&state=%s"):format(body:match "code=([^&]*)", query.state) })
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
