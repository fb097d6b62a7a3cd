-- SPDX-License-Identifier: MIT
local cache = require "arclua.arm.relay_cache"
local core = require "arclua.core"

local MACHINE = { id = "/subscriptions/S/resourceGroups/rg/providers/P/machines/web-01" }
local SAME = { id = MACHINE.id:upper() }

local function relayinfo(expires)
  return assert(core.relayinfo(([[{"relay":{"namespaceName":"ns","namespaceNameSuffix":"s.net",
    "hybridConnectionName":"a/b","accessKey":"k","expiresOn":%s}}]]):format(expires or "null")))
end

describe("relay cache", function()
  local dir, clock, lines

  before_each(function()
    dir, clock, lines = assert(core.sys.mkdtemp "arclua-cache"), { now = 1000 }, {}
  end)

  after_each(function()
    core.sys.remove(dir)
  end)

  local function new(whose, place)
    return cache.new { dir = place ~= false and (place or dir .. "/relay") or nil,
      whose = whose or "me", log = function(_, text) lines[#lines + 1] = text end,
      core = setmetatable({ time = function() return clock.now end }, { __index = core }) }
  end

  it("keeps credentials for later runs, until their last minute", function()
    new():put(MACHINE, nil, relayinfo(2000), 2222)
    local later = new()
    assert.is_true(later:has(SAME, nil))
    local kept = later:get(SAME, nil)
    assert.equal(2222, kept.port)
    assert.equal(kept.info, later:get(MACHINE, nil).info)
    clock.now = 1940
    assert.is_false(later:has(MACHINE, nil))
    assert.is_nil(later:get(MACHINE, nil))
    assert.is_nil(new():get(MACHINE, nil))
    assert.equal(0, #core.sys.list(dir .. "/relay"))
  end)

  it("keeps sign-ins, machines and ports apart", function()
    new():put(MACHINE, nil, relayinfo(2000), 22)
    assert.is_nil(new("you"):get(MACHINE, nil))
    assert.is_nil(new():get(MACHINE, 22))
    assert.is_nil(new():get({ id = MACHINE.id .. "0" }, nil))
  end)

  it("forgets in memory and in the file", function()
    local it = new()
    it:put(MACHINE, 22, relayinfo(2000), 22)
    it:drop(SAME, 22)
    assert.is_nil(it:get(MACHINE, 22))
    assert.is_nil(new():get(MACHINE, 22))
  end)

  it("keeps those without an expiry, and all without a directory, for this run only", function()
    local it = new()
    it:put(MACHINE, nil, relayinfo(), 22)
    assert.equal(22, it:get(MACHINE, nil).port)
    assert.is_nil(new():get(MACHINE, nil))
    it = new("me", false)
    it:put(MACHINE, nil, relayinfo(2000), 22)
    assert.is_true(it:has(MACHINE, nil))
    it:drop(MACHINE, nil)
    assert.is_false(it:has(MACHINE, nil))
    assert.is_nil(core.sys.list(dir .. "/relay"))
  end)

  it("does without files that cannot be used, and says so", function()
    assert(core.sys.write_file(dir .. "/file", "x", 384))
    local it = new("me", dir .. "/file/relay")
    it:put(MACHINE, nil, relayinfo(2000), 22)
    assert.truthy(lines[1]:find("not kept for later runs", 1, true))
    assert.equal(22, it:get(MACHINE, nil).port)
    new():put(MACHINE, nil, relayinfo(2000), 22)
    core.sys.chmod(dir .. "/relay", 511)
    lines = {}
    assert.is_nil(new():get(MACHINE, nil))
    assert.truthy(lines[1]:find("others may write", 1, true))
  end)
end)
