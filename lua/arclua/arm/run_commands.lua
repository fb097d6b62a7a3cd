-- SPDX-License-Identifier: MIT
-- A script on a machine by ARM's runCommands, at most once: a PUT always runs it again, so each run
-- has a resource of a name of its own, is sent once, over a connection of its own (a pooled one
-- that has died would be replaced by curl, and the request sent again), and is looked for by a GET
-- when no answer came. The resource is removed afterwards: 25 of them are all that a machine takes,
-- and whoever may read the machine can read script and output.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local run_commands = {}

local API = "2025-01-13"
local PREFIX = "arclua-"
local KEPT = 4096 -- bytes of each output that Azure keeps: the last ones
-- Azure's own Retry-After is minutes; these are the seconds between two looks of ours.
local PAUSES = { 1, 2, 3, 5 }
local SLOW, SLOW_AFTER = 10, 60
local LATE = 300 -- seconds beyond its time that Azure gets to end a script
local TRIES, RETRY = 3, 2 -- looks for a run whose answer was lost
local PARTING = 8 -- seconds to remove it after a cancel

local OVER = { succeeded = true, failed = true, timedout = true, canceled = true,
  cancelled = true }

local function path(machine, name)
  return resource_id.path(machine.id) .. "/runCommands" .. (name and "/" .. name or "")
end

local function new_name(core)
  return PREFIX .. core.crypto.hex(core.crypto.random(8))
end

---@class arclua.ScriptSpec
---@field script string
---@field env table<string, string>?  protected parameters: Azure tells their values to nobody
---@field timeout number?             seconds for the script

local function protected(env)
  local names, out = {}, {}
  for name in pairs(env or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    out[i] = { name = name, value = env[name] }
  end
  return #out > 0 and out or nil
end

local function put(client, machine, name, spec)
  return client:request { method = "PUT", path = path(machine, name), api_version = API,
    replay = false, body = { location = machine.location, properties = {
      source = { script = spec.script }, protectedParameters = protected(spec.env),
      asyncExecution = false,
      timeoutInSeconds = spec.timeout and math.ceil(spec.timeout) or nil } } }
end

local function get(client, machine, name)
  return client:request { path = path(machine, name), api_version = API,
    query = { ["$expand"] = "instanceView" } }
end

local function view_of(value)
  local properties = type(value) == "table" and value.properties
  properties = type(properties) == "table" and properties or {}
  local view = type(properties.instanceView) == "table" and properties.instanceView or {}
  return { provisioning = tostring(properties.provisioningState or ""):lower(),
    execution = tostring(view.executionState or ""):lower(), status = view.exitCode,
    message = view.executionMessage, output = view.output or "", errors = view.error or "" }
end

-- ---- room for one more -----------------------------------------------------------------------

-- Whether a refusal says that the machine holds as many as it can.
local function is_full(err)
  return err.status == 400 and err.message:lower():find("maximum number", 1, true) ~= nil
end

-- Runs of ours that are over and were left behind: how many were removed | nil, err.
local function clean_up(client, machine)
  local list, err = client:list { path = path(machine), api_version = API,
    query = { ["$expand"] = "instanceView" } }
  if not list then
    return nil, err
  end
  local removed = 0
  for _, entry in ipairs(list) do
    local ours = tostring(entry.name):sub(1, #PREFIX) == PREFIX
    if ours and OVER[view_of(entry).execution]
      and client:request { method = "DELETE", path = path(machine, entry.name),
        api_version = API, wait = LATE } then
      removed = removed + 1
    end
  end
  return removed
end

local function full(err)
  return errors.with(err, { remedy = "remove those that are over: az connectedmachine run-command "
    .. "list, then az connectedmachine run-command delete" })
end

-- Sends it; makes room once where there is none.
local function send(client, machine, spec)
  local name = new_name(client.core)
  local value, err = put(client, machine, name, spec)
  if value ~= nil or not is_full(err) then
    return value, err, name
  elseif (clean_up(client, machine) or 0) == 0 then
    return nil, full(err)
  end
  name = new_name(client.core)
  value, err = put(client, machine, name, spec)
  return value, err and is_full(err) and full(err) or err, name
end

-- ---- until it is over ------------------------------------------------------------------------

-- The answer to the PUT was lost: is it there? true | false: nobody knows | nil, err.
local function look_for(client, machine, name)
  for try = 1, TRIES do
    local value, err = get(client, machine, name)
    if value then
      return true
    elseif err.status ~= 404 then
      return err.code == "cancelled" and nil or false, err
    end
    local ok, ended = client.core.sleep(try < TRIES and RETRY or 0)
    if not ok then
      return nil, ended
    end
  end
  return false
end

local function pause(core, n, began)
  local seconds = core.now() - began > SLOW_AFTER and SLOW or PAUSES[n] or PAUSES[#PAUSES]
  return core.sleep(seconds)
end

-- Reads until the script is over: its view | nil, err.
local function follow(client, machine, name, spec)
  local core = client.core
  local began, n = core.now(), 0
  while true do
    n = n + 1
    local ok, ended = pause(core, n, began)
    if not ok then
      return nil, ended
    end
    local value, err = get(client, machine, name)
    if value == nil then
      return nil, err
    end
    local view = view_of(value)
    if OVER[view.execution] or view.provisioning == "failed" or view.provisioning == "canceled" then
      return view
    elseif spec.timeout and core.now() - began > spec.timeout + LATE then
      return errors.fail { code = "timeout", op = "run-command",
        message = "Azure has not ended the script when its time was over" }
    end
  end
end

-- Removes it, which also ends it: whether Azure says that this is done.
local function remove(client, machine, name, wait)
  local ok = client:request { method = "DELETE", path = path(machine, name), api_version = API,
    wait = wait }
  return ok ~= nil
end

-- ---- what it gives ---------------------------------------------------------------------------

local function failure(status)
  return errors.new { reason = "ssh.command-failed", op = "run-command", phase = "exec",
    message = ("the command exited with status %s"):format(tostring(status)) }
end

local ENDS = {}

function ENDS.succeeded(view)
  local status = math.tointeger(tonumber(view.status)) or 0
  return { state = status == 0 and "ok" or "failed", status = status,
    err = status ~= 0 and failure(status) or nil }
end

function ENDS.failed(view)
  local status = math.tointeger(tonumber(view.status))
  return { state = "failed", status = status, err = status and status ~= 0 and failure(status)
    or errors.new { code = "unknown", op = "run-command", phase = "exec",
      message = "the agent could not run the script: " .. tostring(view.message) } }
end

function ENDS.timedout()
  return { state = "timeout", err = errors.new { code = "timeout", op = "run-command",
    phase = "exec", retryable = false, message = "the command took too long" } }
end

function ENDS.canceled()
  return { state = "unknown", err = errors.new { code = "unknown", op = "run-command",
    phase = "exec", message = "somebody has cancelled the run command" } }
end

ENDS.cancelled = ENDS.canceled

local function result_of(view)
  local answer = (ENDS[view.execution] or ENDS.failed)(view)
  answer.stdout, answer.stderr, answer.ended = view.output, view.errors, "confirmed"
  answer.truncated = (#view.output >= KEPT or #view.errors >= KEPT) and -1 or 0
  return answer
end

local function nobody_knows(err)
  return { state = "unknown", stdout = "", stderr = "", truncated = 0, ended = "unconfirmed",
    err = errors.new { code = "unknown", op = "run-command", phase = "exec", cause = err,
      message = "whether the script ran is unknown: " .. err.message } }
end

-- It was sent, and err kept us from seeing its end: it is ended and removed.
local function given_up(client, machine, name, err)
  local gone = client.core.shield(PARTING, function()
    return remove(client, machine, name, PARTING)
  end)
  local cancelled = err.code == "cancelled"
  return { state = cancelled and "cancelled" or err.code == "timeout" and "timeout" or "unknown",
    stdout = "", stderr = "", truncated = 0, ended = gone and "confirmed" or "unconfirmed",
    err = err }
end

--- Runs a script as the agent's user (root, LocalSystem). A result whenever it was, or may have
--- been, sent; nil, err only when it was not.
--- Errors: denied, config, conflict, limit ... of ARM.
---@param client arclua.ArmClient
---@param machine arclua.Machine
---@param spec arclua.ScriptSpec
---@return arclua.ExecResult|nil, arclua.Error?
function run_commands.run(client, machine, spec)
  local began = client.core.now()
  local value, err, name = send(client, machine, spec)
  local there = value ~= nil
  if not there and (err.reason == "arm.outcome-unknown" or err.code == "cancelled") then
    there = err.code == "cancelled" or look_for(client, machine, name)
    if not there then
      return nobody_knows(err)
    end
  elseif not there then
    return nil, err
  end
  local view
  if value ~= nil or err.code ~= "cancelled" then
    view, err = follow(client, machine, name, spec)
  end
  local answer
  if view then
    answer = result_of(view)
    client.core.shield(PARTING, remove, client, machine, name)
  else
    answer = given_up(client, machine, name, err)
  end
  answer.seconds = client.core.now() - began
  return answer
end

return run_commands
