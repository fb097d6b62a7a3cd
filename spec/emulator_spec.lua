-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local json = require "arclua.json"
local emulator = require "arclua.emulator"
local emulated = require "emulated"
local harness = require "harness"
local raw = require "raw"
local both = harness.both

-- A spec that drives one emulator in a task.
local function with(name, opts, fn)
  it(name, function()
    core.spawn(core.timeout, harness.LIMIT, emulated.with, opts, fn):await()
    assert.equal("", harness.leftovers())
  end)
end

local function subscription(e)
  return "/subscriptions/" .. e.state.subscriptions[1].id
end

local function machines_of(e)
  return subscription(e) .. "/providers/Microsoft.HybridCompute/machines"
end

local function code(body)
  return body.error.code
end

describe("emulator: life", function()
  both("starts, is private, and leaves nothing", function()
    local dir, client
    emulated.with({ machines = 1 }, function(e)
      dir, client = e.dir, e.dir .. "/client"
      assert.equal(448, core.sys.stat(client).mode)
      for _, name in ipairs { "ca.pem", "cloud.json", "id_ed25519", "known_hosts" } do
        assert.equal(384, core.sys.stat(client .. "/" .. name).mode, name)
      end
      local cloud = json.decode(core.sys.read_file(e.cloud))
      assert.equal("environment", cloud.credential)
      assert.equal(("https://login.arc.localhost:%d"):format(e.port), cloud.authority)
      assert.equal(e.cloud, e.env.ARCLUA_CLOUD)
    end)
    assert.is_nil((core.sys.stat(dir)))
  end)

  both("can be stopped twice, and in mid-connection", function()
    local e = assert(emulator.start { machines = 1 })
    local to, from, process = raw.open(e.port, e.state.cloud.ca, "login.arc.localhost")
    to:write "GET / HTTP/1.1\r\n"
    e:stop()
    e:stop()
    raw.read(from)
    to:close()
    from:close()
    process:close()
  end)

  it("raises for what cannot be", function()
    for _, opts in ipairs { { machine = 1 }, { machines = "x" }, { throttle = "often" },
      { faults = { { at = "moon", kind = "full" } } }, { faults = { { at = "relay", kind = "x" } } },
      { faults = { { at = "relay", kind = "busy", tiems = 1 } } },
      { machines = { { name = "a b" } } }, { machines = { { name = "a" }, { name = "A" } } },
      { machines = { { name = "a", subscription = 2 } } } } do
      assert.has_error(function() emulator.start(opts) end)
    end
    assert.equal("", harness.leftovers())
  end)

  with("answers its names only", { machines = 1 }, function(e)
    local function ask(host)
      return raw.exchange(e.port, e.state.cloud.ca, "login.arc.localhost",
        "GET / HTTP/1.1\r\n" .. host .. "\r\n", "\r\n\r\n")
    end
    assert.truthy(ask("Host: evil.example\r\n"):find "^HTTP/1.1 421 ")
    assert.truthy(ask("Host: login.arc.localhost\r\n"):find "^HTTP/1.1 421 ")
    assert.truthy(ask(("Host: localhost:%d\r\n"):format(e.port)):find "^HTTP/1.1 421 ")
    assert.truthy(ask(""):find "^HTTP/1.1 400 ")
    assert.truthy(ask("A b\r\n"):find "^HTTP/1.1 400 ")
    assert.truthy(ask(("Host: LOGIN.arc.localhost:%d\r\n"):format(e.port)):find "^HTTP/1.1 404 ")
  end)
end)

describe("emulator: Entra", function()
  with("gives tokens to its application", { machines = 1, token_lifetime = 1234 }, function(e)
    local status, body = emulated.post(e)
    assert.equal(200, status)
    assert.equal("Bearer", body.token_type)
    assert.equal(1234, body.expires_in)
    local claims = json.decode(core.crypto.jwt_verify(e.state.key, body.access_token))
    assert.equal(e.env.AZURE_CLIENT_ID, claims.appid)
    assert.equal(e.env.AZURE_TENANT_ID, claims.tid)
    assert.equal(e.state.cloud.audience, claims.aud)
    assert.equal(1234, claims.exp - claims.iat)
    assert.equal(200, (emulated.post(e, { scope = "openid " .. e.state.cloud.audience
      .. "//.default" })))
  end)

  with("refuses with Entra's codes", { machines = 1 }, function(e)
    for _, case in ipairs {
      { { grant_type = false }, 400, "invalid_request", 900144 },
      { { grant_type = "password" }, 400, "unsupported_grant_type", 70003 },
      { { client_id = "x" }, 400, "unauthorized_client", 700016 },
      { { client_secret = "x" }, 401, "invalid_client", 7000215 },
      { { client_secret = false }, 401, "invalid_client", 7000218 },
      { { scope = false }, 400, "invalid_request", 900144 },
      { { scope = "a/.default b/.default" }, 400, "invalid_scope", 70011 },
      { { scope = e.state.cloud.audience }, 400, "invalid_scope", 1002012 },
      { { scope = "https://other/.default" }, 400, "invalid_resource", 500011 },
    } do
      local status, body = emulated.post(e, case[1])
      assert.equal(case[2], status)
      assert.equal(case[3], body.error)
      assert.equal(case[4], body.error_codes[1])
      assert.truthy(body.error_description:find("AADSTS" .. case[4] .. ": ", 1, true))
    end
    local status, body = emulated.post(e, nil, "elsewhere")
    assert.equal(400, status)
    assert.equal(90002, body.error_codes[1])
  end)

  with("has faults", { machines = 1 }, function(e)
    e:fault { at = "entra", kind = "answer", status = 429, error = "temporarily_unavailable",
      number = 90055, retry_after = 7, times = 1 }
    local status, body, headers = emulated.post(e)
    assert.equal(429, status)
    assert.equal(90055, body.error_codes[1])
    assert.equal("7", headers["retry-after"])
    assert.equal(200, (emulated.post(e)))
  end)
end)

describe("emulator: ARM", function()
  with("lists tenants, subscriptions, groups", { machines = 5, subscriptions = 2 }, function(e)
    local status, body, headers = emulated.arm(e, "GET", "/subscriptions", {
      headers = { ["x-ms-client-request-id"] = "abc", ["x-ms-return-client-request-id"] = "true" } })
    assert.equal(200, status)
    assert.equal(2, #body.value)
    assert.equal("abc", headers["x-ms-client-request-id"])
    assert.truthy(headers["x-ms-request-id"] and headers["x-ms-correlation-request-id"])
    _, body = emulated.arm(e, "GET", "/tenants")
    assert.equal(e.env.AZURE_TENANT_ID, body.value[1].tenantId)
    _, body = emulated.arm(e, "GET", subscription(e) .. "/resourcegroups")
    assert.equal(3, #body.value)
    _, body = emulated.arm(e, "GET", subscription(e))
    assert.equal("Enabled", body.state)
  end)

  with("pages the machines", { machines = 5, page_size = 2 }, function(e)
    local names, url, pages = {}, machines_of(e), 0
    while url do
      local status, body = emulated.arm(e, "GET", url)
      assert.equal(200, status)
      for _, machine in ipairs(body.value) do
        assert.is_nil(machine.resources)
        names[#names + 1] = machine.name
      end
      url, pages = body.nextLink, pages + 1
    end
    assert.same({ "web-01", "web-02", "db-01", "web-03", "web-04" }, names)
    assert.equal(3, pages)
    local _, body = emulated.arm(e, "GET", (machines_of(e):gsub("/providers",
      "/resourceGroups/RG-EDGE/providers")))
    assert.equal("web-03", body.value[1].name)
    assert.equal(1, #body.value)
    local status
    status, body = emulated.arm(e, "GET", machines_of(e) .. "?$skiptoken=x")
    assert.equal(400, status)
    assert.equal("InvalidSkipToken", code(body))
  end)

  with("shows one machine", { machines = { { name = "w.1", os = "windows", status = "Expired",
    tags = { a = "b" } } } }, function(e)
    local status, body = emulated.arm(e, "GET", "/" .. e:machine("w.1").id:upper()
      :gsub("%.", "%%2e"))
    assert.equal(200, status)
    assert.equal("windows", body.properties.osType)
    assert.equal("Expired", body.properties.status)
    assert.same({ a = "b" }, body.tags)
    assert.same({}, body.resources)
  end)

  with("checks in ARM's order", { machines = 1, registered = false }, function(e)
    local nowhere = "/subscriptions/00000000-0000-4000-8000-000000000000"
    local machine = e:machine("web-01").id
    local endpoint = emulated.endpoint(e, "web-01")
    local bad_token = emulated.token(e):sub(1, -3) .. "AA"
    local function expect(status, error_code, method, path, opts)
      local got, body = emulated.arm(e, method, path, opts)
      assert.equal(status, got, path)
      assert.equal(error_code, code(body), path)
    end
    expect(400, "MissingApiVersionParameter", "GET", nowhere, { version = false, token = false })
    expect(400, "InvalidApiVersionParameter", "GET", nowhere, { version = "new", token = false })
    expect(401, "AuthenticationFailed", "GET", nowhere, { token = false })
    expect(401, "InvalidAuthenticationToken", "GET", nowhere, { token = bad_token })
    expect(404, "SubscriptionNotFound", "GET", nowhere)
    expect(404, "NoRegisteredProviderFound", "GET", endpoint)
    expect(409, "MissingSubscriptionRegistration", "PUT", endpoint)
    local register = subscription(e) .. "/providers/Microsoft.HybridConnectivity"
    local _, body = emulated.arm(e, "GET", register)
    assert.equal("NotRegistered", body.registrationState)
    _, body = emulated.arm(e, "POST", register .. "/register")
    assert.equal("Registered", body.registrationState)
    expect(400, "InvalidResourceType", "GET", endpoint, { version = "2020-01-01" })
    expect(400, "InvalidResourceType", "GET", machine, { version = "2019-01-01" })
    expect(400, "InvalidResourceType", "GET", endpoint .. "/serviceConfigurations",
      { version = "2021-10-06-preview" })
    expect(404, "ResourceGroupNotFound", "GET", (machine:gsub("rg%-prod", "rg-none")))
    expect(404, "ResourceNotFound", "GET", machine .. "x")
    expect(404, "ResourceNotFound", "PUT", machine .. "x/providers/Microsoft.HybridConnectivity"
      .. "/endpoints/default")
    expect(405, "MethodNotAllowed", "DELETE", machine)
    expect(405, "MethodNotAllowed", "PATCH", endpoint)
    expect(405, "MethodNotAllowed", "PUT", endpoint:match "^(.*)/default$")
    for _, path in ipairs { "/x", subscription(e) .. "/x", machine .. "/x", endpoint .. "/x",
      subscription(e) .. "/providers/Microsoft.HybridConnectivity/x" } do
      expect(404, "InvalidResourceType", "GET", path)
    end
  end)

  with("knows whose tokens are good", { machines = 1, token_lifetime = 1 }, function(e)
    local function sign(changes)
      local claims = { aud = e.state.cloud.audience, tid = e.state.tenant,
        exp = math.floor(core.time()) + 100 }
      for key, value in pairs(changes) do
        claims[key] = value
      end
      return core.crypto.jwt_sign(e.state.key, '{"alg":"RS256"}', json.encode(claims))
    end
    for error_code, changes in pairs {
      InvalidAuthenticationTokenAudience = { aud = "https://graph" },
      InvalidAuthenticationTokenTenant = { tid = "other" },
      ExpiredAuthenticationToken = { exp = 1 },
    } do
      local status, body, headers = emulated.arm(e, "GET", "/subscriptions",
        { token = sign(changes) })
      assert.equal(401, status)
      assert.equal(error_code, code(body))
      assert.truthy(headers["www-authenticate"]:find(e.state.tenant, 1, true))
    end
    assert.equal(200, (emulated.arm(e, "GET", "/subscriptions", { token = sign {} })))
  end)

  with("throttles as documented, scaled", { machines = 1, throttle = 0.02 }, function(e)
    local statuses, after = {}, nil
    for i = 1, 6 do
      local status, body, headers = emulated.arm(e, "GET", subscription(e))
      statuses[i] = status
      if status == 429 then
        assert.equal("SubscriptionRequestsThrottled", code(body))
        after = tonumber(headers["retry-after"])
      end
    end
    assert.same({ 200, 200, 200, 200, 200, 429 }, statuses)
    assert.is_true(after >= 1)
  end)

  with("has faults", { machines = 2 }, function(e)
    e:fault { at = "arm", kind = "answer", method = "GET", path = "/machines$", status = 503,
      code = "ServerTimeout", retry_after = 5, after = 1, times = 1 }
    assert.equal(200, (emulated.arm(e, "GET", machines_of(e))))
    local status, body, headers = emulated.arm(e, "GET", machines_of(e))
    assert.equal(503, status)
    assert.equal("ServerTimeout", code(body))
    assert.equal("5", headers["retry-after"])
    assert.equal(200, (emulated.arm(e, "GET", machines_of(e))))
    local drop = e:fault { at = "arm", kind = "drop" }
    local answer, err = core.http.request { url = e.state.cloud.resource_manager .. "/",
      ca = e.state.cloud.ca }
    assert.is_nil(answer)
    assert.is_string(err.code)
    e:clear(drop)
    e:fault { at = "arm", kind = "black-hole", times = 1 }
    answer, err = core.http.request { url = e.state.cloud.resource_manager .. "/",
      ca = e.state.cloud.ca, timeout = 0.05 }
    assert.is_nil(answer)
    assert.equal("timeout", err.code)
    e:fault { at = "arm", kind = "slow", delay = 0.01, times = 1 }
    assert.equal(200, (emulated.arm(e, "GET", machines_of(e))))
    e:fault { at = "machine", kind = "offline", machine = "web-02" }
    _, body = emulated.arm(e, "GET", e:machine("web-02").id)
    assert.equal("Disconnected", body.properties.status)
    e:clear()
    _, body = emulated.arm(e, "GET", e:machine("web-02").id)
    assert.equal("Connected", body.properties.status)
    assert.is_true(e.log:count { event = "fault", at = "arm" } >= 3)
  end)
end)

describe("emulator: faults by chance", function()
  it("come in the same places for the same seed", function()
    local faults = require "arclua.emulator.faults"
    local function run(seed)
      local table_ = faults.new(seed)
      table_:add { at = "relay", kind = "slow", chance = 0.25 }
      local out = {}
      for i = 1, 400 do
        out[i] = table_:take("relay", "a") and "x" or "."
      end
      return table.concat(out)
    end
    local one, two = run(7), run(8)
    assert.equal(one, run(7))
    assert.not_equal(one, two)
    local _, count = one:gsub("x", "")
    assert.is_true(count > 60 and count < 140)
  end)
end)

describe("emulator: the log", function()
  with("is kept, and written to a file when asked", { machines = 1,
    log_file = os.tmpname() }, function(e)
    emulated.post(e)
    assert.equal(1, e.log:count { event = "token" })
    local lines = {}
    for line in core.sys.read_file(e.log.path):gmatch "[^\n]+" do
      lines[#lines + 1] = json.decode(line).event
    end
    assert.same({ "started", "token" }, lines)
    assert.is_nil(core.sys.read_file(e.log.path):find(e.env.AZURE_CLIENT_SECRET, 1, true))
    os.remove(e.log.path)
    local log = require("arclua.emulator.log").new()
    for _ = 1, 6000 do
      log:add "x"
    end
    assert.equal(5000, log:count())
  end)
end)

describe("emulator: connectivity", function()
  with("goes the way of 404, 412, 200", { machines = 1, setup = "none" }, function(e)
    local endpoint = emulated.endpoint(e, "web-01")
    local status, body = emulated.credentials(e, "web-01")
    assert.equal(404, status)
    assert.equal("ResourceNotFound", code(body))
    assert.equal(404, (emulated.arm(e, "GET", endpoint)))
    assert.equal(404, (emulated.arm(e, "GET", endpoint .. "/serviceConfigurations/SSH")))
    assert.equal(400, (emulated.arm(e, "PUT", endpoint, { body = "{}" })))
    assert.equal(400, (emulated.arm(e, "PUT", endpoint:gsub("default$", "other"),
      { body = '{"properties":{"type":"default"}}' })))
    status, body = emulated.arm(e, "PUT", endpoint,
      { body = '{"properties":{"type":"default"}}' })
    assert.equal(200, status)
    assert.equal("Succeeded", body.properties.provisioningState)
    status, body = emulated.credentials(e, "web-01")
    assert.equal(412, status)
    assert.equal("PreconditionFailed", code(body))
    for _, bad in ipairs { "{", "{}", '{"properties":{"serviceName":"X","port":22}}',
      '{"properties":{"serviceName":"SSH","port":0}}' } do
      assert.equal(400, (emulated.arm(e, "PUT", endpoint .. "/serviceConfigurations/SSH",
        { body = bad })))
    end
    assert.equal(404, (emulated.arm(e, "PATCH", endpoint .. "/serviceConfigurations/SSH",
      { body = '{"properties":{"serviceName":"SSH","port":23}}' })))
    status, body = emulated.arm(e, "PUT", endpoint .. "/serviceConfigurations/SSH",
      { body = '{"properties":{"serviceName":"SSH","port":"22"}}' })
    assert.equal(201, status)
    assert.equal(22, body.properties.port)
    assert.equal(200, (emulated.credentials(e, "web-01")))
    status, body = emulated.arm(e, "PATCH", endpoint .. "/serviceConfigurations/ssh",
      { body = '{"properties":{"port":2222}}' })
    assert.equal(200, status)
    assert.equal(2222, body.properties.port)
    _, body = emulated.arm(e, "GET", endpoint .. "/serviceConfigurations")
    assert.equal(1, #body.value)
    assert.equal(405, (emulated.arm(e, "POST", endpoint .. "/serviceConfigurations")))
    assert.equal(200, (emulated.arm(e, "DELETE", endpoint .. "/serviceConfigurations/SSH")))
    assert.equal(204, (emulated.arm(e, "DELETE", endpoint .. "/serviceConfigurations/SSH")))
    assert.equal(404, (emulated.arm(e, "GET", endpoint .. "/serviceConfigurations/SSH")))
    _, body = emulated.arm(e, "GET", endpoint:match "^(.*)/default$")
    assert.equal(1, #body.value)
    assert.equal(200, (emulated.arm(e, "DELETE", endpoint)))
    assert.equal(204, (emulated.arm(e, "DELETE", endpoint)))
    _, body = emulated.arm(e, "GET", endpoint:match "^(.*)/default$")
    assert.same({}, body.value)
  end)

  with("gives credentials of its own to each call", { machines = 1 }, function(e)
    local url = emulated.endpoint(e, "web-01") .. "/listCredentials"
    for _, seconds in ipairs { "599", "10801", "x", "-1" } do
      local status, body = emulated.arm(e, "POST", url .. "?expiresin=" .. seconds)
      assert.equal(400, status)
      assert.equal("BadRequest", code(body))
    end
    assert.equal(400, (emulated.arm(e, "POST", url, { body = "{" })))
    local before = math.floor(core.time())
    local _, one = emulated.arm(e, "POST", url .. "?expiresin=600",
      { body = '{"serviceName":"SSH"}' })
    local _, two = emulated.credentials(e, "web-01")
    assert.not_equal(one.relay.hybridConnectionName, two.relay.hybridConnectionName)
    assert.is_true(one.relay.expiresOn - before >= 600 and one.relay.expiresOn - before < 640)
    assert.equal(one.relay.expiresOn + 600, tonumber(one.relay.accessKey:match "&se=(%d+)"))
    assert.truthy(one.relay.serviceConfigurationToken)
    local _, bare = emulated.arm(e, "POST", url, { body = "" })
    assert.is_nil(bare.relay.serviceConfigurationToken)
    _, bare = emulated.arm(e, "POST", url, { version = "2021-10-06-preview" })
    assert.is_nil(bare.relay.serviceConfigurationToken)
    assert.truthy(bare.relay.accessKey)
  end)
end)
