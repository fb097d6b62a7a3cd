-- SPDX-License-Identifier: MIT
-- Where files are kept. ARCLUA_STATE moves everything of ours to one place.
local core = require "arclua.core"

local paths = {}

local function env(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function home(tail)
  return core.sys.home() .. tail
end

--- Whether a variable that may be a secret is set: its value becomes no string of Lua.
---@param name string
---@param primitives table?  instead of arclua.core
---@return boolean
function paths.has_secret(name, primitives)
  local value <close> = (primitives or core).secret_env(name)
  return value ~= nil
end

--- Whether a variable says yes, as the Azure SDKs read it: 1 or true.
---@param name string
---@return boolean
function paths.says_yes(name)
  local value = (paths.env(name) or ""):lower()
  return value == "1" or value == "true"
end

--- The default configuration file.
---@return string
function paths.config()
  return (env "XDG_CONFIG_HOME" or home "/.config") .. "/arclua/config"
end

--- Where stored sign-ins are.
---@return string
function paths.state()
  local given = env "ARCLUA_STATE"
    or (env "XDG_STATE_HOME" or home "/.local/state") .. "/arclua"
  return (given:gsub("(.)/+$", "%1"))
end

--- Where is kept what can be asked for again.
---@return string
function paths.cache()
  if env "ARCLUA_STATE" then
    return paths.state() .. "/cache"
  end
  return (env "XDG_CACHE_HOME" or home "/.cache") .. "/arclua"
end

--- known_hosts as OpenSSH has it, unless the environment names another.
---@return string
function paths.known_hosts()
  return env "ARCLUA_KNOWN_HOSTS" or home "/.ssh/known_hosts"
end

--- The Azure CLI's folder.
---@return string
function paths.azure_cli()
  return env "AZURE_CONFIG_DIR" or home "/.azure"
end

--- Private keys that OpenSSH tries without being told, those that exist.
---@return string[]
function paths.default_identities()
  local found = {}
  for _, name in ipairs { "id_ed25519", "id_ecdsa", "id_rsa" } do
    local path = home("/.ssh/" .. name)
    local stat = core.sys.stat(path)
    if stat and stat.type ~= "directory" then
      found[#found + 1] = path
    end
  end
  return found
end

--- path with a leading ~/ replaced by the home directory.
---@return string
function paths.expand(path)
  return (path:gsub("^~/", function()
    return home "/"
  end))
end

--- The variable's value, nil when unset or empty.
paths.env = env

return paths
