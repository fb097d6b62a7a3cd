-- SPDX-License-Identifier: MIT
-- arclua enable [SELECT] [--port N [--replace]] [--entra] [--assign-role ROLE --to PRINCIPAL]
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local options = require "arclua.cli.options"
local select_ = require "arclua.select"
local setup = require "arclua.cli.setup"

local enable = { name = "enable", summary = "set machines up for SSH" }

local NO_SELECTOR = [[
no machines selected: name some, select them, or say --all. For example:
  arclua enable web-01 web-02
  arclua enable -g 'rg-prod*' --os linux --entra
  arclua enable --all --dry-run]]

--- The parser of the command's options.
function enable.parser()
  local it = options.parser("arclua enable", "Makes machines ready for SSH: connectivity endpoint "
    .. "and SSH service configuration. What is there already is left alone.",
    "arclua enable [SELECT] [OPTIONS] [NAME...]")
  options.add_select(it)
  it:group("What to set up",
    it:option("--port", "The SSH server's port (22, or the one that is set)."):argname "N"
      :convert(convert.option("--port", convert.integer(1, 65535))),
    it:flag("--replace", "With --port: change it where it is another, for all users."),
    it:flag("--entra", "Install the extension for signing in with Entra (Linux)."),
    it:option("--assign-role", "Give this role on each machine, by name or ID."):argname "ROLE",
    it:option("--to", "To this principal: an object ID, or me."):argname "PRINCIPAL")
  setup.add_options(it)
  it:group("And then", it:flag("--no-wait", "Do not wait until the agents have heard of it."))
  return it
end

local function wrong(values)
  if not select_.is_given(values) then
    return NO_SELECTOR
  elseif values.replace and not values.port then
    return "option '--replace' needs --port"
  elseif (values.assign_role == nil) ~= (values.to == nil) then
    return "options '--assign-role' and '--to' need each other"
  end
  return setup.wrong_principal("--to", values.to)
end

-- What a changed port means is said before the question.
local function warning(report)
  local n = 0
  for _, record in ipairs(report.results) do
    for _, step in ipairs(record.steps) do
      n = n + (step.kind == "port" and 1 or 0)
    end
  end
  return n > 0 and ("the SSH port is one for all users of a machine: on %d machine%s whoever uses "
    .. "the old one will not get through any more"):format(n, n == 1 and "" or "s") or nil
end

function enable.run(argv, base)
  local values, merged = command.parse(enable.parser(), "enable", argv, base)
  if not values then
    return merged
  end
  local why = wrong(values)
  if why then
    return command.usage("enable", why)
  end
  return setup.run(values, warning, function(azure, list, opts)
    opts.port, opts.replace, opts.entra = values.port, values.replace, values.entra
    opts.assign_role, opts.wait = values.assign_role, not values.no_wait
    local err
    opts.to, err = setup.principal(azure, values.to)
    if err then
      return nil, err
    end
    return azure:enable(list, opts)
  end)
end

return enable
