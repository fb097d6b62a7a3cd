-- SPDX-License-Identifier: MIT
local client = require "arclua.arm.client"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"

local both = harness.both

local function failure(status, fields)
  fields = fields or {}
  fields.status, fields.message = status, "status " .. status
  fields.code = fields.code or "unknown"
  return { nil, errors.new(fields), fields.page }
end

local function setup(answers)
  local request = fake.script(answers)
  local credential = fake.credential()
  local arm = client.new { cloud = fake.CLOUD, credential = credential,
    primitives = fake.core { arm = { request = request, relay_credentials = request } } }
  return arm, request, credential
end

local URL = "https://arm.test/subscriptions/s/x?api-version=1"

describe("ARM client", function()
  both("sends the token and gives the value", function()
    local arm, request = setup { { { a = 1 } } }
    assert.same({ a = 1 }, (arm:request { url = URL, method = "PUT", body = { b = 2 } }))
    local sent = request.calls[1][1]
    assert.equal('{"b":2}', sent.body)
    assert.equal("PUT", sent.method)
    assert.equal("<redacted>", tostring(sent.token))
  end)

  both("gets a new token after a 401, once, with the challenge's claims", function()
    local arm, request, credential = setup { failure(401, { code = "auth", page = { headers = {
      ["www-authenticate"] = 'Bearer realm="", claims="eyJhIjoxfQ=="' } } }), { true } }
    assert.is_true((arm:request { url = URL }))
    assert.equal(2, #request.calls)
    assert.equal('{"a":1}', credential.asked[2].claims)
    assert.truthy(credential.asked[2].stale)

    arm, request = setup { failure(401, { code = "auth" }) }
    local value, err = arm:request { url = URL }
    assert.is_nil(value)
    assert.equal(401, err.status)
    assert.equal(2, #request.calls)
  end)

  both("repeats 429 and 5xx, not 403, 404, 409", function()
    local arm, request = setup { failure(429, { code = "throttled", retry_after = 2 }),
      failure(500, { code = "unavailable" }), { true } }
    assert.is_true((fake.fast(arm.request, arm, { url = URL })))
    assert.equal(3, #request.calls)
    for status, code in pairs { [403] = "denied", [404] = "notfound", [409] = "conflict" } do
      arm, request = setup { failure(status, { code = code }) }
      local value, err = arm:request { url = URL }
      assert.is_nil(value)
      assert.equal(code, err.code)
      assert.equal(1, #request.calls)
    end
  end)

  both("gives up after four retries", function()
    local arm, request = setup { failure(503, { code = "unavailable" }) }
    local value, err = fake.fast(arm.request, arm, { url = URL })
    assert.is_nil(value)
    assert.equal(503, err.status)
    assert.equal(5, #request.calls)
  end)

  both("follows pages, also empty ones, and may translate", function()
    local arm, request = setup {
      { { value = { 1, 2 }, nextLink = URL .. "&p=2" } },
      { { value = {} }, nil, { next_link = URL .. "&p=3" } },
      { { value = { 3 } } },
    }
    assert.same({ 10, 20, 30 }, assert(arm:list(URL, function(n) return n * 10 end)))
    assert.equal(URL .. "&p=3", request.calls[3][1].url)
  end)

  both("never takes the token to another host", function()
    for _, link in ipairs { "https://evil.test/x", "https://arm.test.evil/x", "http://arm.test/x",
      "https://arm.test:444/x", "https://arm.test@evil/x" } do
      local arm, request = setup { { { value = {}, nextLink = link } } }
      local list, err = arm:list(URL)
      assert.is_nil(list)
      assert.equal("http.bad-answer", err.reason)
      assert.equal(1, #request.calls)
    end
  end)

  both("ends a ring of links, and names an answer that is no list", function()
    local arm = setup { { { value = {}, nextLink = URL } } }
    local list, err = arm:list(URL)
    assert.is_nil(list)
    assert.equal("http.bad-answer", err.reason)
    arm = setup { { true } }
    list, err = arm:list(URL)
    assert.is_nil(list)
    assert.equal("http.bad-answer", err.reason)
  end)

  both("says that there is no credential", function()
    local arm = client.new { cloud = fake.CLOUD, primitives = fake.core {},
      credential = { token = function()
        return errors.fail { reason = "cred.none", message = "none" }
      end } }
    local value, err = arm:request { url = URL }
    assert.is_nil(value)
    assert.equal("cred.none", err.reason)
  end)
end)
