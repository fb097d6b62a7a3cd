-- SPDX-License-Identifier: MIT
-- One machine's copy: connect, again when the connection breaks, and go on where it was.
local connect = require "arclua.connect"
local core = require "arclua.core"
local errors = require "arclua.errors"
local record = require "arclua.fleet.record"
local retry = require "arclua.fleet.retry"
local target = require "arclua.fleet.target"

local copying = {}

-- What a template stands for.
local FIELDS = { name = "name", group = "resource_group", subscription = "subscription", os = "os" }

-- A machine's word as one part of a path.
local function part_of(machine, key)
  local value = tostring(machine[FIELDS[key]] or ""):gsub("[/%z]", "_")
  return (value == "." or value == ".." or value == "") and "_" or value
end

--- A path with {name} and the like filled in.
---@return string
function copying.fill(text, machine)
  return (text:gsub("{(%a+)}", function(key)
    return FIELDS[key] and part_of(machine, key) or nil
  end))
end

function copying.is_template(text)
  for key in text:gmatch "{(%a+)}" do
    if FIELDS[key] then
      return true
    end
  end
  return false
end

-- Where a download goes on this side, for one machine of several.
local function destination_of(plan, machine)
  local text = plan.destination
  if not plan.upload and #plan.targets > 1 and text:find "/$" and not copying.is_template(text) then
    text = text .. part_of(machine, "name") .. "/"
  end
  return copying.fill(text, machine)
end

-- What is wrong with the destination of several machines, or nil.
local function clash(plan)
  if plan.upload or #plan.targets < 2 then
    return nil
  elseif not plan.destination:find "/$" and not copying.is_template(plan.destination) then
    return ("%d machines cannot be copied into one name: write {name} into '%s', or end it with a "
      .. "slash"):format(#plan.targets, plan.destination)
  end
  local seen = {}
  for _, machine in ipairs(plan.targets) do
    local text = destination_of(plan, machine)
    if seen[text] then
      return ("two machines, %s and %s, would be copied to '%s': write {group} or {subscription} "
        .. "into the target, too"):format(seen[text].id or seen[text].name,
        machine.id or machine.name, text)
    end
    seen[text] = machine
  end
  return nil
end

--- What is to be copied, for all machines. Errors: config.
---@param plan { upload: boolean, sources: string[], destination: string, targets: table[],
---   copy: table }
---@return table|nil, arclua.Error?
function copying.plan(plan)
  local why = clash(plan)
  if why then
    return errors.fail { reason = "copy.one-target", op = "copy", message = why }
  end
  plan.meter = core.sftp.meter(nil, plan.copy.limit_rate)
  return plan
end

local function sources_of(run, machine)
  local out = {}
  for i, source in ipairs(run.sources) do
    out[i] = copying.fill(source, machine)
  end
  return out
end

-- A session and SFTP over it, kept to be closed: sftp, session | nil, err.
local function open(run, machine, state, progress)
  local session, err = (run.connect or connect.session)(machine, run.opts.connect, progress,
    run.context)
  if not session then
    return nil, err
  end
  state.sessions[#state.sessions + 1] = session
  progress.phase = "sftp"
  local sftp
  sftp, err = session:sftp()
  return sftp, sftp and session or err
end

local function close_all(state)
  for _, session in ipairs(state.sessions) do
    session:close()
  end
  state.sessions = {}
end

-- One connection and the copy over it, as far as it comes.
local function attempt(run, machine, state)
  local job = require "arclua.copy.job"
  state.attempts = state.attempts + 1
  state.progress = { phase = "select", on_wait = run.opts.on_wait }
  local sftp, session = open(run, machine, state, state.progress)
  if not sftp then
    close_all(state)
    return nil, session
  end
  state.progress.phase, state.begun = "copy", true
  local ok, err = job.new({
    upload = run.upload, opts = run.copy, session = session, sftp = sftp, os = machine.os,
    sources = sources_of(run, machine), destination = destination_of(run, machine),
    make_parents = copying.is_template(run.destination), excluded = run.copy.excluded,
    state = state.copy, meter = state.meter, hooks = state.hooks,
    more = function()
      return open(run, machine, state, {})
    end,
  }):run()
  sftp:close()
  close_all(state)
  return ok, err
end

local function run_attempts(run, machine, state)
  local primitives = run.primitives or core
  local function all()
    return retry.run(run.opts, primitives, function()
      return attempt(run, machine, state)
    end)
  end
  if run.opts.timeout then
    return primitives.timeout(run.opts.timeout, all)
  end
  return all()
end

-- What a broken connection left on the machine.
local function note_left(state, err)
  for _, name in pairs(err and state.copy.temporaries or {}) do
    table.insert(state.copy.outcome.notes, "left behind: " .. name)
  end
end

local function tell(run, machine, result)
  if run.opts.on_output then
    for _, stream in ipairs { "stderr", "stdout" } do
      if result[stream] ~= "" then
        run.opts.on_output(machine, stream, result[stream])
      end
    end
  end
  return result
end

-- Errors that say that this machine does no SFTP: it was reached.
local NO_SFTP = { ["ssh.no-subsystem"] = true, ["sftp.unavailable"] = true,
  ["sftp.garbage"] = true, ["sftp.version"] = true }

--- Copies to or from the machine.
---@param run table  copying.plan's
---@return arclua.Result
function copying.run(run, machine)
  local primitives = run.primitives or core
  local result = target.refused(machine, run.opts)
  if result then
    return result
  end
  local progress = run.opts.progress
  local state = { attempts = 0, started = primitives.time(), began = primitives.now(),
    sessions = {}, copy = require("arclua.copy.job").state(),
    meter = core.sftp.meter(run.meter), hooks = progress and progress:begin(machine) }
  if progress then
    progress:watch(machine, state.meter)
  end
  local ok, err = run_attempts(run, machine, state)
  if progress then
    progress:done(machine)
  end
  local fields = { attempts = state.attempts, started = state.started,
    seconds = primitives.now() - state.began, phase = state.progress.phase }
  if state.begun then
    note_left(state, not ok and not run.copy.resume and err)
    result = record.copied(machine, state.copy.outcome, err, fields)
  else
    result = record.not_run(machine, err, fields, NO_SFTP[err.reason] and "failed" or nil)
  end
  return tell(run, machine, target.blame_deadline(run, primitives, result))
end

return copying
