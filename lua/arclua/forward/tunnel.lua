-- SPDX-License-Identifier: MIT
-- A session that stands for its forwardings alone: made anew when it is lost, with a program that
-- runs meanwhile.
local backoff = require "arclua.backoff"
local core = require "arclua.core"
local errors = require "arclua.errors"

local tunnel = {}

-- Waits between two tries; one that stood so long begins them anew.
local BACKOFF, STEADY = { base = 1, cap = 60 }, 60
local PARTING = 5 -- seconds that the program has to end

local NOT_FOUND, NOT_RUN, BY_SIGNAL = 127, 126, 128

---@class arclua.TunnelOptions
---@field name string             of the machine, for messages
---@field dial fun(): arclua.Session|nil, arclua.Error?
---@field forwards arclua.Forwards
---@field reconnect boolean?
---@field say fun(text: string)

-- A new session, however long that takes: session | nil, err when that cannot help.
local function dial_again(opts, tries, err)
  while true do
    local delay = backoff.delay(BACKOFF, tries)
    opts.say(("%s: %s; connecting again in %.0f s"):format(opts.name, err.message, delay))
    local ok, ended = core.sleep(delay)
    if not ok then
      return nil, ended
    end
    local session
    session, err = opts.dial()
    if session then
      opts.say(opts.name .. ": connected again")
      return session, tries
    elseif not err.retryable then
      return nil, err
    end
    tries = tries + 1
  end
end

--- Keeps the session (which it takes over) until it has gone for good, or is cancelled.
---@param session arclua.Session
---@param opts arclua.TunnelOptions
---@return nil, arclua.Error
function tunnel.keep(session, opts)
  local tries = 1
  while true do
    local began = core.now()
    local _, err = session:wait()
    opts.forwards:detach()
    session:close()
    if err.code == "cancelled" or not opts.reconnect then
      return nil, err
    end
    tries = core.now() - began > STEADY and 1 or tries
    session, tries = dial_again(opts, tries, err)
    if not session then
      return nil, tries
    end
    opts.forwards:attach(session)
    tries = tries + 1
  end
end

-- TERM, and when that does not help KILL.
local function stop(child)
  child:kill "TERM"
  core.shield(PARTING + 1, core.timeout, PARTING, child.wait, child)
end

local function environment(ports)
  local env = {}
  for i, port in ipairs(ports) do
    env["ARCLUA_PORT_" .. i] = port and ("%d"):format(port) or false
    env.ARCLUA_PORT = env.ARCLUA_PORT or port and ("%d"):format(port) or nil
  end
  return env
end

--- Runs a program while the session (taken over) stands: its exit status | nil, err when the
--- session has gone for good first. The program finds the ports that listen here in ARCLUA_PORT
--- (the first) and ARCLUA_PORT_1, _2 ... (by the order of the forwardings), and has the terminal:
--- Ctrl-C is for it alone.
---@param session arclua.Session
---@param args string[]
---@param opts arclua.TunnelOptions
---@return integer|nil, arclua.Error?
function tunnel.during(session, args, opts)
  local host = require "arclua.host"
  local child, err = core.process.spawn { args = args, stdin = "inherit", stdout = "inherit",
    die_with_parent = true, env = environment(opts.forwards:bound()) }
  if not child then
    opts.say(errors.describe(err))
    session:close()
    return err.code == "notfound" and NOT_FOUND or NOT_RUN
  end
  local held <close> = child
  local lost
  local keeper = core.spawn(function()
    local _, why = tunnel.keep(session, opts)
    lost = why
    child:kill "TERM"
  end)
  host.interrupts(false)
  local ended
  ended, err = held:wait()
  host.interrupts(true)
  if not ended then
    stop(held)
  end
  keeper:cancel()
  core.shield(PARTING, keeper.await, keeper)
  if lost and lost.code ~= "cancelled" or not ended then
    return nil, lost or err
  end
  return ended.status or BY_SIGNAL + ended.signal_number
end

return tunnel
