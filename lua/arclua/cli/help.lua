-- SPDX-License-Identifier: MIT
-- arclua help [COMMAND]
local globals = require "arclua.cli.globals"

local help = { name = "help", summary = "this text, or the help of a command" }

local USAGE = 2

local SETTINGS = [[

--user, --identity, --ssh-config, --host-key-policy, --parallel, --connect-timeout, --timeout,
--deadline, --retries and --output have variables, too: ARCLUA_USER and so on. The configuration
(~/.config/arclua/config) has a line KEY = VALUE for any of these and of --cloud, --subscription,
--tenant, --credential, --known-hosts, --log-level and --color. An option wins over its variable,
that over the file.]]

local function overview()
  local cli = require "arclua.cli"
  local lines = {
    "Usage: arclua [global options] COMMAND ...",
    "       arclua                     interactive Lua, at a terminal",
    "", "SSH to Azure Arc-enabled servers through an Azure Relay.", "", "Commands:",
  }
  for _, name in ipairs(cli.COMMANDS) do
    local ok, module = pcall(require, "arclua.cli." .. name)
    lines[#lines + 1] = ("  %-11s %s"):format(name, ok and module.summary or "(not built in)")
  end
  lines[#lines + 1] = "\nGlobal options (in brackets: the variable that sets it):"
  for _, option in ipairs(globals.OPTIONS) do
    local flag = option.flag .. (option.arg and " " .. option.arg or "")
    lines[#lines + 1] = ("  %-24s %s [%s]"):format(flag, option.text, option.env)
  end
  lines[#lines + 1] = ("  %-24s %s"):format("--version", "Print the version")
  lines[#lines + 1] = ("  %-24s %s"):format("-h, --help", "This text")
  lines[#lines + 1] = SETTINGS
  lines[#lines + 1] = "\nMore: arclua help COMMAND"
  return table.concat(lines, "\n") .. "\n"
end

function help.run(args, values)
  local name = args[1]
  if not name or name == "-h" or name == "--help" or name == "help" then
    io.stdout:write(overview())
    return 0
  end
  for _, known in ipairs(require("arclua.cli").COMMANDS) do
    if known == name then
      return require("arclua.cli." .. name).run({ "--help" }, values)
    end
  end
  io.stderr:write(("arclua: no command is named '%s'\ntry: arclua help\n"):format(name))
  return USAGE
end

return help
