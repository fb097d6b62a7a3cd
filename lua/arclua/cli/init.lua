-- SPDX-License-Identifier: MIT
-- The program's command line: global options, then a command. Every command is a module
-- { name, summary, run(args, globals) -> exit status }.
local core = require "arclua.core"
local globals = require "arclua.cli.globals"
local output = require "arclua.output"

local cli = {}

local FAILED, USAGE = 1, 2
local EPIPE = 32 -- Linux

-- Commands in the order that help shows them.
cli.COMMANDS = { "run", "repl", "exec", "copy", "ssh", "proxy", "ssh-config", "machines", "show",
  "doctor", "enable", "disable", "login", "logout", "account", "token", "cert", "emulator",
  "completion", "version", "help" }

local KNOWN = {}
for _, name in ipairs(cli.COMMANDS) do
  KNOWN[name] = true
end

local function complain(text)
  io.stderr:write("arclua: ", text, "\n")
end

local function usage(text)
  complain(text)
  io.stderr:write("try: arclua help\n")
  return USAGE
end

local function command_of(name, argv, index)
  if name == "-e" then
    return require "arclua.cli.run", "chunk", index
  elseif not name then
    if require("arclua.core").sys.isatty(0) then
      return require "arclua.cli.repl", "run", index
    end
    return nil, "no command"
  elseif not KNOWN[name] then
    return nil, ("unknown command '%s'"):format(name)
  end
  return require("arclua.cli." .. name), "run", index, argv
end

-- The status after what is still to be written: a success whose output was lost (a full disk,
-- not a reader that has gone) is a failure.
local function after_output(status)
  local flushed, why, number = io.stdout:flush()
  local lost = not flushed and number ~= EPIPE
  if lost then
    complain("standard output: " .. why)
  end
  lost = lost or output.standard(1).failed ~= nil
  return status == 0 and lost and FAILED or status
end

--- Runs a command line: argv[0] is the program's name, the rest its arguments.
---@param argv string[]
---@return integer status
function cli.main(argv)
  core.on_error(complain) -- our own mistake, which no command foresees
  if (argv[0] or ""):match "([^/]*)$":find "^sshProxy" then
    return require("arclua.cli.sshproxy").run(argv)
  end
  local from_env, why = globals.from_environment()
  if not from_env then
    return usage(why)
  end
  local given, index, name = globals.scan(argv)
  if not given then
    return usage(index)
  end
  local values = globals.merge(from_env, given)
  local module, method = command_of(name, argv, index)
  if not module then
    return usage(method)
  end
  return after_output(module[method](table.move(argv, index, #argv, 1, {}), values))
end

return cli
