-- SPDX-License-Identifier: MIT
-- %-tokens, ${VARIABLES} and ~ in values of ssh_config.
local core = require "arclua.core"
local errors = require "arclua.errors"

local tokens = {}

local function local_name()
  local file = io.open("/proc/sys/kernel/hostname", "r")
  local name = file and file:read "l" or ""
  if file then
    file:close()
  end
  return name
end

local VALUES = {
  ["%"] = function() return "%" end,
  d = function() return core.sys.home() end,
  u = function() return core.sys.user() end,
  i = function() return ("%d"):format(core.sys.getuid()) end,
  l = local_name,
  L = function() return (local_name():match "^[^.]*") end,
  h = function(of) return of.hostname end,
  n = function(of) return of.host end,
  k = function(of) return of.alias or of.host end,
  p = function(of) return ("%d"):format(of.port or 22) end,
  r = function(of) return of.user end,
}

local function refuse(text, why)
  return errors.fail { code = "config", op = "ssh_config",
    message = ("ssh_config: '%s': %s"):format(text, why) }
end

local function variables(text)
  local missing
  local out = text:gsub("%${([^}]*)}", function(name)
    local value = os.getenv(name)
    missing = missing or not value and name
    return value
  end)
  if missing then
    return refuse(text, ("the variable %s is not set"):format(missing))
  end
  return out
end

--- A file name with its tokens, variables and ~ replaced. of: host (as typed), hostname, alias,
--- port, user. Errors: config.
---@param text string
---@param of { host: string, hostname: string, alias: string?, port: integer?, user: string }
---@return string|nil, arclua.Error?
function tokens.path(text, of)
  local unknown
  local out = text:gsub("%%(.?)", function(letter)
    local value = VALUES[letter]
    unknown = unknown or not value and "%" .. letter
    return value and value(of) or ""
  end)
  if unknown then
    return refuse(text, ("'%s' is not known here"):format(unknown))
  end
  local err
  out, err = variables(out)
  if not out then
    return nil, err
  end
  return (out:gsub("^~/", function() return core.sys.home() .. "/" end))
end

--- HostName, in which %h is the name as typed.
---@return string
function tokens.hostname(text, host)
  return (text:gsub("%%(.)", function(letter)
    return letter == "h" and host or letter == "%" and "%" or nil
  end))
end

return tokens
