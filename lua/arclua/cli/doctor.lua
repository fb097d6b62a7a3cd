-- SPDX-License-Identifier: MIT
-- arclua doctor [SELECT]
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local escape = require "arclua.report.escape"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local progress = require "arclua.cli.progress"

local doctor = { name = "doctor", summary = "why SSH works, or not: every prerequisite judged" }

--- The parser of the command's options.
function doctor.parser()
  local it = options.parser("arclua doctor", "Judges every prerequisite of SSH, and says what to "
    .. "do about each that fails; without a selection on all machines in scope. Nobody logs in.",
    "arclua doctor [SELECT] [--entra] [--fix] [-o FORMAT] [NAME...]")
  options.add_select(it)
  it:group("What to judge and to do",
    it:flag("--entra", "Judge signing in with Entra, too."),
    it:flag("--fix", "Register the provider, create endpoint and service configuration, install "
      .. "the extension; each is asked before."),
    it:flag("--yes -y", "Do not ask."),
    it:option("-P --parallel", "Machines at a time (64)."):argname "N"
      :convert(convert.option("--parallel", convert.integer(1, 10000))))
  it:group("What to print",
    it:option("-o --output", "grouped (default), table, json, jsonl or quiet."):argname "FORMAT"
      :convert(convert.option("--output", convert.one_of("grouped", "table", "json", "jsonl",
        "quiet"))),
    it:flag("-v --verbose", "Also what is well."))
  return it
end

-- Before each kind of change: asked at a terminal, else only --yes agrees.
local function consent_of(values)
  return function(text)
    if values.yes then
      output.standard(2):line("doctor: " .. text)
      return true
    end
    if not command.can_ask() then
      output.standard(2):line(("doctor: would %s; --yes agrees to it"):format(text))
      return false
    end
    return command.ask(("doctor: %s? [y/N] "):format(escape.text(text)))
  end
end

function doctor.run(argv, base)
  local values, merged = command.parse(doctor.parser(), "doctor", argv, base)
  if not values then
    return merged
  elseif values.yes and not values.fix then
    return command.usage("doctor", "option '--yes' is for --fix")
  end
  local list, status = command.machines(values)
  if not list then
    return status
  elseif #list == 0 then
    return command.nothing_selected()
  end
  local show = progress.new()
  local report = list[1].azure:doctor(list, { entra = values.entra, fix = values.fix,
    parallel = values.parallel, consent = values.fix and show.around(consent_of(values)) or nil,
    on_machine = show.count, on_wait = show.wait })
  show.clear()
  report:print { output = values.output, all = values.verbose }
  return report:exit_status()
end

return doctor
