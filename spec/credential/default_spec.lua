-- SPDX-License-Identifier: MIT
local chain = require "arclua.credential.default"
local errors = require "arclua.errors"

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

  it("passes over whatever an optional one says", function()
    local source = chain.new { member("one", REFUSED, true), member "two" }
    assert.equal("two", (source:fetch("s", {})))
  end)

  it("lists what it looked for, with the remedy of each", function()
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
