-- SPDX-License-Identifier: MIT
-- arclua machines [SELECT]
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local inventory = require "arclua.inventory"
local options = require "arclua.cli.options"
local output = require "arclua.output"

local machines = { name = "machines", summary = "list the machines, as a table or JSON" }

local function parser()
  local it = options.parser("arclua machines", "Lists Arc machines; without a selection all that "
    .. "are in scope.", "arclua machines [SELECT] [-o table|json|jsonl] [NAME...]")
  options.add_select(it)
  it:group("What to print",
    it:option("-o --output", "table (default), json or jsonl."):argname "FORMAT"
      :convert(convert.option("--output", convert.one_of("table", "json", "jsonl"))))
  return it
end

local printers = {}

function printers.table(list, out)
  if #list > 0 then
    out:write(inventory.table(list))
  end
end

function printers.jsonl(list, out)
  for _, machine in ipairs(list) do
    out:line(inventory.encode(machine))
  end
end

function printers.json(list, out)
  out:write "["
  for i, machine in ipairs(list) do
    out:write((i > 1 and ",\n " or "") .. inventory.encode(machine))
  end
  out:write "]\n"
end

function machines.run(argv, base)
  local values, merged = command.parse(parser(), "machines", argv, base)
  if not values then
    return merged
  end
  local format = values.output or "table"
  local list, status = command.machines(values)
  if not list then
    return status
  end
  printers[format](list, output.standard(1))
  if #list == 0 then
    return command.nothing_selected()
  end
  return 0
end

return machines
