-- SPDX-License-Identifier: MIT
-- Carries a plan of `arclua ssh` out.
local client = require "arclua.openssh.client"
local core = require "arclua.core"
local escape = require "arclua.report.escape"
local forward = require "arclua.forward"
local output = require "arclua.output"
local rdp = require "arclua.forward.rdp"
local tunnel = require "arclua.forward.tunnel"

local runner = {}

-- What ssh gives whenever the failure is its own.
local FAILED = 255

local function say(text)
  output.standard(2):line("arclua: " .. escape.text(text, true))
end

-- What a forwarding has to say; -q leaves out what is no failure of the whole.
local function logger(quiet)
  return function(level, text)
    if not quiet or level == "error" then
      say(text)
    end
  end
end

-- ---- a shell or command --------------------------------------------------------------------

-- The exit status that a result means | nil, err.
local function status_of(result)
  if result.status then
    return result.status
  elseif result.ours then
    return FAILED
  elseif result.signal then
    say(result.err.message)
    return FAILED
  end
  return nil, result.err
end

local function run_session(session, plan, how, forwards)
  local result, err = client.run(session, {
    command = plan.session == "command" and plan.command or nil,
    subsystem = plan.session == "subsystem" and plan.command or nil,
    pty = plan.pty, env = plan.env, agent = plan.agent, stdin = plan.stdin, escape = plan.escape,
    connections = function() return forwards:connections() end,
  })
  if not result then
    return nil, err
  end
  if plan.pty and not how.given.quiet then
    output.standard(2):line(("Connection to %s closed."):format(escape.text(how.name)))
  end
  local status
  status, err = status_of(result)
  if status and not result.ours and #forwards:connections() > 0 then
    say(("waiting for forwarded connections to end:\n%s"):format(
      table.concat(forwards:connections(), "\n")))
    forwards:drained()
  end
  return status, err
end

-- ---- tunnels alone -------------------------------------------------------------------------

-- -W: our input and output lead there.
local function run_stdio(session, place)
  local stream, err
  if place.path then
    stream, err = session:direct_streamlocal(place.path)
  else
    stream, err = session:direct_tcpip(place.host, place.port)
  end
  if not stream then
    return nil, err
  end
  local ok
  ok, err = core.splice(core.stdio(0, 1), stream, { follow = true })
  return ok and 0, err
end

-- The program to run meanwhile: --while's, or a Remote Desktop client.
local function program(plan, how, forwards)
  if how.given.during or not plan.rdp then
    return how.given.during
  end
  local port = forwards.ports[plan.rdp]
  local args = port and rdp.client(port, how.user)
  if port and not args then
    say(("Remote Desktop of %s is at localhost:%d; Ctrl-C ends it"):format(how.name, port))
  end
  return args
end

-- Ends us when who started us has ended, unless we were told to stay (nohup).
local function follow_parent(plan)
  local host = require "arclua.host"
  if plan.background or not host.hangs_up() then
    return nil
  end
  local main = core.current()
  return core.spawn(function()
    if core.process.await_parent() then
      main:cancel()
    end
  end)
end

local function run_tunnel(session, plan, how, forwards)
  local follower = follow_parent(plan)
  local opts = { name = how.name, dial = how.dial, forwards = forwards, say = say,
    reconnect = how.given.long.reconnect }
  local args = program(plan, how, forwards)
  local status, err
  if args then
    status, err = tunnel.during(session, args, opts)
  else
    status, err = tunnel.keep(session, opts)
  end
  if follower then
    follower:cancel()
  end
  return status, err
end

-- ---- all -----------------------------------------------------------------------------------

-- Sets the forwardings up: true | nil when one has failed and that is to end it.
local function start_forwards(forwards, session, plan)
  local here = forwards:listen()
  local there = forwards:attach(session)
  return here and there or not plan.strict
end

local function run(session, plan, how)
  if plan.stdio then
    return run_stdio(session, plan.stdio)
  end
  local forwards <close> = forward.new(plan.forwards, { gateway = plan.gateway, mask = plan.mask,
    unlink = plan.unlink, log = logger(how.given.quiet) })
  if not start_forwards(forwards, session, plan) then
    return FAILED -- it has been said why
  end
  if plan.background then
    local ok, err = require("arclua.host").background(plan.session == "none")
    if not ok then
      return nil, err
    end
  end
  if plan.session == "none" then
    return run_tunnel(session, plan, how, forwards)
  end
  return run_session(session, plan, how, forwards)
end

---@class arclua.RunnerOptions
---@field given arclua.SshArguments
---@field name string   of the machine
---@field user string   who is logged in
---@field dial fun(): arclua.Session|nil, arclua.Error?

--- Connects and does what is planned: the exit status | nil, err.
---@param plan arclua.SshPlan
---@param how arclua.RunnerOptions
---@return integer|nil, arclua.Error?
function runner.run(plan, how)
  local session, err = how.dial()
  if not session then
    return nil, err
  end
  local held <close> = session
  return run(held, plan, how)
end

return runner
