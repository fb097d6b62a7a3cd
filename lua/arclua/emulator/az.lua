-- SPDX-License-Identifier: MIT
-- An az and an azd for clients of the emulator: programs in a directory of their own that know the
-- emulator's Entra. What they are is in azprogram.lua; here is how they are put there.
local core = require "arclua.core"
local files = require "arclua.emulator.files"
local json = require "arclua.json"
local users = require "arclua.emulator.users"

local az = {}

--- How the two behave; the first is the default.
az.MODES = { "signed-in", "signed-out", "expired", "no-extension", "notice", "garbage",
  "hang" }

local KNOWN = {}
for _, mode in ipairs(az.MODES) do
  KNOWN[mode] = true
end

--- Checks a mode; nil: no az at all. Raises at that level: there is no such mode.
function az.check(mode, level)
  if mode ~= nil and not KNOWN[mode] then
    error(("option 'az': %s expected, got '%s'"):format(table.concat(az.MODES, ", "),
      tostring(mode)), level)
  end
end

--- The mode that an emulator begins with; nil: it has no az.
function az.wanted(opts)
  return opts.az or opts.sign_in == "azure-cli" and az.MODES[1] or nil
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The search path of modules from anywhere.
local function absolute(path)
  local here = core.sys.cwd()
  return (path:gsub("[^;]+", function(entry)
    return entry:find "^/" and entry or here .. "/" .. entry
  end))
end

-- Lua itself, or the program with the files in it.
local function interpreter()
  local bundled = package.loaded["arclua.host"] ~= nil
  return quote(core.sys.self()) .. (bundled and " run " or " ")
end

local function chunk(dir, name)
  return ("package.path, package.cpath = %q, %q\n"
    .. "os.exit(require('arclua.emulator.azprogram').main(%q, %q, arg), true)\n"):format(
    absolute(package.path), absolute(package.cpath), name, dir)
end

local function write_mode(self, mode)
  return core.sys.write_file(self.az_dir .. "/mode", mode, 384)
end

local function write_program(dir, name)
  local script = ("%s/%s.lua"):format(dir, name)
  return files.all {
    function() return core.sys.write_file(script, chunk(dir, name), 384) end,
    function()
      return core.sys.write_file(("%s/bin/%s"):format(dir, name), ("#!/bin/sh\nexec %s%s \"$@\"\n")
        :format(interpreter(), quote(script)), 448)
    end,
  }
end

local function subscriptions_of(state)
  local list = {}
  for i, one in ipairs(state.subscriptions) do
    list[i] = { id = one.id, name = one.name, state = "Enabled", isDefault = i == 1,
      user = { name = state.users.upn, type = "user" }, tenantId = state.tenant,
      homeTenantId = state.tenant, environmentName = state.cloud.name,
      managedByTenants = json.array {} }
  end
  return list
end

-- What the programs know: as the real one's folder, with a sign-in of the emulator's person.
local function session(state)
  return json.encode { authority = state.cloud.authority, ca = state.cloud.ca,
    audience = state.cloud.audience, tenant = state.tenant, client_id = users.CLIENT,
    refresh_token = users.sign_in(state), subscriptions = subscriptions_of(state) }
end

--- Makes the programs, and puts them first on the path of emulator.env.
---@return true|nil, arclua.Error?
function az.install(self, mode)
  local dir = self.client_dir .. "/azure"
  self.az_dir = dir
  self.env.PATH = dir .. "/bin:" .. (os.getenv "PATH" or "/usr/bin:/bin")
  self.env.AZURE_CONFIG_DIR = dir
  return files.all {
    function() return core.sys.mkdir(dir .. "/bin", 448) end,
    function() return core.sys.write_file(dir .. "/session.json", session(self.state), 384) end,
    function()
      return core.sys.write_file(dir .. "/azureProfile.json", "\xEF\xBB\xBF" .. json.encode {
        installationId = core.crypto.uuid(), subscriptions = subscriptions_of(self.state) }, 384)
    end,
    function() return write_mode(self, mode) end,
    function() return write_program(dir, "az") end,
    function() return write_program(dir, "azd") end,
  }
end

--- Another behaviour, from the next call on. Raises at the caller's caller: there is no such one,
--- or no az.
---@return true|nil, arclua.Error?
function az.change(self, mode)
  az.check(mode, 4)
  if not self.az_dir then
    error("the emulator was started without the option 'az'", 3)
  end
  return write_mode(self, mode)
end

return az
