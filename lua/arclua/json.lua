-- SPDX-License-Identifier: MIT
-- JSON: decoding by lua-cjson with integers restored, encoding that keeps the
-- order asked for, writes [] for empty lists and never emits invalid UTF-8.
local core = require "arclua.core"
local errors = require "arclua.errors"

local json = {}

local EXACT = 2 ^ 53
local ARRAY = core.array_meta
local ORDERED = { __name = "arclua.json.ordered" }
local REPLACEMENT = "\u{FFFD}"

local decoder

--- The value that stands for null inside lists; null members of objects are left out.
json.null = setmetatable({}, { __name = "arclua.json.null", __tostring = function()
  return "null"
end })

--- Marks a table as a list, so that it is written as [] when empty.
---@param list any[]?  a new one when left out
---@return any[]
function json.array(list)
  return setmetatable(list or {}, ARRAY)
end

--- An object whose members are written in the order of keys; a missing value is null.
---@param keys string[]
---@param values table<string, any>
---@return table
function json.ordered(keys, values)
  return setmetatable({ keys = keys, values = values }, ORDERED)
end

local function restore(value, cjson)
  if math.type(value) == "float" and value % 1 == 0 and value > -EXACT and value < EXACT then
    return math.tointeger(value)
  elseif value == cjson.null then
    return json.null
  elseif type(value) ~= "table" then
    return value
  end
  for key, member in pairs(value) do
    if member == cjson.null and type(key) == "string" then
      value[key] = nil
    else
      value[key] = restore(member, cjson)
    end
  end
  return value
end

--- The value of a JSON text. Integers stay integers (up to 2^53); null members of objects are
--- left out, null in a list is json.null.
--- Errors: protocol.
---@param text string
---@return any value, arclua.Error?
function json.decode(text)
  if not decoder then
    decoder = require("cjson.safe").new()
    decoder.decode_max_depth(100)
    decoder.decode_invalid_numbers(false)
  end
  local value, why = decoder.decode(text)
  if value == nil then
    return errors.fail { code = "protocol", op = "json.decode",
      message = "not JSON: " .. tostring(why) }
  end
  return restore(value, decoder)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

setmetatable(ESCAPES, { __index = function(_, byte)
  return ("\\u%04x"):format(byte:byte())
end })

--- text with each byte that is not part of valid UTF-8 replaced by U+FFFD.
---@param text string
---@return string
function json.clean(text)
  local out, from = {}, 1
  while true do
    local _, bad = utf8.len(text, from)
    if not bad then
      break
    end
    out[#out + 1] = text:sub(from, bad - 1)
    out[#out + 1] = REPLACEMENT
    from = bad + 1
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

local function quote(text)
  if text:find '[%c"\\\128-\255]' then
    if not utf8.len(text) then
      text = json.clean(text)
    end
    text = text:gsub('[%c"\\]', ESCAPES)
  end
  return '"' .. text .. '"'
end

local function number(value)
  if math.type(value) == "integer" then
    return ("%d"):format(value)
  elseif value ~= value or value == math.huge or value == -math.huge then
    return "null"
  end
  local short = ("%.14g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

local encode

local function encode_array(list)
  local out = {}
  for i = 1, #list do
    out[i] = encode(list[i])
  end
  return "[" .. table.concat(out, ",") .. "]"
end

local function encode_members(keys, values)
  local out = {}
  for i, key in ipairs(keys) do
    out[i] = quote(key) .. ":" .. encode(values[key])
  end
  return "{" .. table.concat(out, ",") .. "}"
end

-- Keys that many objects share are quoted once.
local heads = setmetatable({}, { __mode = "k" })

local function heads_of(keys)
  local list = heads[keys]
  if not list or #list ~= #keys then
    list = {}
    for i, key in ipairs(keys) do
      list[i] = quote(key) .. ":"
    end
    heads[keys] = list
  end
  return list
end

local function encode_ordered(keys, values)
  local out = {}
  for i, head in ipairs(heads_of(keys)) do
    out[i] = head .. encode(values[keys[i]])
  end
  return "{" .. table.concat(out, ",") .. "}"
end

local function encode_table(value)
  local meta = getmetatable(value)
  if meta == ORDERED then
    return encode_ordered(value.keys, value.values)
  elseif meta == ARRAY or #value > 0 then
    return encode_array(value)
  end
  local keys = {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      error("cannot encode a key of type " .. type(key), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return encode_members(keys, value)
end

function encode(value)
  local kind = type(value)
  if value == nil or value == json.null then
    return "null"
  elseif kind == "string" then
    return quote(value)
  elseif kind == "number" then
    return number(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "table" then
    return encode_table(value)
  end
  error("cannot encode a " .. kind, 0)
end

--- One line of JSON. Members are sorted by name unless json.ordered says otherwise.
--- Raises: a value that JSON cannot hold.
---@param value any
---@return string
function json.encode(value)
  return encode(value)
end

return json
