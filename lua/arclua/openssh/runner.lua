-- SPDX-License-Identifier: MIT
-- Carries a plan of `arclua ssh` out.
local client = require "arclua.openssh.client"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local output = require "arclua.output"

local runner = {}

-- What ssh gives whenever the failure is its own.
local FAILED = 255

local function say(text)
  output.standard(2):line("arclua: " .. escape.text(text, true))
end

-- The exit status that a result means.
local function status_of(result)
  if result.status then
    return result.status
  elseif result.ours == "escape" or result.ours == "output" then
    return FAILED
  elseif result.signal then
    say(result.err.message)
    return FAILED
  end
  return nil, result.err
end

local function run_session(session, plan, how)
  local result, err = client.run(session, {
    command = plan.session == "command" and plan.command or nil,
    subsystem = plan.session == "subsystem" and plan.command or nil,
    pty = plan.pty, env = plan.env, agent = plan.agent, stdin = plan.stdin,
    escape = plan.escape,
  })
  if not result then
    return nil, err
  end
  if plan.pty and not how.given.quiet then
    output.standard(2):line(("Connection to %s closed."):format(escape.text(how.name)))
  end
  return status_of(result)
end

---@param plan arclua.SshPlan
---@param how { given: arclua.SshArguments, name: string, dial: function }
---@return integer|nil status, arclua.Error?
function runner.run(plan, how)
  local session, err = how.dial()
  if not session then
    return nil, err
  end
  local held <close> = session
  return run_session(held, plan, how)
end

return runner
