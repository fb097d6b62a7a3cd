-- SPDX-License-Identifier: MIT
-- arclua disable [SELECT] [--keep-ssh] [--entra] [--remove-role ROLE --from PRINCIPAL]
local command = require "arclua.cli.command"
local options = require "arclua.cli.options"
local select_ = require "arclua.select"
local setup = require "arclua.cli.setup"

local disable = { name = "disable", summary = "take SSH back from machines" }

local NO_SELECTOR = [[
no machines selected: name some, select them, or say --all. For example:
  arclua disable web-01 web-02
  arclua disable -g 'rg-test*' --entra
  arclua disable --all --dry-run]]

--- The parser of the command's options.
function disable.parser()
  local it = options.parser("arclua disable", "Takes SSH back: removes the SSH service "
    .. "configuration, and the connectivity endpoint where nothing else needs it.",
    "arclua disable [SELECT] [OPTIONS] [NAME...]")
  options.add_select(it)
  it:group("What to take back",
    it:flag("--keep-ssh", "Leave service configuration and endpoint."),
    it:flag("--entra", "Remove the extension for signing in with Entra."),
    it:option("--remove-role", "Take this role on each machine, by name or ID."):argname "ROLE",
    it:option("--from", "From this principal: an object ID, or me."):argname "PRINCIPAL")
  setup.add_options(it)
  return it
end

local function wrong(values)
  if not select_.is_given(values) then
    return NO_SELECTOR
  elseif (values.remove_role == nil) ~= (values.from == nil) then
    return "options '--remove-role' and '--from' need each other"
  elseif values.keep_ssh and not values.entra and not values.remove_role then
    return "with --keep-ssh alone nothing is to be done: add --entra or --remove-role"
  end
  return setup.wrong_principal("--from", values.from)
end

function disable.run(argv, base)
  local values, merged = command.parse(disable.parser(), "disable", argv, base)
  if not values then
    return merged
  end
  local why = wrong(values)
  if why then
    return command.usage("disable", why)
  end
  return setup.run(values, nil, function(azure, list, opts)
    opts.keep_ssh, opts.entra, opts.remove_role = values.keep_ssh, values.entra,
      values.remove_role
    local err
    opts.from, err = setup.principal(azure, values.from)
    if err then
      return nil, err
    end
    return azure:disable(list, opts)
  end)
end

return disable
