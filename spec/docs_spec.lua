-- SPDX-License-Identifier: MIT
-- The documentation: the reference is what its generator prints, every public function says what
-- it does and gives, and no link leads nowhere.
local api = dofile "docs/api.lua"
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local harness = require "harness"
local program = require "program"
local reports = require "arclua.report"

-- Functions that give nothing.
local NOTHING = { ["arc.shutdown"] = true, ["emulator:clear"] = true, ["emulator:stop"] = true,
  ["report:print"] = true, ["az:close"] = true, ["credential:close"] = true,
  ["forwards:close"] = true, ["forwards:detach"] = true, ["shell:resize"] = true }

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function documented()
  local set = {}
  for _, fn in ipairs(api.functions()) do
    set[fn.name] = true
  end
  return set
end

-- The functions of a table that no comment documents.
local function undocumented(list, prefix)
  local known, missing = documented(), {}
  for name, value in pairs(list) do
    if type(value) == "function" and not name:find "^__" and not known[prefix .. name] then
      missing[#missing + 1] = prefix .. name
    end
  end
  table.sort(missing)
  return table.concat(missing, " ")
end

local function pages()
  local list = { "README.md" }
  for _, name in ipairs(assert(core.sys.list "docs")) do
    if name:find "%.md$" then
      list[#list + 1] = "docs/" .. name
    end
  end
  table.sort(list)
  return list
end

-- text without what stands between code marks.
local function without_code(text)
  return (("\n" .. text):gsub("\n```.-\n```", "\n"):gsub("`[^`\n]*`", "code"))
end

-- The anchors of a page: its headings as GitHub names them.
local function anchors(path)
  local set = {}
  local text = ("\n" .. read(path)):gsub("\n```.-\n```", "\n")
  for title in text:gmatch "\n#+ ([^\n]+)" do
    set[(title:lower():gsub("[^%w%-_ ]", ""):gsub(" ", "-"))] = true
  end
  return set
end

local function resolve(page, link)
  local path = link:match "^[^#]*"
  if path == "" then
    return page
  end
  local dir = page:match "^(.*)/[^/]*$"
  while path:find "^%.%./" do
    dir, path = nil, path:sub(4)
  end
  return (dir and dir .. "/" or "") .. path:gsub("/$", "")
end

-- What is wrong with a link of a page, nil when nothing is.
local function broken(page, link)
  local path, anchor = resolve(page, link), link:match "#(.*)$"
  if not core.sys.stat(path) then
    return ("%s: %s"):format(page, link)
  elseif anchor and not anchors(path)[anchor] then
    return ("%s: no heading for %s"):format(page, link)
  end
  return nil
end

describe("the documentation", function()
  it("names specs that are there for every complaint it answers", function()
    local text, count = assert(core.sys.read_file "docs/from-az-ssh.md"), 0
    for name in text:gmatch "`([%w_/]+_spec)`" do
      count = count + 1
      assert.truthy(core.sys.stat("spec/" .. name .. ".lua"), name)
    end
    assert.is_true(count > 30)
  end)

  it("has the reference that its generator prints", function()
    assert.is_true(api.page() == read "docs/api.md",
      "docs/api.md is old: lua5.4 docs/api.lua > docs/api.md")
  end)

  it("says of every public function what it does and gives", function()
    local bad = {}
    for _, fn in ipairs(api.functions()) do
      local returns = fn.returns or fn.primitive or NOTHING[fn.name]
      if fn.text == "" or not returns then
        bad[#bad + 1] = fn.name
      end
    end
    assert.equal("", table.concat(bad, " "))
  end)

  it("knows the functions of the public tables", function()
    local arc = require "arclua"
    assert.equal("", undocumented(arc, "arc."))
    assert.equal("", undocumented(arc.credential, "arc.credential."))
    assert.equal("", undocumented(arc.errors, "arc.errors."))
    assert.equal("", undocumented(arc.json, "arc.json."))
    assert.equal("", undocumented(emulator, "arc.emulator."))
    assert.equal("", undocumented(getmetatable(require("arclua.machine").of {}), "machine:"))
    assert.equal("", undocumented(getmetatable(arc.fleet {}), "fleet:"))
    assert.equal("", undocumented(getmetatable(reports.new { results = {}, seconds = 0 }),
      "report:"))
  end)

  it("has no link that leads nowhere", function()
    local bad = {}
    for _, page in ipairs(pages()) do
      for link in without_code(read(page)):gmatch "%]%(([^)]+)%)" do
        bad[#bad + 1] = not link:find "^%a+:" and broken(page, link) or nil
      end
    end
    assert.equal("", table.concat(bad, "\n"))
  end)

  it("keeps tables narrow", function()
    local bad = {}
    for _, page in ipairs(pages()) do
      for line in read(page):gmatch "[^\n]+" do
        if line:find "^|" and (utf8.len(line) or #line) > 140 then
          bad[#bad + 1] = page .. ": " .. line
        end
      end
    end
    assert.equal("", table.concat(bad, "\n"))
  end)

  it("explains every reason", function()
    local text, bad = read "docs/guide.md", {}
    for name in pairs(core.reasons) do
      if not text:find("`" .. name .. "`", 1, true) then
        bad[#bad + 1] = name
      end
    end
    table.sort(bad)
    assert.equal("", table.concat(bad, " "))
  end)
end)

-- What the comments of an example say that it prints: "--> a   b"; a remark may follow after more
-- blanks.
local function promised(text)
  local list = {}
  for what in text:gmatch "%-%-> ([^\n]*)" do
    what = what:gsub("%s%s%s%s%s.*", ""):gsub("%.%.%.$", "")
    list[#list + 1] = what:gsub("%s+", " "):match "^%s*(.-)%s*$"
  end
  return list
end

describe("the examples of docs/scripts.md", function()
  local e, saved

  setup(function()
    e = assert(emulator.start { machines = 5 })
    saved = os.tmpname()
  end)

  teardown(function()
    e:stop()
    os.remove(saved)
    assert.equal("", harness.leftovers())
  end)

  local number = 0
  for example in read("docs/scripts.md"):gmatch "\n```lua\n(.-)```" do
    number = number + 1
    it("run and print what they say: " .. number, function()
      core.timeout(harness.LIMIT, function()
        local text = example:gsub('"run.jsonl"', ("%q"):format(saved))
        local ended = program.run({ "run", "-" }, { stdin = text, env = e.env })
        assert.not_matches("traceback", ended.err)
        assert.equal(example:find("exit_status", 1, true) and ended.status or 0, ended.status)
        local out = ended.out:gsub("%s+", " ")
        for _, what in ipairs(promised(example)) do
          assert.is_truthy(out:find(what, 1, true), what .. " is not in: " .. out)
        end
      end)
    end)
  end
end)
