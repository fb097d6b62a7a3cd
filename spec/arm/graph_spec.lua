-- SPDX-License-Identifier: MIT
-- Pages of Resource Graph, by an ARM that answers from a list.
local errors = require "arclua.errors"
local graph = require "arclua.arm.graph"

-- A client whose answers are given in turn: a value, or { err = ... }, or { value, headers }.
local function client_of(answers)
  local c = { sent = {}, slept = {}, logged = {}, now = 100 }
  c.core = { now = function() return c.now end, sleep = function(seconds)
    c.slept[#c.slept + 1] = seconds
    c.now = c.now + seconds
    return true
  end }
  function c.url(_, path, version)
    return path .. "?" .. version
  end
  function c.log(level, text)
    c.logged[#c.logged + 1] = level .. ": " .. text
  end
  function c.request(_, opts)
    c.sent[#c.sent + 1] = opts
    local answer = table.remove(answers, 1)
    if answer.err then
      return nil, answer.err
    end
    return answer[1] or answer, nil, { headers = answer.headers or {} }
  end
  return c
end

local function page(names, token, more)
  local out = { data = {}, totalRecords = 10, ["$skipToken"] = token, resultTruncated = "false" }
  for i, name in ipairs(names) do
    out.data[i] = { id = "/x/" .. name, name = name }
  end
  for key, value in pairs(more or {}) do
    out[key] = value
  end
  return out
end

local function run(answers, subscriptions)
  local client = client_of(answers)
  local rows, err = graph.query(client, "Resources", subscriptions or { "s1" })
  local names = {}
  for i, row in ipairs(rows or {}) do
    names[i] = row.name
  end
  return rows and table.concat(names, " "), err, client
end

describe("Resource Graph", function()
  it("follows $skipToken with the same query and scope (50)", function()
    local names, _, client = run { page({ "a", "b" }, "t1"), page({ "c" }, "t2"), page { "d" } }
    assert.equal("a b c d", names)
    assert.equal(3, #client.sent)
    for i, sent in ipairs(client.sent) do
      assert.equal("POST", sent.method)
      assert.equal("Resources", sent.body.query)
      assert.same({ "s1" }, sent.body.subscriptions)
      assert.equal(1000, sent.body.options["$top"])
      assert.equal("objectArray", sent.body.options.resultFormat)
      assert.equal(({ nil, "t1", "t2" })[i], sent.body.options["$skipToken"])
    end
  end)

  it("gives no part of a result that cannot be paged (51, 52)", function()
    for _, truncated in ipairs { "true", true, "True" } do
      local names, err = run { page({ "a" }, nil, { resultTruncated = truncated }) }
      assert.is_nil(names)
      assert.equal("limit", err.code)
      assert.matches("1 of 10 rows", err.message, 1, true)
      assert.matches("id", err.remedy, 1, true)
    end
    for _, whole in ipairs { "false", false } do
      assert.equal("a", (run { page({ "a" }, nil, { resultTruncated = whole }) }))
    end
    assert.equal("a", (run { page({ "a" }, "") })) -- an empty token is none
  end)

  it("reads the table format (53)", function()
    local names = run { { data = { columns = { { name = "id" }, { name = "name" } },
      rows = { { "/x/a", "a" }, { "/x/b", "b" } } } } }
    assert.equal("a b", names)
    local none, err = run { { data = { columns = { { name = "id" } }, rows = { {} } } } }
    assert.is_nil(none)
    assert.equal("http.bad-answer", err.reason)
  end)

  it("asks for 1,500 subscriptions in two requests, each ID once (56, 61)", function()
    local many = {}
    for i = 1, 1500 do
      many[i] = "s" .. i
    end
    local names, _, client = run({ page { "a", "b" }, page { "B", "c" } }, many)
    assert.equal("a b c", names)
    assert.equal(1000, #client.sent[1].body.subscriptions)
    assert.equal(500, #client.sent[2].body.subscriptions)
    assert.equal("s1500", client.sent[2].body.subscriptions[500])
  end)

  it("ends an endless chain of pages (58)", function()
    for what, answers in pairs {
      ["leads back"] = { page({ "a" }, "t1"), page({ "b" }, "t2"), page({ "c" }, "t1") },
      ["same token"] = { page({ "a" }, "t1"), page({ "b" }, "t1") },
      ["nothing new"] = { page({ "a" }, "t1"), page({ "a" }, "t2") },
      ["empty"] = { page({ "a" }, "t1"), page({}, "t2") },
    } do
      local names, err = run(answers)
      assert.is_nil(names, what)
      assert.equal("http.bad-answer", err.reason, what)
    end
  end)

  it("ends pages that go on for ever with something new", function()
    local answers = {}
    for p = 1, 5 do
      local names = {}
      for i = 1, 400 do
        names[i] = p .. "-" .. i
      end
      answers[p] = page(names, "t" .. p)
    end
    local names, err, client = run(answers)
    assert.is_nil(names)
    assert.equal("http.bad-answer", err.reason)
    assert.equal(3, #client.sent)
  end)

  it("says that only the first 10,000 subscriptions were searched (60)", function()
    local _, _, client = run { { page { "a" }, headers = {
      ["x-ms-tenant-subscription-limit-hit"] = "true" } } }
    assert.equal(1, #client.logged)
    assert.matches("^warn: .*10,000 subscriptions", client.logged[1])
  end)

  it("passes errors on, and answers of another shape", function()
    local names, err = run { { err = errors.new { code = "denied", message = "no" } } }
    assert.is_nil(names)
    assert.equal("denied", err.code)
    for _, answer in ipairs { { true }, { data = "x" }, { count = 1 } } do
      names, err = run { answer }
      assert.is_nil(names)
      assert.equal("http.bad-answer", err.reason)
    end
  end)
end)
