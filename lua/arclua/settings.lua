-- SPDX-License-Identifier: MIT
-- What an option falls back on when it is not given: its variable ARCLUA_NAME, then the
-- configuration file.
local convert = require "arclua.convert"
local defaults = require "arclua.defaults"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local settings = {}

local COUNT, FROM_ZERO = convert.integer(1), convert.integer(0)

--- The keys of the configuration file, and how their values are read.
settings.KEYS = {
  cloud = convert.text, tenant = convert.text, credential = convert.text,
  subscription = convert.text, known_hosts = convert.text,
  log_level = convert.one_of("error", "warn", "info", "debug", "trace"),
  color = convert.one_of("auto", "always", "never"),
  ssh_config = convert.text, host_key_policy = convert.one_of("accept-new", "yes", "no"),
  user = convert.filled, identity = convert.text, parallel = COUNT,
  connect_timeout = convert.seconds, timeout = convert.seconds, deadline = convert.seconds,
  retries = FROM_ZERO,
  output = convert.one_of("live", "grouped", "json", "jsonl", "quiet"),
}

--- Those that may be repeated in the file.
settings.LISTS = { subscription = true, identity = true }

--- The variable of a key.
function settings.variable(key)
  return "ARCLUA_" .. key:upper()
end

--- The value of a key: its variable's, else the configuration's; nil when neither says. Without
--- a configuration that of the program counts. Errors: config, naming the variable.
---@param key string
---@param config table?  as config.load gives it
---@return any|nil, arclua.Error?
function settings.get(key, config)
  local name = settings.variable(key)
  local text = paths.env(name)
  if not text then
    return (config or defaults.config)[key]
  end
  local value, why = convert.read(settings.KEYS[key], text, "variable " .. name)
  if value == nil then
    return errors.fail { code = "config", op = "settings", message = why }
  end
  return value
end

--- Several keys at once, those in have left alone: a table | nil, err.
---@param have table    values that are given
---@param keys string[]
---@param config table?
---@return table|nil, arclua.Error?
function settings.fill(have, keys, config)
  local out = {}
  for name, value in pairs(have) do
    out[name] = value
  end
  for _, key in ipairs(keys) do
    if out[key] == nil then
      local value, err = settings.get(key, config)
      if err then
        return nil, err
      end
      out[key] = value
    end
  end
  return out
end

return settings
