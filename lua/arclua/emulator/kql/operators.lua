-- SPDX-License-Identifier: MIT
-- The operators between bars. Each is read and run at once: operator(p, rows) -> rows, and
-- p.columns ({ list, set }) is then what the next one sees.
local expression = require "arclua.emulator.kql.expression"
local functions = require "arclua.emulator.kql.functions"
local json = require "arclua.json"
local lexer = require "arclua.emulator.kql.lexer"
local values = require "arclua.emulator.kql.values"

local operators = {}

local accept, expect, peek = expression.accept, expression.expect, expression.peek
local fail, null = lexer.fail, json.null

--- Columns by their names, in order.
function operators.columns(names)
  local columns = { list = {}, set = {} }
  for _, name in ipairs(names) do
    if not columns.set[name] then
      columns.set[name] = true
      columns.list[#columns.list + 1] = name
    end
  end
  return columns
end

-- "name = ", or nil.
local function given_name(p)
  local token, after = p.tokens[p.i], p.tokens[p.i + 1]
  if token.kind == "word" and after and after.kind == "symbol" and after.value == "=" then
    p.i = p.i + 2
    return token.value
  end
end

-- name = expression, ...: list of { name, get }.
local function assignments(p)
  local list, unnamed = {}, 0
  repeat
    local name, node = given_name(p), expression.parse(p)
    name = name or node.name
    if not name then
      unnamed = unnamed + 1
      name = "Column" .. unnamed
    end
    list[#list + 1] = { name = name, get = node.get }
  until not accept(p, ",")
  return list
end

local function names_of(list)
  local names = {}
  for i, item in ipairs(list) do
    names[i] = item.name
  end
  return names
end

function operators.where(p, rows)
  local get, out = expression.parse(p).get, {}
  for _, row in ipairs(rows) do
    if get(row) == true then
      out[#out + 1] = row
    end
  end
  return out
end

operators.filter = operators.where

function operators.project(p, rows)
  local list, out = assignments(p), {}
  for i, row in ipairs(rows) do
    local made = {}
    for _, item in ipairs(list) do
      made[item.name] = item.get(row)
    end
    out[i] = made
  end
  p.columns = operators.columns(names_of(list))
  return out
end

function operators.extend(p, rows)
  local list, got = assignments(p), {}
  for _, row in ipairs(rows) do
    for i, item in ipairs(list) do
      got[i] = item.get(row)
    end
    for i, item in ipairs(list) do
      row[item.name] = got[i] == nil and null or got[i]
      got[i] = nil
    end
  end
  p.columns = operators.columns(table.move(names_of(list), 1, #list, #p.columns.list + 1,
    table.move(p.columns.list, 1, #p.columns.list, 1, {})))
  return rows
end

function operators.project_away(p, rows)
  local away, kept = {}, {}
  repeat
    away[expression.parse(p).name or fail(peek(p), "a column expected")] = true
  until not accept(p, ",")
  for _, name in ipairs(p.columns.list) do
    kept[#kept + 1] = not away[name] and name or nil
  end
  p.columns = operators.columns(kept)
  return rows
end

local function sort_keys(p)
  local keys = {}
  repeat
    local key = { get = expression.parse(p).get, sign = -1 } -- descending unless said
    if accept(p, "asc") then
      key.sign = 1
    else
      accept(p, "desc")
    end
    if accept(p, "nulls") and not (accept(p, "first") or accept(p, "last")) then
      fail(peek(p), "first or last expected")
    end
    keys[#keys + 1] = key
  until not accept(p, ",")
  return keys
end

-- Unequal texts need no more than their own order.
local function sort_texts(rows, get, sign)
  local keys, of = {}, {}
  for i, row in ipairs(rows) do
    local key = get(row)
    if type(key) ~= "string" or of[key] then
      return nil
    end
    keys[i], of[key] = key, row
  end
  table.sort(keys, sign < 0 and function(a, b) return a > b end or nil)
  for i, key in ipairs(keys) do
    keys[i] = of[key]
  end
  return keys
end

-- A stable sort.
local function sort(rows, keys)
  local quick = #keys == 1 and sort_texts(rows, keys[1].get, keys[1].sign)
  if quick then
    return quick
  end
  local list = {}
  for i, row in ipairs(rows) do
    local entry = { row = row, at = i }
    for k, key in ipairs(keys) do
      entry[k] = key.get(row)
    end
    list[i] = entry
  end
  table.sort(list, function(a, b)
    for k, key in ipairs(keys) do
      local order = values.order(a[k], b[k])
      if order ~= 0 then
        return order * key.sign < 0
      end
    end
    return a.at < b.at
  end)
  for i, entry in ipairs(list) do
    list[i] = entry.row
  end
  return list
end

function operators.order(p, rows)
  expect(p, "by")
  return sort(rows, sort_keys(p))
end

operators.sort = operators.order

local function number(p)
  local token = accept(p)
  if math.type(token.value) ~= "integer" or token.kind ~= "number" then
    fail(token, "a number expected")
  end
  return token.value
end

local function first(rows, n)
  return table.move(rows, 1, math.min(n, #rows), 1, {})
end

function operators.limit(p, rows)
  p.limited = true -- such a query is not paged
  return first(rows, number(p))
end

operators.take = operators.limit

function operators.top(p, rows)
  local n = number(p)
  expect(p, "by")
  p.limited = true
  return first(sort(rows, sort_keys(p)), n)
end

function operators.count(p, rows)
  p.columns = operators.columns { "Count" }
  return { { Count = #rows } }
end

function operators.distinct(p, rows)
  local list, seen, out = assignments(p), {}, {}
  for _, row in ipairs(rows) do
    local made, key = {}, {}
    for i, item in ipairs(list) do
      key[i] = item.get(row)
      made[item.name] = key[i]
    end
    key = values.key(key, #list)
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = made
    end
  end
  p.columns = operators.columns(names_of(list))
  return out
end

-- One aggregate: name = make_list(expression).
local function aggregate(p)
  local name, token = given_name(p), accept(p)
  local make = token.kind == "word" and functions.AGGREGATES[token.value]
  if not make then
    fail(token, ("the emulator summarizes by %s"):format(functions.names(functions.AGGREGATES)))
  end
  local nodes = expression.arguments(p)
  local takes = token.value == "count" and 0 or 1
  if #nodes ~= takes then
    fail(token, ("%s() takes %d argument(s)"):format(token.value, takes))
  end
  local of = nodes[1] and nodes[1].name
  return { make = make, get = nodes[1] and nodes[1].get or function() end,
    name = name or token.value:gsub("^make_", "") .. "_" .. (of or "") }
end

local function summary_of(groups, row, key, by)
  local group = groups[key]
  if not group then
    group = { row = {}, counters = {} }
    groups[key], groups[#groups + 1] = group, group
    for i, item in ipairs(by) do
      group.row[item.name] = row and item.get(row)
      group[i] = true
    end
  end
  return group
end

local function collect(rows, list, by)
  local groups = {}
  for _, row in ipairs(rows) do
    local key = {}
    for i, item in ipairs(by) do
      key[i] = item.get(row)
    end
    local group = summary_of(groups, row, values.key(key, #by), by)
    for i, item in ipairs(list) do
      group.counters[i] = group.counters[i] or item.make()
      group.counters[i].add(item.get(row))
    end
  end
  return groups
end

function operators.summarize(p, rows)
  local list = {}
  while not peek(p, "by") do
    list[#list + 1] = aggregate(p)
    if not accept(p, ",") then
      break
    end
  end
  local by = accept(p, "by") and assignments(p) or {}
  local groups, out = collect(rows, list, by), {}
  if #by == 0 and #rows == 0 then
    summary_of(groups, nil, "", by)
  end
  for g, group in ipairs(groups) do
    for i, item in ipairs(list) do
      group.row[item.name] = (group.counters[i] or item.make()).result()
    end
    out[g] = group.row
  end
  p.columns = operators.columns(table.move(names_of(list), 1, #list, #by + 1, names_of(by)))
  return out
end

-- What a dynamic value is expanded to: its elements, or its members as bags or pairs.
local function elements(value, pairs_)
  value = values.plain(value)
  if type(value) ~= "table" then
    return { value }
  elseif values.is_array(value) then
    return value
  end
  local keys, out = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    out[i] = pairs_ and json.array { key, value[key] } or { [key] = value[key] }
  end
  return out
end

function operators.mv_expand(p, rows)
  local in_pairs = false
  if accept(p, "bagexpansion") then
    expect(p, "=")
    in_pairs = accept(p, "array") ~= nil
    if not in_pairs then
      expect(p, "bag")
    end
  end
  local item, out = assignments(p), {}
  if #item > 1 then
    fail(peek(p), "the emulator expands one column at a time")
  end
  item = item[1]
  for _, row in ipairs(rows) do
    local value = item.get(row)
    for _, element in ipairs(value ~= nil and elements(value, in_pairs) or {}) do
      local made = {}
      for _, name in ipairs(p.columns.list) do
        made[name] = row[name]
      end
      made[item.name] = element
      out[#out + 1] = made
    end
  end
  p.columns = operators.columns(table.move({ item.name }, 1, 1, #p.columns.list + 1,
    table.move(p.columns.list, 1, #p.columns.list, 1, {})))
  return out
end

return operators
