-- SPDX-License-Identifier: MIT
-- arclua machines [SELECT]
local ansible = require "arclua.report.ansible"
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local inventory = require "arclua.inventory"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local settings = require "arclua.settings"

local machines = { name = "machines", summary = "list the machines, as a table or JSON" }

local function parser()
  local it = options.parser("arclua machines", "Lists Arc machines; without a selection all that "
    .. "are in scope.", "arclua machines [SELECT] [-o table|json|jsonl|ansible] [NAME...]")
  options.add_select(it)
  it:group("What to print",
    it:option("-o --output", "table (default), json, jsonl or ansible (an inventory).")
      :argname "FORMAT":convert(convert.option("--output",
        convert.one_of("table", "json", "jsonl", "ansible"))))
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

-- Who logs in with which key, as the settings say it.
local function ansible_options(list, globals)
  local opts, err = settings.fill({}, { "user", "identity" })
  local identity = opts and opts.identity
  if type(identity) == "string" then
    identity = { identity }
  end
  for i, path in ipairs(identity or {}) do
    identity[i] = command.absolute(path)
  end
  return opts and { user = opts.user, identity = identity, proxy = command.program(globals),
    cloud = list[1] and list[1].azure.cloud.name or "public" }, err
end

-- Ansible takes an inventory without hosts for one.
function printers.ansible(list, out, globals)
  local opts, err = ansible_options(list, globals)
  if not opts then
    return command.fail(err)
  end
  out:line(ansible.encode(list, opts))
  return 0
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
  local ended = printers[format](list, output.standard(1), merged)
  if ended == nil and #list == 0 then
    return command.nothing_selected()
  end
  return ended or 0
end

return machines
