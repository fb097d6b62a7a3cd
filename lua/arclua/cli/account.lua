-- SPDX-License-Identifier: MIT
-- arclua account [list | set ACCOUNT | clear-cache]
local accounts = require "arclua.accounts"
local columns = require "arclua.report.table"
local command = require "arclua.cli.command"
local json = require "arclua.json"
local options = require "arclua.cli.options"
local output = require "arclua.output"

local account = { name = "account", summary = "list or choose stored sign-ins, empty the cache" }

local TITLES = { "ACCOUNT", "KIND", "TENANT", "CLOUD", "DEFAULT" }
local FIELDS = { "id", "kind", "username", "tenant", "cloud", "authority", "client_id",
  "default" }

local function parser()
  local it = options.parser("arclua account", "Lists the stored sign-ins, makes one the default, "
    .. "or forgets what was kept of Azure's answers.", "arclua account [list [-o table|json]]\n"
    .. "       arclua account set ACCOUNT\n       arclua account clear-cache")
  it:argument("action", "list (default), set or clear-cache."):args "?":argname "ACTION"
  it:argument("account", "User name, client ID or ID."):args "?":argname "ACCOUNT"
  it:option("-o --output", "table (default) or json."):argname "FORMAT"
  return it
end

local printers = {}

function printers.table(list, layout)
  local rows = {}
  for i, entry in ipairs(list) do
    rows[i] = { entry.username, entry.kind, entry.tenant, entry.cloud,
      entry.default and "yes" or "" }
  end
  return #list > 0 and columns.format(TITLES, rows, layout) or ""
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
  if #list == 0 and print_ == printers.table then
    output.standard(2):line "arclua: nobody is signed in: run `arclua login`"
  end
  local out, layout = command.terminal()
  out:write(print_(list, layout))
  return 0
end

local function set(values)
  if not values.account or values.output then
    return command.usage("account", "set takes ACCOUNT, and nothing else")
  end
  local chosen, err = accounts.choose(values.account)
  return chosen and 0 or command.fail(err)
end

local function clear_cache(values)
  if values.account or values.output then
    return command.usage("account", "clear-cache takes nothing else")
  end
  local ok, err = accounts.clear_cache()
  return ok and 0 or command.fail(err)
end

local ACTIONS = { list = list_all, set = set, ["clear-cache"] = clear_cache }

function account.run(argv, base)
  local values, merged = command.parse(parser(), "account", argv, base)
  if not values then
    return merged
  end
  local action = ACTIONS[values.action or "list"]
  if not action then
    return command.usage("account", ("list, set or clear-cache expected, got '%s'"):format(
      values.action))
  end
  return action(values)
end

account.parser = parser -- for completion

return account
