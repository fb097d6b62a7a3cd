-- SPDX-License-Identifier: MIT
local json = require "arclua.json"
local kql = require "arclua.emulator.kql"
local regex = require "arclua.emulator.kql.regex"
local values = require "arclua.emulator.kql.values"

local NAMES = { "id", "name", "n", "tags", "at", "list" }

local function rows()
  return {
    { id = "/1", name = "web-01", n = 3, tags = { env = "Prod", Role = "web" }, at = "2026-01-01",
      list = json.array { 1, 2 } },
    { id = "/2", name = "web-02", n = 1, tags = { env = "test" },
      at = "2026-01-02T12:00:00.5000000Z", list = json.array {} },
    { id = "/3", name = "db-01", n = 2, tags = {}, list = json.array { json.null, "x" } },
    { id = "/4", name = "", at = "soon" },
  }
end

local TABLES = {
  resources = function() return rows(), kql.columns(NAMES) end,
  others = function()
    return { { key = "web-01", id = "o1" }, { key = "web-01", id = "o2" }, { key = "db-01" } },
      kql.columns { "key", "id" }
  end,
}

-- The rows as one text: columns joined by ",", rows by " ".
local function run(text)
  local result, failure = kql.run(text, TABLES)
  if not result then
    return nil, failure
  end
  local out = {}
  for i, row in ipairs(result.rows) do
    local cells = {}
    for c, name in ipairs(result.columns) do
      cells[c] = values.text(row[name] ~= json.null and row[name] or nil)
    end
    out[i] = table.concat(cells, ",")
  end
  return table.concat(out, " "), result
end

-- The names for which a condition holds.
local function where(condition)
  local text, failure = run("resources | where " .. condition .. " | project id")
  assert.is_nil(failure and failure.why)
  return (text:gsub("/", ""))
end

describe("Kusto: conditions", function()
  for condition, expected in pairs {
    ["name == 'web-01'"] = "1", ["name == 'WEB-01'"] = "", ["name =~ 'WEB-01'"] = "1",
    ["name != 'web-01'"] = "2 3 4", ["name !~ 'WEB-01'"] = "2 3 4",
    ["name in ('web-01', 'DB-01')"] = "1", ["name in~ ('web-01', 'DB-01')"] = "1 3",
    ["name !in ('web-01')"] = "2 3 4", ["name !in~ ('WEB-01')"] = "2 3 4",
    ["name contains 'B-0'"] = "1 2 3", ["name !contains 'b-0'"] = "4",
    ["name startswith 'WEB'"] = "1 2", ["name endswith '01'"] = "1 3", ["name has 'web'"] = "1 2",
    ["name has 'we'"] = "", ["name has_any ('db', 'x')"] = "3",
    ["name matches regex '^(web|db)-0[1]$'"] = "1 3", ["n > 1"] = "1 3",
    ["n >= 2 and n <= 2"] = "3",
    ["n < 2 or n == 3"] = "1 2", ["not(n > 1)"] = "2 4", ["n + 1 == 2"] = "2", ["-n == -3"] = "1",
    ["(n - 1) * 2 / 2 % 2 == 1"] = "3", ["isempty(name)"] = "4", ["isnotempty(name)"] = "1 2 3",
    ["isnull(n)"] = "4", ["isnotnull(n)"] = "1 2 3", ["tags['env'] =~ 'prod'"] = "1",
    ["tags.env == 'test'"] = "2", ["tags['ENV'] =~ 'prod'"] = "", ["isnotnull(tags.Role)"] = "1",
    ["todynamic(tolower(tostring(tags)))['role'] == 'web'"] = "1", ["list[1] == 2"] = "1",
    ["isnull(list[0])"] = "2 3 4", ["array_length(list) == 2"] = "1 3",
    ["todatetime(at) < datetime('2026-01-02')"] = "1", ["isnull(todatetime(at))"] = "3 4",
    ["datetime_diff('day', todatetime(at), datetime('2025-12-31')) == 2"] = "2",
    ["datetime_diff('hour', todatetime(at), datetime('2026-01-01')) == 36"] = "2",
    ["todatetime(at) + 1d > datetime('2026-01-03')"] = "2", ["now() > ago(5m)"] = "1 2 3 4",
    ["todatetime(at) - datetime('2026-01-01') == 36h"] = "",
    ["parse_version('1.9') < parse_version('1.31') and n == 1"] = "2",
    ["isnull(parse_version('1.x'))"] = "1 2 3 4", ["iff(n == 1, 'a', 'b') == 'a'"] = "2",
    ["substring(name, 0, 3) == 'web'"] = "1 2", ["indexof(name, '-') == 2"] = "3",
    ["strcat(name, '!', n) == 'db-01!2'"] = "3", ["strlen(name) == 5"] = "3",
    ["coalesce(name, 'none') == 'none'"] = "4", ["split(name, '-')[0] == 'db'"] = "3",
    ["toint('7') == 7 and todouble('1.5') > n"] = "2", ["tobool('true')"] = "1 2 3 4",
    ["toupper(name) == 'DB-01'"] = "3", ["true"] = "1 2 3 4", ["n == 1 // a comment\n"] = "2",
    ["name == @'web-01' or name == \"db\\x2D01\" or name == '\\u0064b'"] = "1 3",
  } do
    it(condition:gsub("\n", " "), function()
      assert.equal(expected, where(condition))
    end)
  end
end)

describe("Kusto: operators", function()
  for text, expected in pairs {
    ["Resources | count"] = "4", ["resources | take 2 | project id"] = "/1 /2",
    ["where n == 1 | project name"] = "web-02", -- Resources is meant
    ["resources | limit 1 | project x=n, toupper(name)"] = "3,WEB-01",
    ["resources | order by n | project id"] = "/1 /3 /2 /4",
    ["resources | sort by n asc, name desc | project id"] = "/4 /2 /3 /1",
    ["resources | order by name asc nulls last | project id"] = "/4 /3 /1 /2",
    ["resources | top 2 by n desc | project id"] = "/1 /3",
    ["resources | extend name=n, m=n+1 | where n == 1 | project id, name, m"] = "/2,1,2",
    ["resources | extend n=tags.Role | where id == '/2' | project id, n"] = "/2,",
    ["resources | where id == '/2' | project-away tags, list, at, n"] = "/2,web-02",
    ["resources | summarize count()"] = "4",
    ["resources | where n > 5 | summarize count(), sum(n)"] = "0,0",
    ["resources | summarize c=count(), s=sum(n), make_list(n), m=max(n) by w=substring(name, 0, 2)"]
      = "we,2,4,[3,1],3 db,1,2,[2],2 ,1,0,[],",
    ["resources | summarize dcount(substring(name, 0, 2)), min(n), countif(n > 1), make_set(n)"]
      = "3,1,2,[3,1,2]",
    ["resources | distinct substring(name, 0, 2)"] = "we db ",
    ["resources | mv-expand list | project id, list"] = "/1,1 /1,2 /3, /3,x",
    ["resources | mv-expand bagexpansion=array tags | project id, tostring(tags[0])"]
      = "/1,Role /1,env /2,env",
    ["resources | mv-expand t=tags | project id, t"]
      = '/1,{"Role":"web"} /1,{"env":"Prod"} /2,{"env":"test"}',
    ["resources | join kind=inner (others | project name=key, o=id) on name | project id, o, name1"]
      = "/1,o1,web-01 /1,o2,web-01 /3,,db-01",
    ["resources | join (others) on $left.name == $right.key | project id, id1"] = "/1,o1 /1,o2 /3,",
    ["resources | join kind=leftouter (others | where id == 'o2') on $left.name == $right.key "
      .. "| project id, id1"] = "/1,o2 /2, /3, /4,",
    ["resources | join kind=leftanti (others | project name=key) on name | project id"] = "/2 /4",
    ["resources | join kind=leftsemi (others | project name=key) on name | project id"] = "/1 /3",
    ["resources | where id == '/1' | project tags.env, tags['Role']"] = "Prod,web",
    ["(resources | take 1)"] = nil,
  } do
    it(text, function()
      local got, result = run(text)
      assert.equal(expected, got, type(result) == "table" and result.why or nil)
    end)
  end

  it("name the columns of what has no name", function()
    local _, result = run "resources | project tags.env, strlen(name), n, strlen(id)"
    assert.same({ "tags_env", "Column1", "n", "Column2" }, result.columns)
    _, result = run "resources | summarize count(), make_list(n), dcount(name) by name"
    assert.same({ "name", "count_", "list_n", "dcount_name" }, result.columns)
    assert.is_false(result.limited)
    assert.is_true(select(2, run "resources | take 5").limited)
  end)
end)

describe("Kusto: what cannot be read", function()
  for text, case in pairs {
    ["Resources | wher x"] = { 1, 13, "wher", "no operator 'wher'" },
    ["Resources\n| where name ==\n  "] = { 3, 3, "<EOF>", "a value expected" },
    ["Resources | evaluate bag_unpack(tags)"] = { 1, 13, "evaluate", "no operator" },
    ["Resources | make-series count()"] = { 1, 13, "make", "make-series" },
    ["Resources | where nme == 1"] = { 1, 19, "nme", "expression named 'nme'" },
    ["Resources | where strcmp(name) == 1"] = { 1, 19, "strcmp", "no function 'strcmp'" },
    ["Resources | where tolower() == 1"] = { 1, 19, "tolower", "number of arguments" },
    ["Tables | take 1"] = { 1, 1, "Tables", "no table 'Tables'" },
    [""] = { 1, 1, "<EOF>", "no table" },
    ["Resources | where name == 'x"] = { 1, 27, "'", "has no end" },
    ["Resources | where name == '\\q'"] = { 1, 27, "'", "no escape" },
    ["Resources | where (name == 'x'"] = { 1, 31, "<EOF>", "')' expected" },
    ["Resources | take x"] = { 1, 18, "x", "a number expected" },
    ["Resources | project id id"] = { 1, 24, "id", "'|' or the end" },
    ["Resources | where name ? 1"] = { 1, 24, "?", "no token" },
    ["Resources | where name matches regex '('"] = { 1, 24, "matches", "the pattern" },
    ["Resources | where name matches x"] = { 1, 32, "x", "regex 'PATTERN'" },
    ["Resources | where name in (n)"] = { 1, 24, "in", "in the list" },
    ["Resources | summarize percentile(n)"] = { 1, 23, "percentile", "summarizes by" },
    ["Resources | summarize sum() by n"] = { 1, 23, "sum", "argument" },
    ["Resources | join kind=fullouter (others) on id"] = { 1, 23, "fullouter", "joins by kind" },
    ["Resources | join (others) on nme"] = { 1, 30, "nme", "named 'nme'" },
    ["Resources | mv-expand tags, list"] = { 1, 33, "<EOF>", "one column" },
    ["Resources | order by name nulls middle"] = { 1, 33, "middle", "first or last" },
    ["Resources | where tags.[1]"] = { 1, 24, "[", "a member's name" },
    ["Resources | where tags[x]"] = { 1, 24, "x", "a name in quotes" },
  } do
    it(("is told by its place: %q"):format(text), function()
      local got, failure = run(text)
      assert.is_nil(got)
      assert.same({ case[1], case[2], case[3] }, { failure.line, failure.column, failure.token })
      assert.matches(case[4], failure.why, 1, true)
    end)
  end
end)

describe("Kusto: regular expressions", function()
  for pattern, case in pairs {
    ["^a.c$"] = { "abc a-c", "ac abbc" }, ["b+"] = { "abbc b", "ac" },
    ["^(?i)WEB"] = { "web-1", "xweb" }, ["^(ab|c)*d$"] = { "d abd cabd", "abcx" },
    ["^a{2,3}$"] = { "aa aaa", "a aaaa" }, ["^a{2}$"] = { "aa", "aaa" },
    ["^a{2,}$"] = { "aaaa", "a" },
    ["^[a-c_]+$"] = { "abc_", "abd" }, ["^[^a-c]$"] = { "d", "a" },
    ["^\\d+\\.\\w$"] = { "12.x", "12x" },
    ["^(?:x|y)?z$"] = { "z xz", "xyz" },
    ["^[\\d-]+$"] = { "1-2", "a" }, ["^.$"] = { "ä x", "ab" },
    ["\\bcat\\b"] = { "cat", "concat" },
    ["^a*?b$"] = { "aab", "aac" }, ["^(a*)*$"] = { "aaa", "b" },
    ["^(?i)[A-C]$"] = { "b C", "d" }, ["^\\\\$"] = { "\\", "x" },
  } do
    it(pattern, function()
      local test = assert(regex.compile(pattern))
      for text in case[1]:gmatch "%S+" do
        assert.is_true(test(text), text)
      end
      for text in case[2]:gmatch "%S+" do
        assert.is_false(test(text), text)
      end
    end)
  end

  it("that cannot be are refused", function()
    for _, pattern in ipairs { "(", ")", "*a", "[a", "\\", "(?=a)", "\\q" } do
      local test, why = regex.compile(pattern)
      assert.is_nil(test, pattern)
      assert.is_string(why)
    end
  end)

  it("that try too much are given up", function()
    local test = assert(regex.compile "^(a|a)*b$")
    assert.has_error(function() test(("a"):rep(60)) end)
    local got, failure = run("resources | where '" .. ("a"):rep(60)
      .. "' matches regex '^(a|a)*b$'")
    assert.is_nil(got)
    assert.equal("ExecutionError", failure.code)
  end)
end)
