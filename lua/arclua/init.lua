-- SPDX-License-Identifier: MIT
-- The public module. Parts are loaded when they are first used, so that a small script starts
-- at once.
local core = require "arclua.core"

local arc = {
  spawn = core.spawn, sleep = core.sleep, timeout = core.timeout, shield = core.shield,
  now = core.now, time = core.time, shutdown = core.shutdown,
}

--- Parts that are modules of their own.
local MODULES = { credential = "arclua.credential", json = "arclua.json",
  emulator = "arclua.emulator", map = "arclua.map", errors = "arclua.errors" }

--- Signs in. Options: arclua.LoginOptions.
---@return arclua.Azure|nil, arclua.Error?
function arc.login(opts)
  return require("arclua.azure").login(opts)
end

--- A fleet over machines, names, IDs or { host = "10.0.0.5" }. Options: arclua.FleetOptions.
---@return arclua.Fleet
function arc.fleet(list, opts)
  return require("arclua.fleet").new(list, opts)
end

--- An SSH session to a host reached directly: { host =, port =? }, options as machine:ssh.
---@return arclua.Session|nil, arclua.Error?
function arc.ssh(host, opts)
  local connect = require "arclua.connect"
  return connect.session({ host = host.host, port = host.port, os = host.os,
    name = host.name or host.host }, connect.check(opts))
end

--- Command lines for scripts: arc.cli.parse(arg, { select = true, fleet = true }).
arc.cli = setmetatable({}, { __index = function(_, name)
  if name == "parse" then
    return require("arclua.cli.parse").parse
  end
end })

--- ARM requests with an arc.login: arc.arm.request(az, { url = path, method =?, body =? }).
arc.arm = setmetatable({}, { __index = function(_, name)
  if name == "request" then
    return require("arclua.arm.request")
  end
end })

return setmetatable(arc, { __index = function(_, name)
  local module = MODULES[name]
  if module then
    local value = require(module)
    rawset(arc, name, value)
    return value
  end
end })
