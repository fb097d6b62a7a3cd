-- SPDX-License-Identifier: MIT
-- What ARM is asked for a selection.
local core = require "arclua.core"
local errors = require "arclua.errors"
local machines = require "arclua.machines"
local resource_id = require "arclua.resource_id"

-- An ARM of two subscriptions with three machines each; asked: the paths, in order.
local function setup(scope)
  local asked = {}
  local function entry(subscription, name)
    return { id = resource_id.machine(subscription, "rg", name), name = name, properties = {} }
  end
  local client = { url = function(_, path) return path end }
  function client.list(_, path, each)
    asked[#asked + 1] = path
    local subscription = path:match "^/subscriptions/([^/]+)"
    local out = {}
    for _, name in ipairs { "a", "b", "only-" .. subscription } do
      out[#out + 1] = each(entry(subscription, name))
    end
    return out
  end
  function client.request(_, opts)
    asked[#asked + 1] = opts.url
    local parts = resource_id.parse(opts.url)
    if parts.name == "gone" then
      return errors.fail { code = "notfound", status = 404, message = "gone" }
    elseif parts.name == "denied" then
      return errors.fail { code = "denied", status = 403, message = "no" }
    end
    return entry(parts.subscription, parts.name)
  end
  local nothing = { find = function() end, learn = function() end, fill = function() end }
  return { client = client, subscriptions = function() return scope or { "s1", "s2" } end,
    _known_machines = function() return nothing end, graph_refused = {} }, asked
end

local function find(selector, scope)
  local azure, asked = setup(scope)
  local list, err = machines.find(azure, selector)
  return list, err, asked
end

describe("finding machines where Resource Graph is refused", function()
  it("lists every subscription in scope", function()
    local list, _, asked = find {}
    assert.equal(6, #list)
    assert.equal(2, #asked)
  end)

  it("gets single machines for full names, without a list", function()
    local list, _, asked = find { names = { "s9/rg/a", resource_id.machine("s1", "rg", "b") } }
    assert.equal(2, #list)
    assert.same({ resource_id.machine("s9", "rg", "a"), resource_id.machine("s1", "rg", "b") },
      asked)
  end)

  it("lists when names are to be looked up", function()
    local list, _, asked = find { names = { "only-s1", "s9/rg/a" } }
    assert.equal(2, #list)
    assert.equal(3, #asked)
  end)

  it("takes --ids as they are, by the list when they are many", function()
    local list, _, asked = find { ids = { resource_id.machine("s3", "rg", "a") } }
    assert.equal(1, #list)
    assert.equal(1, #asked)
    local many = {}
    for i = 1, 12 do
      many[i] = resource_id.machine("s3", "rg", "a"):gsub("/a$", i % 2 == 0 and "/a" or "/B")
    end
    list, _, asked = find { ids = many }
    assert.equal(2, #list)
    assert.same({ "/subscriptions/s3/providers/Microsoft.HybridCompute/machines" }, asked)
  end)

  it("names what is not there, and passes other errors on", function()
    local list, err = find { names = "s1/rg/gone" }
    assert.is_nil(list)
    assert.equal("arm.machine-not-found", err.reason)
    list, err = find { ids = { resource_id.machine("s1", "rg", "gone") } }
    assert.is_nil(list)
    assert.equal("arm.machine-not-found", err.reason)
    list, err = find { names = "s1/rg/denied" }
    assert.is_nil(list)
    assert.equal("denied", err.code)
  end)

  it("resolves one machine, never a pattern or one of two", function()
    local azure = setup()
    assert.equal("only-s2", assert(machines.resolve(azure, "only-s2")).name)
    local machine, err = machines.resolve(azure, "a")
    assert.is_nil(machine)
    assert.equal("conflict", err.code)
    machine, err = machines.resolve(azure, "on*")
    assert.is_nil(machine)
    assert.equal("config", err.code)
  end)

  it("reads IDs from a file", function()
    local path = os.tmpname()
    assert(core.sys.write_file(path, "# c\n /a \r\n\n/b"))
    assert.same({ "/a", "/b" }, machines.read_ids(path))
    os.remove(path)
    local ids, err = machines.read_ids "/nonexistent"
    assert.is_nil(ids)
    assert.equal("notfound", err.code)
  end)
end)
