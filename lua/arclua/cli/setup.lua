-- SPDX-License-Identifier: MIT
-- What enable and disable share: the plan that is shown first, the question, the table at the end.
local command = require "arclua.cli.command"
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local output = require "arclua.output"
local progress = require "arclua.cli.progress"
local roles = require "arclua.arm.roles"

local setup = {}

--- Adds their common options.
function setup.add_options(parser)
  parser:group("How",
    parser:flag("--dry-run", "Show the plan, and change nothing."),
    parser:flag("--yes -y", "Do not ask."),
    parser:option("-P --parallel", "Machines at a time (32)."):argname "N"
      :convert(convert.option("--parallel", convert.integer(1, 10000))),
    parser:option("-o --output", "table (default), json, jsonl or quiet."):argname "FORMAT"
      :convert(convert.option("--output", convert.one_of("table", "json", "jsonl", "quiet"))))
end

--- What is wrong with a principal, nil when nothing is.
---@return string|nil
function setup.wrong_principal(option, text)
  if text and text ~= "me" and not roles.is_id(text) then
    return ("option '%s': an object ID or me expected, got '%s'; az ad user show --id NAME "
      .. "--query id tells one"):format(option, text)
  end
end

--- The object ID that is meant: "me" is whoever is signed in.
---@return string|nil, arclua.Error?
function setup.principal(azure, text)
  if text ~= "me" then
    return text
  end
  local secret, err = azure:token()
  local claims = secret and core.token.claims(secret)
  if claims and claims.oid then
    return claims.oid
  end
  return nil, err or errors.new { code = "auth", op = "setup",
    message = "the token does not tell your object ID", remedy = "name it: az ad signed-in-user "
      .. "show --query id" }
end

-- Shows the plan; at a terminal it is asked, unless yes.
local function confirm_of(values, warning)
  return function(report)
    local err = output.standard(2)
    err:write(report:plan())
    local text = warning and warning(report)
    if text then
      err:line("warning: " .. text)
    end
    if values.yes then
      return true
    end
    return not command.can_ask() or command.ask "Go on? [y/N] "
  end
end

local function execute(values, warning, list, act)
  local show = progress.new()
  local report, err = act(list[1].azure, list, { dry_run = values.dry_run,
    parallel = values.parallel, on_wait = show.wait,
    confirm = show.around(confirm_of(values, warning)) })
  show.clear()
  if not report then
    return command.fail(err)
  end
  if values.dry_run and not values.output then
    output.standard(1):write(report:plan())
    output.standard(2):line(report:summary())
  else
    report:print { output = values.output }
  end
  return report:exit_status()
end

--- Runs enable or disable. act(azure, list, opts) gives a report.
---@return integer status
function setup.run(values, warning, act)
  local list, status = command.machines(values)
  if not list then
    return status
  elseif #list == 0 then
    return command.nothing_selected()
  end
  return execute(values, warning, list, act)
end

return setup
