-- SPDX-License-Identifier: MIT
-- Kusto's values in Lua: nil is null; strings, numbers, booleans; datetimes are tables of ours, a
-- timespan is a number of seconds; dynamic values are tables.
local json = require "arclua.json"

local values = {}

local Datetime = { __name = "arclua.emulator.kql.datetime" }

function Datetime.__eq(a, b)
  return a.seconds == b.seconds
end

function Datetime.__lt(a, b)
  return a.seconds < b.seconds
end

function Datetime.__le(a, b)
  return a.seconds <= b.seconds
end

--- A moment: seconds since 1970.
function values.datetime(seconds)
  return setmetatable({ seconds = seconds }, Datetime)
end

function values.is_datetime(value)
  return getmetatable(value) == Datetime
end

-- Days since 1970 of a date of the Gregorian calendar.
local function days(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- A moment from RFC 3339, nil when it is none.
function values.to_datetime(value)
  if values.is_datetime(value) then
    return value
  elseif type(value) ~= "string" then
    return nil
  end
  local year, month, day, rest = value:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not year then
    return nil
  end
  local hour, minute, second, zone = rest:match "^[T ](%d%d):(%d%d):?([%d.]*)(.*)$"
  local sign, zh, zm = (zone or ""):match "^([+-])(%d%d):?(%d%d)$"
  local offset = sign and (tonumber(zh) * 60 + tonumber(zm)) * (sign == "-" and -60 or 60) or 0
  return values.datetime(days(math.tointeger(year), math.tointeger(month), math.tointeger(day))
    * 86400 + (tonumber(hour) or 0) * 3600 + (tonumber(minute) or 0) * 60
    + (tonumber(second) or 0) - offset)
end

local function datetime_text(value)
  local whole = math.floor(value.seconds)
  return ("%s.%07dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", whole),
    math.floor((value.seconds - whole) * 1e7))
end

--- A dynamic value that is made when it is looked at, as a whole.
function values.plain(value)
  local meta = type(value) == "table" and getmetatable(value)
  if meta == Datetime then
    return datetime_text(value)
  end
  return meta and meta.plain and meta.plain(value) or value
end

--- As tostring() has it: null is "".
function values.text(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif value == nil then
    return ""
  elseif kind == "table" then
    value = values.plain(value)
    return type(value) == "string" and value or json.encode(value)
  end
  return kind == "boolean" and tostring(value) or json.encode(value)
end

--- A member by name, or an element counted from 0; null where there is none.
function values.member(value, key)
  if type(value) ~= "table" then
    return nil
  end
  if math.type(key) == "integer" then
    key = key + 1
  end
  local found = value[key]
  if found == json.null then
    return nil
  end
  return found
end

--- Whether a table is a list.
function values.is_array(value)
  if type(value) ~= "table" then
    return false
  end
  local meta = getmetatable(value)
  return meta == getmetatable(json.array {}) or (meta == nil and value[1] ~= nil)
end

-- A value that can be ordered: a number, a text or a moment.
local function orderable(value)
  if type(value) == "boolean" then
    return value and 1 or 0
  elseif type(value) == "table" and not values.is_datetime(value) then
    return values.text(value)
  end
  return value
end

-- Two orderable values of one kind, or nil.
local function alike(a, b)
  a, b = orderable(a), orderable(b)
  if type(a) ~= type(b) then
    a, b = tonumber(a) or values.text(a), tonumber(b) or values.text(b)
  end
  if type(a) == type(b) then
    return a, b
  end
end

--- -1, 0, 1; nil when they cannot be compared (one is null, or of another kind).
function values.compare(a, b)
  if a == nil or b == nil then
    return nil
  end
  a, b = alike(a, b)
  if a == nil then
    return nil
  elseif a == b then
    return 0
  end
  return a < b and -1 or 1
end

--- As sort has it: nulls first when ascending.
function values.order(a, b)
  if a == nil or b == nil then
    return a ~= nil and 1 or b ~= nil and -1 or 0
  end
  return values.compare(a, b) or 0
end

local ARITHMETIC = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b)
    if math.type(a) == "integer" and math.type(b) == "integer" then
      return b ~= 0 and a // b or nil
    end
    return a / b
  end,
  ["%"] = function(a, b)
    return b ~= 0 and a % b or nil
  end,
}

local function seconds(value)
  return values.is_datetime(value) and value.seconds or tonumber(value)
end

--- a OPERATOR b; null when one is no number. A datetime less another is a timespan.
function values.arithmetic(operator, a, b)
  local x, y = seconds(a), seconds(b)
  local result = x and y and ARITHMETIC[operator](x, y) or nil
  if result and values.is_datetime(a) and not values.is_datetime(b) then
    return values.datetime(result)
  end
  return result
end

--- One text for a list of values, by which equal ones are found.
function values.key(list, count)
  local parts = {}
  for i = 1, count do
    local value = list[i]
    parts[i] = type(value) .. values.text(value)
  end
  return table.concat(parts, "\0")
end

--- Resource Graph's name of a value's type.
function values.type_name(value)
  if values.is_datetime(value) then
    return "datetime"
  elseif math.type(value) == "integer" then
    return "integer"
  end
  local kind = type(value)
  return kind == "table" and "object" or kind
end

return values
