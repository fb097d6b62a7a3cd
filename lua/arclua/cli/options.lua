-- SPDX-License-Identifier: MIT
-- The groups of options that commands and scripts share: SELECT, FLEET, the global ones.
local argparse = require "argparse"
local convert = require "arclua.convert"
local globals = require "arclua.cli.globals"
local quote = require "arclua.quote"
local settings = require "arclua.settings"

local options = {}

-- A converter by the key of the settings that the option may also come from.
local function setting(name, key)
  return convert.option(name, settings.KEYS[key])
end

local function assignment(text)
  local name, value = quote.assignment(text)
  if not name then
    return nil, value.message
  end
  return { name, value }
end

local function many(option)
  return option:count "*"
end

-- "-g, --resource-group GLOB": argparse gives each alias a line and its argument again.
local function label(element)
  local names = {}
  for _, pattern in ipairs { "^%-%w$", "^%-%-" } do
    for _, alias in ipairs(element._aliases) do
      names[#names + 1] = alias:match(pattern) and alias
    end
  end
  local argument = element._argname and element._maxargs > 0 and " " .. element._argname or ""
  return { table.concat(names, ", ") .. argument }
end

--- A parser that knows --help.
---@param name string
---@param summary string
---@param usage string
function options.parser(name, summary, usage)
  local parser = argparse(name, summary)
  parser:add_help(false):usage("Usage: " .. usage):help_max_width(100)
    :help_usage_margin(2):help_description_margin(31)
  parser:flag("-h --help", "This text.")
  return parser
end

--- The help of a parser.
---@return string
function options.help(parser)
  for _, option in ipairs(parser._options) do
    option._get_label_lines = label
  end
  return parser:get_help() .. "\n"
end

--- Adds the global options.
function options.add_globals(parser)
  local list = {}
  for i, option in ipairs(globals.OPTIONS) do
    local target = "global_" .. option.key
    local text = option.text .. "."
    if not option.arg then
      list[i] = parser:flag(option.flag, text):target(target)
    else
      list[i] = parser:option(option.flag, text):target(target):argname(option.arg)
        :count(option.many and "*" or "?")
      if option.convert then
        list[i]:convert(convert.option(option.flag, option.convert))
      end
    end
  end
  parser:group("Global options", table.unpack(list))
end

--- Adds SELECT; only_options: no NAMEs as arguments.
function options.add_select(parser, only_options)
  local names = not only_options and parser:argument("NAME...",
    "Names or globs, RG/NAME, SUBSCRIPTION/RG/NAME, resource IDs."):args "*":target "names" or nil
  local group = {
    many(parser:option("-g --resource-group", "In these resource groups."):argname "GLOB"),
    many(parser:option("-n --name", "With these names."):argname "GLOB"),
    many(parser:option("--tag", "With this tag."):argname "KEY[=VALUE]"),
    parser:option("--os", "linux or windows."):argname "OS"
      :convert(convert.option("--os", convert.one_of("linux", "windows"))),
    parser:option("--status", "connected, disconnected, expired or any (default).")
      :argname "STATUS":convert(convert.option("--status",
        convert.one_of("connected", "disconnected", "expired", "any"))),
    parser:option("--query", "Whose rows Resource Graph gives, with their id."):argname "KQL",
    parser:option("--ids", "With the IDs in FILE (- is stdin), one a line."):argname "FILE",
    parser:flag("--all", "Every machine in scope."),
    many(parser:option("-x --exclude", "But not these names."):argname "GLOB"),
    parser:option("--first", "Only the first N, by name."):argname "N"
      :convert(convert.option("--first", convert.integer(1))) }
  if names then
    table.insert(group, 1, names)
  end
  parser:group("Which machines (kinds are and-ed, repeated values or-ed)", table.unpack(group))
end

local function run_options(parser)
  return {
    parser:option("-P --parallel -f --fanout --forks", "Machines at a time (64)."):argname "N"
      :convert(setting("--parallel", "parallel")),
    parser:option("--timeout", "For each machine, once connected (none)."):argname "DURATION"
      :convert(setting("--timeout", "timeout")),
    parser:option("--deadline", "For the whole run (none)."):argname "DURATION"
      :convert(setting("--deadline", "deadline")),
    parser:flag("--yes -y", "Do not ask."),
  }
end

local function command_options(parser)
  return {
    parser:option("--via", "run-command: by ARM's Run Command, not by SSH; needs --as-root.")
      :argname "ROAD":convert(convert.option("--via", convert.one_of "run-command")),
    parser:flag("--as-root", "With --via run-command: that it runs as root is meant."),
    parser:flag("--sudo", "As root, by sudo -n (POSIX)."),
    many(parser:option("--env", "Set a variable for the command (POSIX)."):argname "NAME=VALUE"
      :convert(assignment)),
    parser:option("--stdin", "Give every command this file's content (default: nothing).")
      :argname "FILE",
    parser:flag("--pty", "Give the command a terminal; stderr then arrives in stdout."),
  }
end

--- Adds FLEET; no_command: without what only a command needs.
function options.add_fleet(parser, no_command)
  parser:group("How to connect",
    parser:option("-l --user -u", "User to log in as (ARCLUA_USER)."):argname "USER"
      :convert(setting("--user", "user")),
    many(parser:option("-i --identity", "Private key file (ARCLUA_IDENTITY)."):argname "FILE"),
    parser:option("--port", "SSH port (default: the configured one)."):argname "N"
      :convert(convert.option("--port", convert.integer(1, 65535))),
    parser:flag("--ask-pass", "Ask for the password, once for all machines."),
    parser:flag("--entra", "With a certificate of Entra's, as the user it names."),
    parser:option("--host-key-policy", "accept-new (default), yes or no."):argname "POLICY"
      :convert(setting("--host-key-policy", "host_key_policy")),
    parser:option("-F --ssh-config", "Read FILE instead of ~/.ssh/config; none: nothing.")
      :argname "FILE|none",
    parser:flag("--direct", "NAMEs are hosts [USER@]HOST[:PORT], reached without Azure."),
    many(parser:option("-J --jump", "Jump hosts on the way to them, in their order.")
      :argname "DEST[,DEST...]"),
    parser:option("--connect-timeout", "Until logged in (60s; 180s after a change of ours).")
      :argname "DURATION":convert(setting("--connect-timeout", "connect_timeout")),
    parser:option("--retries", "New connections before the command was sent (2)."):argname "N"
      :convert(setting("--retries", "retries")),
    parser:flag("--enable", "Set machines up for SSH where that is missing."),
    parser:flag("--replace", "With --enable and --port: change the port for all users."),
    parser:flag("--try-disconnected", "Dial machines whose agent is not connected."),
    parser:flag("--skip-disconnected", "Leave such machines out."))
  local how = run_options(parser)
  for i, option in ipairs(no_command and {} or command_options(parser)) do
    table.insert(how, 3 + i, option)
  end
  parser:group("How to run", table.unpack(how))
end

--- Adds the options of a copy.
function options.add_copy(parser)
  parser:group("What to copy, and how",
    parser:flag("-r --recursive", "Directories, with all that is in them."),
    parser:flag("-p --preserve", "Keep times and modes."),
    many(parser:option("--exclude-files", "Leave out these names, or paths (with a slash).")
      :argname "GLOB"),
    parser:option("--symlinks", "Links in directories: copy (default), follow or skip.")
      :argname "HOW":convert(convert.option("--symlinks",
        convert.one_of("copy", "follow", "skip"))),
    parser:flag("--resume", "Go on where an interrupted copy ended."),
    parser:flag("--checksum", "Leave equal files alone, verify the others (SHA-256)."),
    parser:option("--limit-rate", "Bytes a second of all together: 500K, 2M."):argname "RATE"
      :convert(convert.option("--limit-rate", convert.bytes)),
    parser:option("--connections", "A machine's, for more than 64 MiB (4 when one is slow).")
      :argname "N":convert(convert.option("--connections", convert.integer(1, 16))),
    parser:flag("--fsync", "Write every file to disk before it takes its place."),
    parser:flag("--no-fsync", "Write none to disk."):target "no_fsync")
end

--- The options of a copy that parsed values mean.
---@return table
function options.copy(values)
  local fsync = values.fsync or nil
  if values.no_fsync then
    fsync = false
  end
  return { recursive = values.recursive, preserve = values.preserve, resume = values.resume,
    checksum = values.checksum, exclude = values.exclude_files, symlinks = values.symlinks,
    limit_rate = values.limit_rate, connections = values.connections, fsync = fsync }
end

--- Adds the options of printing; no_status: there are no exit statuses to choose from.
function options.add_output(parser, no_status)
  local group = {
    parser:option("-o --output", "live (at a terminal), grouped (in a pipe), json, jsonl or quiet.")
      :argname "FORMAT":convert(setting("--output", "output")),
    parser:flag("-b --gather", "The same as -o grouped."),
    parser:flag("--raw", "Let control bytes through to the terminal."),
  }
  if not no_status then
    group[4] = parser:flag("-S --max-status",
      "Exit with the largest remote status (255: none came).")
  end
  parser:group("What to print", table.unpack(group))
end

--- Splits argv at the first "--": what is before, and what is after (nil without one).
---@return string[] before, string[]? after
function options.split(argv)
  for i, word in ipairs(argv) do
    if word == "--" then
      return table.move(argv, 1, i - 1, 1, {}), table.move(argv, i + 1, #argv, 1, {})
    end
  end
  return argv, nil
end

--- Parses, the global options too: values, and the global ones merged into base | nil, what is
--- wrong | "help", its text.
---@return table|nil values, table|string
function options.parse(parser, argv, base)
  options.add_globals(parser)
  for _, word in ipairs(argv) do
    if word == "-h" or word == "--help" then
      return "help", options.help(parser)
    end
  end
  local ok, values = parser:pparse(argv)
  if not ok then
    return nil, tostring(values)
  end
  local given = {}
  for _, option in ipairs(globals.OPTIONS) do
    local value = values["global_" .. option.key]
    if value ~= nil and value ~= false and not (option.many and #value == 0) then
      given[option.key] = value
    end
  end
  return values, globals.merge(base or {}, given)
end

--- The selector that parsed values mean.
---@return arclua.Selector|nil, arclua.Error?
function options.selector(values)
  local ids, err
  if values.ids then
    ids, err = require("arclua.machines").read_ids(values.ids)
    if not ids then
      return nil, err
    end
  end
  return {
    names = values.names, name = values.name, resource_group = values.resource_group,
    tag = values.tag, os = values.os, status = values.status, ids = ids,
    query = values.query,
    exclude = values.exclude, first = values.first, all = values.all,
  }
end

local function environment(pairs_)
  local env
  for _, pair in ipairs(pairs_ or {}) do
    env = env or {}
    env[pair[1]] = pair[2]
  end
  return env
end

local MAX_STDIN = 64 * 1024 * 1024

--- The fleet options that parsed values mean. Errors: what reading --stdin gives.
---@return arclua.FleetOptions|nil, arclua.Error?
function options.fleet(values)
  local stdin, err
  if values.stdin then
    stdin, err = require("arclua.core").sys.read_file(values.stdin, MAX_STDIN)
    if not stdin then
      return nil, require("arclua.errors").with(err,
        { message = "option '--stdin': " .. err.message })
    end
  end
  return {
    direct = values.direct, jump = values.jump and values.jump[1] and values.jump,
    ask_pass = values.ask_pass, entra = values.entra, host_key_policy = values.host_key_policy,
    ssh_config = values.ssh_config,
    user = values.user, identity = values.identity and values.identity[1] and values.identity,
    port = values.port, connect_timeout = values.connect_timeout, retries = values.retries,
    enable = values.enable, replace = values.replace, parallel = values.parallel,
    try_disconnected = values.try_disconnected, skip_disconnected = values.skip_disconnected,
    timeout = values.timeout, deadline = values.deadline, sudo = values.sudo,
    env = environment(values.env), stdin = stdin, pty = values.pty, via = values.via,
    as_root = values.as_root,
  }
end

return options
