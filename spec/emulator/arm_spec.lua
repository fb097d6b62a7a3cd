-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local json = require "arclua.json"
local emulated = require "emulated"

local with = emulated.spec

local function subscription(e)
  return "/subscriptions/" .. e.state.subscriptions[1].id
end

local function machines_of(e)
  return subscription(e) .. "/providers/Microsoft.HybridCompute/machines"
end

local function code(body)
  return body.error.code
end

local function body_of(...)
  return (select(2, emulated.arm(...)))
end

describe("emulator: ARM", function()
  with("lists tenants, subscriptions, groups", { machines = 5, subscriptions = 2 }, function(e)
    local status, body, headers = emulated.arm(e, "GET", "/subscriptions", {
      headers = { ["x-ms-client-request-id"] = "abc",
        ["x-ms-return-client-request-id"] = "true" } })
    assert.equal(200, status)
    assert.equal(2, #body.value)
    assert.equal("abc", headers["x-ms-client-request-id"])
    assert.truthy(headers["x-ms-request-id"] and headers["x-ms-correlation-request-id"])
    body = body_of(e, "GET", "/tenants")
    assert.equal(e.env.AZURE_TENANT_ID, body.value[1].tenantId)
    body = body_of(e, "GET", subscription(e) .. "/resourcegroups")
    assert.equal(3, #body.value)
    body = body_of(e, "GET", subscription(e))
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
    local bad_token = emulated.token(e):gsub("%.[^.]+$", "." .. ("A"):rep(342))
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
    body = body_of(e, "POST", register .. "/register")
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
    body = body_of(e, "GET", e:machine("web-02").id)
    assert.equal("Disconnected", body.properties.status)
    e:clear()
    body = body_of(e, "GET", e:machine("web-02").id)
    assert.equal("Connected", body.properties.status)
    assert.is_true(e.log:count { event = "fault", at = "arm" } >= 3)
  end)
end)
