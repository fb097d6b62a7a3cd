-- SPDX-License-Identifier: MIT
-- One command on one machine: connect (again, while nothing was sent), send once, tell.
local connect = require "arclua.connect"
local real = require "arclua.core"
local errors = require "arclua.errors"
local login = require "arclua.openssh.login"
local quote = require "arclua.quote"
local record = require "arclua.fleet.record"
local retry = require "arclua.fleet.retry"
local run_command = require "arclua.fleet.run_command"

local target = {}

-- Run Command cannot try a machine that is away.
local START_AGENT = "on the machine: `azcmagent show` and start the agent"

---@class arclua.RunSpec
---@field command string|string[]
---@field opts table                 checked fleet options
---@field stdin string?
---@field connect (fun(machine, opts, progress): arclua.Session?, arclua.Error?)?
---@field primitives table?
---@field context arclua.Context?

--- What forbids trying at all: a result, or nil.
function target.refused(machine, opts)
  local reachable, err = connect.reachable(machine)
  if not reachable and not opts.try_disconnected then
    err = opts.via and errors.with(err, { remedy = START_AGENT }) or err
    return record.not_run(machine, err, nil, "unreachable")
  end
  local option = machine.os == "windows" and quote.posix_only(opts)
  if option then
    return record.not_run(machine, errors.new { reason = "machine.posix-only", op = "exec",
      message = ("%s is a Windows machine: option '%s' is for POSIX machines only")
        :format(machine.name, option) }, nil, "failed")
  elseif machine.os == "windows" and opts.connect.entra then
    local _, why = login.no_entra(machine.name)
    return record.not_run(machine, why, nil, "failed")
  end
  return nil
end

-- Once the run's deadline has passed every wait of this task is refused.
local function is_late(run, core)
  local ok, err = true, nil
  if run.opts.deadline then
    ok, err = core.sleep(0)
  end
  return not ok and err.code == "timeout"
end

--- An error or answer that the run's deadline caused says so.
function target.blame_deadline(run, core, result)
  if result.err and result.err.code == "timeout" and is_late(run, core) then
    result.err = errors.new { reason = "fleet.deadline", op = "exec", phase = result.phase,
      cause = result.err, message = "the deadline of the run passed" }
    result.state = "timeout"
  end
  return result
end

local function exec_options(run, machine)
  local opts = run.opts
  local function sink(name)
    return opts.on_output and function(chunk)
      opts.on_output(machine, name, chunk)
    end or nil
  end
  return {
    timeout = opts.timeout, stdin = run.stdin, pty = opts.pty, max_output = opts.max_output,
    on_stdout = sink "stdout", on_stderr = sink "stderr",
  }
end

-- One connection and, when it stands, one command: an ExecResult | nil, err when nothing was sent.
local function attempt(run, machine, state)
  state.attempts = state.attempts + 1
  state.progress = { phase = "select", on_wait = run.opts.on_wait }
  local session, err = (run.connect or connect.session)(machine, run.opts.connect, state.progress,
    run.context)
  if not session then
    return nil, err
  end
  state.progress.phase = "exec"
  local line = quote.wrap(quote.line(run.command, machine.os), run.opts)
  local answer
  answer, err = session:exec(line, exec_options(run, machine))
  session:close()
  return answer, err
end

--- Runs the command on the machine.
---@param run arclua.RunSpec
---@return arclua.Result
function target.exec(run, machine)
  local core = run.primitives or real
  local result = target.refused(machine, run.opts)
  if result then
    return result
  elseif run.opts.via then
    return target.blame_deadline(run, core, run_command.exec(run, machine, core))
  end
  local state = { attempts = 0, started = core.time(), began = core.now() }
  local answer, err = retry.run(run.opts, core, function()
    return attempt(run, machine, state)
  end)
  local fields = { attempts = state.attempts, started = state.started,
    seconds = core.now() - state.began, phase = state.progress.phase }
  if answer then
    result = record.of(machine, answer, fields)
  else
    result = record.not_run(machine, err, fields)
  end
  return target.blame_deadline(run, core, result)
end

return target
