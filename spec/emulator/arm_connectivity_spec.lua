-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local emulated = require "emulated"

local with = emulated.spec

local function code(body)
  return body.error.code
end

local function body_of(...)
  return (select(2, emulated.arm(...)))
end

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
    body = body_of(e, "GET", endpoint .. "/serviceConfigurations")
    assert.equal(1, #body.value)
    assert.equal(405, (emulated.arm(e, "POST", endpoint .. "/serviceConfigurations")))
    assert.equal(200, (emulated.arm(e, "DELETE", endpoint .. "/serviceConfigurations/SSH")))
    assert.equal(204, (emulated.arm(e, "DELETE", endpoint .. "/serviceConfigurations/SSH")))
    assert.equal(404, (emulated.arm(e, "GET", endpoint .. "/serviceConfigurations/SSH")))
    body = body_of(e, "GET", endpoint:match "^(.*)/default$")
    assert.equal(1, #body.value)
    assert.equal(200, (emulated.arm(e, "DELETE", endpoint)))
    assert.equal(204, (emulated.arm(e, "DELETE", endpoint)))
    body = body_of(e, "GET", endpoint:match "^(.*)/default$")
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
    local bare = body_of(e, "POST", url, { body = "" })
    assert.is_nil(bare.relay.serviceConfigurationToken)
    bare = body_of(e, "POST", url, { version = "2021-10-06-preview" })
    assert.is_nil(bare.relay.serviceConfigurationToken)
    assert.truthy(bare.relay.accessKey)
  end)
end)
