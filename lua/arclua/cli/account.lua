-- SPDX-License-Identifier: MIT
-- arclua account [list | set ACCOUNT]
local accounts = require "arclua.accounts"
local columns = require "arclua.report.table"
local command = require "arclua.cli.command"
local json = require "arclua.json"
local options = require "arclua.cli.options"
local output = require "arclua.output"

local account = { name = "account", summary = "list the stored sign-ins, or choose one" }

local TITLES = { "ACCOUNT", "KIND", "TENANT", "CLOUD", "DEFAULT" }
local FIELDS = { "id", "kind", "username", "tenant", "cloud", "authority", "client_id",
  "default" }

local function parser()
  local it = options.parser("arclua account", "Lists the stored sign-ins, or makes one the "
    .. "default.", "arclua account [list [-o table|json]]\n       arclua account set ACCOUNT")
  it:argument("action", "list (default) or set."):args "?":argname "ACTION"
  it:argument("account", "User name, client ID or ID."):args "?":argname "ACCOUNT"
  it:option("-o --output", "table (default) or json."):argname "FORMAT"
  return it
end

local printers = {}

function printers.table(list)
  local rows = {}
  for i, entry in ipairs(list) do
    rows[i] = { entry.username, entry.kind, entry.tenant, entry.cloud,
      entry.default and "yes" or "" }
  end
  return #list > 0 and columns.format(TITLES, rows) or ""
end

function printers.json(list)
  local parts = {}
  for i, entry in ipairs(list) do
    parts[i] = json.encode(json.ordered(FIELDS, entry))
  end
  return "[" .. table.concat(parts, ",\n ") .. "]\n"
end

local function list_all(values)
  local print_ = printers[values.output or "table"]
  if values.account then
    return command.usage("account", "list takes no ACCOUNT")
  elseif not print_ then
    return command.usage("account", ("option '--output': table or json expected, got '%s'")
      :format(values.output))
  end
  local list, err = accounts.list()
  if not list then
    return command.fail(err)
  end
  output.standard(1):write(print_(list))
  return 0
end

function account.run(argv, base)
  local values, merged = command.parse(parser(), "account", argv, base)
  if not values then
    return merged
  elseif (values.action or "list") == "list" then
    return list_all(values)
  elseif values.action ~= "set" then
    return command.usage("account", ("list or set expected, got '%s'"):format(values.action))
  elseif not values.account or values.output then
    return command.usage("account", "set takes ACCOUNT, and nothing else")
  end
  local chosen, err = accounts.choose(values.account)
  return chosen and 0 or command.fail(err)
end

account.parser = parser -- for completion

return account
