-- SPDX-License-Identifier: MIT
local fake = require "fake"
local scope = require "arclua.scope"

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
    assert.same({ "a", "b" }, run { given = { "a", "b" }, configured = { "c" } })
    assert.same({ "c" }, run { configured = { "c" } })
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
