-- SPDX-License-Identifier: MIT
-- join kind=... (query) on ...
local expression = require "arclua.emulator.kql.expression"
local lexer = require "arclua.emulator.kql.lexer"
local operators = require "arclua.emulator.kql.operators"
local values = require "arclua.emulator.kql.values"

local accept, expect, fail = expression.accept, expression.expect, lexer.fail

local KINDS = { inner = true, innerunique = true, leftouter = true, leftanti = true,
  leftsemi = true }

local function kind_of(p)
  if not accept(p, "kind") then
    return "innerunique"
  end
  expect(p, "=")
  local token = accept(p)
  if not KINDS[token.value] then
    fail(token, "the emulator joins by kind inner, innerunique, leftouter, leftanti or leftsemi")
  end
  return token.value
end

local function column(p, columns)
  local token = accept(p)
  if token.kind ~= "word" or not columns.set[token.value] then
    fail(token, ("Failed to resolve column or scalar expression named '%s'"):format(token.text),
      "SemanticError")
  end
  return token.value
end

-- One condition: NAME, or $left.NAME == $right.NAME
local function condition(p, right)
  if not accept(p, "$left") then
    local name = column({ tokens = p.tokens, i = p.i }, right)
    return { left = column(p, p.columns), right = name }
  end
  expect(p, ".")
  local left = column(p, p.columns)
  expect(p, "==")
  expect(p, "$right")
  expect(p, ".")
  return { left = left, right = column(p, right) }
end

local function key_of(row, on, side)
  local key = {}
  for i, pair in ipairs(on) do
    key[i] = row[pair[side]]
    if key[i] == nil then
      return nil -- null joins nothing
    end
  end
  return values.key(key, #on)
end

local function index_of(rows, on)
  local index = {}
  for _, row in ipairs(rows) do
    local key = key_of(row, on, "right")
    if key then
      index[key] = index[key] or {}
      table.insert(index[key], row)
    end
  end
  return index
end

-- The right side's columns under names of their own: { from, to }.
local function renamed(left, right)
  local taken, list = {}, {}
  for _, name in ipairs(left.list) do
    taken[name] = true
  end
  for i, name in ipairs(right.list) do
    local to, n = name, 0
    while taken[to] do
      n = n + 1
      to = name .. n
    end
    taken[to] = true
    list[i] = { from = name, to = to }
  end
  return list
end

local function merged(row, other, columns, right)
  local made = {}
  for _, name in ipairs(columns.list) do
    made[name] = row[name]
  end
  for _, pair in ipairs(right) do
    made[pair.to] = other and other[pair.from]
  end
  return made
end

local function pick(rows, on, index, wanted)
  local out = {}
  for _, row in ipairs(rows) do
    local key = key_of(row, on, "left")
    if (key ~= nil and index[key] ~= nil) == wanted then
      out[#out + 1] = row
    end
  end
  return out
end

local function combine(p, kind, rows, on, index, right)
  local out, seen = {}, {}
  for _, row in ipairs(rows) do
    local key = key_of(row, on, "left")
    local others = key and index[key]
    if kind == "innerunique" and key then
      others, seen[key] = not seen[key] and others or nil, true
    end
    for _, other in ipairs(others or {}) do
      out[#out + 1] = merged(row, other, p.columns, right)
    end
    if not others and kind == "leftouter" then
      out[#out + 1] = merged(row, nil, p.columns, right)
    end
  end
  return out
end

--- query(p): reads and runs what stands in the parentheses; rows, and its columns as p.columns.
---@param query fun(p: table): table[]
return function(p, rows, query)
  local kind = kind_of(p)
  local inner = { tokens = p.tokens, i = p.i, tables = p.tables }
  expect(inner, "(")
  local others = query(inner)
  expect(inner, ")")
  p.i = inner.i
  expect(p, "on")
  local on = {}
  repeat
    on[#on + 1] = condition(p, inner.columns)
  until not accept(p, ",")
  local index = index_of(others, on)
  if kind == "leftanti" or kind == "leftsemi" then
    return pick(rows, on, index, kind == "leftsemi")
  end
  local right = renamed(p.columns, inner.columns)
  local out = combine(p, kind, rows, on, index, right)
  local names = table.move(p.columns.list, 1, #p.columns.list, 1, {})
  for _, pair in ipairs(right) do
    names[#names + 1] = pair.to
  end
  p.columns = operators.columns(names)
  return out
end
