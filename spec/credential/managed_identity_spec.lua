-- SPDX-License-Identifier: MIT
-- Managed identities: which service is asked, what each wants, and an Arc agent that lies.
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local managed_identity = require "arclua.credential.managed_identity"
local paths = require "arclua.paths"
local peer = require "peer"
local program = require "program"

local SCOPE = "https://arm.test/.default"
local VARIABLES = { "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT",
  "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "AZURE_POD_IDENTITY_AUTHORITY_HOST" }

local real_env = paths.env

-- The variables of the services are those of env while fn runs.
local function within(env, fn)
  paths.env = function(name)
    for _, known in ipairs(VARIABLES) do
      if known == name then
        local value = env[name]
        return value ~= "" and value or nil
      end
    end
    return real_env(name)
  end
  local out = table.pack(pcall(fn))
  paths.env = real_env
  assert(out[1], out[2])
  return table.unpack(out, 2, out.n)
end

local function primitives(env, more)
  more = more or {}
  more.secret_env = function(name)
    return (env[name] or "") ~= "" and core.secret(env[name]) or nil
  end
  more.sys = setmetatable({ stat = function(path)
    if path:find "himds" then
      return env.himds and {} or nil
    end
    return core.sys.stat(path)
  end }, { __index = core.sys })
  return fake.core(more)
end

-- What is asked with these variables: the request, and the source.
local function asked(env, spec)
  local sent
  local info = { expires_on = core.time() + 86399 }
  local source, err
  local secret, result
  within(env, function()
    source, err = managed_identity.new(spec or {}, primitives(env, {
      token = { request = function(request)
        sent = request
        return core.secret "x", info
      end, arc_key = core.token.arc_key },
      http = { request = function() return { status = 401, headers = {}, body = "" } end },
    }))
    if source then
      secret, result = source:fetch(SCOPE, {})
    end
  end)
  return sent, source, source and result or err, secret
end

describe("managed identity", function()
  it("asks the service that the variables name, first match first (§8 row 29)", function()
    -- What §1.4 of the services' facts says, for every combination of the variables.
    local names = { "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT",
      "MSI_ENDPOINT", "MSI_SECRET", "IMDS_ENDPOINT", "himds" }
    local order = {
      { "service_fabric", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT" },
      { "app_service", "IDENTITY_ENDPOINT", "IDENTITY_HEADER" },
      { "machine_learning", "MSI_ENDPOINT", "MSI_SECRET" }, { "cloud_shell", "MSI_ENDPOINT" },
      { "arc", "IDENTITY_ENDPOINT", "IMDS_ENDPOINT" }, { "arc", "himds" }, { "imds" } }
    local function wanted(env)
      for _, row in ipairs(order) do
        local fits = true
        for i = 2, #row do
          fits = fits and env[row[i]]
        end
        if fits then
          return row[1]
        end
      end
    end
    for mask = 0, 2 ^ #names - 1 do
      local env = {}
      for i, name in ipairs(names) do
        env[name] = mask & 1 << i - 1 ~= 0 and "x" or nil
      end
      local source = within(env, function()
        return managed_identity.new({}, primitives(env))
      end)
      assert.equal(wanted(env), source.kind, table.concat({ mask, source.kind }, " "))
    end
  end)

  it("takes an empty variable for none", function()
    for wanted, env in pairs {
      service_fabric = { IDENTITY_ENDPOINT = "a", IDENTITY_HEADER = "b", MSI_ENDPOINT = "d",
        IDENTITY_SERVER_THUMBPRINT = "c" },
      app_service = { IDENTITY_ENDPOINT = "a", IDENTITY_HEADER = "b", MSI_ENDPOINT = "c",
        IMDS_ENDPOINT = "d", himds = true },
      machine_learning = { MSI_ENDPOINT = "a", MSI_SECRET = "b", IDENTITY_ENDPOINT = "c",
        IMDS_ENDPOINT = "d" },
      cloud_shell = { MSI_ENDPOINT = "a", MSI_SECRET = "", himds = true },
      arc = { IDENTITY_ENDPOINT = "http://localhost:1/", IMDS_ENDPOINT = "b" },
      imds = { IDENTITY_ENDPOINT = "a", IDENTITY_HEADER = "" },
    } do
      local _, source = asked(env)
      assert.equal(wanted, source.kind)
    end
    local _, source = asked { himds = true }
    assert.equal("arc", source.kind)
  end)

  it("asks each in its own way, of a resource", function()
    local sent = asked({ IDENTITY_ENDPOINT = "http://localhost:1/msi/token",
      IDENTITY_HEADER = "h" }, { resource_id = "/a b" })
    assert.equal("http://localhost:1/msi/token?api-version=2019-08-01&resource="
      .. "https%3A%2F%2Farm.test&mi_res_id=%2Fa%20b", sent.url)
    assert.equal("true", sent.headers.Metadata)
    assert.equal("", sent.headers["X-IDENTITY-HEADER"][1])
    sent = asked({ MSI_ENDPOINT = "http://localhost:1/x", MSI_SECRET = "s" }, { client_id = "c" })
    assert.equal("http://localhost:1/x?api-version=2017-09-01&resource="
      .. "https%3A%2F%2Farm.test&clientid=c", sent.url)
    sent = asked { MSI_ENDPOINT = "http://localhost:1/x" }
    assert.same({ resource = "https://arm.test" }, sent.form)
    sent = asked({}, { object_id = "o" })
    assert.equal("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
      .. "&resource=https%3A%2F%2Farm.test&object_id=o", sent.url)
    assert.same({ Metadata = "true" }, sent.headers)
  end)

  it("renews a long token at half of its life, a short one not before (§8 row 34)", function()
    local _, _, info = asked {}
    assert.is_true(math.abs(info.refresh_on - core.time() - 43200) < 60)
    local source = within({}, function()
      return managed_identity.new({}, primitives({}, { token = { request = function()
        return core.secret "x", { expires_on = core.time() + 7100 }
      end } }))
    end)
    local _, short = source:fetch(SCOPE, {})
    assert.is_nil(short.refresh_on)
  end)

  -- What a service that answers like this makes of it: secret, err, and what was slept.
  local function answered(env, status, body, spec)
    local slept = {}
    local results = peer.serve(peer.answer(status, { ["Content-Type"] = "application/json" }, body),
      function(url)
        local base = url:match "^(http://[^/]+)"
        local all = {}
        for name, value in pairs(env) do
          all[name] = value:gsub("BASE", base)
        end
        return within(all, function()
          return assert(managed_identity.new(spec or {}, primitives(all, {
            sleep = function(seconds)
              slept[#slept + 1] = seconds
              return nil, { code = "cancelled", message = "enough" }
            end }))):fetch(SCOPE, {})
        end)
      end)
    return results[1], results[2], slept
  end

  local APP = { IDENTITY_ENDPOINT = "BASE/msi/token", IDENTITY_HEADER = "hush" }
  local SHELL = { MSI_ENDPOINT = "BASE/oauth2/token" }
  local IMDS = { AZURE_POD_IDENTITY_AUTHORITY_HOST = "BASE" }

  it("of App Service reads its dates and its errors (§8 row 28)", function()
    for text, when in pairs { ["1900000000"] = 1900000000,
      ["06/20/2036 02:57:58 AM +00:00"] = 2097543478,
      ["6/20/2036 02:57:58 +00:00"] = 2097543478 } do
      local secret, info = answered(APP, "200 OK", ('{"access_token":"t","expires_on":"%s",'
        .. '"token_type":"Bearer"}'):format(text))
      assert.equal("<redacted>", tostring(secret))
      assert.equal(when, info.expires_on)
    end
    local secret, err = answered(APP, "400 No", '{"statusCode":400,"message":"No MSI found"}')
    assert.is_nil(secret)
    assert.equal("cred.identity-failed", err.reason)
    assert.truthy(err.message:find("status 400: No MSI found", 1, true))
    assert.is_nil(err.message:find("hush", 1, true))
    local slept
    secret, err, slept = answered(APP, "500 No", '{"statusCode":500,"message":"vague"}')
    assert.is_nil(secret)
    assert.equal("cancelled", err.code)
    assert.equal(1, #slept)
  end)

  it("of Cloud Shell reads its nested error (§8 row 33)", function()
    local secret, err = answered(SHELL, "400 No", '{"error":{"code":"AudienceNotSupported",'
      .. '"message":"Audience x is not a supported MSI token audience."}}')
    assert.is_nil(secret)
    assert.equal("cred.identity-failed", err.reason)
    assert.truthy(err.message:find("Audience x is not a supported MSI token audience. "
      .. "(AudienceNotSupported)", 1, true))
  end)

  it("of a virtual machine tells what it lacks (§8 rows 24-26)", function()
    local body = '{"error":"invalid_request","error_description":"Identity not found"}'
    local secret, err = answered(IMDS, "400 No", body)
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
    secret, err = answered(IMDS, "400 No", body, { client_id = "c" })
    assert.is_nil(secret)
    assert.equal("cred.identity-failed", err.reason)
    assert.matches("no such identity", err.message)
    secret, err = answered(IMDS, "403 No", "connecting to 169.254.169.254: connect: a socket "
      .. "operation was attempted to an unreachable network.")
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
    secret, err = answered(IMDS, "403 No", "forbidden")
    assert.is_nil(secret)
    assert.is_false(err.retryable)
    assert.not_equal("cred.unavailable", err.reason)
    local info
    secret, info = answered(IMDS, "200 OK", '{"access_token":"t","expires_in":"86399",'
      .. '"expires_on":"1","token_type":"Bearer","refresh_token":""}')
    assert.truthy(secret)
    assert.is_nil(info.refresh_token)
  end)

  it("says what it cannot do", function()
    local _, _, err = asked { IDENTITY_ENDPOINT = "a", IDENTITY_HEADER = "b",
      IDENTITY_SERVER_THUMBPRINT = "c" }
    assert.matches("Service Fabric", err.message)
    for env, spec in pairs { [{ MSI_ENDPOINT = "a" }] = { client_id = "c" },
      [{ MSI_ENDPOINT = "a", MSI_SECRET = "b" }] = { object_id = "o" } } do
      _, _, err = asked(env, spec)
      assert.equal("cred.unavailable", err.reason)
      assert.matches("cannot be chosen", err.message)
    end
    local secret, bad = managed_identity.new({}, primitives {}):fetch("x", {})
    assert.is_nil(secret)
    assert.equal("config", bad.code)
  end)

  for _, way in ipairs { "imds", "app-service", "cloud-shell" } do
    emulated.spec("signs in at the emulator: " .. way, { machines = 1, sign_in = way }, function(e)
      for _, name in ipairs { "managed-identity", "default" } do
        local ended = program.run({ "machines", "--all", "--credential", name }, { env = e.env })
        assert.equal(0, ended.status, ended.err)
        assert.matches("web%-01", ended.out)
      end
      assert.equal(2, #e.log:find { event = "identity" })
    end)
  end

  local function source_in(e, spec, more)
    return within(e.env, function()
      return assert(managed_identity.new(spec, primitives(e.env, more)))
    end), assert(clouds.load(e.cloud)).scope
  end

  local function fetch(e, spec, more)
    local source, scope = source_in(e, spec, more)
    return within(e.env, function() return source:fetch(scope, {}) end)
  end

  emulated.spec("is asked for past any proxy (§8 row 27)", { machines = 1, sign_in = "imds" },
    function(e)
      local env = { HTTP_PROXY = "http://127.0.0.1:1", http_proxy = "http://127.0.0.1:1",
        ALL_PROXY = "http://127.0.0.1:1", NO_PROXY = "arc.localhost" }
      for name, value in pairs(e.env) do
        env[name] = env[name] or value
      end
      local ended = program.run({ "token", "--credential", "managed-identity" }, { env = env })
      assert.equal(0, ended.status, ended.err)
      assert.equal(1, #e.log:find { event = "identity" })
    end)

  emulated.spec("asks IMDS again while it is away", { machines = 1, sign_in = "imds" }, function(e)
    local slept = {}
    local sleep = { sleep = function(seconds) slept[#slept + 1] = seconds return true end }
    for _, status in ipairs { 404, 410, 429, 500 } do
      e:fault { at = "entra", kind = "answer", status = status, times = 1 }
    end
    assert.truthy(fetch(e, {}, sleep))
    assert.equal(4, #slept)
    e:fault { at = "entra", kind = "answer", status = 410 }
    local secret, err = fetch(e, {}, sleep)
    assert.is_nil(secret)
    assert.equal(10, #slept)
    local sum = 0
    for i = 5, 10 do
      sum = sum + slept[i]
    end
    assert.is_true(sum >= 70, sum) -- an update takes so long (§8 row 25)
    assert.is_false(err.retryable)
    e:clear()
    assert.truthy(fetch(e, { client_id = e.state.client_id, probe = true }))
    secret, err = fetch(e, { client_id = "other" }, sleep)
    assert.is_nil(secret)
    assert.matches("Identity not found", err.message)
    assert.not_equal("cred.unavailable", err.reason)
  end)

  it("passes over what is no virtual machine", function()
    for _, answer in ipairs { { status = 200, body = "<html>" },
      { status = 403, body = "a socket operation to an unreachable network" },
      { status = 405, body = "" }, false } do
      local source = managed_identity.new({ probe = true }, primitives({}, { http = {
        request = function(request)
          assert.is_nil(request.headers)
          assert.equal(1, request.timeout)
          return answer or nil, { code = "timeout", message = "no answer" }
        end } }))
      local secret, err = source:fetch(SCOPE, {})
      assert.is_nil(secret)
      assert.equal("cred.unavailable", err.reason)
    end
  end)

  emulated.spec("of the Arc agent: the key's file is read and sent", { machines = 1,
    sign_in = "arc" }, function(e)
    assert.truthy(fetch(e, { directory = e.state.identity.keys }))
    assert.same({}, e.state.identity.pending)
    local secret, err = fetch(e, {}) -- the agent's own directory is another
    assert.is_nil(secret)
    assert.equal("cred.identity-failed", err.reason)
  end)

  emulated.spec("of the Arc agent: another identity only where it is echoed (§8 row 32)",
    { machines = 1, sign_in = "arc" }, function(e)
      local keys = e.state.identity.keys
      for _, spec in ipairs { { client_id = e.state.client_id },
        { object_id = e.state.object_id } } do
        spec.directory = keys
        local secret, info = fetch(e, spec)
        assert.equal("<redacted>", tostring(secret), tostring(info))
      end
      local secret, err = fetch(e, { client_id = "other", directory = keys })
      assert.is_nil(secret)
      assert.equal(400, err.status)
      e.state.identity.old = true
      secret, err = fetch(e, { object_id = "other", directory = keys })
      assert.is_nil(secret)
      assert.equal("cred.identity-failed", err.reason)
      assert.matches("another identity than the one with the object id 'other'", err.message)
      assert.truthy(fetch(e, { directory = keys }))
    end)

  it("of the Arc agent: no other file is read, whatever it says", function()
    local dir = assert(core.sys.mkdtemp "arclua-spec-")
    local keys = dir .. "/keys"
    assert(core.sys.mkdir(keys .. "/sub", 448))
    for name, text in pairs { ["ok.key"] = ("k"):rep(4096), ["big.key"] = ("k"):rep(4097),
      ["a.txt"] = "k", ["empty.key"] = "", ["line.key"] = "k\r\nX: y", ["sub/a.key"] = "k",
      ["../out.key"] = "k" } do
      assert(core.sys.write_file(keys .. "/" .. name, text, 384))
    end
    os.execute(("cd %s && ln -s ok.key link.key && mkfifo fifo.key"):format(keys))
    local function try(challenge, status, endpoint)
      local env = { IDENTITY_ENDPOINT = endpoint or "http://localhost:1/t", IMDS_ENDPOINT = "x" }
      local sent
      local p = primitives(env, {
        http = { request = function()
          return { status = status or 401, headers = { ["www-authenticate"] = challenge },
            body = "" }
        end },
        token = { request = function(request)
          sent = request
          return core.secret "x", { expires_on = core.time() + 60 }
        end, arc_key = core.token.arc_key } })
      local secret, err = within(env, function()
        return managed_identity.new({ directory = keys }, p):fetch(SCOPE, {})
      end)
      return secret and sent, err
    end
    for _, challenge in ipairs { "Basic realm=%s/ok.key", 'basic REALM="%s/ok.key"' } do
      local sent = assert(try(challenge:format(keys)))
      assert.equal("Basic ", sent.headers.Authorization[1])
      assert.matches("api%-version=2020%-06%-01", sent.url)
    end
    for _, challenge in ipairs { "Basic realm=%s/big.key", "Basic realm=%s/a.txt",
      "Basic realm=%s/empty.key", "Basic realm=%s/sub/a.key", "Basic realm=%s/../out.key",
      "Basic realm=%s/link.key", "Basic realm=%s/fifo.key", "Basic realm=%s/absent.key",
      "Basic realm=%s//ok.key", "Basic realm=%s/./ok.key", "Basic realm=%s/.key", "", "Basic",
      "Basic realm=/etc/shadow.key", "Basic realm=%s/ok.key=", "Digest realm=%s/ok.key",
      "Basic realm=%s/ok.key, Basic realm=%s/ok.key" } do
      local sent, err = try((challenge:gsub("%%s", keys)))
      assert.is_nil(sent, challenge)
      assert.equal("cred.identity-failed", err.reason, challenge)
    end
    local good = "Basic realm=" .. keys .. "/ok.key"
    for _, case in ipairs { { nil }, { good, 200 }, { good, 401, "http://10.0.0.1:40342/t" },
      { good, 401, "https://localhost:1/t" },
      { good, 401, "http://localhost.evil.test:1/t" } } do
      local sent, err = try(table.unpack(case, 1, 3))
      assert.is_nil(sent)
      assert.equal("cred.identity-failed", err.reason)
    end
    if core.sys.getuid() == 0 then -- a file of somebody else
      assert(core.sys.chown(keys .. "/ok.key", 4242, 4242))
      local sent, err = try(good)
      assert.is_nil(sent)
      assert.matches("not the agent's own", err.message)
      assert(core.sys.chown(keys, 4242, 4242)) -- whose directory it is
      assert.truthy(try(good))
    end
    core.sys.remove(dir)
  end)

  it("of the Arc agent: a line break in the key is not sent", function()
    local secret, err = core.token.request { url = "http://127.0.0.1:1/",
      headers = { Authorization = { "Basic ", core.secret "k\r\nX: y" } } }
    assert.is_nil(secret)
    assert.equal("config", err.code)
  end)

  it("of the Arc agent: is not set up where nothing answers or nothing may be read", function()
    local env = { IDENTITY_ENDPOINT = "http://127.0.0.1:1/t", IMDS_ENDPOINT = "x" }
    local function try(more)
      return within(env, function()
        return managed_identity.new({ directory = "/d" }, primitives(env, more)):fetch(SCOPE, {})
      end)
    end
    local secret, err = try { http = { request = function()
      return nil, { code = "refused", message = "refused" }
    end } }
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
    secret, err = try { http = { request = function()
      return { status = 401, headers = { ["www-authenticate"] = "Basic realm=/d/a.key" } }
    end }, token = { arc_key = function() return nil, { code = "denied", message = "no" } end } }
    assert.is_nil(secret)
    assert.equal("cred.unavailable", err.reason)
    assert.matches("group himds", err.remedy)
  end)

  emulated.spec("'s service hides behind its path", { machines = 1, sign_in = "imds" }, function(e)
    local base = e.env.AZURE_POD_IDENTITY_AUTHORITY_HOST
    local path = "/metadata/identity/oauth2/token?resource=x"
    local function status(url, headers)
      return assert(core.http.request { url = url, headers = headers }).status
    end
    assert.equal(400, status(base .. path))
    assert.equal(400, status(base .. path, { Metadata = "true" }))
    assert.equal(404, status(base:match "^(http://[^/]+)" .. path, { Metadata = "true" }))
    assert.equal(421, status(base .. path, { Host = "evil.test" }))
  end)
end)
