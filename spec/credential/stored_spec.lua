-- SPDX-License-Identifier: MIT
-- What a stored sign-in holds while it is used, and what is left of that after its close.
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local stored = require "arclua.credential.stored"

local TENANT = "22222222-2222-4222-8222-222222222222"

describe("a stored sign-in", function()
  local function wiped(secret)
    return not pcall(core.crypto.equal, secret, "x")
  end

  it("wipes keys and refresh tokens at its close, and secrets after each use", function()
    local key, rotated, from_file = core.secret "x", core.secret "x", core.secret "x"
    local account = { id = "i", kind = "user", username = "a", tenant = TENANT, oid = "o",
      client_id = "c", sealed = true }
    local source = stored.new(account, { cloud = fake.CLOUD, store = "/nowhere",
      core = fake.core { token = { request = fake.script {
        { "token", { expires_on = 1, refresh_token = rotated } } } },
        store = { secret = function() return from_file end, renew = function() return true end },
        keyring = { key = function() return key end } } })
    assert.equal("token", (source:fetch("s", {})))
    assert.is_true(wiped(from_file))
    assert.is_false(wiped(key))
    source:close()
    source:close()
    assert.is_true(wiped(key) and wiped(rotated))
  end)

  it("wipes what a person's second sign-in has brought", function()
    local renewed, closed = core.secret "x", 0
    local source = stored.new({ id = "i", kind = "user", username = "a", tenant = TENANT,
      oid = "o", client_id = "c" }, { cloud = fake.CLOUD, store = "/nowhere",
      core = fake.core { token = { request = fake.script { { nil, errors.new {
        reason = "entra.signed-out", message = "no" } } } },
        store = { secret = function() return core.secret "x" end } } })
    source.asking = { close = function() closed = closed + 1 renewed:close() end }
    local secret, err = source:fetch("s", {})
    assert.is_nil(secret)
    assert.matches("arclua login", err.remedy)
    source:close()
    assert.equal(1, closed)
    assert.is_true(wiped(renewed))
  end)
end)
