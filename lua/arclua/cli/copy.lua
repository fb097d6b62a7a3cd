-- SPDX-License-Identifier: MIT
-- arclua copy [SELECT] [FLEET] SRC... DST
local command = require "arclua.cli.command"
local conflicts = require "arclua.cli.conflicts"
local escape = require "arclua.report.escape"
local fleet = require "arclua.fleet"
local operand = require "arclua.copy.operand"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local printing = require "arclua.cli.printing"
local select_ = require "arclua.select"
local settings = require "arclua.settings"

-- What selects among Azure's machines says nothing about hosts; --name names them.
local FOR_MACHINES = { "resource_group", "tag", "os", "status", "ids", "all", "exclude", "first",
  "enable", "replace", "try_disconnected", "skip_disconnected" }

local copy = { name = "copy", summary = "copy files to or from machines" }

local NO_SELECTOR = [[
no machines selected: name one before the colon, select some, or say --all. For example:
  arclua copy app.tgz web-01:/tmp/
  arclua copy -g 'rg-prod*' --tag role=web -r conf.d :/etc/app/
  arclua copy --all :/var/log/syslog 'logs/{name}.log']]

local PAUSE = 120 -- per cent of what is in use, until the collector begins anew
local SETTINGS = { "output", "parallel", "connect_timeout", "timeout", "deadline", "retries" }

local function parser()
  local it = options.parser("arclua copy", "Copies files up or down by SFTP. :PATH is on every "
    .. "selected machine, MACHINE:PATH on one; {name} in a path is the machine's.",
    "arclua copy [SELECT] [FLEET] SRC... DST")
  it:argument("PATH...", "Sources, and at last the target."):args "*":target "paths"
  options.add_copy(it)
  options.add_select(it, true)
  options.add_fleet(it, true)
  options.add_output(it, true)
  return it
end

-- What is wrong with the line as a whole, nil when nothing is.
local function wrong(values, line)
  local selected = select_.is_given(values)
  if line.machine and selected then
    return ("'%s:' names the machine: leave the selecting options away, or write :PATH"):format(
      escape.text(line.machine))
  elseif not (line.machine or selected or values.direct) then
    return NO_SELECTOR
  elseif values.fsync and values.no_fsync then
    return "options '--fsync' and '--no-fsync' exclude each other"
  end
  return conflicts.find(values, { forbidden = FOR_MACHINES,
    hosts = line.machine or conflicts.is_given(values.name),
    example = "option '--direct' needs hosts: arclua copy --direct app.tgz ops@10.0.0.5:/tmp/, or "
      .. "-n HOST for each of several" })
end

-- Bars at the terminal, under what is printed: live only.
local function show_progress(hooks, mode)
  local to = output.standard(2)
  if mode ~= "live" or not to.is_terminal then
    return nil
  end
  local progress = require("arclua.report.progress").new(to)
  printing.ahead(hooks, function()
    progress:clear()
  end)
  return progress
end

local function go(list, line, values, opts, mode)
  local hooks, finish = printing.start(mode, values)
  printing.tell_waits(hooks, list)
  opts.progress = show_progress(hooks, mode)
  opts.on_output, opts.on_result, opts.on_wait = hooks.on_output, hooks.on_result, hooks.on_wait
  for name, value in pairs(options.copy(values)) do
    opts[name] = value
  end
  local of = fleet.new(list, { azure = opts.azure })
  opts.azure = nil
  local report, err = of[line.upload and "upload" or "download"](of, line.sources,
    line.destination, opts)
  if opts.progress then
    opts.progress:stop()
  end
  if not report and err.reason == "copy.one-target" then
    return command.usage("copy", err.message)
  elseif not report then
    return command.fail(err)
  end
  finish(report)
  return report:exit_status()
end

local function run(values, line)
  local filled, err = settings.fill(values, SETTINGS)
  local opts
  if filled then
    opts, err = options.fleet(filled)
  end
  if not opts then
    return command.fail(err)
  end
  values.names = line.machine and { line.machine } or nil
  local list, status = values.direct and (values.names or values.name), nil
  if not list then
    list, status = command.machines(values)
  end
  if not list then
    return status
  elseif #list == 0 then
    return command.nothing_selected()
  end
  local ok
  ok, status = command.confirm("copy", list, values.yes)
  if not ok then
    return status
  end
  return go(list, line, values, opts, printing.mode_of(filled))
end

copy.parser = parser -- for completion

function copy.run(argv, base)
  local values, merged = command.parse(parser(), "copy", argv, base)
  if not values then
    return merged
  end
  local line, why = operand.line(values.paths, values.direct)
  why = why or wrong(values, line)
  if why then
    return command.usage("copy", why)
  end
  -- Lists of files are short-lived and large: memory counts for more than the collector's time.
  collectgarbage("incremental", PAUSE)
  return run(values, line)
end

return copy
