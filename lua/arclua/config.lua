-- SPDX-License-Identifier: MIT
-- The configuration file: one "key = value" a line, # begins a comment line.
-- A repeated key (subscription, identity) makes a list. Example:
--   cloud = public
--   subscription = 00000000-0000-0000-0000-000000000001
--   user = ops
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local settings = require "arclua.settings"

local config = {}

local MAX_SIZE = 1024 * 1024

local function refuse(name, line, why)
  return errors.fail { code = "config", op = "config",
    message = ("%s:%d: %s"):format(name, line, why) }
end

-- Stores one line's key and value: true | nil, what is wrong.
local function store(values, key, text)
  local converter = settings.KEYS[key]
  if not converter then
    return nil, "unknown key '" .. key .. "'"
  elseif text == "" then
    return nil, "'" .. key .. "' has no value"
  end
  local value, why = convert.read(converter, text, "'" .. key .. "'")
  if value == nil then
    return nil, why
  elseif settings.LISTS[key] then
    values[key] = values[key] or {}
    table.insert(values[key], value)
  elseif values[key] ~= nil then
    return nil, "'" .. key .. "' is given twice"
  else
    values[key] = value
  end
  return true
end

--- Parses the text of a configuration file; values are as the flags' (durations in seconds).
--- Errors: config, naming file and line.
---@param text string
---@param name string  for messages
---@return table<string, any>|nil, arclua.Error?
function config.parse(text, name)
  local values, number = {}, 0
  for line in (text:gsub("\r\n", "\n") .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find "%S" and not line:find "^%s*#" then
      local key, value = line:match "^%s*([%w_-]+)%s*=%s*(.-)%s*$"
      if not key then
        return refuse(name, number, "expected 'key = value', got '" .. line .. "'")
      end
      local ok, why = store(values, key:gsub("-", "_"), value)
      if not ok then
        return refuse(name, number, why)
      end
    end
  end
  return values
end

--- Reads the configuration: path, "none" for nothing, nil for the default file when it exists.
--- Errors: config, notfound, io.
---@param path string?
---@return table<string, any>|nil, arclua.Error?
function config.load(path)
  if path == "none" then
    return {}
  end
  local name = path and paths.expand(path) or paths.config()
  if not path and not core.sys.stat(name) then
    return {}
  end
  local text, err = core.sys.read_file(name, MAX_SIZE)
  if not text then
    return nil, errors.with(err, { message = "option '--config': " .. err.message })
  end
  return config.parse(text, name)
end

return config
