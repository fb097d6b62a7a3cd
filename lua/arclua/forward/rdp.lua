-- SPDX-License-Identifier: MIT
-- The platform's Remote Desktop client for a port of this machine.
local core = require "arclua.core"
local paths = require "arclua.paths"

local rdp = {}

local ANY_EXECUTE = 73 -- octal 111

local function find(name)
  for directory in (paths.env "PATH" or ""):gmatch "[^:]+" do
    local stat = core.sys.stat(directory .. "/" .. name, true)
    if stat and stat.type == "file" and stat.mode & ANY_EXECUTE ~= 0 then
      return directory .. "/" .. name
    end
  end
end

local function freerdp(path, place, user)
  return { path, "/v:" .. place, user and "/u:" .. user or nil }
end

-- In order of preference; windowed: it needs a display here.
local CLIENTS = {
  { "xfreerdp3", freerdp, windowed = true }, { "xfreerdp", freerdp, windowed = true },
  { "wlfreerdp", freerdp, windowed = true },
  { "remmina", function(path, place) return { path, "-c", "rdp://" .. place } end,
    windowed = true },
  { "rdesktop", function(path, place) return { path, place } end, windowed = true },
  { "mstsc.exe", function(path, place) return { path, "/v:" .. place } end }, -- WSL
}

--- The command line of the first client that is there; nil when none is, or no display.
---@param port integer
---@param user string?
---@return string[]?
function rdp.client(port, user)
  local display = paths.env "DISPLAY" or paths.env "WAYLAND_DISPLAY"
  for _, client in ipairs(CLIENTS) do
    local path = (display or not client.windowed) and find(client[1])
    if path then
      return client[2](path, ("localhost:%d"):format(port), user)
    end
  end
end

return rdp
