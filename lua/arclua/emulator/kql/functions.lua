-- SPDX-License-Identifier: MIT
-- Kusto's scalar functions and what summarize counts with.
local core = require "arclua.core"
local json = require "arclua.json"
local values = require "arclua.emulator.kql.values"

local functions = {}

local text = values.text

-- name -> { least and most number of arguments, call = function(values...) }
local SCALAR = {}
functions.SCALAR = SCALAR

local function define(names, least, most, fn)
  for name in names:gmatch "%S+" do
    SCALAR[name] = { least = least, most = most, call = fn }
  end
end

define("tostring", 1, 1, text)

define("tolower", 1, 1, function(value)
  return text(value):lower()
end)

define("toupper", 1, 1, function(value)
  return text(value):upper()
end)

define("strlen", 1, 1, function(value)
  return utf8.len(text(value)) or #text(value)
end)

define("toint tolong", 1, 1, function(value)
  local number = tonumber(value)
  return number and math.tointeger(number // 1)
end)

define("todouble toreal", 1, 1, function(value)
  return tonumber(value)
end)

define("tobool", 1, 1, function(value)
  local word = text(value):lower()
  if word == "true" or word == "1" then
    return true
  elseif word == "false" or word == "0" then
    return false
  end
end)

define("todatetime datetime", 1, 1, values.to_datetime)

define("todynamic parse_json", 1, 1, function(value)
  if type(value) ~= "string" then
    return value
  end
  local decoded = json.decode(value)
  return decoded == nil and value or decoded
end)

define("now", 0, 0, function()
  return values.datetime(core.time())
end)

define("ago", 1, 1, function(span)
  return tonumber(span) and values.datetime(core.time() - span)
end)

local UNITS = { second = 1, minute = 60, hour = 3600, day = 86400, week = 604800 }

-- How many borders of the unit lie between two moments.
define("datetime_diff", 3, 3, function(unit, late, early)
  local size = UNITS[text(unit):lower()]
  if not size or not values.is_datetime(late) or not values.is_datetime(early) then
    return nil
  end
  return math.tointeger(late.seconds // size - early.seconds // size)
end)

define("substring", 2, 3, function(value, from, count)
  value, from = text(value), tonumber(from) or 0
  return value:sub(from + 1, count and from + count or -1)
end)

define("indexof", 2, 2, function(value, wanted)
  return (text(value):find(text(wanted), 1, true) or 0) - 1
end)

define("strcat", 1, math.huge, function(...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    parts[i] = text(parts[i])
  end
  return table.concat(parts)
end)

define("split", 2, 2, function(value, by)
  local out, rest, separator = json.array {}, text(value), text(by)
  while separator ~= "" do
    local from, to = rest:find(separator, 1, true)
    if not from then
      break
    end
    out[#out + 1], rest = rest:sub(1, from - 1), rest:sub(to + 1)
  end
  out[#out + 1] = rest
  return out
end)

define("iff iif", 3, 3, nil) -- arclua.emulator.kql.expression: branch

define("not", 1, 1, function(value)
  return value ~= true
end)

local function is_empty(value)
  return value == nil or text(value) == ""
end

define("isempty", 1, 1, is_empty)
define("isnotempty notempty", 1, 1, function(value)
  return not is_empty(value)
end)
define("isnull", 1, 1, function(value)
  return value == nil
end)
define("isnotnull notnull", 1, 1, function(value)
  return value ~= nil
end)

define("coalesce", 2, math.huge, function(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if value ~= nil and value ~= "" then
      return value
    end
  end
end)

define("array_length", 1, 1, function(value)
  return values.is_array(value) and #value or nil
end)

-- A text that orders versions of up to four parts.
define("parse_version", 1, 1, function(value)
  local parts = {}
  for part in text(value):gmatch "[^.]+" do
    if not part:find "^%d+$" or #part > 8 or #parts == 4 then
      return nil
    end
    parts[#parts + 1] = ("%08d"):format(part)
  end
  return #parts > 0 and table.concat(parts) .. ("0"):rep(8 * (4 - #parts)) or nil
end)

-- name -> function that makes { add(value), result() }; argument: whether it takes one.
local AGGREGATES = {}
functions.AGGREGATES = AGGREGATES

function AGGREGATES.count()
  local n = 0
  return { add = function() n = n + 1 end, result = function() return n end }
end

function AGGREGATES.countif()
  local n = 0
  return { result = function() return n end, add = function(value)
    n = value == true and n + 1 or n
  end }
end

function AGGREGATES.sum()
  local sum = 0
  return { result = function() return sum end, add = function(value)
    sum = sum + (tonumber(value) or 0)
  end }
end

function AGGREGATES.make_list()
  local list = json.array {}
  return { result = function() return list end, add = function(value)
    if value ~= nil then
      list[#list + 1] = values.plain(value)
    end
  end }
end

function AGGREGATES.make_set()
  local list, seen = json.array {}, {}
  return { result = function() return list end, add = function(value)
    local key = value ~= nil and values.text(value)
    if key and not seen[key] then
      seen[key] = true
      list[#list + 1] = values.plain(value)
    end
  end }
end

function AGGREGATES.dcount()
  local n, seen = 0, {}
  return { result = function() return n end, add = function(value)
    local key = value ~= nil and values.text(value)
    if key and not seen[key] then
      seen[key], n = true, n + 1
    end
  end }
end

local function extreme(sign)
  return function()
    local best
    return { result = function() return best end, add = function(value)
      if value ~= nil and (best == nil or values.compare(value, best) == sign) then
        best = value
      end
    end }
  end
end

AGGREGATES.min, AGGREGATES.max = extreme(-1), extreme(1)

--- What the emulator knows, for its messages.
function functions.names(set)
  local list = {}
  for name in pairs(set) do
    list[#list + 1] = name
  end
  table.sort(list)
  return table.concat(list, ", ")
end

return functions
