-- SPDX-License-Identifier: MIT
-- Texts of options, variables and the configuration file as values. A converter takes a text
-- and gives the value, or nil and what was expected.
local duration = require "arclua.duration"

local convert = {}

-- Which words a converter takes, for completion.
local words = setmetatable({}, { __mode = "k" })

--- The words that a converter takes; nil when it takes others.
---@return string[]|nil
function convert.words(converter)
  return words[converter]
end

--- Any text.
function convert.text(text)
  return text
end

--- Any text but an empty one.
function convert.filled(text)
  if text == "" then
    return nil, "a text"
  end
  return text
end

--- A whole number from least to most (default: any size).
---@param least integer
---@param most integer?
function convert.integer(least, most)
  local expected = most and ("a number from %d to %d"):format(least, most)
    or ("a number from %d"):format(least)
  return function(text)
    local value = text:find "^%d+$" and math.tointeger(tonumber(text))
    if not value or value < least or most and value > most then
      return nil, expected
    end
    return value
  end
end

--- A duration: seconds.
function convert.seconds(text)
  local value = duration.parse(text)
  if not value then
    return nil, duration.EXPECTED
  end
  return value
end

local UNITS = { [""] = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3 }

--- A number of bytes, with K, M or G in steps of 1,024.
function convert.bytes(text)
  local number, unit = text:lower():match "^(%d+%.?%d*)([kmg]?)b?$"
  local value = number and tonumber(number) * UNITS[unit]
  if not value or value < 1 then
    return nil, "a number of bytes like 500K, 1.5M or 1G"
  end
  return value
end

--- One of some words, whatever their case.
function convert.one_of(...)
  local allowed = { ... }
  local function converter(text)
    for _, word in ipairs(allowed) do
      if text:lower() == word then
        return word
      end
    end
    return nil, table.concat(allowed, ", ")
  end
  words[converter] = allowed
  return converter
end

--- Calls a converter: value | nil, "WHERE: EXPECTED expected, got 'TEXT'".
---@param converter fun(text: string): any, string?
---@param text string
---@param where string
function convert.read(converter, text, where)
  local value, expected = converter(text)
  if value == nil then
    return nil, ("%s: %s expected, got '%s'"):format(where, expected, text)
  end
  return value
end

--- The same for argparse, which reports what a converter gives as its second result.
---@param name string  the option's
function convert.option(name, converter)
  local function named(text)
    return convert.read(converter, text, ("option '%s'"):format(name))
  end
  words[named] = words[converter]
  return named
end

--- As convert.option, of an argument.
---@param name string
function convert.argument(name, converter)
  return function(text)
    return convert.read(converter, text, ("argument '%s'"):format(name))
  end
end

return convert
