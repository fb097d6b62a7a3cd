-- SPDX-License-Identifier: MIT
local cached = require "arclua.credential.cached"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"

-- A source whose answers are made by fn(n), and a clock of its own.
local function setup(fn)
  local clock = { now = 1000 }
  local source = { name = "test", fetched = 0, forgotten = 0 }
  function source:fetch(scope, opts)
    self.fetched = self.fetched + 1
    self.scope, self.claims = scope, opts.claims
    self.tenant, self.early = opts.tenant, opts.early
    core.sleep(0.01)
    return fn(self.fetched, clock.now)
  end
  function source:forget()
    self.forgotten = self.forgotten + 1
  end
  local primitives = fake.core { time = function() return clock.now end }
  return cached.new(source, primitives), source, clock
end

local function token(life, refresh)
  return function(n, now)
    return "secret" .. n, { expires_on = now + life, refresh_on = refresh and now + refresh }
  end
end

local both = harness.both

describe("cached credential", function()
  both("asks once for 1,000 tasks", function()
    local credential, source = setup(token(3600))
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = core.spawn(function() return (credential:token "s") end)
    end
    for _, task in ipairs(tasks) do
      assert.equal("secret1", task:await())
    end
    assert.equal(1, source.fetched)
  end)

  both("asks once for 1,000 tasks whose token has ended", function()
    local credential, source, clock = setup(token(3600))
    credential:token "s"
    clock.now = clock.now + 3600
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = core.spawn(function() return (credential:token "s") end)
    end
    for _, task in ipairs(tasks) do
      assert.equal("secret2", task:await())
    end
    assert.equal(2, source.fetched)
  end)

  both("is of no use once it is closed, nor what it gave out", function()
    local credential, source = setup(function(_, now)
      return core.secret "x", { expires_on = now + 3600 }
    end)
    function source:close()
      self.closed = true
    end
    local secret = credential:token "s"
    credential:close()
    credential:close()
    assert.is_true(source.closed)
    assert.has_error(function() credential:token "s" end, "the credential is closed")
    assert.has_error(function() core.crypto.equal(secret, "x") end)
  end)

  both("wipes at its close what was refused, and what comes afterwards", function()
    local given = {}
    local credential = setup(function(n, now)
      given[n] = core.secret "x"
      return given[n], { expires_on = now + 3600 }
    end)
    credential:token("s", { stale = credential:token "s" })
    local late = core.spawn(function() return credential:token "other" end)
    core.sleep(0.002)
    credential:close()
    local secret, err = late:await()
    assert.is_nil(secret)
    assert.equal("cancelled", err.code)
    assert.equal(3, #given)
    for _, one in ipairs(given) do
      assert.has_error(function() core.crypto.equal(one, "x") end)
    end
  end)

  both("keeps a token until its last five minutes", function()
    local credential, source, clock = setup(token(3600))
    credential:token "s"
    clock.now = clock.now + 3299
    assert.equal("secret1", (credential:token "s"))
    clock.now = clock.now + 2
    assert.equal("secret2", (credential:token "s"))
    assert.equal(2, source.fetched)
  end)

  both("uses half the life of a short-lived one", function()
    local credential, source, clock = setup(token(200))
    credential:token "s"
    clock.now = clock.now + 99
    credential:token "s"
    assert.equal(1, source.fetched)
    clock.now = clock.now + 2
    credential:token "s"
    assert.equal(2, source.fetched)
  end)

  both("renews early, and lives on with the old token when that fails", function()
    local credential, source, clock = setup(function(n, now)
      if n == 2 then
        return errors.fail { code = "denied", message = "no" }
      end
      return "secret" .. n, { expires_on = now + 10000, refresh_on = now + 5000 }
    end)
    credential:token "s"
    clock.now = clock.now + 5001
    assert.equal("secret1", (credential:token "s"))
    assert.equal("secret1", (credential:token "s"))
    assert.equal(2, source.fetched)
    clock.now = clock.now + 31
    assert.equal("secret3", (credential:token "s"))
  end)

  both("with 299 s left is renewed, with 301 s not (§8 row 46)", function()
    local credential, source, clock = setup(token(3600))
    credential:token "s"
    clock.now = clock.now + 3299
    credential:token "s"
    assert.equal(1, source.fetched)
    clock.now = clock.now + 2
    credential:token "s"
    assert.equal(2, source.fetched)
  end)

  both("gives the old token while the service is down, and does not wait (§8 row 46)", function()
    local credential, source, clock = setup(function(n, now)
      if n > 1 then
        return errors.fail { reason = "entra.server-error", status = 503, message = "busy" }
      end
      return "secret1", { expires_on = now + 10000, refresh_on = now + 5000 }
    end)
    credential:token "s"
    clock.now = clock.now + 5001
    assert.equal("secret1", (credential:token "s"))
    assert.equal(2, source.fetched)
    assert.is_true(source.early)
    clock.now = clock.now + 4701 -- not usable any more
    local secret, err = credential:token "s"
    assert.is_nil(secret)
    assert.equal(503, err.status)
    assert.is_nil(source.early)
  end)

  both("does not take an answer without the claims that are needed", function()
    local credential, source = setup(token(3600))
    local plain = core.spawn(function() return (credential:token "s") end)
    core.sleep(0.002)
    local claimed, likewise = {}, {}
    for i = 1, 3 do
      claimed[i] = core.spawn(function() return (credential:token("s", { claims = "{}" })) end)
    end
    likewise[1] = core.spawn(function() return (credential:token "s") end)
    assert.equal("secret1", plain:await())
    for i = 1, 3 do
      assert.equal("secret2", claimed[i]:await())
    end
    assert.truthy(likewise[1]:await())
    assert.equal(2, source.fetched)
  end)

  both("keeps tenants apart (§8 row 39)", function()
    local credential, source = setup(token(3600))
    credential:token("s", { tenant = "A" })
    assert.equal("A", source.tenant)
    credential:token("s", { tenant = "a" })
    credential:token "s"
    assert.equal(2, source.fetched)
  end)

  both("holds a refusal for an hour at most", function()
    local credential, source, clock = setup(function()
      return errors.fail { reason = "entra.throttled", retry_after = 99999, message = "no" }
    end)
    credential:token "s"
    clock.now = clock.now + 3599
    credential:token "s"
    assert.equal(1, source.fetched)
    clock.now = clock.now + 2
    credential:token "s"
    assert.equal(2, source.fetched)
  end)

  both("replaces a token that was refused, once for all who hold it", function()
    local credential, source = setup(token(3600))
    local secret = credential:token "s"
    assert.equal("secret2", (credential:token("s", { stale = secret })))
    assert.equal("secret2", (credential:token("s", { stale = secret })))
    assert.equal(2, source.fetched)
    assert.equal(1, source.forgotten)
  end)

  both("asks again for claims, and keeps scopes apart", function()
    local credential, source = setup(token(3600))
    credential:token "s"
    credential:token("s", { claims = "{}" })
    assert.equal("{}", source.claims)
    credential:token "other"
    assert.equal(3, source.fetched)
  end)

  both("tells a refusal to all, without asking again at once", function()
    local credential, source, clock = setup(function()
      return errors.fail { code = "auth", message = "no" }
    end)
    local secret, err = credential:token "s"
    assert.is_nil(secret)
    assert.equal("auth", err.code)
    credential:token "s"
    assert.equal(1, source.fetched)
    clock.now = clock.now + 6
    credential:token "s"
    assert.equal(2, source.fetched)
  end)

  both("outlives the caller that was cancelled", function()
    local gate, open, give = core.cond(), false, token(3600)
    local credential = setup(function(...)
      while not open do
        gate:wait()
      end
      return give(...)
    end)
    local first = core.spawn(function() return credential:token "s" end)
    local second = core.spawn(function() return credential:token "s" end)
    core.sleep(0.002)
    first:cancel()
    local secret, err = first:await()
    assert.is_nil(secret)
    assert.equal("cancelled", err.code)
    open = true
    gate:broadcast()
    assert.equal("secret1", (second:await()))
  end)

  both("makes an error of a source that raises", function()
    local credential = setup(function() error "broken" end)
    local secret, err = credential:token "s"
    assert.is_nil(secret)
    assert.equal("unknown", err.code)
  end)
end)
