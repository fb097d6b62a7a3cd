-- SPDX-License-Identifier: MIT
-- What scripts ask ARM for: any resource, lists, Resource Graph, batches.
local arc = require "arclua"
local client = require "arclua.arm.client"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local json = require "arclua.json"

local HOST = "https://arm.test"

local function page(status, headers)
  return { status = status or 200, headers = headers or {} }
end

local function failure(status, fields)
  fields = fields or {}
  fields.status, fields.message, fields.code = status, "status " .. tostring(status),
    fields.code or "unknown"
  return { nil, errors.new(fields), page(status) }
end

local function setup(answers, log)
  local request = fake.script(answers)
  local arm = client.new { cloud = fake.CLOUD, credential = fake.credential(), log = log,
    primitives = fake.core { arm = { request = request, failure = core.arm.failure } } }
  return arm, request
end

local OK = { { { a = 1 }, nil, page(200, { etag = '"e1"' }) } }

local function sent(opts)
  local arm, request = setup(OK)
  local value, err = arm:request(opts)
  return request.calls[1] and request.calls[1][1], value, err
end

describe("az.arm:request", function()
  it("makes the URL, its names encoded once", function()
    local path = arc.arm.path("/subscriptions/%s/resourceGroups/%s/providers/P/x/%s", "S",
      "rg (test).v1", "a.b_c-d/%é")
    assert.equal("/subscriptions/S/resourceGroups/rg%20(test).v1/providers/P/x/"
      .. "a.b_c-d%2F%25%C3%A9", path)
    assert.equal(HOST .. path .. "?api-version=2025-01-13",
      sent { path = path, api_version = "2025-01-13" }.url)
    assert.equal(HOST .. "/a%20b/%20%C3%A9?api-version=1&$filter=name%20eq%20%27x%27&$top=5",
      sent { path = "/a b/%20é", api_version = "1",
        query = { ["$top"] = 5, ["$filter"] = "name eq 'x'" } }.url)
    assert.equal(HOST .. "/a?api-version=1&b=c",
      sent { path = "/a", api_version = "1", query = "b=c" }.url)
    assert.has_error(function() arc.arm.path("/%s/%s", "a") end)
  end)

  it("sends bodies, headers and ETags", function()
    local request = sent { path = "/a", api_version = "1", method = "PUT", body = {},
      headers = { ["X-Mine"] = "m" }, if_match = '"e"', if_none_match = "*", timeout = 5 }
    assert.equal("{}", request.body)
    assert.equal("m", request.headers["X-Mine"])
    assert.equal('"e"', request.headers["If-Match"])
    assert.equal("*", request.headers["If-None-Match"])
    assert.equal(5, request.timeout)
    assert.equal("[1]", sent { path = "/a", api_version = "1", method = "PUT", body = "[1]" }.body)
  end)

  it("names each request, and the run, for Azure's support", function()
    local arm, request = setup { failure(500, { code = "unavailable" }), OK[1], OK[1] }
    fake.fast(function()
      for _ = 1, 2 do
        assert(arm:request { path = "/a", api_version = "1" })
      end
    end)
    local ids = {}
    for i, call in ipairs(request.calls) do
      ids[i] = call[1].headers["x-ms-client-request-id"]
      assert.equal(request.calls[1][1].headers["x-ms-correlation-request-id"],
        call[1].headers["x-ms-correlation-request-id"])
    end
    assert.equal(ids[1], ids[2])
    assert.not_equal(ids[1], ids[3])
  end)

  it("gives value and answer", function()
    local arm = setup(OK)
    local value, err, answer = arm:request { path = "/a", api_version = "1" }
    assert.same({ a = 1 }, value)
    assert.is_nil(err)
    assert.equal('"e1"', answer.etag)
  end)

  it("raises what is wrong with the call", function()
    local arm = setup(OK)
    for _, opts in ipairs { { path = "/a" }, { api_version = "1" },
      { path = "a", api_version = "1" }, { path = "/a", api_version = "1", bodie = {} },
      { path = "/a", api_version = 1 } } do
      assert.has_error(function() arm:request(opts) end)
    end
  end)

  it("sends the token nowhere else", function()
    for _, url in ipairs { "https://evil.test/x", "https://arm.test.evil/x", "http://arm.test/x",
      "https://arm.test:444/x", "https://arm.test@evil/x" } do
      local request, value, err = sent { url = url }
      assert.is_nil(request)
      assert.is_nil(value)
      assert.equal("config", err.code)
    end
  end)

  it("sends once what must not run twice", function()
    local cases = { { "POST", "/subscriptions/s/x/installPatches", false },
      { "PATCH", "/subscriptions/s/x/a", false }, { "PUT", "/subscriptions/s/x/a", true },
      { "PUT", "/subscriptions/s/m/RunCommands/a", false }, { "GET", "/a", true },
      { "DELETE", "/subscriptions/s/m/runCommands/a", true },
      { "POST", "/providers/Microsoft.ResourceGraph/resources", true } }
    for _, case in ipairs(cases) do
      local arm, request = setup { failure(nil, { code = "closed" }), OK[1] }
      local value, err = fake.fast(arm.request, arm,
        { method = case[1], path = case[2], api_version = "1" })
      assert.equal(case[3], value ~= nil, case[2])
      assert.equal(case[3] and 2 or 1, #request.calls, case[2])
      assert.equal(not case[3] and "arm.outcome-unknown" or nil, err and err.reason)
    end
    local arm = setup { failure(nil, { code = "closed" }), OK[1] }
    assert.truthy((fake.fast(arm.request, arm,
      { method = "POST", path = "/a", api_version = "1", replay = true })))
  end)

  it("tells the tenant and the provider that are missing", function()
    local arm, request = setup { { nil, errors.new { reason = "arm.wrong-tenant", message = "m",
      status = 401 }, page(401, { ["www-authenticate"] =
        'Bearer authorization_uri="https://login.windows.net/T-1", error="invalid_token"' }) } }
    local _, err = arm:request { path = "/a", api_version = "1" }
    assert.equal("sign in to the tenant of the subscription: --tenant T-1", err.remedy)
    assert.equal(1, #request.calls)
    arm = setup { failure(409, { reason = "arm.provider-not-registered", target = "Microsoft.X" }) }
    _, err = arm:request { path = "/a", api_version = "1" }
    assert.truthy(err.remedy:find("--namespace Microsoft.X", 1, true))
  end)

  it("logs neither bodies nor signatures", function()
    local lines = {}
    local arm = setup(OK, function(_, text) lines[#lines + 1] = text end)
    arm:request { method = "PUT", url = HOST .. "/op/1?api-version=7&t=1&c=cert&s=sign",
      body = { protected = "hush" } }
    assert.same({ "PUT https://arm.test/op/1?api-version=7" }, lines)
  end)

  it("can be cancelled while it waits for another try", function()
    local arm = setup { failure(503, { code = "unavailable" }) }
    core.spawn(function()
      local task = core.spawn(arm.request, arm, { path = "/a", api_version = "1" })
      core.sleep(0.01)
      task:cancel()
      local value, err = task:await()
      assert.is_nil(value)
      assert.equal("cancelled", err.code)
    end):await()
  end)

  it("shares one pause after a 429, and nobody is lost", function()
    local started, refused = 0, 0
    local arm = client.new { cloud = fake.CLOUD, credential = fake.credential(),
      primitives = fake.core { arm = { request = function()
        started = started + 1
        core.sleep(1)
        if started <= 64 and refused < 5 then
          refused = refused + 1
          return nil, errors.new { code = "throttled", message = "m", status = 429,
            retry_after = 20 }, page(429)
        end
        return {}, nil, page()
      end } } }
    fake.fast(function()
      local since = core.now()
      local list = {}
      for i = 1, 64 do
        list[i] = i
      end
      local results = assert(arc.map(list, function()
        return (arm:request { path = "/subscriptions/s", api_version = "1" })
      end))
      assert.equal(64, #results)
      assert.equal(69, started)
      assert.is_true(core.now() - since >= 20)
    end)
  end)
end)

describe("az.arm:list", function()
  it("follows links to the end: absent, null or empty", function()
    for _, last in ipairs { false, "" } do
      local arm = setup { { { value = { 1 }, nextLink = HOST .. "/2" }, nil, page() },
        { { value = {}, nextLink = HOST .. "/3" }, nil, page() },
        { { value = { 2 }, nextLink = last or nil }, nil, page() } }
      assert.same({ 1, 2 }, arm:list { path = "/1", api_version = "1" })
    end
  end)

  it("translates, and leaves out", function()
    local arm = setup { { { value = { 1, 2, 3 } }, nil, page() } }
    assert.same({ 10, 30 }, arm:list { path = "/1", api_version = "1", each = function(n)
      return n ~= 2 and n * 10 or nil
    end })
    assert.has_error(function() arm:list { path = "/1", api_version = "1", each = 1 } end)
  end)

  it("ends a chain of ever new links", function()
    local n = 0
    local arm = client.new { cloud = fake.CLOUD, credential = fake.credential(),
      primitives = fake.core { arm = { request = function()
        n = n + 1
        return { value = {}, nextLink = HOST .. "/" .. n }, nil,
          page(200, { ["x-ms-ratelimit-remaining-tenant-reads"] = "99999" })
      end } } }
    local list, err = arm:list { path = "/x", api_version = "1" }
    assert.is_nil(list)
    assert.equal("http.bad-answer", err.reason)
    assert.equal(10000, n)
  end)

  it("gives no part of a list", function()
    local arm = setup { { { value = { 1 }, nextLink = HOST .. "/2" }, nil, page() },
      failure(403, { code = "denied" }) }
    local list, err = arm:list { path = "/1", api_version = "1" }
    assert.is_nil(list)
    assert.equal("denied", err.code)
  end)
end)

describe("az.arm:batch", function()
  local function entries(n)
    local list = {}
    for i = 1, n do
      list[i] = { path = "/r" .. i, api_version = "1" }
    end
    return list
  end

  local function body_of(call)
    return json.decode(call[1].body or "null")
  end

  it("sends twenty at a time, and sorts the answers", function()
    local arm, request
    local function reply(opts)
      local responses = {}
      for _, entry in ipairs(json.decode(opts.body).requests) do
        table.insert(responses, 1, { name = entry.name, httpStatusCode = 200,
          content = { url = entry.url } })
      end
      return { responses = responses }, nil, page()
    end
    arm, request = setup { reply }
    local out = assert(arm:batch(entries(41)))
    assert.equal(3, #request.calls)
    assert.equal(41, #out)
    for i = 1, 41 do
      assert.same({ value = { url = ("/r%d?api-version=1"):format(i) }, status = 200 }, out[i])
    end
    assert.equal(HOST .. "/batch?api-version=2020-06-01", request.calls[1][1].url)
    assert.equal("GET", body_of(request.calls[1]).requests[1].httpMethod)
  end)

  it("asks again, singly, for what was throttled, missing or misnamed", function()
    local arm, request = setup { { { responses = {
      { name = "3", httpStatusCode = 429, content = { error = { code = "x" } } },
      { name = "1", httpStatusCode = 404, headers = { ["x-ms-request-id"] = "rid" },
        content = { error = { code = "ResourceNotFound", message = "m" } } },
      { name = "9", httpStatusCode = 200, content = {} }, "what" } }, nil, page() },
      { { single = true }, nil, page() } }
    local out = assert(arm:batch(entries(3)))
    assert.equal("arm.not-found", out[1].err.reason)
    assert.equal("rid", out[1].err.tracking_id)
    assert.same({ single = true }, out[2].value)
    assert.same({ single = true }, out[3].value)
    assert.equal(3, #request.calls)
  end)

  it("does without where ARM offers none", function()
    local arm, request = setup { failure(404, { code = "notfound" }), { { 1 }, nil, page() } }
    assert.same({ 1 }, assert(arm:batch(entries(2)))[2].value)
    assert.equal(3, #request.calls)
  end)

  it("waits for a batch that is accepted only", function()
    local op = HOST .. "/batch/op"
    local arm = setup {
      { true, nil, { status = 202, headers = { location = op }, retry_after = 0 } },
      { true, nil, { status = 202, headers = {}, retry_after = 0 } },
      { { responses = { { name = "1", httpStatusCode = 200, content = { n = 1 } } } }, nil,
        page() } }
    local out = assert(fake.fast(arm.batch, arm, entries(1)))
    assert.same({ n = 1 }, out[1].value)
  end)

  it("takes GETs only, and gives up without a network", function()
    local arm = setup(OK)
    assert.has_error(function()
      arm:batch { { path = "/a", api_version = "1", method = "PUT" } }
    end)
    arm = setup { failure(nil, { code = "dns", retryable = false }) }
    local out, err = arm:batch(entries(1))
    assert.is_nil(out)
    assert.equal("dns", err.code)
  end)
end)

describe("arc.arm.same", function()
  it("compares without case", function()
    assert.is_true(arc.arm.same("/subscriptions/S/x/", "/Subscriptions/s/X"))
    assert.is_false(arc.arm.same("/subscriptions/s/x", "/subscriptions/s/y"))
  end)
end)
