-- SPDX-License-Identifier: MIT
-- The part of Kusto's language that an inventory needs: one query over tables of rows.
local expression = require "arclua.emulator.kql.expression"
local join = require "arclua.emulator.kql.join"
local lexer = require "arclua.emulator.kql.lexer"
local operators = require "arclua.emulator.kql.operators"

local kql = {}

local accept, peek = expression.accept, expression.peek

local RUN = { join = join, ["project-away"] = operators.project_away,
  ["mv-expand"] = operators.mv_expand, mvexpand = operators.mv_expand }
for _, name in ipairs { "where", "filter", "project", "extend", "order", "sort", "limit", "take",
  "top", "count", "distinct", "summarize" } do
  RUN[name] = operators[name]
end

local OFFERED = "where, project, project-away, extend, join, mv-expand, summarize, distinct, "
  .. "order, top, limit, count"

-- An operator's name, which may hold a hyphen: mv-expand.
local function operator_name(p)
  local token = accept(p)
  local dash, word = p.tokens[p.i], p.tokens[p.i + 1]
  if token.kind == "word" and dash.value == "-" and word.kind == "word"
    and dash.at == token.at + #token.text and word.at == dash.at + 1 then
    p.i = p.i + 2
    return token, token.text .. "-" .. word.text
  end
  return token, token.text
end

local function run_operator(p, rows, query)
  local token, name = operator_name(p)
  local run = token.kind == "word" and RUN[name]
  if not run then
    lexer.fail(token, ("the emulator has no operator '%s'; it has %s"):format(name, OFFERED))
  end
  return run(p, rows, query)
end

-- The table that a query begins with; without one it is Resources.
local function source(p)
  local token = peek(p)
  local open = token.kind == "word" and p.tables[token.value:lower()]
  if open then
    p.i = p.i + 1
  elseif token.kind == "word" and RUN[token.value] then
    local rows
    rows, p.columns = p.tables.resources()
    return run_operator(p, rows)
  else
    lexer.fail(token, ("the emulator has no table '%s'"):format(token.text), "SemanticError")
  end
  local rows
  rows, p.columns = open()
  return rows
end

local function query(p)
  local rows = source(p)
  while accept(p, "|") do
    rows = run_operator(p, rows, query)
  end
  return rows
end

--- Runs a query. tables: lower-case name -> function that gives fresh rows and their columns
--- (kql.columns).
---@param text string
---@param tables table<string, fun(): table[], table>
---@return { rows: table[], columns: string[], limited: boolean }|nil
---@return { line: integer, column: integer, token: string, why: string, code: string }?
function kql.run(text, tables)
  local ok, result, columns, limited = pcall(function()
    local p = { tokens = lexer.tokens(text), i = 1, tables = tables }
    local rows = query(p)
    accept(p, ";")
    if peek(p).kind ~= "end" then
      lexer.fail(peek(p), "'|' or the end of the query expected")
    end
    return rows, p.columns.list, p.limited == true
  end)
  if ok then
    return { rows = result, columns = columns, limited = limited }
  elseif type(result) == "table" and result.regex then
    return nil, { line = 1, column = 1, token = "matches", why = result.regex,
      code = "ExecutionError" }
  elseif not lexer.is_failure(result) then
    error(result, 0)
  end
  return nil, { line = result.token.line, column = result.token.column,
    token = result.token.text, why = result.why, code = result.code }
end

kql.columns = operators.columns

return kql
