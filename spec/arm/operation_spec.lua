-- SPDX-License-Identifier: MIT
local client = require "arclua.arm.client"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"

local HOST = "https://arm.test"
local URL = HOST .. "/subscriptions/s/providers/P/x/a?api-version=1"
local OP = HOST .. "/subscriptions/s/operations/1?api-version=1&t=1&c=%2f+/=&s=x"

-- One answer: { status, body, headers } of ARM as the primitive gives it.
local function answer(status, body, headers, retry_after)
  return { body == nil and true or body, nil,
    { status = status, headers = headers or {}, retry_after = retry_after or 0 } }
end

local function failure(status, fields)
  fields = fields or { code = "notfound" }
  fields.status, fields.message = status, "status " .. status
  return { nil, errors.new(fields), { status = status, headers = {} } }
end

local function setup(answers)
  local request = fake.script(answers)
  local arm = client.new { cloud = fake.CLOUD, credential = fake.credential(),
    primitives = fake.core { arm = { request = request, failure = core.arm.failure } } }
  return arm, request
end

-- Sends a request that waits: value, err, the URLs that were asked for after it.
local function run(opts, answers)
  local arm, request = setup(answers)
  opts.url, opts.wait = URL, opts.wait or true
  opts.method = opts.method or "PUT"
  local value, err = fake.fast(arm.request, arm, opts)
  local urls = {}
  for i = 2, #request.calls do
    urls[i - 1] = request.calls[i][1].url
  end
  return value, err, urls
end

local ASYNC = { ["azure-asyncoperation"] = OP }
local FINAL = answer(200, { name = "a" })

local function state(status, more)
  local body = { status = status }
  for key, value in pairs(more or {}) do
    body[key] = value
  end
  return body
end

describe("ARM operation", function()
  it("is polled by its state, then the resource is read", function()
    local seen = {}
    local value, err, urls = run({ progress = function(s) seen[#seen + 1] = s end }, {
      answer(202, nil, ASYNC), answer(200, state "Queued"), answer(200, state "InProgress"),
      answer(200, state "Succeeded"), FINAL })
    assert.is_nil(err)
    assert.same({ name = "a" }, value)
    assert.same({ OP, OP, OP, URL }, urls)
    assert.same({ "Queued", "InProgress" }, seen)
  end)

  it("goes on with the newest link, byte for byte", function()
    local newer = OP .. ("%2B"):rep(1300) .. "&t=2"
    local _, err, urls = run({}, { answer(202, nil, ASYNC),
      answer(200, state "Running", { ["azure-asyncoperation"] = newer }),
      answer(200, state "Running"), answer(200, state "succeeded"), FINAL })
    assert.is_nil(err)
    assert.same({ OP, newer, newer, URL }, urls)
  end)

  it("may begin with 200 and 201, by Location or by the resource alone", function()
    local location = { location = OP }
    local creating = { properties = { provisioningState = "Creating" } }
    local made = { properties = { provisioningState = "Succeeded" } }
    local rows = {
      { answer(201, creating, ASYNC), answer(200, state "Succeeded"), FINAL, urls = { OP, URL } },
      { answer(202, nil, location), answer(202, nil, location), answer(200, made), FINAL,
        urls = { OP, OP, URL } },
      { answer(201, creating, location), answer(200, made), FINAL, urls = { OP, URL } },
      { answer(201, creating), answer(200, creating), answer(200, made), urls = { URL, URL } },
      { answer(200, made), urls = {} },
      { answer(201, made, location), urls = {} },
      { answer(200, { name = "no properties" }), urls = {} },
    }
    for i, row in ipairs(rows) do
      local value, err, urls = run({}, row)
      assert.is_nil(err, i)
      assert.is_table(value, i)
      assert.same(row.urls, urls, i)
    end
  end)

  it("of a POST gives what Location has, or its last state", function()
    local value, err, urls = run({ method = "POST" }, { answer(202, nil, { location = OP }),
      answer(202, nil, { location = OP .. "&t=2" }), answer(200, { status = "Succeeded", n = 4 }) })
    assert.is_nil(err)
    assert.equal(4, value.n)
    assert.same({ OP, OP .. "&t=2" }, urls)
    local both = { ["azure-asyncoperation"] = OP, location = OP .. "&r" }
    value, err, urls = run({ method = "POST" }, { answer(202, nil, both),
      answer(200, state "Succeeded"), FINAL })
    assert.is_nil(err)
    assert.same({ name = "a" }, value)
    assert.same({ OP, OP .. "&r" }, urls)
    value = run({ method = "POST", final = "async" }, { answer(202, nil, both),
      answer(200, state("Succeeded", { properties = { out = 1 } })) })
    assert.same({ out = 1 }, value)
    value = run({ method = "POST" }, { answer(202, nil, ASYNC),
      answer(200, state("Succeeded", { properties = { out = 1 } })) })
    assert.same({ out = 1 }, value)
  end)

  it("of a DELETE ends with nothing", function()
    local value, err, urls = run({ method = "DELETE" }, { answer(202, nil, ASYNC),
      answer(200, state "Succeeded") })
    assert.is_nil(err)
    assert.is_true(value)
    assert.same({ OP }, urls)
    assert.is_true((run({ method = "DELETE" }, { answer(202, nil, { location = OP }),
      answer(204) })))
  end)

  it("tells why it failed, with and without Azure's words", function()
    local _, err = run({}, { answer(202, nil, ASYNC), answer(200, state("Failed", {
      error = { code = "ExtensionOperationFailure", message = "exit code 23", target = "t" } })) })
    assert.equal("arm.operation-failed", err.reason)
    assert.equal("the operation ended as Failed: ExtensionOperationFailure: exit code 23",
      err.message)
    assert.equal("ExtensionOperationFailure", err.service_code)
    assert.equal("t", err.target)
    for _, word in ipairs { "Failed", "Canceled" } do
      _, err = run({}, { answer(202, nil, ASYNC), answer(200, state(word)) })
      assert.equal("the operation ended as " .. word, err.message)
    end
    _, err = run({}, { answer(201, { properties = { provisioningState = "Creating" } }),
      answer(200, { properties = { provisioningState = "Failed" } }) })
    assert.equal("arm.operation-failed", err.reason)
  end)

  it("bears failures to read its state", function()
    local broken = failure(500, { code = "unavailable" })
    local value, err = run({}, { answer(202, nil, ASYNC), broken, broken,
      answer(200, state "Succeeded"), FINAL })
    assert.is_nil(err)
    assert.same({ name = "a" }, value)
    value, err = run({}, { answer(202, nil, ASYNC), broken })
    assert.is_nil(value)
    assert.equal("arm.operation-unknown", err.reason)
    assert.equal(OP, err.operation.poll)
  end)

  it("whose state is gone is judged by its resource", function()
    local made = { properties = { provisioningState = "Succeeded" } }
    local _, err, urls = run({}, { answer(202, nil, ASYNC), failure(404), answer(200, made),
      FINAL })
    assert.is_nil(err)
    assert.same({ OP, URL, URL }, urls)
    assert.is_true((run({ method = "DELETE" },
      { answer(202, nil, ASYNC), failure(404), failure(404) })))
    for _, method in ipairs { "POST", "DELETE" } do
      _, err = run({ method = method }, { answer(202, nil, ASYNC), failure(404),
        answer(200, made) })
      assert.equal("arm.operation-unknown", err.reason)
    end
  end)

  it("is waited for as long as ARM says, else half a minute", function()
    local clock, waits = { now = 0 }, {}
    local primitives = fake.core { now = function() return clock.now end,
      sleep = function(seconds)
        clock.now = clock.now + seconds
        waits[#waits + 1] = seconds
        return true
      end }
    local function page(status, retry_after)
      return { state(status), nil, { status = 200, headers = {}, retry_after = retry_after } }
    end
    primitives.arm = { request = fake.script {
      { true, nil, { status = 202, headers = ASYNC, retry_after = 15 } }, page("Running", 120),
      page "Running", page("Running", 9999), page("Succeeded"), FINAL } }
    local arm = client.new { cloud = fake.CLOUD, credential = fake.credential(),
      primitives = primitives }
    assert(arm:request { url = URL, method = "PUT", wait = true })
    assert.same({ 15, 120, 30, 600 }, waits)
  end)

  it("that never ends is given up, and can be taken up again", function()
    local answers = { answer(202, nil, ASYNC), answer(200, state "Running", {}, 10) }
    local arm, request = setup(answers)
    local value, err = fake.fast(arm.request, arm, { url = URL, method = "PUT", wait = 95 })
    assert.is_nil(value)
    assert.equal("arm.operation-timeout", err.reason)
    assert.equal("the operation is not over after 95 s (Running)", err.message)
    assert.is_true(#request.calls <= 12)
    answers[2] = answer(200, state "Succeeded")
    answers[3] = FINAL
    request.calls = { 1 }
    assert.same({ name = "a" }, (fake.fast(arm.poll, arm, err.operation)))
  end)

  it("can be cancelled while it is waited for", function()
    local arm = setup { answer(202, nil, ASYNC, 30) }
    core.spawn(function()
      local task = core.spawn(arm.request, arm, { url = URL, method = "PUT", wait = true })
      core.sleep(0.01)
      task:cancel()
      local value, err = task:await()
      assert.is_nil(value)
      assert.equal("cancelled", err.code)
    end):await()
  end)

  it("is handed over when nobody waits for it", function()
    local arm = setup { answer(202, nil, ASYNC, 15), answer(200, state "Succeeded"), FINAL }
    local value, err, page = arm:request { url = URL, method = "PUT" }
    assert.is_true(value)
    assert.is_nil(err)
    assert.same({ method = "PUT", url = URL, kind = "async", poll = OP, retry_after = 15 },
      page.operation)
    assert.same({ name = "a" }, (fake.fast(arm.poll, arm, page.operation)))
    assert.has_error(function() arm:poll {} end)
    local none, why = arm:poll { url = URL, poll = "https://evil.test/x" }
    assert.is_nil(none)
    assert.equal("config", why.code)
  end)

  it("never leads to another host", function()
    for _, name in ipairs { "azure-asyncoperation", "location" } do
      local headers = { [name] = "https://evil.test/op" }
      local _, err, urls = run({}, { answer(202, nil, headers) })
      assert.equal("http.bad-answer", err.reason)
      assert.same({}, urls)
      _, err, urls = run({}, { answer(202, nil, ASYNC), answer(200, state "Running", headers) })
      assert.equal("http.bad-answer", err.reason)
      assert.same({ OP }, urls)
    end
  end)

  it("without a state or a link is no operation", function()
    local _, err = run({}, { answer(202) })
    assert.equal("http.bad-answer", err.reason)
    _, err = run({}, { answer(202, nil, ASYNC), answer(200, {}) })
    assert.equal("http.bad-answer", err.reason)
  end)
end)
