-- SPDX-License-Identifier: MIT
-- arclua emulator: a local Azure with Arc machines, for a shell or for one command.
local az = require "arclua.emulator.az"
local core = require "arclua.core"
local convert = require "arclua.convert"
local emulator = require "arclua.emulator"
local defects = require "arclua.emulator.defects"
local errors = require "arclua.errors"
local faults = require "arclua.emulator.faults"
local options = require "arclua.cli.options"
local profile = require "arclua.emulator.profile"
local roles = require "arclua.emulator.roles"
local signin = require "arclua.emulator.signin"

local command = { name = "emulator", summary = "a local Azure with Arc machines" }

local FAILED, USAGE = 1, 2
local PARTING = 10 -- seconds that COMMAND gets to end after a signal
local SIGNALS = { HUP = 1, INT = 2, QUIT = 3, ABRT = 6, KILL = 9, SEGV = 11, PIPE = 13, ALRM = 14,
  TERM = 15 }

local EPILOG = [[
Without COMMAND it runs until Ctrl-C and prints what to export, so that another shell can use it:
  arclua emulator --machines 20 > env.sh &
  . ./env.sh && arclua machines
With COMMAND it runs that with these variables set, then stops with its exit status:
  arclua emulator --machines 20 -- arclua exec --all -- uname -n]]

local function number(name, least, most)
  return convert.option(name, convert.integer(least, most))
end

local function throttle_mode(text)
  local factor = tonumber(text)
  if text == "documented" or text == "off" or (factor and factor > 0) then
    return text
  end
  return nil, "documented, off or a factor above 0"
end

local function host_name(text)
  if text:find "^%a[%w%-%.]*$" then
    return text
  end
  return nil, "the name of a host"
end

-- What is wrong with a fault is in its words: the whole text would not be what was expected.
local function fault(text)
  local parsed, why = faults.parse(text)
  return parsed, not parsed and "option '--fault': " .. why or nil
end

local function defect(text)
  local machine, name = defects.parse(text)
  return machine and { machine, name } or nil, not machine and "option '--defect': " .. name or nil
end

local function role(text)
  local found = roles.find(text)
  return found and found.name, not found and "option '--role': a built-in role expected, got '"
    .. text .. "'" or nil
end

-- By machine, as emulator.start takes them.
local function defects_of(pairs_)
  local out = {}
  for _, pair in ipairs(pairs_ or {}) do
    out[pair[1]] = out[pair[1]] or {}
    table.insert(out[pair[1]], pair[2])
  end
  return out
end

local function build()
  local parser = options.parser("arclua emulator", "Runs a local Azure with Arc machines: Entra, "
    .. "ARM, the relay, and an SSH server a machine.",
    "arclua emulator [options] [-- COMMAND [ARG...]]"):epilog(EPILOG)
  parser:option("--machines", "How many machines (3).", nil, number("--machines", 1, 10000))
    :argname "N"
  parser:option("--alike", "The first so many are alike, Linux and connected (1000); those behind "
    .. "them are mixed, by --seed.", nil, number("--alike", 0, 10000)):argname "N"
  parser:option("--windows", "So many Windows-like machines more (0).", nil,
    number("--windows", 0, 1000)):argname "N"
  parser:option("--subscriptions", "Spread over so many subscriptions (1).", nil,
    number("--subscriptions", 1, 100)):argname "N"
  parser:option("--port", "Listen on this port of 127.0.0.1 (any free one).", nil,
    number("--port", 0, 65535)):argname "P"
  parser:option("--setup", "How far SSH is set up: ready, endpoint or none (ready).", nil,
    convert.option("--setup", convert.one_of("ready", "endpoint", "none"))):argname "HOW"
  parser:option("--login", "What the machines accept: any, key, entra (only Entra's "
    .. "certificates), password or keyboard-interactive (any).", nil, convert.option("--login",
    convert.one_of("any", "key", "entra", "password", "keyboard-interactive"))):argname "WHAT"
  parser:option("--machine-agent", "Who answers for the machines: internal, or external: "
    .. "listeners of yours, by the relay (internal).", nil,
    convert.option("--machine-agent", convert.one_of("internal", "external"))):argname "WHO"
  parser:option("--relay-host", "The host that external listeners are sent to (localhost).", nil,
    convert.option("--relay-host", host_name)):argname "HOST"
  parser:option("--throttle", "ARM's limits: documented, off or a factor (off).", nil,
    convert.option("--throttle", throttle_mode)):argname "MODE"
  parser:option("--operation-time", "That ARM's long-running operations take (1s).", nil,
    convert.option("--operation-time", convert.seconds)):argname "DURATION"
  parser:option("--page-size", "Machines on a page of ARM's lists (100).", nil,
    number("--page-size", 1, 1000)):argname "N"
  parser:option("--profile", "How far all are from each other: near, mid, far or azure "
    .. "(no delay).", nil, convert.option("--profile", convert.one_of(table.unpack(
    profile.NAMES)))):argname "NAME"
  parser:option("--fault", "Go wrong: at=PLACE,kind=KIND[,times=N][,machine=NAME]... "
    .. "(repeatable; the list is in docs/emulator.md).", nil,
    fault):argname("FAULT"):count "*"
  parser:option("--defect", "What is wrong with a machine: MACHINE=DEFECT (repeatable; the list is "
    .. "in docs/emulator.md).", nil, defect):argname("MACHINE=DEFECT"):count "*"
  parser:option("--role", "What clients may do: a built-in role (repeatable; Owner and Virtual "
    .. "Machine Administrator Login).", nil, role):argname("ROLE"):count "*"
  parser:option("--provider-delay", "So long takes registering a provider (0s).", nil,
    convert.option("--provider-delay", convert.seconds)):argname "DURATION"
  parser:option("--seed", "Makes faults by chance, and mixed machines, repeatable.", nil,
    number("--seed", 1, math.maxinteger)):argname "N"
  parser:option("--log-file", "Append what happens to FILE, one JSON line an event.")
    :argname "FILE"
  parser:option("--sign-in", "What clients sign in with: " .. table.concat(signin.WAYS, ", ")
    .. " (secret).", nil, convert.option("--sign-in", convert.one_of(table.unpack(signin.WAYS))))
    :argname "HOW"
  parser:option("--az", "Put an az and an azd on PATH: " .. table.concat(az.MODES, ", ") .. ".",
    nil, convert.option("--az", convert.one_of(table.unpack(az.MODES)))):argname "HOW"
  parser:flag("--as-root", "As root: log in to the machines as root, not as another user.")
  return parser
end

local function complain(text)
  io.stderr:write("arclua emulator: ", text, "\n")
end

local function serve(running)
  io.stdout:write(emulator.exports(running.env))
  io.stdout:flush()
  io.stderr:write(("arclua: the emulator with %d machines is ready on port %d; Ctrl-C ends it\n")
    :format(#running.state.machines, running.port))
  core.cond():wait() -- until cancelled
  return 0
end

local function status_of(ended)
  return ended.status or 128 + (SIGNALS[ended.signal] or 0)
end

local function run_command(running, args)
  local process <close>, err = core.process.spawn { args = args, env = running.env,
    stdin = "inherit", stdout = "inherit", stderr = "inherit", die_with_parent = true }
  if not process then
    complain(errors.describe(err))
    return err.code == "notfound" and 127 or 126
  end
  local ended = process:wait()
  if not ended then -- a signal for us: COMMAND, too, is to end
    process:kill "TERM"
    core.shield(PARTING, function()
      ended = core.timeout(PARTING, function()
        return process:wait()
      end)
    end)
  end
  return ended and status_of(ended) or FAILED
end

--- Runs the command. args: what stands after "emulator".
---@return integer status
function command.run(args)
  local own, words = options.split(args)
  words = words or {}
  local parser = build()
  local ok, opts = parser:pparse(own)
  if not ok then
    complain(opts .. "\ntry: arclua help emulator")
    return USAGE
  elseif opts.help then
    io.stdout:write(options.help(parser))
    return 0
  end
  local running <close>, err = emulator.start { machines = opts.machines, port = opts.port,
    as_root = opts.as_root, throttle = opts.throttle, page_size = opts.page_size,
    operation_time = opts.operation_time,
    faults = opts.fault, seed = opts.seed, setup = opts.setup, subscriptions = opts.subscriptions,
    log_file = opts.log_file, profile = opts.profile, windows = opts.windows,
    machine_agent = opts.machine_agent, relay_host = opts.relay_host,
    sign_in = opts.sign_in, login = opts.login, az = opts.az, alike = opts.alike,
    defects = defects_of(opts.defect),
    roles = opts.role and #opts.role > 0 and opts.role or nil,
    provider_delay = opts.provider_delay,
    -- A wrapper of one command has no reason to outlive who started it.
    bound = #words > 0 }
  if not running then
    complain(errors.describe(err))
    return FAILED
  end
  return #words > 0 and run_command(running, words) or serve(running)
end

command.parser = build -- for completion

return command
