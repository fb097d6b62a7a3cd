-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local both = require("harness").both
local peer = require "peer"
local program = require "program"

local TOKEN = core.secret "tok"
local JSON = { ["Content-Type"] = "application/json" }

local function ask(status, body, fields)
  return peer.serve(peer.answer(status, fields or JSON, body), function(url)
    return core.token.request { url = url, form = {
      grant_type = "client_credentials", client_secret = core.secret "a+b ~/=\xc3\xa9" } }
  end)
end

local function arm(status, body, fields, opts)
  local results, head, sent = peer.serve(peer.answer(status, fields or JSON, body), function(url)
    opts = opts or {}
    opts.url, opts.token = url, TOKEN
    return core.arm.request(opts)
  end)
  return results[1], results[2], results[3], head, sent
end

describe("token request", function()
  both("posts a form and returns a secret", function()
    local before = core.time()
    local results, head, body = ask("200 OK", [[{"access_token":"eyJ.x.y","expires_in":"3599",
      "refresh_in":100,"token_type":"Bearer","scope":"s","refresh_token":"r","other":null}]])
    local secret, token = results[1], results[2]
    assert.equal("<redacted>", tostring(secret))
    assert.equal("<redacted>", tostring(token.refresh_token))
    assert.is_true(token.expires_on >= before + 3599 and token.expires_on <= core.time() + 3599)
    assert.is_true(token.refresh_on < token.expires_on)
    assert.equal("Bearer", token.token_type)
    assert.equal("s", token.scope)
    assert.truthy(head:find("Content-Type: application/x-www-form-urlencoded\r\n", 1, true))
    assert.truthy(body:find("client_secret=a%2Bb%20~%2F%3D%C3%A9", 1, true))
  end)

  it("posts a form whose first field has no name", function()
    local results, _, body = peer.serve(peer.answer("200 OK", JSON,
      '{"access_token":"t","expires_in":9}'), function(url)
      return core.token.request { url = url, form = { [""] = "x" } }
    end)
    assert.equal("=x", body)
    assert.truthy(results[1])
  end)

  local expiries = {
    ['"expires_on":1767322445'] = 1767322445, ['"expires_on":"1767322445"'] = 1767322445,
    ['"expires_on":"2026-01-02T02:54:05Z"'] = 1767322445,
    ['"expires_on":"2026-01-02T02:54:05.5+00:00"'] = 1767322445,
    ['"expires_on":"1/2/2026 2:54:05 AM +00:00"'] = 1767322445,
    ['"expires_on":"01/02/2026 02:54:05 +00:00"'] = 1767322445,
    ['"expires_on":"Fri, 02 Jan 2026 02:54:05 GMT"'] = 1767322445,
  }
  for text, want in pairs(expiries) do
    it("reads " .. text, function()
      local results = ask("200 OK", '{"access_token":"t",' .. text .. "}")
      assert.equal(want, results[2].expires_on)
    end)
  end

  local NO_TOKEN, NO_EXPIRY = "holds no access token", "does not say when the token expires"
  for body, why in pairs { ["{}"] = NO_TOKEN, ['{"access_token":""}'] = NO_TOKEN,
    ['{"access_token":null,"expires_in":10}'] = NO_TOKEN,
    ['{"access_token":5,"expires_in":10}'] = NO_TOKEN, ['{"access_token":"t"}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":0}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":-1}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":"1e3"}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":1e99}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":99999999999}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_on":"soon"}'] = NO_EXPIRY,
    ['{"access_token":"t","expires_in":9,"token_type":"pop"}'] = "of another type",
    [('{"access_token":"%s","expires_in":9}'):format(("x"):rep(65537))] = "more than 64 KiB" } do
    it("is no token (§8 rows 4-6): " .. body:sub(1, 60), function()
      local results = ask("200 OK", body)
      assert.is_nil(results[1])
      assert.equal("entra.bad-token", results[2].reason)
      assert.truthy(results[2].message:find(why, 1, true), results[2].message)
      assert.truthy(results[2].remedy)
      assert.is_false(results[2].retryable)
    end)
  end

  for _, body in ipairs { "", "[]", "<html>", '{"error":"x"}' } do
    it("is no service's answer: " .. body, function()
      assert.equal(body:find "error" and "entra.bad-request" or "http.bad-answer",
        ask(body:find "error" and "400 No" or "200 OK", body)[2].reason)
    end)
  end

  it("is too large (§8 row 5)", function()
    local results = ask("200 OK", (" "):rep(1024 * 1024 + 1))
    assert.equal("http.too-large", results[2].reason)
  end)

  it("is good with a type in any case, and a life that is a fraction (§8 rows 4, 6)", function()
    local before = core.time()
    local results = ask("200 OK", '{"access_token":"t","expires_in":59.5,"token_type":"bEARER"}')
    assert.is_true(results[2].expires_on < before + 70)
  end)

  it("has the type that the form asks for, and no other", function()
    for type_, good in pairs { ["SSH-Cert"] = true, Bearer = false } do
      local results = peer.serve(peer.answer("200 OK", JSON,
        ('{"access_token":"t","expires_in":9,"token_type":"%s"}'):format(type_)), function(url)
        return core.token.request { url = url, form = { token_type = "ssh-cert" } }
      end)
      assert.equal(good, results[1] ~= nil)
    end
  end)

  it("cuts and cleans what is said (§8 row 13)", function()
    local results = ask("400 No", ('{"error":"x","error_description":"A\\u001b[2J%s"}'):format(
      ("b"):rep(100000)))
    assert.is_true(#results[2].message < 3000)
    assert.is_nil(results[2].message:find("\27", 1, true))
    assert.truthy(results[2].message:find("A\\x1b[2Jbb", 1, true))
  end)

  it("does not follow a redirect (§8 row 11)", function()
    local results = ask("302 Found", "", { Location = "https://elsewhere.test/" })
    assert.equal("http.bad-answer", results[2].reason)
    assert.equal(302, results[2].status)
  end)

  it("passes on what a new sign-in must bring (§8 row 44)", function()
    local err = ask("400 No", [[{"error":"interaction_required","error_codes":[50076],
      "claims":"{\"access_token\":{}}","correlation_id":"c-1"}]])[2]
    assert.equal("entra.interaction-required", err.reason)
    assert.equal('{"access_token":{}}', err.claims)
    assert.equal("c-1", err.correlation_id)
  end)

  it("does not go on with a loop that Entra has ended (§6.5)", function()
    local err = ask("400 No", '{"error":"invalid_grant","error_codes":[50196]}')[2]
    assert.equal("entra.throttled", err.reason)
    assert.is_false(err.retryable)
    assert.matches("stop the program", err.remedy)
  end)

  it("tells a wrong clock from a wrong credential", function()
    local function told(shift, code)
      local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(core.time() + shift))
      return ask("401 No", ('{"error":"invalid_client","error_codes":[%d]}'):format(code),
        { Date = date })[2]
    end
    local err = told(-1000, 700024)
    assert.equal("entra.clock-skew", err.reason)
    assert.matches("clock is 10%d%d s ahead of Entra's", err.message)
    assert.truthy(err.remedy:find("clock", 1, true))
    assert.matches("clock is %d%d%d s behind Entra's", told(700, 700027).message)
    assert.equal("entra.bad-client", told(-100, 700024).reason)
    assert.equal("entra.bad-client", told(-1000, 7000215).reason)
  end)

  it("reads what other services say", function()
    local cases = {
      { 400, '{"error":{"code":"AudienceNotSupported","message":"No such audience."}}',
        "status 400: No such audience. (AudienceNotSupported)", "cred.identity-failed" },
      { 400, '{"statusCode":400,"message":"no identity"}', "status 400: no identity",
        "cred.identity-failed" },
      { 500, '{"statusCode":500,"message":"vague"}', "status 500: vague", "entra.server-error" },
      { 408, "", "status 408", "entra.server-error" },
    }
    for _, case in ipairs(cases) do
      local err = ask(case[1] .. " No", case[2])[2]
      assert.equal(case[3], err.message)
      assert.equal(case[4], err.reason)
    end
  end)

  local errors = {
    { 401, "invalid_client", "entra.bad-client" },
    { 400, "unauthorized_client", "entra.bad-client" },
    { 400, "invalid_grant", "entra.interaction-required" },
    { 400, "interaction_required", "entra.interaction-required" },
    { 400, "consent_required", "entra.interaction-required" },
    { 400, "login_required", "entra.interaction-required" },
    { 400, "expired_token", "entra.code-expired" },
    { 400, "authorization_declined", "entra.declined" },
    { 400, "bad_verification_code", "entra.interaction-required" },
    { 400, "authorization_pending", "entra.pending" }, { 400, "slow_down", "entra.slow-down" },
    { 400, "server_error", "entra.server-error" },
    { 400, "temporarily_unavailable", "entra.server-error" },
    { 400, "invalid_request", "entra.bad-request" }, { 400, "anything", "entra.bad-request" },
    { 429, "anything", "entra.throttled" }, { 503, "invalid_client", "entra.server-error" },
  }
  it("shows nothing of a token that comes with another status than 200", function()
    local results = ask("203 Changed", '{"access_token":"hush","expires_in":1}')
    assert.equal("http.bad-answer", results[2].reason)
    assert.is_nil(tostring(results[2]):find("hush", 1, true))
  end)

  it("takes the printable text of a trace", function()
    local results = ask("400 No", '{"error":"x","trace_id":"t1\\u001b[2J"}')
    assert.equal("t1", results[2].tracking_id)
  end)

  for _, row in ipairs(errors) do
    it(("reads %d %s"):format(row[1], row[2]), function()
      local results = ask(row[1] .. " No", ('{"error":"%s","error_description":"AADSTS1: Told. ' ..
        'Trace ID: t\\r\\nmore","trace_id":"tr","error_codes":[1]}'):format(row[2]),
        { ["Retry-After"] = "7" })
      local err = results[2]
      assert.equal(row[3], err.reason)
      assert.equal(row[1], err.status)
      assert.equal(7, err.retry_after)
      assert.equal("tr", err.tracking_id)
      assert.equal("token.request", err.op)
      assert.equal("AADSTS1: Told. (" .. row[2] .. ")", err.message)
    end)
  end

  it("knows an unknown tenant, and answers that are not Entra's", function()
    local err = ask("400 No", '{"error":"invalid_request","error_codes":[90002]}')[2]
    assert.equal("entra.bad-tenant", err.reason)
    assert.equal("http.bad-answer", ask("403 No", "<html>")[2].reason)
    assert.equal("entra.server-error", ask("502 No", "<html>")[2].reason)
    assert.equal("entra.throttled", ask("429 No", "")[2].reason)
  end)

  both("passes failures of the network on", function()
    local results = peer.serve("", function(url)
      return core.token.request { url = url, form = { a = "b" } }
    end)
    assert.equal("closed", results[2].code)
    assert.equal("token.request", results[2].op)
  end)

  both("asks without a form, with headers of its own", function()
    local results, head, body = peer.serve(peer.answer("200 OK", JSON,
      '{"access_token":"x","expires_on":"4000000000"}'), function(url)
      return core.token.request { url = url, headers = { Metadata = "true",
        ["X-Header"] = { "", core.secret "raw" }, Authorization = { "Basic ", core.secret "k" } } }
    end)
    assert.equal(4000000000, results[2].expires_on)
    assert.matches("^GET /x%?y=1 ", head)
    assert.equal("", body)
    for _, line in ipairs { "Metadata: true", "X-Header: raw", "Authorization: Basic k" } do
      assert.truthy(head:find("\r\n" .. line .. "\r\n", 1, true), line)
    end
    assert.is_nil(head:find("Content-Type", 1, true))
  end)

  both("takes an assertion", function()
    for body, good in pairs { ['{"value":"jwt"}'] = true, ['{"value":""}'] = false,
      ['{"access_token":"x","expires_in":3}'] = false } do
      local results = peer.serve(peer.answer("200 OK", JSON, body), function(url)
        return core.token.request { url = url, assertion = true }
      end)
      assert.equal(good, results[1] ~= nil)
    end
  end)

  it("for a device's code reads numbers and texts, or assumes them (§8 row 40)", function()
    for body, wanted in pairs { ['"interval":"7","expires_in":"60"'] = { 7, 60 },
      ['"interval":3,"expires_in":90'] = { 3, 90 }, ['"message":"m"'] = { 5, 1800 },
      ['"interval":0'] = { 5, 1800 }, ['"interval":"soon"'] = { 5, 1800 } } do
      local before = core.time()
      local results = peer.serve(peer.answer("200 OK", JSON, '{"device_code":"d","user_code":"u",'
        .. '"verification_uri":"v",' .. body .. "}"), function(url)
        return core.token.device { url = url, form = { a = "b" } }
      end)
      assert.equal("<redacted>", tostring(results[1]))
      assert.equal(wanted[1], results[2].interval)
      assert.is_true(math.abs(results[2].expires_on - before - wanted[2]) < 5)
    end
    local results = peer.serve(peer.answer("200 OK", JSON, '{"device_code":"d"}'), function(url)
      return core.token.device { url = url, form = { a = "b" } }
    end)
    assert.equal("the answer is not a device code", results[2].message)
  end)

  it("raises on misuse", function()
    assert.has_error(function() core.token.request { url = "x", form = 1 } end)
    assert.has_error(function()
      core.token.request { url = "x", headers = { A = { "Basic " } } }
    end)
    assert.has_error(function() core.token.request { url = "x", form = { 1 } } end)
    assert.has_error(function() core.token.request { url = "x", form = { a = 1 } } end)
    assert.has_error(function() core.token.command { args = {} } end)
    assert.has_error(function() core.token.command { args = { 1 } } end)
    assert.has_error(function() core.token.claims "text" end)
  end)
end)

describe("token command", function()
  local function sh(script, timeout)
    return core.token.command { args = { "sh", "-c", script }, timeout = timeout }
  end

  both("reads az's answer; the epoch wins over local time", function()
    local secret, token = sh [[echo '{"accessToken":"eyJ.x","expires_on":1767322445,
      "expiresOn":"2020-01-02 03:04:05.000000","tenant":"t","subscription":"s"}']]
    assert.equal("<redacted>", tostring(secret))
    assert.equal(1767322445, token.expires_on)
    assert.equal("t", token.tenant)
    assert.equal("s", token.subscription)
    local again, local_time = sh [[
      echo '{"accessToken":"x","expiresOn":"2026-01-02 03:04:05.250000"}']]
    assert.truthy(again)
    assert.equal(os.time { year = 2026, month = 1, day = 2, hour = 3, min = 4, sec = 5 },
      local_time.expires_on)
  end)

  both("tells what stderr said, without tokens", function()
    local secret, err = sh "echo run az login eyJhbGciOiJSUzI1NiJ9.payload.sig >&2; exit 1"
    assert.is_nil(secret)
    assert.equal("cred.az-failed", err.reason)
    assert.truthy(err.message:find("run az login", 1, true))
    assert.is_nil(err.message:find("eyJ", 1, true))
    secret, err = sh "echo nonsense"
    assert.is_nil(secret)
    assert.equal("cred.az-failed", err.reason)
  end)

  both("tells text that is no JSON from a notice before it (§8 row 35)", function()
    local secret, err = sh [[echo 'A new version is available.'; echo '{"accessToken":"x",'
      echo '"expires_on":1}']]
    assert.is_nil(secret)
    assert.truthy(err.message:find("printed other text before its JSON: A new version", 1, true))
    assert.matches("only_show_errors", err.remedy)
    secret, err = sh "echo eyJhbGciOiJSUzI1NiJ9.payload.sig nonsense"
    assert.is_nil(secret)
    assert.matches("printed no JSON: %*+ nonsense$", err.message)
    secret, err = sh "true"
    assert.is_nil(secret)
    assert.matches("printed no JSON$", err.message)
    secret, err = sh [[echo '{"accessToken":"x"}']]
    assert.is_nil(secret)
    assert.matches("gave no token with its expiry", err.message)
    secret, err = sh "head -c 2000000 /dev/zero"
    assert.is_nil(secret)
    assert.matches("more than 1 MiB", err.message)
  end)

  both("reads local time across its change (§8 row 35)", function()
    for zone, wanted in pairs { ["2026-03-29 03:30:00.000000"] = 1774747800,
      ["2026-01-02 03:04:05"] = 1767319445 } do
      local script = ([[echo '{"accessToken":"x","expiresOn":"%s"}']]):format(zone)
      local told = program.run({ "-e", ([[local _, info = require("arclua.core").token.command {
        args = { "sh", "-c", %q } }
        print(math.floor(info.expires_on))]]):format(script) }, { env = { TZ = "Europe/Berlin" } })
      assert.equal(wanted .. "\n", told.out, told.err)
    end
  end)

  both("takes azd's messages out of their JSON (§8 row 37)", function()
    for _, to in ipairs { 1, 2 } do
      local secret, err = sh(([[echo '{"type":"consoleMessage","data":{"message":"\nERROR: not
 logged in, run azd auth login\n"}}' | tr -d '\n' >&%d; exit 1]]):format(to))
      assert.is_nil(secret)
      assert.equal("the command failed: ERROR: not logged in, run azd auth login", err.message)
    end
    local _, info = sh [[echo '{"token":"t","expiresOn":"2026-01-02T02:54:05Z"}']]
    assert.equal(1767322445, info.expires_on)
  end)

  both("is absent, floods, is killed in time, or cancelled", function()
    local _, err = core.token.command { args = { "no-such-program-here" } }
    assert.equal("notfound", err.code)
    _, err = sh "exit 127"
    assert.equal("notfound", err.code)
    _, err = sh "head -c 3000000 /dev/zero; head -c 200000 /dev/zero >&2; exit 3"
    assert.equal("cred.az-failed", err.reason)
    _, err = sh("sleep 60 & sleep 60", 0.1)
    assert.equal("timeout", err.code)
    local task = core.spawn(sh, "sleep 60")
    core.sleep(0.02)
    task:cancel()
    _, err = task:await()
    assert.equal("cancelled", err.code)
  end)
end)

describe("token claims", function()
  it("are those that may be shown", function()
    local function jwt(payload)
      return core.secret("x." .. core.crypto.base64url(payload) .. ".z")
    end
    local claims = core.token.claims(jwt '{"tid":"t","oid":"o","exp":17,"secret":"s","upn":null}')
    assert.same({ tid = "t", oid = "o", exp = 17 }, claims)
    for _, text in ipairs { "", "x", "x.y", "x.!.z", "x..z", "x.e30.z.w" } do
      local got = core.token.claims(core.secret(text))
      assert.is_true(got == nil or next(got) == nil)
    end
    assert.is_nil(core.token.claims(jwt "[1]"))
  end)
end)

describe("arm request", function()
  both("returns value and page", function()
    local value, err, page, head, sent = arm("200 OK",
      [[{"value":[1,2.5,null,{"a":true,"b":null}],"nextLink":"https://n","big":9007199254740993}]],
      { ["x-ms-request-id"] = "rid", ["x-ms-ratelimit-remaining-subscription-reads"] = "249",
        ["X-Other"] = "1", ["Retry-After"] = "3" },
      { method = "POST", body = "{}", headers = { ["X-Mine"] = "m" } })
    assert(value, err)
    assert.same({ 1, 2.5, { a = true } }, value.value)
    assert.equal("integer", math.type(value.big))
    assert.equal(9007199254740993, value.big)
    assert.same({ status = 200, next_link = "https://n", request_id = "rid", retry_after = 3,
      headers = { ["x-ms-ratelimit-remaining-subscription-reads"] = "249" } }, page)
    assert.equal("{}", sent)
    for _, line in ipairs { "Authorization: Bearer tok", "Accept: application/json",
      "Content-Type: application/json", "Accept-Language: en-US", "X-Mine: m" } do
      assert.truthy(head:find("\r\n" .. line .. "\r\n", 1, true), line)
    end
    assert.truthy(head:match "x%-ms%-client%-request%-id: %x+%-")
  end)

  both("is true without a body, and says Content-Length: 0", function()
    local value, _, page, head = arm("202 Accepted", "", { Location = "https://l" },
      { method = "PUT" })
    assert.is_true(value)
    assert.equal("https://l", page.headers.location)
    assert.truthy(head:find("Content-Length: 0\r\n", 1, true))
  end)

  it("refuses what is not JSON, or too deep", function()
    for _, body in ipairs { "<html>", "{", ("["):rep(200) .. ("]"):rep(200) } do
      local value, err = arm("200 OK", body)
      assert.is_nil(value)
      assert.equal("http.bad-answer", err.reason)
    end
    assert.truthy(arm("200 OK", ("["):rep(90) .. ("]"):rep(90)))
    assert.truthy(arm("200 OK", '{"a":"[[[\\"[[["}'))
  end)

  local rows = {
    { 400, '{"error":{"code":"BadRequest","message":"m"}}', "arm.bad-request", "BadRequest: m" },
    { 401, '{"error":{"code":"ExpiredAuthenticationToken","message":"m"}}', "arm.token-refused" },
    { 403, '{"error":{"code":"authorizationfailed","message":"m"}}', "arm.authorization-failed" },
    { 403, '{"error":{"code":"RequestDisallowedByPolicy","message":"m",' ..
      '"additionalInfo":[{"info":{"policyDefinitionName":"p"}}]}}', "arm.authorization-failed",
      "RequestDisallowedByPolicy: m (policy: p)" },
    { 404, '{"error":{"code":"ResourceNotFound","message":"m"}}', "arm.not-found" },
    { 404, '{"error":{"code":"NoRegisteredProviderFound","message":"m"}}',
      "arm.provider-not-registered" },
    { 409, '{"error":{"code":"MissingSubscriptionRegistration"}}', "arm.provider-not-registered",
      "MissingSubscriptionRegistration" },
    { 409, '{"code":"HCRP409","message":"m"}', "arm.busy", "HCRP409: m" },
    { 409, '{"error":{"code":"ScopeLocked","message":"m"}}', "arm.conflict" },
    { 412, '{"Message":"m"}', "arm.precondition-failed", "m" },
    { 401, '{"error":{"code":"InvalidAuthenticationTokenTenant","message":"m"}}',
      "arm.wrong-tenant" },
    { 400, '{"error":{"code":"BadRequest","message":"m","details":[{"code":"x","message":"m"},' ..
      '{"message":"at wher on line [1,13]"}]}}', "arm.bad-request",
      "BadRequest: m; at wher on line [1,13]" },
    { 404, '{"error":{"code":"NoRegisteredProviderFound","message":"The supported api-versions ' ..
      "are '2021-04-01'. The supported locations are 'x'.\"}}", "arm.bad-request" },
    { 501, "", "arm.server-error", "status 501" },
    { 400, '{"error":{"code":"BadRequest","message":"Please provide below info when asking for '
      .. 'support: timestamp = T","details":[{"code":"InvalidQuery","message":"x"},{"message":'
      .. '"parsed at \'wher\' on line [1,13]"}]}}', "arm.bad-request",
      "BadRequest: parsed at 'wher' on line [1,13]" },
    { 400, '{"error":{"code":"BadRequest","message":"Please provide below info when asking for"}}',
      "arm.bad-request", "BadRequest: Please provide below info when asking for" },
    { 429, '{"error":{"code":"SubscriptionRequestsThrottled","message":"m"}}', "arm.throttled" },
    { 500, '{"error":"text"}', "arm.server-error", "text" },
    { 502, "<html>bad</html>", "arm.server-error", "status 502: <html>bad</html>" },
    { 502, "\27[2J\xe9\xc2\x9b1m\u{e9}", "arm.server-error",
      "status 502: \\x1b[2J\\xe9\\xc2\\x9b1m\u{e9}" },
    { 503, "", "arm.server-error", "status 503" },
    { 408, '{"error":{"code":null,"message":"{\\"a\\":1}"}}', "arm.server-error", '{"a":1}' },
    { 302, "", "http.bad-answer" },
  }
  for _, row in ipairs(rows) do
    it(("reads %d %s"):format(row[1], row[2]), function()
      local value, err, page = arm(row[1] .. " No", row[2],
        { ["x-ms-request-id"] = "rid", ["Retry-After"] = "Fri, 01 Jan 2021 00:00:00 GMT" })
      assert.is_nil(value)
      assert.equal(row[3], err.reason)
      assert.equal(row[1], err.status)
      assert.equal("rid", err.tracking_id)
      assert.equal(0, err.retry_after)
      assert.equal("arm.request", err.op)
      assert.equal(row[1], page.status)
      assert.equal(row[4] or err.message, err.message)
      local passes = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true }
      assert.equal(passes[row[1]] or err.reason == "arm.busy" or false, err.retryable)
    end)
  end

  it("keeps ARM's own words of an error, and its ids", function()
    local _, err = arm("409 No", [[{"error":{"code":"MissingSubscriptionRegistration","message":"m",
      "details":[{"target":"Microsoft.HybridConnectivity"}]}}]],
      { ["x-ms-request-id"] = "rid", ["x-ms-correlation-request-id"] = "cid" })
    assert.equal("MissingSubscriptionRegistration", err.service_code)
    assert.equal("Microsoft.HybridConnectivity", err.target)
    assert.equal("cid", err.correlation_id)
    _, err = arm("404 No", '{"error":{"code":"HCRP404","target":"a/b"}}')
    assert.equal("a/b", err.target)
    _, err = arm("500 No", "", {}, { headers = { ["x-ms-client-request-id"] = "mine" } })
    assert.equal("mine", err.tracking_id)
    assert.is_nil(err.service_code)
    err = core.arm.failure(404, '{"error":{"code":"X","message":"y"}}')
    assert.same({ "arm.not-found", "X", 404 }, { err.reason, err.service_code, err.status })
  end)

  it("unfolds a compressed answer, to its limit", function()
    local packed = core.crypto.unbase64 "H4sIAAAAAAACA6tWSlSyMqwFAK+sG1YHAAAA"
    local value, err, _, head = arm("200 OK", packed, { ["Content-Encoding"] = "gzip" })
    assert.is_nil(err)
    assert.same({ a = 1 }, value)
    assert.truthy(head:find("\r\nAccept-Encoding: gzip\r\n", 1, true))
  end)

  -- 100 MB that come as 100 KB, and 33 MB that come as they are.
  it("ends an answer that is larger than ARM sends", function()
    local pipe <close> = assert(io.popen "head -c 100000000 /dev/zero | tr '\\0' ' ' | gzip -c")
    local value, err = arm("200 OK", pipe:read "a", { ["Content-Encoding"] = "gzip" })
    assert.is_nil(value)
    assert.equal("http.too-large", err.reason)
    value, err = arm("200 OK", '{"a":"' .. ("x"):rep(33 << 20) .. '"}')
    assert.is_nil(value)
    assert.equal("http.too-large", err.reason)
    value, err = arm("500 No", ("x"):rep(1 << 20))
    assert.is_nil(value)
    assert.equal("arm.server-error", err.reason)
    assert.is_true(#err.message < 300)
  end)

  it("is true without a body, however its end is told", function()
    for _, text in ipairs { "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" } do
      local results = peer.serve(text, function(url)
        return core.arm.request { url = url, token = TOKEN, method = "PUT" }
      end)
      assert.is_true(results[1])
    end
  end)

  it("reads how long to wait, in all its forms", function()
    local cases = { [{ ["retry-after-ms"] = "1500", ["Retry-After"] = "9" }] = 1.5,
      [{ ["x-ms-retry-after-ms"] = "250" }] = 0.25, [{ ["Retry-After"] = "17" }] = 17,
      [{ ["Retry-After"] = "Fri, 01 Jan 2021 00:00:00 GMT" }] = 0,
      [{ ["Retry-After"] = "-5" }] = false, [{ ["Retry-After"] = "soon" }] = false }
    for fields, want in pairs(cases) do
      local _, err = arm("503 No", "", fields)
      assert.equal(want or nil, err.retry_after)
    end
  end)

  it("takes long headers: two links of 4 KB", function()
    local link = "https://arm/" .. ("x"):rep(4000)
    local _, _, page = arm("202 Accepted", "", { Location = link, ["Azure-AsyncOperation"] = link,
      ["X-More"] = ("y"):rep(4000) })
    assert.equal(link, page.headers.location)
    assert.equal(link, page.headers["azure-asyncoperation"])
  end)
end)

describe("relay credentials from arm", function()
  local function list(status, body)
    return peer.serve(peer.answer(status, JSON, body), function(url)
      return core.arm.relay_credentials { url = url, token = TOKEN }
    end)
  end

  both("become relayinfo only", function()
    local results, head, sent = list("200 OK", [[{"relay":{"namespaceName":"ns",
      "namespaceNameSuffix":"s.net","hybridConnectionName":"a/b","accessKey":"k","expiresOn":5}}]])
    assert.equal("ns.s.net", results[1]:host())
    assert.equal(5, results[1]:expires_on())
    assert.equal(200, results[3].status)
    assert.equal('{"serviceName":"SSH"}', sent)
    assert.truthy(head:find("^POST "))
  end)

  it("tell what is missing", function()
    assert.equal("arm.setup-needed", list("412 Precondition Failed", "")[2].reason)
    assert.equal(412, list("412 Precondition Failed", "")[2].status)
    assert.equal("arm.setup-needed", list("412 ", "")[2].reason)
    assert.equal("arm.setup-needed", list("412", "")[2].reason)
    assert.equal("arm.not-found", list("404 No", "")[2].reason)
    assert.equal("relay.bad-credentials", list("200 OK", '{"relay":{}}')[2].reason)
    assert.equal("relay.bad-credentials", list("200 OK", "<html>")[2].reason)
  end)
end)
