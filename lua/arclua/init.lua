-- SPDX-License-Identifier: MIT
-- The public module. Parts are loaded when they are first used, so that a small script starts
-- at once.
local core = require "arclua.core"

local arc = {
  spawn = core.spawn, sleep = core.sleep, timeout = core.timeout, shield = core.shield,
  now = core.now, time = core.time, shutdown = core.shutdown, version = core.version,
}

--- Parts that are modules of their own.
local MODULES = { accounts = "arclua.accounts", arm = "arclua.arm",
  credential = "arclua.credential", json = "arclua.json", emulator = "arclua.emulator",
  map = "arclua.map", errors = "arclua.errors", forward = "arclua.forward" }

--- Signs in: cloud and credential are chosen, the first token is asked for.
--- Raises: unknown options.
--- Errors: config (options, files), auth (no credential, Entra's refusal), and what the network
--- gives: dns, tls, refused, timeout.
---@param opts arclua.LoginOptions?  over the program's global options and the environment
---@return arclua.Azure|nil, arclua.Error?
function arc.login(opts)
  return require("arclua.azure").login(opts)
end

--- A fleet. Nothing is asked or dialled before fleet:exec.
--- Raises: unknown or ill-typed options.
---@param list any[]  machines of az:machines, names or resource IDs (looked up by a sign-in), or
---   { host = "10.0.0.5", port = 22, name = "db" } for a host reached directly
---@param opts arclua.FleetOptions?
---@return arclua.Fleet
function arc.fleet(list, opts)
  return require("arclua.fleet").new(list, opts)
end

--- An SSH session to a host reached directly, not through Azure. Close it, or say <close>.
--- Errors: as machine:ssh, but none of ARM and the relay.
---@param host { host: string, port: integer?, user: string?, name: string?, os: string? }  port: as
---   ssh_config says, else 22; os "windows" when the server is one
---@param opts arclua.ConnectOptions?
---@return arclua.Session|nil, arclua.Error?
function arc.ssh(host, opts)
  local connect = require "arclua.connect"
  return connect.session({ host = host.host, port = host.port, user = host.user, os = host.os,
    name = host.name or host.host }, connect.check(opts))
end

--- Command lines for scripts: arc.cli.parse(arg, { select = true, fleet = true }).
arc.cli = setmetatable({}, { __index = function(_, name)
  if name == "parse" then
    return require("arclua.cli.parse").parse
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
