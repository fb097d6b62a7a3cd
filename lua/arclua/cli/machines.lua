-- SPDX-License-Identifier: MIT
-- arclua machines [SELECT]
local ansible = require "arclua.report.ansible"
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local inventory = require "arclua.inventory"
local options = require "arclua.cli.options"
local settings = require "arclua.settings"

local machines = { name = "machines", summary = "list the machines, as a table, JSON or names" }

-- A list of thousands lives as long as the run: collecting sooner keeps the memory near to it.
local PAUSE = 135

--- The parser of the command's options.
function machines.parser()
  local it = options.parser("arclua machines", "Lists Arc machines; without a selection all that "
    .. "are in scope.", "arclua machines [SELECT] [-o table|json|jsonl|names|ansible] [NAME...]")
  options.add_select(it)
  it:group("What to print",
    it:option("-o --output", "table (default), json, jsonl, names or ansible (an inventory).")
      :argname "FORMAT":convert(convert.option("--output",
        convert.one_of("ansible", table.unpack(inventory.FORMATS)))))
  return it
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
local function print_ansible(list, out, globals)
  local opts, err = ansible_options(list, globals)
  if not opts then
    return command.fail(err)
  end
  out:line(ansible.encode(list, opts))
  return 0
end

function machines.run(argv, base)
  local values, merged = command.parse(machines.parser(), "machines", argv, base)
  if not values then
    return merged
  end
  collectgarbage("incremental", PAUSE)
  local list, status = command.machines(values)
  if not list then
    return status
  end
  local out, opts = command.terminal()
  if values.output == "ansible" then
    return print_ansible(list, out, merged)
  end
  inventory.write(values.output or "table", list, function(text)
    out:write(text)
  end, opts)
  if #list == 0 then
    return command.nothing_selected()
  end
  return 0
end

return machines
