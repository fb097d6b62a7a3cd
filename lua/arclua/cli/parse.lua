-- SPDX-License-Identifier: MIT
-- arc.cli.parse: our options for a user's script.
local check = require "arclua.check"
local defaults = require "arclua.defaults"
local errors = require "arclua.errors"
local globals = require "arclua.cli.globals"
local options = require "arclua.cli.options"

local cli_parse = {}

local USAGE = 2

local RULES = { select = "boolean", fleet = "boolean", output = "boolean", name = "string",
  summary = "string", usage = "string", command = "boolean" }

local function usage_error(message, name)
  return errors.fail { code = "config", op = "usage", exit_status = USAGE,
    message = ("%s: %s\ntry: arclua run %s -h"):format(name, message, name) }
end

local function build(name, what)
  local parser = options.parser(name, what.summary, what.usage
    or ("arclua run %s%s [options]%s"):format(name, what.select and " [NAME...]" or "",
      what.command ~= false and " -- COMMAND..." or ""))
  if what.select then
    options.add_select(parser)
  end
  if what.fleet then
    options.add_fleet(parser)
  end
  if what.output then
    options.add_output(parser)
  end
  return parser
end

---@class arclua.Parsed
---@field command string[]?                 what came after "--"
---@field selector arclua.Selector?         with select; nil when nothing was selected
---@field fleet arclua.FleetOptions?        with fleet
---@field login arclua.LoginOptions         for arc.login
---@field values table                      all parsed values by name

--- Parses a script's arguments: { select = true, fleet = true, output = true } adds our groups
--- of options; words after "--" are the command. A wrong line or -h gives an error value which
--- `assert` may raise: `arclua run` then prints it without a traceback.
---@param argv string[]  the global `arg`
---@param what { select: boolean?, fleet: boolean?, output: boolean?, command: boolean?,
---   name: string?, summary: string?, usage: string? }?  name, summary, usage: for the help;
---   command = false: the help shows no `-- COMMAND...`
---@return arclua.Parsed|nil, arclua.Error?
function cli_parse.parse(argv, what)
  what = check.options(what, RULES)
  local name = what.name or argv[0] or "SCRIPT"
  local before, after = options.split(argv)
  local parser = build(name, what)
  local values, merged = options.parse(parser, before, defaults.values)
  if values == "help" then
    return errors.fail { code = "config", op = "usage", exit_status = 0, message = merged }
  elseif not values then
    return usage_error(merged, name)
  end
  local ok, err = globals.apply(merged)
  if not ok then
    return nil, err
  end
  local parsed = { command = after, values = values, login = defaults.login }
  if what.select then
    parsed.selector, err = options.selector(values)
    if err then
      return nil, err
    elseif not require("arclua.select").is_given(parsed.selector) then
      parsed.selector = nil
    end
  end
  if what.fleet then
    parsed.fleet, err = options.fleet(values)
    if not parsed.fleet then
      return nil, err
    end
  end
  return parsed
end

return cli_parse
