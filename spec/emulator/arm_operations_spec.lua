-- SPDX-License-Identifier: MIT
-- Long-running operations, batches, ETags of the emulator: the wire, then our own client on it.
local arc = require "arclua"
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"

local with = emulated.spec
local VERSION = "2025-01-13"
local LOGIN = { location = "westeurope", properties = { type = "AADSSHLoginForLinux",
  publisher = "Microsoft.Azure.ActiveDirectory" } }

local function extension(e, name)
  return e:machine("web-01").id .. "/extensions/" .. (name or "AADSSHLogin")
end

local function send(e, method, path, body, headers)
  return emulated.arm(e, method, path, { version = VERSION, headers = headers,
    body = body and json.encode(body) })
end

local function sign_in(e)
  return assert(arc.login { cloud = e.cloud, config = "none", credential =
    arc.credential.client_secret { tenant = e.env.AZURE_TENANT_ID, cloud = e.state.cloud,
      client_id = e.env.AZURE_CLIENT_ID, client_secret = e.env.AZURE_CLIENT_SECRET } })
end

local function put(e, opts)
  opts = opts or {}
  return sign_in(e).arm:request { method = "PUT", path = extension(e), api_version = VERSION,
    body = opts.body or LOGIN, wait = opts.wait or 20, progress = opts.progress }
end

describe("emulator: operations", function()
  with("go from Queued to Succeeded, with fresh links each time", { machines = 1,
    operation_time = 0.6 }, function(e)
    local status, body, headers = send(e, "PUT", extension(e), LOGIN)
    assert.equal(202, status)
    assert.is_nil(body)
    assert.equal("0", headers["retry-after"])
    local first = headers["azure-asyncoperation"]
    assert.is_true(#first > 3000)
    assert.truthy(headers.location:find("/operationresults/", 1, true))
    status, body, headers = send(e, "GET", first)
    assert.same({ 200, "Queued" }, { status, body.status })
    assert.not_equal(first, headers["azure-asyncoperation"])
    assert.equal(202, (send(e, "GET", headers.location)))
    core.sleep(0.4)
    body = select(2, send(e, "GET", headers["azure-asyncoperation"]))
    assert.equal("InProgress", body.status)
    body = select(2, send(e, "GET", extension(e)))
    assert.equal("Creating", body.properties.provisioningState)
    assert.is_nil(body.properties.instanceView)
    core.sleep(0.4)
    status, body, headers = send(e, "GET", first)
    assert.same({ 200, "Succeeded" }, { status, body.status })
    assert.equal("Succeeded", body.properties.properties.provisioningState)
    assert.is_nil(headers["azure-asyncoperation"])
  end)

  with("know their links byte for byte", { machines = 1 }, function(e)
    local _, _, headers = send(e, "PUT", extension(e), LOGIN)
    local link = headers["azure-asyncoperation"]
    assert.equal(403, (send(e, "GET", (link:gsub("&t=", "&T=")))))
    assert.equal(403, (send(e, "GET", (link:gsub("&s=", "&S=")))))
    assert.equal(403, (send(e, "GET", (link:gsub("operationstatus", "operationresults")))))
    assert.equal(404, (send(e, "GET", (link:gsub("operationstatus/%x+", "operationstatus/0")))))
    assert.equal(200, (send(e, "GET", link)))
  end)

  with("refuse a second one on the same type, and bad requests", { machines = 1 }, function(e)
    assert.equal(400, (send(e, "PUT", extension(e), { location = "westeurope" })))
    assert.equal(400, (send(e, "PUT", extension(e), { location = "mars",
      properties = LOGIN.properties })))
    assert.equal(404, (send(e, "GET", extension(e))))
    assert.equal(404, (send(e, "PATCH", extension(e), {})))
    assert.equal(204, (send(e, "DELETE", extension(e))))
    assert.equal(405, (send(e, "POST", extension(e), {})))
    assert.equal(202, (send(e, "PUT", extension(e), LOGIN)))
    local status, body = send(e, "PUT", extension(e, "other"), LOGIN)
    assert.same({ 409, "HCRP409" }, { status, body.error.code })
  end)
end)

describe("az.arm on the emulator", function()
  with("installs, changes, lists and removes an extension", { machines = 1, operation_time = 0.2 },
    function(e)
      local arm, seen = sign_in(e).arm, {}
      local value, err = put(e, { progress = function(word) seen[#seen + 1] = word end })
      assert.is_nil(err)
      assert.equal("Succeeded", value.properties.provisioningState)
      assert.equal(1, #assert(arm:list { path = extension(e, ""), api_version = VERSION }))
      value = assert(arm:request { method = "PATCH", path = extension(e), api_version = VERSION,
        body = { tags = { a = "b" } }, wait = true })
      assert.same({ a = "b" }, value.tags)
      assert.is_true((arm:request { method = "DELETE", path = extension(e), api_version = VERSION,
        wait = true }))
      value, err = arm:request { path = extension(e), api_version = VERSION }
      assert.is_nil(value)
      assert.same({ "arm.not-found", "HCRP404" }, { err.reason, err.service_code })
      assert.truthy(err.target:find("/AADSSHLogin", 1, true))
    end)

  with("assesses patches by Location alone", { machines = 1, operation_time = 0.2 }, function(e)
    local value = assert(sign_in(e).arm:request { method = "POST", api_version = VERSION,
      path = e:machine("web-01").id .. "/assessPatches", wait = true })
    assert.equal(4, value.availablePatchCountByClassification.security)
  end)

  local faults = {
    { { kind = "fail", code = "ExtensionOperationFailure", message = "exit code 23" },
      "arm.operation-failed", "Failed: ExtensionOperationFailure: exit code 23" },
    { { kind = "fail", code = "none" }, "arm.operation-failed", "ended as Failed" },
    { { kind = "cancel", code = "none" }, "arm.operation-failed", "ended as Canceled" },
    { { kind = "foreign-link" }, "http.bad-answer", "leads to another host" },
  }
  with("says what became of an operation", { machines = 1, operation_time = 0.1 }, function(e)
    for _, row in ipairs(faults) do
      row[1].at, row[1].times = "operation", 1
      e:fault(row[1])
      local value, err = put(e)
      assert.is_nil(value)
      assert.equal(row[2], err.reason)
      assert.truthy(err.message:find(row[3], 1, true), err.message)
      core.sleep(0.2)
    end
  end)

  with("gives up one that never ends", { machines = 1, operation_time = 0.1 }, function(e)
    e:fault { at = "operation", kind = "never" }
    local value, err = put(e, { wait = 1.5 })
    assert.is_nil(value)
    assert.equal("arm.operation-timeout", err.reason)
    assert.truthy(err.message:find("(InProgress)", 1, true))
  end)

  with("follows links that change, and bears a state that is gone", { machines = 1,
    operation_time = 0.5 }, function(e)
    e:fault { at = "operation", kind = "rotate", times = 1 }
    assert.truthy((put(e)))
    e:fault { at = "operation", kind = "gone", times = 1 }
    assert.truthy((put(e)))
    e:fault { at = "arm", kind = "answer", status = 500, path = "/operationstatus/", times = 2,
      retry_after = 0 }
    assert.truthy((put(e)))
  end)

  with("waits for another operation's end", { machines = 1, operation_time = 0.3 }, function(e)
    assert.equal(202, (send(e, "PUT", extension(e, "other"), LOGIN)))
    local before = core.scale(100)
    local value, err = core.shield(3000, put, e)
    core.scale(before)
    assert.is_nil(err)
    assert.equal("Succeeded", value.properties.provisioningState)
  end)

  with("changes only what is as it was read", { machines = 1 }, function(e)
    local arm = sign_in(e).arm
    local path = emulated.endpoint(e, "web-01") .. "/serviceConfigurations/SSH"
    local function request(opts)
      opts.path, opts.api_version = path, "2023-03-15"
      return arm:request(opts)
    end
    local body = { properties = { serviceName = "SSH", port = 2222 } }
    local _, _, answer = request {}
    assert.truthy(answer.etag)
    local value, err = request { method = "PUT", body = body, if_none_match = "*" }
    assert.is_nil(value)
    assert.equal("arm.precondition-failed", err.reason)
    assert.truthy((request { method = "PUT", body = body, if_match = answer.etag }))
    value, err = request { method = "PUT", body = body, if_match = answer.etag }
    assert.is_nil(value)
    assert.equal(412, err.status)
    assert.truthy((request { method = "PUT", body = body, if_match = "*" }))
    assert.is_true((request { method = "DELETE", if_match = "*" }))
    assert.is_true((request { method = "DELETE", if_match = answer.etag }))
    value, err = request { method = "PUT", body = body, if_match = "*" }
    assert.is_nil(value)
    assert.equal(412, err.status)
    assert.truthy((request { method = "PUT", body = body, if_none_match = "*" }))
  end)

  with("asks for many at once", { machines = 30 }, function(e)
    local arm, list = sign_in(e).arm, {}
    for i, machine in ipairs(e.state.machines) do
      list[i] = { path = machine.id, api_version = VERSION }
    end
    list[7].path = list[7].path .. "x"
    local function check()
      local out = assert(arm:batch(list))
      for i, machine in ipairs(e.state.machines) do
        if i == 7 then
          assert.equal("ResourceNotFound", out[i].err.service_code)
          assert.truthy(out[i].err.tracking_id)
        else
          assert.equal(machine.name, out[i].value.name)
        end
      end
    end
    check()
    assert.equal(2, e.log:count { event = "arm", path = "/batch" })
    e:fault { at = "arm", kind = "deferred", path = "^/batch$", times = 1 }
    check()
    local fault = e:fault { at = "arm", kind = "answer", status = 404, path = "^/batch$" }
    check()
    e:clear(fault)
    local status = send(e, "POST", "/batch", { requests = {} })
    assert.equal(400, status)
    assert.equal(400, (send(e, "POST", "/batch", { requests = json.array { { name = "a",
      url = "/batch?api-version=1" } } })))
  end)

  with("refuses pages without end, and links to others", { machines = 3, page_size = 1 },
    function(e)
      local path = "/subscriptions/" .. e.state.subscriptions[1].id
        .. "/providers/Microsoft.HybridCompute/machines"
      for _, kind in ipairs { "loop", "foreign-link" } do
        local fault = e:fault { at = "arm", kind = kind, path = "/machines$" }
        local list, err = sign_in(e).arm:list { path = path, api_version = VERSION }
        assert.is_nil(list)
        assert.equal("http.bad-answer", err.reason)
        assert.truthy(err.tracking_id and err.correlation_id)
        e:clear(fault)
      end
    end)
end)
