-- SPDX-License-Identifier: MIT
-- The options of `arclua ssh` as its help and completion show them, and those that are long; ssh's
-- own way of reading them is in openssh/arguments.lua.
local convert = require "arclua.convert"
local globals = require "arclua.cli.globals"
local options = require "arclua.cli.options"
local settings = require "arclua.settings"

local ssh_options = {}

--- What arguments.parse is told of long options; those of az under its own names.
ssh_options.LONG = {
  ["--help"] = { key = "help" },
  ["--local-user"] = { key = "user", arg = "USER", convert = convert.filled },
  ["--user"] = { key = "user", arg = "USER", convert = convert.filled },
  ["--private-key-file"] = { key = "identity", arg = "FILE", many = true },
  ["--identity"] = { key = "identity", arg = "FILE", many = true },
  ["--certificate-file"] = { key = "certificate", arg = "FILE" },
  ["--port"] = { key = "port", arg = "N" },
  ["--name"] = { key = "name", arg = "NAME" }, ["--vm-name"] = { key = "name", arg = "NAME" },
  ["--resource-group"] = { key = "resource_group", arg = "NAME" },
  ["--resource-type"] = { key = "resource_type", arg = "TYPE" },
  ["--yes"] = { key = "enable" }, ["--yes-without-prompt"] = { key = "enable" },
  ["--enable"] = { key = "enable" }, ["--replace"] = { key = "replace" },
  ["--ssh-client-folder"] = { key = "unused", arg = "DIR" },
  ["--ssh-proxy-folder"] = { key = "unused", arg = "DIR" },
  ["--connect-timeout"] = { key = "connect_timeout", arg = "DURATION",
    convert = settings.KEYS.connect_timeout },
  ["--direct"] = { key = "direct" }, ["--entra"] = { key = "entra" },
  ["--try-disconnected"] = { key = "try_disconnected" },
  ["--reconnect"] = { key = "reconnect" },
  ["--rdp"] = { key = "rdp" }, ["--winrdp"] = { key = "rdp" },
}
for _, option in ipairs(globals.OPTIONS) do
  ssh_options.LONG[option.flag] = { key = "global_" .. option.key, arg = option.arg,
    many = option.many, convert = option.convert }
end

local EPILOG = [[
Options stand also after MACHINE; COMMAND begins with the first word that is none. PORT 0 is a free
one, which is said; a path in place of HOST:PORT, or of [ADDRESS:]PORT with -L, is a socket.

Escape sequences, after a newline: ~. ends the connection, ~^Z suspends, ~# lists forwarded
connections, ~? lists all. The exit status is the command's, 255 where the failure is ours.]]

local function many(option)
  return option:count "*"
end

local function add_login(it)
  it:group("As ssh has them",
    it:option("-l --local-user --user", "User to log in as (ARCLUA_USER)."):argname "USER",
    many(it:option("-i --private-key-file --identity", "Private key file (ARCLUA_IDENTITY).")
      :argname "FILE"),
    it:option("--certificate-file", "Certificate for a key."):argname "FILE",
    it:option("-p --port", "SSH port (default: the configured one)."):argname "N",
    it:option("-F", "Read FILE instead of ~/.ssh/config; none: nothing."):argname "FILE",
    it:option("-J", "Jump hosts on the way to a host (--direct)."):argname "DEST[,DEST...]",
    many(it:option("-o", "A line of ssh_config."):argname "KEYWORD=VALUE"),
    it:flag("-t", "Ask for a terminal; -tt: also where we have none."),
    it:flag("-T", "Ask for no terminal."),
    it:option("-e", "Escape character (~), ^ and a letter, or none."):argname "CHAR",
    it:flag("-n", "Read nothing from standard input."),
    it:flag("-s", "COMMAND is a subsystem."),
    it:flag("-A", "Let the machine use the SSH agent."),
    it:flag("-a", "Do not."),
    it:flag("-f", "Go to the background once connected."),
    it:flag("-q", "Say less."),
    it:flag("-v", "Say more; -vv, -vvv."),
    it:option("-E", "Append the log to FILE."):argname "FILE",
    it:flag("-V", "Print the version."))
end

local function add_forwarding(it)
  it:group("Forwarding",
    many(it:option("-L", "Listen here, connect from the machine.")
      :argname "[ADDRESS:]PORT:HOST:PORT"),
    many(it:option("-R", "Listen on the machine, connect from here.")
      :argname "[ADDRESS:]PORT:HOST:PORT"),
    many(it:option("-D", "Listen here for SOCKS 4, 4a and 5."):argname "[ADDRESS:]PORT"),
    it:option("-W", "Connect standard input and output."):argname "HOST:PORT",
    it:flag("-g", "Listen on all addresses."),
    it:flag("-N", "No shell and no command."),
    it:flag("--reconnect", "Connect again when a tunnel is lost."),
    it:flag("--rdp --winrdp", "A tunnel to port 3389, and a client of Remote Desktop."),
    it:option("--while", "Run a program here while the tunnel stands; last on the line.")
      :argname "CMD [ARG...]")
end

local function add_ours(it)
  it:group("Which machine, and how to reach it",
    it:option("--name --vm-name", "In place of MACHINE, as az has it."):argname "NAME",
    it:option("--resource-group", "Its resource group."):argname "NAME",
    it:option("--resource-type", "Its type."):argname "TYPE",
    it:flag("--entra", "With a certificate of Entra's, as the user it names."),
    it:flag("--direct", "MACHINE is a host [USER@]HOST[:PORT], reached without Azure."),
    it:option("--connect-timeout", "Until logged in (60s; 180s after a change of ours).")
      :argname "DURATION",
    it:flag("--enable --yes --yes-without-prompt",
      "Set the machine up for SSH where that is missing."),
    it:flag("--replace", "With --enable and -p: change the port for all users."),
    it:flag("--try-disconnected", "Dial a machine whose agent is not connected."))
end

--- The parser of the command's options.
function ssh_options.parser()
  local it = options.parser("arclua ssh", "A shell, a command or tunnels on one machine, as ssh "
    .. "has them.", "arclua ssh [options] [USER@]MACHINE [COMMAND...]"):epilog(EPILOG)
  it:argument("MACHINE", "NAME, RG/NAME, SUBSCRIPTION/RG/NAME, a resource ID or NAME.RG.SUB.arc.")
    :target "machine"
  it:argument("COMMAND", "Read by the machine's shell; none: a shell."):args "*"
  add_login(it)
  add_forwarding(it)
  add_ours(it)
  return it
end

return ssh_options
