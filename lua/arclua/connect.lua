-- SPDX-License-Identifier: MIT
-- From a machine, or a host reached directly, to an SSH session.
local alias = require "arclua.alias"
local check = require "arclua.check"
local real = require "arclua.core"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local relay = require "arclua.relay"
local settings = require "arclua.settings"

local connect = {}

local CONNECT_TIMEOUT, AFTER_CHANGE = 60, 180
local LOGIN_TIMEOUT = 30

---@class arclua.ConnectOptions
---@field user string?               default: ARCLUA_USER, the configuration, the local user
---@field identity string|string[]|nil  private keys; default: ARCLUA_IDENTITY, OpenSSH's files
---@field agent boolean?             also the keys of the SSH agent; default true
---@field passphrase arclua.Secret?  of encrypted keys: core.secret_env, core.secret_file
---@field known_hosts string?        file of host keys; default the sign-in's
---@field host_key_policy string?    "accept-new" (default), "yes", "no", as in OpenSSH
---@field port integer?             of the SSH server; default the configured one, else 22
---@field connect_timeout number?    seconds until logged in; default 60 (180 after a change)
---@field enable boolean?            consent to set the machine up for SSH
---@field replace boolean?           consent to change the SSH port for all users

connect.RULES = {
  user = "string", identity = "string|table", agent = "boolean", passphrase = "secret",
  known_hosts = "string", host_key_policy = "string", port = "integer",
  connect_timeout = "number", enable = "boolean", replace = "boolean",
}

--- Checks connect options; raises on unknown or ill-typed ones.
function connect.check(opts)
  return check.options(opts, connect.RULES, 3)
end

local function setting(machine, name)
  return settings.get(name, machine.azure and machine.azure.config)
end

local function identities(machine, opts)
  local given = opts.identity or setting(machine, "identity")
  if not given then
    return paths.default_identities()
  end
  local list = {}
  for i, path in ipairs(type(given) == "string" and { given } or given) do
    list[i] = paths.expand(path)
  end
  return list
end

local function ssh_options(machine, opts, core)
  local known_hosts = opts.known_hosts or machine.azure and machine.azure.known_hosts
    or paths.known_hosts()
  return {
    user = opts.user or setting(machine, "user") or core.sys.user(),
    alias = machine.host and alias.of_host(machine.host, opts.port or machine.port or 22)
      or machine:alias(),
    known_hosts = { paths.expand(known_hosts) }, host_key_policy = opts.host_key_policy,
    identities = identities(machine, opts), agent = opts.agent, passphrase = opts.passphrase,
    timeout = LOGIN_TIMEOUT, os = machine.os,
  }
end

local function log_of(machine)
  return machine.azure and machine.azure.log or function() end
end

-- A stream to the SSH server of an Arc machine.
local function through_relay(machine, opts, core, access, progress)
  local azure = machine.azure
  return relay.connect {
    info = access.info, port = access.port, changed = access.changed, ca = azure.cloud.ca,
    primitives = core,
    renew = function()
      return azure.connectivity:renew(machine, opts)
    end,
    on_attempt = function()
      progress.relay_attempts = (progress.relay_attempts or 0) + 1
    end,
    on_retry = function(delay, err)
      log_of(machine)("info", ("%s: %s; trying again in %.1f s"):format(machine.name,
        tostring(err), delay))
    end,
  }
end

local function login(machine, opts, core, stream, progress)
  progress.phase = "ssh"
  return core.ssh.connect(stream, ssh_options(machine, opts, core))
end

local function reach_machine(machine, opts, core, access, progress)
  progress.phase = "relay"
  local stream, err = through_relay(machine, opts, core, access, progress)
  if not stream or progress.stream_only then
    return stream, err
  end
  return login(machine, opts, core, stream, progress)
end

local function reach_host(machine, opts, core, progress)
  progress.phase = "tcp"
  local stream, err = core.tcp.connect(machine.host, opts.port or machine.port or 22)
  if not stream then
    return nil, err
  end
  return login(machine, opts, core, stream, progress)
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

local function to_host(machine, opts, core, limit, progress)
  local session, err = core.timeout(limit, reach_host, machine, opts, core, progress)
  return session, err and explain(err, limit, progress)
end

local function to_machine(machine, opts, core, limit, progress)
  local began = core.now()
  progress.phase = "arm"
  local access, err = core.timeout(limit, function()
    return machine.azure.connectivity:access(machine, opts)
  end)
  if not access then
    return nil, explain(err, limit, progress)
  end
  if access.changed then
    limit = math.max(limit, AFTER_CHANGE)
  end
  local left = math.max(limit - (core.now() - began), 0.001)
  local session
  session, err = core.timeout(left, reach_machine, machine, opts, core, access, progress)
  return session, err and explain(err, limit, progress)
end

--- A session on a machine or on { host =, port =?, name =? }. progress, when given, gets phase
--- ("arm", "relay", "tcp", "ssh") and the number of relay attempts.
---@param opts arclua.ConnectOptions
---@param progress table?
---@return arclua.Session|nil, arclua.Error?
function connect.session(machine, opts, progress)
  progress = progress or {}
  local core = machine.azure and machine.azure.primitives or opts.primitives or real
  local chosen, err = settings.fill(opts, { "connect_timeout" },
    machine.azure and machine.azure.config)
  if not chosen then
    return nil, err
  end
  local reach = machine.host and to_host or to_machine
  return reach(machine, opts, core, chosen.connect_timeout or CONNECT_TIMEOUT, progress)
end

--- The stream to a machine's SSH server alone, for whoever speaks SSH over it.
---@param machine arclua.Machine
---@param opts arclua.ConnectOptions
---@return arclua.Stream|nil, arclua.Error?
function connect.stream(machine, opts)
  return connect.session(machine, opts, { stream_only = true })
end

return connect
