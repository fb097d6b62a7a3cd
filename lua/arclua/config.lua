-- SPDX-License-Identifier: MIT
-- The configuration file: one "key = value" a line, # begins a comment line.
-- A repeated key (subscription, identity) makes a list. Example:
--   cloud = public
--   subscription = 00000000-0000-0000-0000-000000000001
--   user = ops
local core = require "arclua.core"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local config = {}

-- Keys: what the flag of that name takes. "list" keys may be repeated.
local KEYS = {
  cloud = "text", tenant = "text", credential = "text", subscription = "list",
  known_hosts = "text", log_level = "text", color = "text",
  user = "text", identity = "list", parallel = "text", connect_timeout = "text",
  timeout = "text", deadline = "text", retries = "text", output = "text",
}

local MAX_SIZE = 1024 * 1024

local function refuse(name, line, why)
  return errors.fail { code = "config", op = "config",
    message = ("%s:%d: %s"):format(name, line, why) }
end

--- Parses the text of a configuration file. Errors: config, naming file and line.
---@param text string
---@param name string  for messages
---@return table<string, string|string[]>|nil, arclua.Error?
function config.parse(text, name)
  local values, number = {}, 0
  for line in (text:gsub("\r\n", "\n") .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find "%S" and not line:find "^%s*#" then
      local key, value = line:match "^%s*([%w_-]+)%s*=%s*(.-)%s*$"
      key = key and key:gsub("-", "_")
      local kind = KEYS[key]
      if not key then
        return refuse(name, number, "expected 'key = value', got '" .. line .. "'")
      elseif not kind then
        return refuse(name, number, "unknown key '" .. key .. "'")
      elseif value == "" then
        return refuse(name, number, "'" .. key .. "' has no value")
      elseif kind == "list" then
        values[key] = values[key] or {}
        table.insert(values[key], value)
      elseif values[key] then
        return refuse(name, number, "'" .. key .. "' is given twice")
      else
        values[key] = value
      end
    end
  end
  return values
end

--- Reads the configuration: path, "none" for nothing, nil for the default file when it exists.
--- Errors: config, notfound, io.
---@param path string?
---@return table<string, string|string[]>|nil, arclua.Error?
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
