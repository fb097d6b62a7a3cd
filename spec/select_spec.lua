-- SPDX-License-Identifier: MIT
local select_ = require "arclua.select"
local resource_id = require "arclua.resource_id"

local function machine(name, fields)
  local m = { name = name, resource_group = "rg1", subscription = "s1", os = "linux",
    status = "Connected", tags = {} }
  for key, value in pairs(fields or {}) do
    m[key] = value
  end
  m.id = resource_id.machine(m.subscription, m.resource_group, name)
  return m
end

local FLEET = {
  machine("web-01", { tags = { Role = "web" } }),
  machine("web-02", { tags = { role = "web" }, status = "Disconnected" }),
  machine("db-01", { resource_group = "rg2", tags = { role = "db", env = "prod" } }),
  machine("win-01", { os = "windows", status = "Expired" }),
  machine("twin"), machine("twin", { resource_group = "rg2" }),
}

local function names(selector)
  local list, err = select_.apply(assert(select_.compile(selector)), FLEET)
  if not list then
    return err.code, err
  end
  local out = {}
  for i, m in ipairs(list) do
    out[i] = m.name
  end
  return table.concat(out, " ")
end

describe("select", function()
  it("takes all without a word, sorted", function()
    assert.equal("db-01 twin twin web-01 web-02 win-01", names {})
  end)

  it("or-s one kind and and-s kinds", function()
    assert.equal("db-01 web-01 web-02", names { names = { "web-*" }, name = "db-01" })
    assert.equal("web-01 web-02", names { tag = { role = "web" } })
    assert.equal("db-01 web-01 web-02", names { tag = { "role=web", "env" } })
    assert.equal("web-01", names { tag = "role=web", status = "connected" })
    assert.equal("db-01", names { resource_group = "rg2", tag = "role" })
    assert.equal("win-01", names { os = "windows" })
    assert.equal("", names { os = "windows", tag = "role" })
  end)

  it("excludes, and takes the first", function()
    assert.equal("web-01 web-02 win-01", names { exclude = { "db*", "twin" } })
    assert.equal("db-01 twin", names { first = 2 })
  end)

  it("knows groups, subscriptions and IDs as names", function()
    assert.equal("twin", names { names = "rg2/twin" })
    assert.equal("twin", names { names = "S1/RG1/twin" })
    assert.equal("db-01", names { names = FLEET[3].id:upper() })
    assert.equal("db-01 twin", names { names = "rg2/*" })
    assert.equal("db-01", names { ids = { FLEET[3].id } })
  end)

  it("names what is unknown or ambiguous", function()
    local code, err = names { names = { "nope", "web-01" } }
    assert.equal("notfound", code)
    assert.equal("arm.machine-not-found", err.reason)
    assert.truthy(err.message:find("nope", 1, true))
    code, err = names { names = "twin" }
    assert.equal("conflict", code)
    assert.truthy(err.message:find("s1/rg2/twin", 1, true))
    assert.equal("", (names { names = "nope*" }))
  end)

  for what, selector in pairs {
    ["--os"] = { os = "mac" }, ["--status"] = { status = "up" }, ["--tag"] = { tag = "=x" },
    ["--first"] = { first = 0 }, ["--ids"] = { ids = { "web-01" } }, glob = { name = "a[" },
    NAME = { names = "a/b/c/d" }, exclude = { exclude = "[" }, group = { resource_group = "[" },
  } do
    it("refuses a wrong " .. what, function()
      local selection, err = select_.compile(selector)
      assert.is_nil(selection)
      assert.equal("config", err.code)
    end)
  end

  it("raises on an unknown kind", function()
    assert.has_error(function() select_.compile { colour = "red" } end)
  end)

  it("knows whether anything was selected", function()
    assert.is_false(select_.is_given { names = {}, tag = {}, first = 1, exclude = { "x" } })
    assert.is_true(select_.is_given { all = true })
    assert.is_true(select_.is_given { names = { "x" } })
    assert.is_true(select_.is_given { ids = {} })
  end)
end)
