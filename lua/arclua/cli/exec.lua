-- SPDX-License-Identifier: MIT
-- arclua exec [SELECT] [FLEET] [NAME...] -- COMMAND...
local command = require "arclua.cli.command"
local escape = require "arclua.report.escape"
local fleet = require "arclua.fleet"
local live = require "arclua.report.live"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local record = require "arclua.fleet.record"
local select_ = require "arclua.select"
local settings = require "arclua.settings"
local style = require "arclua.report.style"
local waiting = require "arclua.report.waiting"

-- What selects among Azure's machines says nothing about hosts.
local FOR_MACHINES = { "resource_group", "name", "tag", "os", "status", "ids", "query", "all",
  "exclude", "first", "enable", "replace", "try_disconnected", "skip_disconnected" }

local exec = { name = "exec", summary = "run a command on every selected machine" }

local NO_SELECTOR = [[
no machines selected: name some, select them, or say --all. For example:
  arclua exec web-01 web-02 -- uptime
  arclua exec -g 'rg-prod*' --tag role=web -- systemctl is-active nginx
  arclua exec --all -- 'df -h / | tail -1']]

-- What people do not expect of Run Command.
local SEEN = "warning: every Reader of these machines can see the script and its output until it "
  .. "has ended; values of --env are hidden from them"

local NO_COMMAND = "no command: put it after --, for example: arclua exec web-01 -- uptime"

local function parser()
  local it = options.parser("arclua exec", "Runs a command on every selected machine. One word "
    .. "after -- is a shell line, sent as it is; several words arrive as written.",
    "arclua exec [SELECT] [FLEET] [NAME...] -- COMMAND...")
  options.add_select(it)
  options.add_fleet(it)
  options.add_output(it)
  return it
end

-- Ways to print while the run goes on: each gives the fleet's hooks and what to do at its end.
local modes = {}

function modes.live(values)
  local function target(fd)
    local to = output.standard(fd)
    return { to = to, style = style.painter(style.wanted(to.is_terminal)),
      clean = style.cleaner(to.is_terminal, values.raw) }
  end
  local lines = live.new { stdout = target(1), stderr = target(2) }
  return {
    on_output = function(machine, stream, chunk)
      lines:chunk(machine, stream, chunk)
    end,
    on_result = function(result)
      lines:result(result)
    end,
  }, function(report)
    lines:finish()
    output.standard(2):line(report:summary())
  end
end

function modes.jsonl()
  local out = output.standard(1)
  return {
    on_result = function(result)
      out:line(record.encode(result))
      -- Printed: not to be held until the end of a large run.
      result.stdout, result.stderr = "", ""
    end,
  }, function(report)
    output.standard(2):line(report:summary())
  end
end

local function at_end(name)
  return function(values)
    return {}, function(report)
      report:print { output = name, raw = values.raw }
    end
  end
end

modes.grouped, modes.json, modes.quiet = at_end "grouped", at_end "json", at_end "quiet"

local function mode_of(values)
  if values.gather then
    return "grouped"
  end
  return values.output or (output.standard(1).is_terminal and "live" or "grouped")
end

-- With one machine, somebody at the terminal wants to know what keeps it.
local function tell_waits(hooks, list)
  local to = output.standard(2)
  if #list > 1 or not to.is_terminal then
    return
  end
  local clear
  hooks.on_wait, clear = waiting.new(to)
  for _, name in ipairs { "on_output", "on_result" } do
    local inner = hooks[name]
    if inner or name == "on_result" then
      hooks[name] = function(...)
        clear()
        return inner and inner(...)
      end
    end
  end
end

-- Options that the environment and the configuration may give, too.
local SETTINGS = { "output", "parallel", "connect_timeout", "timeout", "deadline", "retries" }

local function run(values, words)
  local filled, err = settings.fill(values, SETTINGS)
  local opts
  if filled then
    -- What the environment says of connections is no wish of this command line.
    opts, err = options.fleet(values.via and values or filled)
  end
  if not opts then
    return command.fail(err)
  end
  local list, status = values.direct and values.names, nil
  if not list then
    list, status = command.machines(values)
  end
  if not list then
    return status
  elseif #list == 0 then
    return command.nothing_selected()
  end
  local machines = fleet.new(list, opts)
  local ok
  ok, status = command.confirm("exec", list, values.yes, machines:expected())
  if not ok then
    return status
  end
  if values.via then
    output.standard(2):line(SEEN)
  end
  local hooks, finish = modes[mode_of(filled)](values)
  tell_waits(hooks, list)
  local report
  report, err = machines:exec(words, hooks)
  if not report then
    return command.fail(err)
  end
  finish(report)
  return report:exit_status { max_status = values.max_status }
end

local function is_given(value)
  return value and (type(value) ~= "table" or #value > 0)
end

-- What is wrong with --entra.
local function wrong_login(values)
  for _, name in ipairs { "identity", "ask_pass" } do
    if values.entra and is_given(values[name]) then
      return ("options '--entra' and '--%s' exclude each other"):format((name:gsub("_", "-")))
    end
  end
  return nil
end

-- What is wrong with --direct and --jump.
local function wrong_way(values)
  if not values.direct then
    return is_given(values.jump) and "option '--jump' is for hosts that are reached directly: a "
      .. "machine of Azure Arc is reached through the relay; name hosts, and say --direct" or nil
  elseif not is_given(values.names) then
    return "option '--direct' needs hosts: arclua exec --direct db-1 ops@10.0.0.5:2222 -- uptime"
  end
  for _, name in ipairs(FOR_MACHINES) do
    if is_given(values[name]) then
      return ("option '--%s' is for machines of Azure Arc, not for --direct"):format(
        (name:gsub("_", "-")))
    end
  end
  return nil
end

-- What Run Command cannot honour.
local FOR_SSH = { "entra", "user", "identity", "port", "ask_pass", "host_key_policy", "ssh_config",
  "direct", "jump", "connect_timeout", "retries", "enable", "replace", "try_disconnected", "sudo",
  "stdin", "pty" }

-- What is wrong with --via.
local function wrong_road(values)
  if not values.via then
    return values.as_root and "option '--as-root' is for --via run-command; as root by SSH: --sudo"
      or nil
  end
  for _, name in ipairs(FOR_SSH) do
    if is_given(values[name]) then
      return ("option '--%s' is for SSH: Run Command cannot honour it"):format(
        (name:gsub("_", "-")))
    end
  end
  return not values.as_root and "Run Command runs the command as root (on Windows as "
    .. "LocalSystem): say --as-root when that is meant" or nil
end

-- What is wrong with the line as a whole, nil when nothing is.
local function wrong(values, words)
  if not select_.is_given(values) then
    return NO_SELECTOR
  elseif not words or #words == 0 then
    return NO_COMMAND
  elseif values.replace and not (values.enable and values.port) then
    return "option '--replace' needs --enable and --port"
  elseif values.gather and values.output and values.output ~= "grouped" then
    return ("option '-b' and '--output %s' exclude each other"):format(escape.text(values.output))
  end
  return wrong_road(values) or wrong_login(values) or wrong_way(values)
end

function exec.run(argv, base)
  local before, words = options.split(argv)
  local values, merged = command.parse(parser(), "exec", before, base)
  if not values then
    return merged
  end
  local why = wrong(values, words)
  if why then
    return command.usage("exec", why)
  end
  return run(values, words)
end

exec.parser = parser -- for completion

return exec
