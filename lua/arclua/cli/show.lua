-- SPDX-License-Identifier: MIT
-- arclua show MACHINE
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local details = require "arclua.report.details"
local json = require "arclua.json"
local options = require "arclua.cli.options"

local show = { name = "show", summary = "everything that Azure says of one machine" }

--- The parser of the command's options.
function show.parser()
  local it = options.parser("arclua show", "Shows what ARM says of one machine now.",
    "arclua show [-o table|json] MACHINE")
  it:argument("MACHINE", "NAME, RG/NAME, SUBSCRIPTION/RG/NAME, a resource ID or NAME.RG.SUB.arc.")
    :target "machine"
  it:group("What to print",
    it:option("-o --output", "table (default), or json: as ARM gives it."):argname "FORMAT"
      :convert(convert.option("--output", convert.one_of("table", "json"))))
  return it
end

local function details_of(machine, err)
  if not machine then
    return nil, err
  end
  return machine:details()
end

-- All that is said of a machine. A name that is known is not looked up, unless it has gone.
local function read(text)
  local azure, err = command.login()
  if not azure then
    return nil, err
  end
  local known, found
  known, err = azure:_unread_machine(text)
  if known or err then
    found, err = details_of(known, err)
    if found or err.reason ~= "arm.machine-not-found" then
      return found, err
    end
  end
  return details_of(azure:machine(text))
end

function show.run(argv, base)
  local values, merged = command.parse(show.parser(), "show", argv, base)
  if not values then
    return merged
  end
  local found, err = read(values.machine)
  if not found then
    return command.fail(err)
  end
  local out, opts = command.terminal()
  out:write(values.output == "json" and json.encode(found) .. "\n"
    or details.text(found, opts.paint))
  return 0
end

return show
