-- SPDX-License-Identifier: MIT
-- From a machine, or a host reached directly, to an SSH session.
local check = require "arclua.check"
local contexts = require "arclua.openssh.context"
local destination = require "arclua.openssh.destination"
local real = require "arclua.core"
local errors = require "arclua.errors"
local logins = require "arclua.openssh.login"
local relay = require "arclua.relay"
local sessions = require "arclua.session"
local settings = require "arclua.settings"
local times = require "arclua.times"

local connect = {}

local CONNECT_TIMEOUT, AFTER_CHANGE = 60, 180
local LOGIN_TIMEOUT = 30
local NO_ROLE = "the machine needs the extension AADSSHLoginForLinux, and you need the role "
  .. "Virtual Machine User Login or Virtual Machine Administrator Login on it"
-- What the relay says of credentials that are good no more.
local STALE = { [401] = true, [403] = true, [404] = true }
-- What is said when kept ones lead to a port that is configured no more, or SSH was taken back.
local ASTRAY = { ["relay.sshd-refused"] = true, ["relay.rejected"] = true,
  ["arm.setup-needed"] = true }

---@class arclua.ConnectOptions
---@field user string?               default: ARCLUA_USER, the configuration, ssh_config, the
---   local user
---@field identity string|string[]|nil  private keys; default: ARCLUA_IDENTITY; those of ssh_config
---   come after them; without any, OpenSSH's files
---@field agent boolean?             also the keys of the SSH agent; default true
---@field passphrase arclua.Secret?  of encrypted keys: core.secret_env, core.secret_file
---@field password arclua.Secret?    sent once, where the server asks for one
---@field ask_pass boolean?          ask for the password at the terminal or by SSH_ASKPASS
---@field ask boolean?               ask for passphrases; default: in the program yes, as a module
---   no
---@field entra boolean?             log in with a certificate of Entra's, as the user it names; no
---   other key is tried
---@field known_hosts string|string[]|nil  files of host keys; default the sign-in's
---@field host_key_policy string?    "accept-new" (default), "yes", "no", as in OpenSSH
---@field ssh_config string?         file read instead of ~/.ssh/config and /etc/ssh/ssh_config;
---   "none" for nothing
---@field ssh_options string[]?      "Keyword=value" each, before what ssh_config says; not for jump
---   hosts
---@field jump string|string[]|nil   jump hosts [USER@]HOST[:PORT] on the way to a host, in order
---@field port integer?             of the SSH server; default the configured one, else 22
---@field connect_timeout number?    seconds until logged in; default 60 (180 after a change)
---@field enable boolean?            consent to set the machine up for SSH
---@field replace boolean?           consent to change the SSH port for all users

connect.RULES = {
  user = "string", identity = "string|table", agent = "boolean", passphrase = "secret",
  password = "secret", ask_pass = "boolean", ask = "boolean", entra = "boolean",
  known_hosts = "string|table", host_key_policy = "string", ssh_config = "string",
  ssh_options = "table",
  jump = "string|table", port = "integer", connect_timeout = "number", enable = "boolean",
  replace = "boolean",
}

--- Checks connect options; raises on unknown or ill-typed ones.
function connect.check(opts)
  return check.options(opts, connect.RULES, 3)
end

local function log_of(machine)
  return machine.azure and machine.azure.log or function() end
end

-- A stream to the SSH server of an Arc machine.
local function through_relay(machine, opts, core, access, progress)
  local azure = machine.azure
  local stream, err = relay.connect {
    info = access.info, port = access.port, changed = access.changed, ca = azure.cloud.ca,
    cached = access.cached, primitives = core,
    renew = function()
      return azure.connectivity:renew(machine, opts, access.port)
    end,
    on_attempt = function()
      progress.relay_attempts = (progress.relay_attempts or 0) + 1
    end,
    on_wait = function(text)
      log_of(machine)("info", machine.name .. ": " .. text)
      if progress.on_wait then
        progress.on_wait(machine, text)
      end
    end,
  }
  if not stream and STALE[err.status] then
    azure.connectivity:forget(machine, opts)
  end
  return stream, err
end

-- Says what a bare time-out was waiting for.
local function explain(err, seconds, progress)
  if err.code ~= "timeout" or err.reason then
    return err
  end
  return errors.new { code = "timeout", op = "connect", phase = progress.phase, cause = err,
    retryable = false, message = ("no connection within %g s"):format(seconds),
    remedy = "raise --connect-timeout, or look at the network" }
end

-- One attempt to reach a target, in steps that share a time limit.
---@class arclua.Way
---@field target table
---@field opts arclua.ConnectOptions
---@field login arclua.Login
---@field context arclua.Context
---@field core table
---@field progress table
---@field chain table?     lists of jump hosts that wait for this one
---@field limit number
---@field began number

local function left(way)
  return math.max(way.limit - (way.core.now() - way.began), 0.001)
end

local function in_time(way, fn, ...)
  local value, err = way.core.timeout(left(way), fn, ...)
  return value, err and explain(err, way.limit, way.progress)
end

-- The way of a host: TCP, or the last of its jump hosts.
local function host_stream(way, hostname, port)
  local jump, command = way.login.jump, way.login.conf.proxycommand
  if command and command ~= "none" then
    way.context.log("warn", ("%s: ProxyCommand is not run, the host is dialled"):format(
      way.login.conf.where.proxycommand))
  end
  if jump then
    way.progress.phase = "jump"
    return way.context.jumps:stream(jump, hostname, port, way.chain)
  end
  way.progress.phase = "tcp"
  return way.core.tcp.connect(hostname, port)
end

local function relay_stream(way, machine, opts, progress)
  progress.phase = "arm"
  way.limit = way.limit + math.ceil(machine.azure.connectivity:turn(machine, opts.port))
  local access, err = in_time(way, function()
    return machine.azure.connectivity:access(machine, opts)
  end)
  if not access then
    return nil, err
  elseif access.changed then
    way.limit = math.max(way.limit, AFTER_CHANGE)
  end
  progress.phase = "relay"
  local stream
  stream, err = in_time(way, through_relay, machine, opts, way.core, access, progress)
  return stream, err, access
end

-- Relay credentials for the chosen port, then the relay; anew when kept ones led astray.
local function machine_stream(way)
  local machine, progress = way.target, way.progress
  local opts = setmetatable({ port = way.login.port }, { __index = way.opts })
  local stream, err, access = relay_stream(way, machine, opts, progress)
  if not stream and access and access.cached and ASTRAY[err.reason] then
    machine.azure.connectivity:forget(machine, opts)
    return relay_stream(way, machine, opts, progress)
  end
  return stream, err
end

-- A machine whose stanza in ssh_config names an address behind a jump host is reached there.
local function stream_of(way)
  local target, login = way.target, way.login
  local jump = login.jump
  if target.host then
    return in_time(way, host_stream, way, login.hostname, login.port)
  elseif jump and way.opts.jump and not target.hop then
    return logins.no_jump(target.name, "option '--jump'")
  elseif jump and login.conf.hostname then
    return in_time(way, host_stream, way, login.conf.hostname, login.port or 22)
  elseif jump then
    return logins.no_jump(target.name, ("ProxyJump, %s"):format(login.conf.where.proxyjump))
  end
  return machine_stream(way)
end

-- Says what a failed login wants.
local function blame(err, options, progress)
  if err.reason == "ssh.auth-refused" and options.certificate then
    return errors.with(err, { remedy = NO_ROLE })
  end
  return explain(err, options.timeout, progress)
end

-- The time that questions take is not the connection's: core.ssh.connect stops its clock for them.
local function ssh_session(way, stream)
  local options = {}
  for name, value in pairs(way.login.options) do
    options[name] = value
  end
  options.timeout = math.min(LOGIN_TIMEOUT, left(way))
  options.prompt = way.context:prompt(way.target.name or way.target.host, way.opts,
    way.target.hop)
  if way.opts.ask_pass and not way.target.hop then
    local err
    options.password, err = way.context.ask:password()
    if not options.password then
      stream:close()
      return nil, err
    end
  end
  way.progress.phase = "ssh"
  local session, err = way.core.ssh.connect(stream, options)
  local text, certified
  if session then
    text, certified = session:new_key()
  end
  if text then
    way.context.log(certified and "warn" or "info", text)
  end
  return session and sessions.extend(session), err and blame(err, options, way.progress)
end

-- Only what a jump host takes over from the target's options.
local function hop_options(opts)
  return { agent = opts.agent, passphrase = opts.passphrase, ask = opts.ask,
    known_hosts = opts.known_hosts, host_key_policy = opts.host_key_policy,
    connect_timeout = opts.connect_timeout, enable = opts.enable }
end

--- How to log in on a target: user, keys, what ssh_config says.
---@param target table
---@param opts arclua.ConnectOptions
---@param context arclua.Context
---@return arclua.Login|nil, arclua.Error?
function connect.login(target, opts, context)
  local conf, err = context:ssh_config()
  local certificate
  if conf and opts.entra then
    certificate, err = context:certificate(target)
  end
  if not conf or err then
    return nil, err
  end
  return logins.of(target, opts, conf, certificate)
end

local function reach(target, opts, progress, context, chain)
  local core = context.core
  local chosen, err = settings.fill(opts, { "connect_timeout" },
    target.azure and target.azure.config)
  if not chosen then
    return nil, err
  end
  local login
  login, err = connect.login(target, opts, context)
  if not login then
    return nil, err
  end
  target.port = target.port or target.host and login.port
  local way = { target = target, opts = opts, login = login, context = context, core = core,
    progress = progress, chain = chain, began = core.now(),
    limit = chosen.connect_timeout or CONNECT_TIMEOUT }
  local stream
  stream, err = stream_of(way)
  if not stream or progress.stream_only then
    return stream, err
  end
  return ssh_session(way, stream)
end

--- What connections of one run share; close it at the run's end.
---@param opts arclua.ConnectOptions
---@param more { primitives: table?, azure: arclua.Azure?, many: boolean? }?
---@return arclua.Context
function connect.context(opts, more)
  more = more or {}
  return contexts.new { core = more.primitives or real, azure = more.azure, many = more.many,
    ssh_config = opts.ssh_config, ssh_options = opts.ssh_options,
    reach = function(target, context, chain)
      return reach(target, hop_options(opts), {}, context, chain)
    end }
end

-- What a session that was made alone stands on: its jump hosts' sessions live as long.
local held = setmetatable({}, { __mode = "k" })

--- A session on a machine or on { host =, port =?, user =?, jump =?, name =? }. progress, when
--- given, gets phase ("arm", "relay", "jump", "tcp", "ssh") and the number of relay attempts.
---@param opts arclua.ConnectOptions
---@param progress table?
---@param context arclua.Context?  shared by the connections of a run
---@return arclua.Session|nil, arclua.Error?
function connect.session(machine, opts, progress, context)
  if context then
    return reach(machine, opts, progress or {}, context)
  end
  local azure = machine.azure
  context = connect.context(opts, { azure = azure,
    primitives = azure and azure.primitives or opts.primitives })
  local session, err = reach(machine, opts, progress or {}, context)
  if session and next(context.jumps.chains) then
    held[session] = context
  else
    context:close()
  end
  return session, err
end

--- Whether dialling makes sense: a machine whose agent is not connected is not reached.
---@return true|nil, arclua.Error?
function connect.reachable(machine)
  if not machine.id or machine:is_connected() then
    return true
  end
  local since = machine.last_status_change
    and " since " .. times.readable(machine.last_status_change) or ""
  return errors.fail { reason = "machine.disconnected", op = "connect",
    message = ("agent %s%s"):format(machine.status:lower(), since) }
end

--- The stream to a machine's SSH server alone, for whoever speaks SSH over it.
---@param machine arclua.Machine
---@param opts arclua.ConnectOptions
---@return arclua.Stream|nil, arclua.Error?
function connect.stream(machine, opts)
  -- Who speaks SSH over it has read ssh_config already.
  opts.ssh_config = "none"
  return connect.session(machine, opts, { stream_only = true })
end

--- A host as people write it: { host =, port =?, user =?, name = }. Errors: config.
---@param text string  [USER@]HOST[:PORT]
---@return table|nil, arclua.Error?
function connect.host(text)
  local found, err = destination.parse(text)
  if not found then
    return nil, err
  elseif found.machine then
    return errors.fail { code = "config", op = "connect",
      message = ("'%s' is an Arc machine: with --direct name [USER@]HOST[:PORT]"):format(text) }
  end
  return { host = found.host, port = found.port, user = found.user, name = found.host }
end

return connect
