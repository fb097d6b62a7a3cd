-- SPDX-License-Identifier: MIT
-- A command by ARM's Run Command instead of SSH: where the relay cannot serve. Never chosen by
-- itself; it runs as root (LocalSystem), so that has to be said.
local errors = require "arclua.errors"
local quote = require "arclua.quote"
local record = require "arclua.fleet.record"
local resource_id = require "arclua.resource_id"
local run_commands = require "arclua.arm.run_commands"
local versions = require "arclua.versions"

local run_command = {}

local LEAST_AGENT = "1.33"

run_command.NAME = "run-command"

-- What it cannot honour: of the fleet's options, and all that belong to a connection.
local REFUSED = { "sudo", "pty", "stdin", "retries", "try_disconnected", "direct", "max_output" }

local function option(name)
  return "--" .. name:gsub("_", "-")
end

local function refuse(name)
  return errors.fail { code = "config", op = "exec", message = ("option '%s' is for SSH: Run "
    .. "Command cannot honour it"):format(option(name)),
    remedy = "leave it away, or leave --via run-command away" }
end

--- What keeps these options from being a run by Run Command: true | nil, err.
---@param opts table  the fleet's, as they were given
---@return true|nil, arclua.Error?
function run_command.check(opts)
  for _, name in ipairs(REFUSED) do
    if opts[name] then
      return refuse(name)
    end
  end
  local given = {}
  for name in pairs(opts.connect) do
    given[#given + 1] = name
  end
  table.sort(given)
  if given[1] then
    return refuse(given[1])
  elseif not opts.as_root then
    return errors.fail { code = "config", op = "exec",
      message = "Run Command runs the command as root (on Windows as LocalSystem)",
      remedy = "say that this is meant: --as-root" }
  end
  return true
end

local function unfit(machine, message, remedy)
  return record.not_run(machine, errors.new { code = "config", op = "exec", message = message,
    remedy = remedy }, nil, "failed")
end

-- What keeps a machine from running anything: a result, or nil.
local function refused(machine)
  if machine.host then
    return unfit(machine, "Run Command is for machines of Azure Arc, not for hosts")
  elseif not resource_id.is_today(machine.type) then
    return unfit(machine, ("Run Command is for machines of type Microsoft.HybridCompute/machines, "
      .. "not %s"):format(machine.type), "leave --via run-command away")
  elseif versions.less(machine.agent_version, LEAST_AGENT) then
    return unfit(machine, ("agent %s is too old for Run Command: %s is needed"):format(
      machine.agent_version, LEAST_AGENT), "update the agent on the machine")
  end
end

-- Words are for sh, or PowerShell: that is what runs the script.
local function script_of(command, os)
  if type(command) == "table" and #command > 1 and os == "windows" then
    return quote.powershell_script(command)
  end
  return quote.line(command, os)
end

-- Where output is to be told as it comes, it all comes at the end.
local function tell(run, machine, answer)
  local hook = run.opts.on_output
  for _, name in ipairs(hook and { "stdout", "stderr" } or {}) do
    if answer[name] ~= "" then
      hook(machine, name, answer[name])
      answer[name] = ""
    end
  end
  return answer
end

--- Runs the command on a machine that may be tried.
---@return arclua.Result
function run_command.exec(run, machine, core)
  local no = refused(machine)
  if no then
    return no
  end
  local fields = { attempts = 1, started = core.time(), phase = "exec" }
  local began = core.now()
  local answer, err = run_commands.run(machine.azure.arm, machine, {
    script = script_of(run.command, machine.os), env = run.opts.env, timeout = run.opts.timeout })
  fields.seconds = core.now() - began
  if not answer then
    fields.phase = "arm"
    return record.not_run(machine, err, fields)
  end
  return record.of(machine, tell(run, machine, answer), fields)
end

return run_command
