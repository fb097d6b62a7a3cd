-- SPDX-License-Identifier: MIT
-- The query for a selection: texts stay inside their literals, and no machine is lost.
local arm_machines = require "arclua.arm.machines"
local emulated = require "arclua.emulator.kql"
local faults = require "arclua.emulator.faults"
local kql = require "arclua.arm.kql"
local lexer = require "arclua.emulator.kql.lexer"
local resource_id = require "arclua.resource_id"
local select_ = require "arclua.select"
local state = require "arclua.emulator.state"
local tables = require "arclua.emulator.graph_tables"

local function conditions(selector)
  return table.concat(kql.conditions(assert(select_.compile(selector))), " && ")
end

describe("a text in a query", function()
  for what, text in pairs {
    ["a quote"] = "it's", ["a backslash"] = "a\\", ["both"] = "\\'; Resources //",
    ["a bar"] = "x' | project secret", ["a newline"] = "a\nb\r\tc", ["a control byte"] = "\1\127",
    ["none"] = "", ["other letters"] = "größe 東京", ["a comment"] = "a // b",
    ["all bytes"] = "\0\1\31 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
  } do
    it("with " .. what .. " is one literal that means it (57)", function()
      local tokens = lexer.tokens(kql.quote(text))
      assert.equal(2, #tokens)
      assert.equal("string", tokens[1].kind)
      assert.equal(text, tokens[1].value)
    end)
  end

  it("that is no UTF-8 is made some", function()
    assert.equal("'a\u{FFFD}'", kql.quote "a\xFF")
  end)
end)

describe("the conditions of a selection", function()
  for expected, selector in pairs {
    ["name in~ ('WEB-01','db-01')"] = { names = { "WEB-01", "db-01" } },
    ["name startswith 'web-'"] = { name = "web-*" },
    ["name matches regex '(?i)^.*\\\\-.$'"] = { name = "*-?" },
    ["name matches regex '(?i)^[^a-c]x.*$'"] = { name = "[!a-c]x*" },
    ["name in~ ('a1','a2') && osType in~ ('linux','')"] = { name = "a{1,2}", os = "linux" },
    ["(name startswith 'b' and resourceGroup in~ ('rg-1'))"] = { name = "rg-1/b*" },
    ["resourceGroup in~ ('rg (x).1')"] = { resource_group = "RG (x).1" },
    ["not(name startswith 'x')"] = { exclude = "x*" },
    ["isnotnull(lowtags['cost center'])"] = { tag = "Cost Center" },
    ["tostring(lowtags['k']) =~ 'it\\'s|\\n'"] = { tag = { K = "it's|\n" } },
    ["osType in~ ('linux','')"] = { os = "Linux" },
    ["status =~ 'expired'"] = { status = "EXPIRED" },
    [""] = { all = true, status = "any", name = "*", exclude = "ä*", resource_group = "**" },
    ["status =~ 'connected'"] = { status = "connected", exclude = "*" },
  } do
    it("are " .. expected, function()
      assert.equal(expected, conditions(selector))
    end)
  end

  it("leave a filter out while a plain name is looked for", function()
    assert.equal("name in~ ('web-01')", conditions { names = "web-01", os = "windows" })
    assert.equal("(name in~ ('a') and resourceGroup in~ ('rg'))",
      conditions { names = "rg/a", os = "windows" })
  end)

  it("leave out what is too long for a query", function()
    local many = {}
    for i = 1, 501 do
      many[i] = "m" .. i
    end
    assert.equal("", conditions { names = many })
    assert.equal("", conditions { name = "m[1-600]" })
    assert.is_nil(kql.ids(many))
    many[501] = nil
    assert.matches("^name in~ %('m1',", conditions { names = many })
    assert.matches("^id in~ %('m1',", kql.ids(many))
    local globs = {}
    for i = 1, 21 do
      globs[i] = "a" .. i .. "*b"
    end
    assert.equal("", conditions { name = globs })
  end)
end)

-- What a selection is among all, and among those that its own query gives.
local function both(s, everything, selector)
  local selection = assert(select_.compile(selector))
  local text = kql.machines(resource_id.TYPES, kql.conditions(selection))
  local result, failure = emulated.run(text, tables.of(s, function() return true end))
  assert.is_nil(failure, failure and failure.why)
  local narrowed = {}
  for i, row in ipairs(result.rows) do
    narrowed[i] = assert(arm_machines.from_row(row))
  end
  local function ids(list)
    local found, err = select_.apply(selection, list)
    local out = {}
    for i, machine in ipairs(found or {}) do
      out[i] = machine.id
    end
    return err and err.message or table.concat(out, "\n")
  end
  return ids(everything), ids(narrowed), #narrowed
end

describe("the query over a mixed estate", function()
  local s = state.new { machines = 1500, alike = 20, seed = 5, subscriptions = 3 }
  s.faults = faults.new(1)
  local everything = {}
  setup(function()
    local result = emulated.run(kql.machines(resource_id.TYPES, {}),
      tables.of(s, function() return true end))
    for i, row in ipairs(result.rows) do
      everything[i] = arm_machines.from_row(row)
    end
    assert.equal(1500, #everything)
  end)

  local patterns = { "web-*", "{db,app}-1*", "*-0[1-3]", "[a-c]*-??", "web-[01-05,20]", "cache-*",
    "rg-prod*/web-*", "rg-prod/*", "*/rg-edge*/*", "nothing-*", "*", "vm-*" }
  for _, pattern in ipairs(patterns) do
    it("loses nothing of " .. pattern, function()
      local all, narrowed, count = both(s, everything, { name = pattern })
      assert.equal(all, narrowed)
      assert.is_true(pattern == "*" or count < 1500)
    end)
  end

  for what, selector in pairs {
    ["tags"] = { tag = { "Role=web", "env" } }, ["a tag with a quote"] = { tag = {
      OWNER = "O'Neill & Sons" } }, ["a tag with a blank"] = { tag = "cost center=4711" },
    ["groups"] = { resource_group = { "rg-prod-*", "rg (lab).v1" } },
    ["systems"] = { os = "windows", status = "connected" },
    ["expired"] = { status = "expired", exclude = "web*" }, ["first"] = { os = "linux", first = 3 },
    ["plain names"] = { names = { "web-01", "db-02" } },
    ["a plain name of another system"] = { names = "web-01", os = "windows" },
    ["nothing that is there"] = { names = { "web-01", "nope" } },
    ["one of those named twice"] = { names = "it's | not \\ there\n" },
  } do
    it("loses nothing by " .. what, function()
      local all, narrowed, count = both(s, everything, selector)
      assert.equal(all, narrowed)
      assert.is_true(count < 1500)
    end)
  end

  it("finds every machine by its own name and ID", function()
    for i = 1, #everything, 50 do
      local machine = everything[i]
      local full = ("%s/%s/%s"):format(machine.subscription, machine.resource_group, machine.name)
      local all, narrowed = both(s, everything, { names = machine.resource_group .. "/"
        .. machine.name })
      assert.equal(all, narrowed)
      assert.equal(machine.id, (both(s, everything, { names = full })))
    end
  end)

  it("has no machine that ARM's lists have not", function()
    for _, machine in ipairs(everything) do
      assert.is_not_nil(s.by_id[machine.id:lower()])
      assert.is_not_equal("Unknown", machine.status)
      assert.is_truthy(machine.os == "linux" or machine.os == "windows")
      assert.is_string(machine.agent_version)
    end
  end)
end)
