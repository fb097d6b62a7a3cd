-- SPDX-License-Identifier: MIT
-- The options that every command knows, and their variables.
local config = require "arclua.config"
local convert = require "arclua.convert"
local defaults = require "arclua.defaults"
local paths = require "arclua.paths"
local settings = require "arclua.settings"

local globals = {}

---@class arclua.GlobalOption
---@field flag string
---@field key string
---@field env string?
---@field arg string?     its argument's name; nil = a switch
---@field many boolean?
---@field convert (fun(text: string): any, string?)?  default: any text
---@field text string

---@type arclua.GlobalOption[]
globals.OPTIONS = {
  { flag = "--cloud", key = "cloud", env = "ARCLUA_CLOUD", arg = "NAME|FILE|URL",
    text = "public, usgov, china, a cloud file, or the https address of an ARM" },
  { flag = "--subscription", key = "subscription", env = "ARCLUA_SUBSCRIPTION", arg = "ID|NAME",
    many = true, text = "Look at this subscription (repeatable)" },
  { flag = "--all-subscriptions", key = "all_subscriptions", env = "ARCLUA_ALL_SUBSCRIPTIONS",
    text = "Look at every visible subscription" },
  { flag = "--refresh", key = "refresh", env = "ARCLUA_REFRESH",
    text = "Look names up again that were looked up minutes ago" },
  { flag = "--tenant", key = "tenant", env = "ARCLUA_TENANT", arg = "ID",
    text = "Directory to sign in to" },
  { flag = "--credential", key = "credential", env = "ARCLUA_CREDENTIAL", arg = "NAME",
    text = "default, environment, workload_identity, login, managed_identity, azure_cli, "
      .. "azure_developer_cli, device_code, browser or azure_cli_cache" },
  { flag = "--trust-cloud", key = "trust_cloud", env = "ARCLUA_TRUST_CLOUD",
    text = "Send the environment's credential to a cloud file's authority" },
  { flag = "--config", key = "config", env = "ARCLUA_CONFIG", arg = "FILE|none",
    text = "Configuration file" },
  { flag = "--known-hosts", key = "known_hosts", env = "ARCLUA_KNOWN_HOSTS", arg = "FILE",
    text = "Host keys (default ~/.ssh/known_hosts)" },
  { flag = "--no-cache", key = "no_cache", env = "ARCLUA_NO_CACHE",
    text = "Neither read nor write files that keep what Azure gave" },
  { flag = "--log-level", key = "log_level", env = "ARCLUA_LOG_LEVEL", arg = "LEVEL",
    convert = settings.KEYS.log_level,
    text = "error, warn, info, debug or trace, on stderr" },
  { flag = "--color", key = "color", env = "ARCLUA_COLOR", arg = "WHEN",
    convert = settings.KEYS.color, text = "auto, always or never" },
}

local BY_FLAG = {}
for _, option in ipairs(globals.OPTIONS) do
  BY_FLAG[option.flag] = option
end

-- Stores a value: true | nil, what is wrong.
local function store(into, option, value, where)
  local why
  value, why = convert.read(option.convert or convert.text, value, where)
  if value == nil then
    return nil, why
  end
  if option.many then
    into[option.key] = into[option.key] or {}
    table.insert(into[option.key], value)
  else
    into[option.key] = value
  end
  return true
end

local FALSE = { ["0"] = true, ["false"] = true, no = true }

--- What the variables say: options, or nil and what is wrong.
---@return table|nil, string?
function globals.from_environment()
  local into = {}
  for _, option in ipairs(globals.OPTIONS) do
    local value = paths.env(option.env)
    if value and option.arg then
      local ok, why = store(into, option, value, "variable " .. option.env)
      if not ok then
        return nil, why
      end
    elseif value and not FALSE[value:lower()] then
      into[option.key] = true
    end
  end
  return into
end

-- One option at argv[i]: the index after it | nil, what is wrong.
local function take(argv, i, into)
  local flag, value = argv[i]:match "^(%-%-[^=]+)=(.*)$"
  flag = flag or argv[i]
  local option = BY_FLAG[flag]
  if not option then
    return nil, ("unknown option '%s'"):format(flag)
  elseif not option.arg then
    if value then
      return nil, ("option '%s' takes no value"):format(flag)
    end
    into[option.key] = true
    return i + 1
  end
  if not value then
    i, value = i + 1, argv[i + 1]
  end
  if not value then
    return nil, ("option '%s' needs %s"):format(flag, option.arg)
  end
  local ok, why = store(into, option, value, ("option '%s'"):format(flag))
  return ok and i + 1, why
end

-- Options that stand for a command.
local AS_COMMAND = { ["-h"] = "help", ["--help"] = "help", ["--version"] = "version",
  ["-e"] = "-e" }

--- Reads the options before the command: options, index of the first argument of the command,
--- its name (nil when there is none) | nil, what is wrong.
---@param argv string[]
---@return table|nil, integer|string, string?
function globals.scan(argv)
  local into, i = {}, 1
  while argv[i] and argv[i]:find "^%-." do
    local command = AS_COMMAND[argv[i]]
    if command then
      return into, i + 1, command
    end
    local next_, why = take(argv, i, into)
    if not next_ then
      return nil, why
    end
    i = next_
  end
  return into, i + 1, argv[i]
end

--- later's values over earlier's.
function globals.merge(earlier, later)
  local out = {}
  for _, source in ipairs { earlier, later } do
    for key, value in pairs(source) do
      out[key] = value
    end
  end
  return out
end

-- The part that arc.login takes.
local function login_options(values)
  return {
    cloud = values.cloud, subscription = values.subscription, tenant = values.tenant,
    all_subscriptions = values.all_subscriptions, credential = values.credential,
    trust_cloud = values.trust_cloud, refresh = values.refresh, no_cache = values.no_cache,
    known_hosts = values.known_hosts,
  }
end

--- Reads the configuration and makes the options known to scripts and to the modules below, as
--- arclua.defaults. Errors: what the configuration's reading gives.
---@return true|nil, arclua.Error?
function globals.apply(values)
  local loaded, err = config.load(values.config)
  if not loaded then
    return nil, err
  end
  local level = values.log_level or loaded.log_level
  defaults.values, defaults.config = values, loaded
  defaults.interactive = true
  defaults.color = values.color or loaded.color
  defaults.login = login_options(values)
  defaults.login.config = loaded
  if level then
    defaults.login.log, err = require("arclua.cli.log").new(level, values.log_file)
  end
  return not err or nil, err
end

return globals
