-- SPDX-License-Identifier: MIT
-- arclua ssh [OpenSSH's options] [USER@]MACHINE [COMMAND...]
local arguments = require "arclua.openssh.arguments"
local command = require "arclua.cli.command"
local connect = require "arclua.connect"
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local globals = require "arclua.cli.globals"
local keywords = require "arclua.openssh.keywords"
local logins = require "arclua.openssh.login"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local plans = require "arclua.openssh.plan"
local runner = require "arclua.openssh.runner"
local ssh_options = require "arclua.cli.ssh_options"
local waiting = require "arclua.report.waiting"

local ssh = { name = "ssh", summary = "a shell, a command or tunnels on one machine, as ssh does",
  parser = ssh_options.parser }

-- What ssh gives whenever the failure is its own.
local FAILED = 255

local PORT = convert.integer(1, 65535)

local function usage(text)
  command.usage("ssh", text)
  return FAILED
end

-- A signal that ends us is no news.
local function fail(err)
  if not (errors.is(err) and err.code == "cancelled") then
    command.fail(err)
  end
  return FAILED
end

-- ---- the options ---------------------------------------------------------------------------

-- The log level that -v and -q mean.
local function level(given)
  local grades = { "debug", "debug", "trace" }
  return given.verbose > 0 and grades[math.min(given.verbose, #grades)]
    or given.quiet and "error" or given.log_file and "info" or nil
end

-- The global options, with those on our line laid over them.
local function merged(given, base)
  local over = { log_level = level(given), log_file = given.log_file }
  for _, option in ipairs(globals.OPTIONS) do
    local value = given.long["global_" .. option.key]
    if value ~= nil then
      over[option.key] = value
    end
  end
  return globals.merge(base or {}, over)
end

-- The first value of a keyword among the -o options, read: nil when it is not among them, or
-- wrong (which whoever reads all of them says).
local function from_options(given, keyword)
  local list = arguments.given(given.options, keyword)[1]
  return list and list[1] and keywords.KNOWN[keyword].read(list) or nil
end

local function port_of(given)
  local text = given.port or given.long.port
  if not text then
    return from_options(given, "port")
  end
  local port, why = convert.read(PORT, text, "option '-p'")
  if not port then
    return errors.fail { code = "config", op = "ssh", message = why }
  end
  return port
end

local function append(list, more)
  return table.move(more or {}, 1, #more, #list + 1, list)
end

-- What connect takes | nil, err.
local function connect_options(given)
  local long = given.long
  local port, err = port_of(given)
  if err then
    return nil, err
  end
  local identity = append(append({}, given.identity), long.identity or {})
  local list = append({}, given.options)
  if long.certificate then
    list[#list + 1] = "CertificateFile="
      .. arguments.quote((long.certificate:gsub("%%", "%%%%")))
  end
  return {
    user = given.user or long.user or from_options(given, "user"), port = port,
    identity = #identity > 0 and identity or nil,
    ssh_config = given.ssh_config, ssh_options = list, jump = given.jump,
    known_hosts = from_options(given, "userknownhostsfile"),
    host_key_policy = from_options(given, "stricthostkeychecking"),
    connect_timeout = long.connect_timeout or from_options(given, "connecttimeout"),
    ask = not from_options(given, "batchmode"), entra = long.entra,
    enable = long.enable, replace = long.replace,
  }
end

-- ---- the machine ---------------------------------------------------------------------------

-- The machine's name: the destination, or what az's options say.
local function name_of(given)
  local long = given.long
  local name = given.destination or long.name
  if long.resource_group and not name:find "/" then
    name = long.resource_group .. "/" .. name
  end
  return name
end

local function check_type(machine, wanted)
  if wanted and machine.type and machine.type:lower() ~= wanted:lower() then
    return errors.fail { code = "config", op = "ssh", message = ("option '--resource-type': %s is "
      .. "a %s, not a %s"):format(machine.name, machine.type, wanted) }
  end
  return true
end

-- What is to be reached: target, azure | nil, err.
local function find(given)
  local name = name_of(given)
  if given.long.direct then
    return connect.host(name)
  end
  local azure, err = command.login()
  if not azure then
    return nil, err
  end
  local machine
  machine, err = azure:machine(name)
  if not machine then
    return nil, err
  end
  local ok
  ok, err = check_type(machine, given.long.resource_type)
  if ok and given.long.entra and machine.os == "windows" then
    ok, err = logins.no_entra(machine.name)
  end
  if ok and not given.long.try_disconnected then
    ok, err = connect.reachable(machine)
  end
  if not ok then
    return nil, err
  end
  return machine, azure
end

-- ---- connecting ----------------------------------------------------------------------------

-- A session, again with consent when somebody at the terminal gives it.
local function dial(target, opts, context, azure, name)
  local to = output.standard(2)
  local progress, clear = {}, function() end
  if to.is_terminal then
    progress.on_wait, clear = waiting.new(to)
  end
  local session, err = connect.session(target, opts, progress, context)
  clear()
  if session or not azure then
    return session, err
  end
  if err.reason ~= "arm.setup-needed" or opts.enable or not opts.ask then
    return nil, err
  end
  local agreed = command.ask(("%s. Set %s up for SSH? [y/N] "):format(
    escape.text(err.message), escape.text(target.name)))
  if not agreed then
    return nil, err
  end
  opts.enable = true
  return dial(target, opts, context, nil, name)
end

local function notice(session)
  local issue = session:issue()
  if issue then
    output.standard(2):line(escape.text(issue, true))
  end
end

local function run(given)
  local opts, err = connect_options(given)
  local target, azure
  if opts then
    target, azure = find(given)
    err = not target and azure or nil
  end
  if not target then
    return fail(err)
  end
  local context = connect.context(opts, { azure = azure })
  local login, plan
  login, err = connect.login(target, opts, context)
  if login then
    plan, err = plans.of(given, login.conf)
  end
  if not plan then
    context:close()
    return fail(err)
  end
  if plan.notice and not given.quiet then
    output.standard(2):line("arclua: " .. plan.notice)
  end
  local name = name_of(given)
  local status
  status, err = runner.run(plan, {
    given = given, name = target.name or name, user = login.user,
    dial = function()
      local session, why = dial(target, opts, context, azure, name)
      if session and not given.quiet then
        notice(session)
      end
      return session, why
    end,
  })
  context:close()
  return status or fail(err)
end

local function is_tunnel(given)
  return given.during or given.long.rdp or from_options(given, "sessiontype") == "none"
end

-- What is wrong with options that do not go together.
local function wrong_pair(given)
  local alone = is_tunnel(given)
  if given.long.entra and (#given.identity > 0 or given.long.identity) then
    return "options '--entra' and '-i' exclude each other"
  end
  if given.long.reconnect and not alone then
    return "option '--reconnect' needs a tunnel: -N, --while or --rdp"
  elseif given.during and #given.during == 0 then
    return "option '--while' needs a command: --while CMD [ARG...], at the end of the line"
  elseif #given.command > 0 and (given.stdio or alone) then
    return ("no command runs with -N, -W, --while or --rdp, but one was given: '%s'"):format(
      table.concat(given.command, " "))
  end
  return nil
end

-- What is wrong with the line as a whole, nil when nothing is.
local function wrong(given)
  local long = given.long
  if not given.destination and not long.name then
    return "[USER@]MACHINE is missing"
  elseif long.replace and not (long.enable and (given.port or long.port)) then
    return "option '--replace' needs --enable and -p"
  elseif long.resource_group and given.destination and given.destination:find "/" then
    return ("option '--resource-group' and '%s' exclude each other"):format(given.destination)
  end
  return wrong_pair(given)
end

function ssh.run(argv, base)
  local given, why = arguments.parse(argv, ssh_options.LONG)
  if not given then
    return usage(why)
  elseif given.help or given.long.help then
    local it = ssh.parser()
    options.add_globals(it)
    output.standard(1):write(options.help(it))
    return 0
  elseif given.version then
    output.standard(1):line("arclua " .. core.version)
    return 0
  end
  why = wrong(given)
  if why then
    return usage(why)
  end
  local ok, err = globals.apply(merged(given, base))
  if not ok then
    return fail(err)
  end
  return run(given)
end

return ssh
