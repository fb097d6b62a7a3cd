-- SPDX-License-Identifier: MIT
local fake = require "fake"
local scope = require "arclua.scope"

local A = "a5c1e000-0000-4000-8000-00000000000a"
local B = "a5c1e000-0000-4000-8000-00000000000b"
local C = "a5c1e000-0000-4000-8000-00000000000c"

local function run(spec, visible)
  spec.cloud = fake.CLOUD
  local client = { url = function(_, path) return path end, list = function(_, _, each)
    local out = {}
    for _, id in ipairs(visible or {}) do
      out[#out + 1] = each { subscriptionId = id, displayName = "name of " .. id }
    end
    return out
  end }
  return scope.subscriptions(spec, client)
end

describe("scope", function()
  it("is what was given, before the configuration", function()
    assert.same({ A, B }, run { given = { A, B }, configured = { C } })
    assert.same({ C }, run { configured = { C } })
  end)

  it("knows subscriptions by name", function()
    assert.same({ B, A }, run({ given = { "Name of " .. B, A } }, { A, B }))
    local ids, err = run({ given = { "nothing" } }, { A })
    assert.is_nil(ids)
    assert.equal("notfound", err.code)
    assert.matches("'nothing'", err.message, 1, true)
    ids, err = scope.subscriptions({ given = { "twin" }, cloud = fake.CLOUD }, {
      url = function(_, path) return path end, list = function()
        return { { id = A, name = "Twin" }, { id = B, name = "twin" } }
      end })
    assert.is_nil(ids)
    assert.equal("conflict", err.code)
    assert.matches(B, err.message, 1, true)
  end)

  it("tells its choice without asking", function()
    assert.equal(A .. "," .. B, scope.key { given = { B:upper(), A }, cloud = fake.CLOUD })
    assert.equal("all", scope.key { all = true, cloud = fake.CLOUD })
    assert.equal("visible", scope.key { cloud = fake.CLOUD })
  end)

  it("is the only visible subscription", function()
    assert.same({ "x" }, run({}, { "x" }))
  end)

  it("lists the choice when several are visible", function()
    local ids, err = run({}, { "x", "y" })
    assert.is_nil(ids)
    assert.equal("config", err.code)
    assert.truthy(err.message:find("y  name of y", 1, true))
  end)

  it("says that nothing is visible", function()
    local ids, err = run({}, {})
    assert.is_nil(ids)
    assert.equal("denied", err.code)
  end)

  it("is all with --all-subscriptions", function()
    assert.same({ "x", "y" }, run({ all = true, configured = { "c" } }, { "x", "y" }))
  end)
end)
