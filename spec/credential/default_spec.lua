-- SPDX-License-Identifier: MIT
local chain = require "arclua.credential.default"
local core = require "arclua.core"
local credential = require "arclua.credential"
local errors = require "arclua.errors"
local fake = require "fake"

local function member(name, err, optional)
  local self = { name = name, optional = optional, opened = 0 }
  function self.open()
    self.opened = self.opened + 1
    return { name = name, fetch = function()
      if err then
        return nil, errors.new(err)
      end
      return name, { expires_on = 1 }
    end }
  end
  return self
end

local ABSENT = { reason = "cred.unavailable", message = "X is not set", remedy = "set X" }
local REFUSED = { reason = "entra.bad-client", message = "wrong secret" }

describe("default chain", function()
  it("takes the first that works and keeps it", function()
    local first, second = member("one", ABSENT), member("two")
    local source = chain.new { first, second, member "three" }
    assert.equal("two", (source:fetch("s", {})))
    assert.equal("two", (source:fetch("s", {})))
    assert.equal(1, first.opened)
    assert.equal(1, second.opened)
  end)

  it("stops at one that is set up and refused", function()
    local source = chain.new { member("one", REFUSED), member "two" }
    local secret, err = source:fetch("s", {})
    assert.is_nil(secret)
    assert.equal("entra.bad-client", err.reason)
  end)

  it("wipes a member of its own that gave nothing, and nobody else's", function()
    for _, given in ipairs { false, true } do
      local closed = 0
      local source = chain.new { { name = "one", given = given, open = function()
        return { name = "one", fetch = function() return nil, errors.new(REFUSED) end,
          close = function() closed = closed + 1 end }
      end } }
      source:fetch("s", {})
      assert.equal(given and 0 or 1, closed)
    end
  end)

  it("passes over whatever an optional one says", function()
    local source = chain.new { member("one", REFUSED, true), member "two" }
    assert.equal("two", (source:fetch("s", {})))
  end)

  it("is made of any credentials", function()
    local absent = credential.azure_cli { cloud = fake.CLOUD, primitives = fake.core { token = {
      command = function() return nil, errors.new { code = "notfound", message = "no az" } end } } }
    local static = credential.static { token = "t", expires_on = core.time() + 3600 }
    local it_ = credential.chain { absent, static }
    assert.equal("<redacted>", tostring((it_:token "s")))
    local secret, err = credential.chain({ absent }):token "s"
    assert.is_nil(secret)
    assert.equal("cred.none", err.reason)
    assert.truthy(err.message:find("Azure CLI: the program az is not installed", 1, true))
    for _, bad in ipairs { {}, { 5 }, { { token = 1 } } } do
      assert.has_error(function() credential.chain(bad) end)
    end
  end)

  it("says that a password is no way in, where one is set", function()
    local function lines(env)
      return fake.env(env, function()
        local it_ = assert(credential.environment { cloud = fake.CLOUD })
        local secret, err = it_:token "s"
        assert.is_nil(secret)
        return err.message
      end)
    end
    assert.is_nil(lines({}):find("password", 1, true))
    local told = lines { AZURE_USERNAME = "u", AZURE_PASSWORD = "hush" }
    assert.truthy(told:find("AZURE_USERNAME and AZURE_PASSWORD is not supported", 1, true))
    assert.is_nil(told:find("hush", 1, true))
  end)

  it("takes a certificate that cannot be read for a refusal", function()
    local it_ = fake.env({ AZURE_TENANT_ID = "t", AZURE_CLIENT_ID = "c",
      AZURE_CLIENT_CERTIFICATE_PATH = "/nonexistent" }, function()
      local made = assert(credential.environment { cloud = fake.CLOUD })
      return select(2, made:token "s")
    end)
    assert.equal("notfound", it_.code)
    assert.matches("/nonexistent", it_.message)
  end)

  it("lists what it looked for, one line for each (§8 row 38)", function()
    local source = chain.new { member("client secret", ABSENT), member("Azure CLI", REFUSED, true) }
    local secret, err = source:fetch("s", {})
    assert.is_nil(secret)
    assert.equal("cred.none", err.reason)
    assert.equal("auth", err.code)
    local lines = {}
    for line in err.message:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.equal(3, #lines)
    assert.truthy(lines[2]:find("client secret: X is not set (set X)", 1, true))
    assert.truthy(lines[3]:find("Azure CLI: wrong secret", 1, true))
  end)
end)
