-- SPDX-License-Identifier: MIT
-- Kusto's expressions, compiled as they are read: a node is { get = function(row), name?,
-- constant? }, name being what project calls an unnamed column.
local comparison_of = require "arclua.emulator.kql.comparison"
local functions = require "arclua.emulator.kql.functions"
local json = require "arclua.json"
local lexer = require "arclua.emulator.kql.lexer"
local regex = require "arclua.emulator.kql.regex"
local values = require "arclua.emulator.kql.values"

local expression = {}

local fail, text, arithmetic = lexer.fail, values.text, values.arithmetic
local null = json.null -- what extend put in place of a column
local parse

--- The next token; with wanted: only when it is that, else nil.
function expression.peek(p, wanted)
  local token = p.tokens[p.i]
  if wanted == nil or (token.value == wanted and token.kind ~= "string") then
    return token
  end
  return nil
end

local peek = expression.peek

--- Takes the next token when it is wanted.
function expression.accept(p, wanted)
  local token = peek(p, wanted)
  if token then
    p.i = p.i + 1
  end
  return token
end

local accept = expression.accept

--- Takes the next token, which must be wanted.
function expression.expect(p, wanted)
  return accept(p, wanted) or fail(peek(p), ("'%s' expected"):format(wanted))
end

local expect = expression.expect

local function literal(value)
  return { constant = true, value = value, get = function()
    return value
  end }
end

--- A list of expressions up to ")".
function expression.arguments(p)
  local list = {}
  expect(p, "(")
  if accept(p, ")") then
    return list
  end
  repeat
    list[#list + 1] = parse(p)
  until not accept(p, ",")
  expect(p, ")")
  return list
end

local function apply(fn, nodes)
  local a, b = nodes[1] and nodes[1].get, nodes[2] and nodes[2].get
  if #nodes == 1 then
    return function(row)
      return fn(a(row))
    end
  elseif #nodes == 2 then
    return function(row)
      return fn(a(row), b(row))
    end
  end
  return function(row)
    local got = {}
    for i, node in ipairs(nodes) do
      got[i] = node.get(row)
    end
    return fn(table.unpack(got, 1, #nodes))
  end
end

-- Only the branch that is wanted is looked at.
local function branch(nodes)
  local condition, yes, no = nodes[1].get, nodes[2].get, nodes[3].get
  return { get = function(row)
    if condition(row) == true then
      return yes(row)
    end
    return no(row)
  end }
end

local function call(p, token)
  local known = functions.SCALAR[token.value]
  if not known then
    fail(token, ("the emulator has no function '%s'; it has %s"):format(token.value,
      functions.names(functions.SCALAR)))
  end
  local nodes = expression.arguments(p)
  if #nodes < known.least or #nodes > known.most then
    fail(token, ("%s() takes another number of arguments than %d"):format(token.value, #nodes))
  end
  return known.call and { get = apply(known.call, nodes) } or branch(nodes)
end

local function column(p, token)
  local name = token.value
  if not p.columns.set[name] then
    fail(token, ("Failed to resolve column or scalar expression named '%s'"):format(name),
      "SemanticError")
  end
  return { name = name, get = function(row)
    local value = row[name]
    if value == null then
      return nil
    end
    return value
  end }
end

local WORDS = { ["true"] = true, ["false"] = false }

local function primary(p)
  local token = accept(p)
  if token.kind == "string" or token.kind == "number" or token.kind == "timespan" then
    return literal(token.value)
  elseif token.value == "(" then
    local node = parse(p)
    expect(p, ")")
    return node
  elseif token.value == "-" then
    local node = primary(p)
    return { get = function(row)
      local number = tonumber(node.get(row))
      return number and -number
    end }
  elseif token.kind ~= "word" then
    fail(token, "a value expected")
  elseif peek(p, "(") then
    return call(p, token)
  elseif WORDS[token.value] ~= nil then
    return literal(WORDS[token.value])
  end
  return column(p, token)
end

local function member(node, key, name)
  local get, of = node.get, values.member
  return { name = name, get = function(row)
    return of(get(row), key)
  end }
end

-- a.b, a['b'], a[0]
local function postfix(p)
  local node = primary(p)
  while true do
    if accept(p, ".") then
      local token = accept(p)
      if token.kind ~= "word" then
        fail(token, "a member's name expected")
      end
      node = member(node, token.value, node.name and node.name .. "_" .. token.value)
    elseif accept(p, "[") then
      local token = accept(p)
      if token.kind ~= "string" and math.type(token.value) ~= "integer" then
        fail(token, "a name in quotes or a number expected")
      end
      expect(p, "]")
      node = member(node, token.value, node.name and node.name .. "_" .. text(token.value))
    else
      return node
    end
  end
end

local function chain(operators, below)
  return function(p)
    local node = below(p)
    while true do
      local token = peek(p)
      if token.kind ~= "symbol" or not operators[token.value] then
        return node
      end
      p.i = p.i + 1
      local left, right, operator = node.get, below(p).get, token.value
      node = { get = function(row)
        return arithmetic(operator, left(row), right(row))
      end }
    end
  end
end

local product = chain({ ["*"] = true, ["/"] = true, ["%"] = true }, postfix)
local sum = chain({ ["+"] = true, ["-"] = true }, product)

local COMPARE, TEXT = comparison_of.VALUES, comparison_of.TEXTS
local NEGATED, has = comparison_of.NEGATED, comparison_of.has

local function text_comparison(token, left, right)
  local name = NEGATED[token.value] or token.value
  local test, yes = TEXT[name], NEGATED[token.value] == nil
  local wanted = right.constant and text(right.value):lower()
  return { get = function(row)
    return test(text(left.get(row)):lower(), wanted or text(right.get(row)):lower()) == yes
  end }
end

-- in in~ !in !in~ has_any: a set in parentheses. has_any looks for each.
local function membership(p, token, left)
  local fold = token.value:find("~", 1, true) ~= nil
  local set, list = {}, expression.arguments(p)
  for i, node in ipairs(list) do
    if not node.constant then
      fail(token, "only texts and numbers may stand in the list")
    end
    local key = text(node.value)
    set[fold and key:lower() or key], list[i] = true, key:lower()
  end
  if token.value:find "^has_any" then
    return { get = function(row)
      local whole = text(left.get(row)):lower()
      for _, part in ipairs(list) do
        if has(whole, part) then
          return true
        end
      end
      return false
    end }
  end
  local yes = token.value:sub(1, 1) ~= "!"
  return { get = function(row)
    local got = text(left.get(row))
    return (set[fold and got:lower() or got] == true) == yes
  end }
end

-- matches regex 'pattern'
local function matching(p, token, left)
  local word = accept(p)
  local right = word.value == "regex" and sum(p)
  if not right or not right.constant then
    fail(word, "regex 'PATTERN' expected")
  end
  local test, why = regex.compile(text(right.value))
  if not test then
    fail(token, "the pattern: " .. why)
  end
  return { get = function(row)
    return test(text(left.get(row)))
  end }
end

local MEMBERSHIP = { ["in"] = true, ["in~"] = true, ["!in"] = true, ["!in~"] = true,
  has_any = true, ["has_any~"] = true }

local function comparison(p)
  local left, token = sum(p), peek(p)
  if token.kind ~= "symbol" and token.kind ~= "word" then
    return left
  end
  local compare = COMPARE[token.value]
  if not (compare or TEXT[token.value] or NEGATED[token.value] or MEMBERSHIP[token.value]
      or token.value == "matches") then
    return left
  end
  p.i = p.i + 1
  if MEMBERSHIP[token.value] then
    return membership(p, token, left)
  elseif token.value == "matches" then
    return matching(p, token, left)
  end
  local right = sum(p)
  if not compare then
    return text_comparison(token, left, right)
  end
  local a, b = left.get, right.get
  return { get = function(row)
    return compare(a(row), b(row))
  end }
end

local function conjunction(p)
  local node = comparison(p)
  while accept(p, "and") do
    local a, b = node.get, comparison(p).get
    node = { get = function(row)
      return a(row) == true and b(row) == true
    end }
  end
  return node
end

--- Reads one expression.
---@return { get: fun(row: table): any, name: string?, constant: boolean?, value: any }
function expression.parse(p)
  local node = conjunction(p)
  while accept(p, "or") do
    local a, b = node.get, conjunction(p).get
    node = { get = function(row)
      return a(row) == true or b(row) == true
    end }
  end
  return node
end

parse = expression.parse

return expression
