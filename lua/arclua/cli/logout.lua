-- SPDX-License-Identifier: MIT
-- arclua logout [ACCOUNT]
local accounts = require "arclua.accounts"
local command = require "arclua.cli.command"
local escape = require "arclua.report.escape"
local options = require "arclua.cli.options"
local output = require "arclua.output"

local logout = { name = "logout", summary = "forget a stored sign-in" }

local function parser()
  local it = options.parser("arclua logout", "Forgets the default sign-in, ACCOUNT or all.",
    "arclua logout [--all] [ACCOUNT]")
  it:argument("account", "User name, client ID or ID of `arclua account list -o json`."):args "?"
    :argname "ACCOUNT"
  it:flag("--all", "All, also those of a file that cannot be read.")
  return it
end

function logout.run(argv, base)
  local values, merged = command.parse(parser(), "logout", argv, base)
  if not values then
    return merged
  elseif values.all and values.account then
    return command.usage("logout", "ACCOUNT and --all exclude each other")
  elseif values.all then
    local ok, err = accounts.remove_all()
    if not ok then
      return command.fail(err)
    end
    output.standard(2):line "signed out: all"
    return 0
  end
  local account, err = accounts.remove(values.account)
  if not account then
    return command.fail(err)
  end
  output.standard(2):line("signed out: " .. escape.text(account.username))
  return 0
end

logout.parser = parser -- for completion

return logout
