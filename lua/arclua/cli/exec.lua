-- SPDX-License-Identifier: MIT
-- arclua exec [SELECT] [FLEET] [NAME...] -- COMMAND...
local command = require "arclua.cli.command"
local conflicts = require "arclua.cli.conflicts"
local fleet = require "arclua.fleet"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local printing = require "arclua.cli.printing"
local select_ = require "arclua.select"
local settings = require "arclua.settings"

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
  local hooks, finish = printing.start(printing.mode_of(filled), values)
  printing.tell_waits(hooks, list)
  local report
  report, err = machines:exec(words, hooks)
  if not report then
    return command.fail(err)
  end
  finish(report)
  return report:exit_status { max_status = values.max_status }
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
    if conflicts.is_given(values[name]) then
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
  end
  return wrong_road(values) or conflicts.find(values, { forbidden = FOR_MACHINES,
    hosts = conflicts.is_given(values.names), example = "option '--direct' needs hosts: "
      .. "arclua exec --direct db-1 ops@10.0.0.5:2222 -- uptime" })
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
