-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local emulated = require "emulated"
local known = require "arclua.known_machines"
local machine_name = require "arclua.machine_name"
local resource_id = require "arclua.resource_id"

local GROUP, OTHER = "rg (a).1", "rg-b"
local ARC, SCVMM = "Microsoft.HybridCompute/machines", "Microsoft.ScVmm/virtualMachines"

local function machine(name, group, kind)
  return { name = name, resource_group = group or GROUP, subscription = "s1", type = kind or ARC,
    id = resource_id.machine("s1", group or GROUP, name, kind) }
end

local function name(text)
  return assert(machine_name.compile(text))
end

describe("known machines", function()
  local dir
  before_each(function()
    emulated.later(0)
    dir = assert(core.sys.mkdtemp "known") .. "/machines"
  end)
  after_each(function()
    core.sys.remove((dir:gsub("/[^/]*$", "")))
    core.skew(0)
  end)

  local function open(who, refresh)
    return known.new({ "cloud", who or "me" }, "cloud", { refresh = refresh, dir = dir })
  end

  local function names(cloud)
    return known.names(cloud, dir)
  end

  it("are found by their names for minutes", function()
    local k = open()
    assert.is_nil(k:find(name "web-01"))
    k:fill { machine "web-01", machine "WEB-10", machine("old", nil, SCVMM) }
    assert.equal(machine("web-01").id, k:find(name "Web-01"))
    assert.equal(machine("WEB-10").id, k:find(name "web-10"))
    assert.equal(machine("web-01").id, k:find(name(GROUP .. "/web-01")))
    assert.is_nil(k:find(name(OTHER .. "/web-01")))
    assert.is_nil(k:find(name "web"))
    assert.is_nil(k:find(name "web-*"))
    assert.is_nil(k:find(name "s1"))
    assert.equal(SCVMM, resource_id.parse(k:find(name "old")).type)
    emulated.later(601)
    assert.is_nil(k:find(name "web-01"))
  end)

  it("are not guessed when two have the name", function()
    local k = open()
    k:fill { machine "twin", machine("twin", OTHER) }
    assert.is_nil(k:find(name "twin"))
    assert.equal(machine("twin", OTHER).id, k:find(name(OTHER .. "/twin")))
  end)

  it("are learnt and forgotten one by one", function()
    local k = open()
    k:learn { machine "a" }
    k:learn { machine "b" }
    k:learn { machine("a", OTHER) }
    assert.equal(machine("a", OTHER).id, k:find(name "a"))
    assert.equal(machine("b").id, k:find(name "b"))
    k:forget(name "a")
    assert.is_nil(k:find(name "a"))
    assert.equal(machine("b").id, k:find(name "b"))
  end)

  it("are of one sign-in and scope, and not used when refreshed", function()
    open("me"):fill { machine "a" }
    assert.is_nil(open("you"):find(name "a"))
    assert.is_nil(open("me", true):find(name "a"))
    assert.is_not_nil(open("me"):find(name "a"))
  end)

  it("propose names of a cloud for days", function()
    open("me"):fill { machine "b", machine "a" }
    open("you"):fill { machine "c", machine "a" }
    assert.same({ "a", "b", "c" }, names "cloud")
    assert.same({}, names "other")
    emulated.later(6 * 86400)
    assert.same({ "a", "b", "c" }, names "cloud")
    emulated.later(8 * 86400)
    assert.same({}, names "cloud")
  end)

  it("are forgotten with their file when nobody writes to it any more", function()
    local old = open "you"
    old:fill { machine "a" }
    emulated.later(8 * 86400)
    open("me"):fill { machine "b" }
    assert.is_nil(core.sys.stat(old.path))
  end)

  it("are in a file of the user's alone", function()
    local k = open()
    k:fill { machine "a" }
    assert.equal(384, core.sys.stat(k.path).mode & 511)
    assert.equal(448, core.sys.stat((k.path:gsub("/[^/]*$", ""))).mode & 511)
    core.sys.chmod(k.path, 438) -- 0666: others may have written it
    assert.is_nil(k:find(name "a"))
    assert.same({}, names "cloud")
  end)

  it("survive damage and hostile names", function()
    local k = open()
    k:fill { machine "a\tb", machine "c\nd", machine "ok" }
    assert.same({ "ok" }, names "cloud")
    assert(core.sys.write_file(k.path, "x\n12\tbroken\n" .. ("\t"):rep(20) .. "\n9\ta\tb"))
    assert.is_nil(k:find(name "a"))
    k:learn { machine "a" }
    assert.equal(machine("a").id, k:find(name "a"))
    core.sys.remove(dir)
    assert(core.sys.write_file(dir, "a file where the directory would be"))
    k:fill { machine "a" }
    assert.is_nil(k:find(name "a"))
  end)
end)
