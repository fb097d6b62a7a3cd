-- SPDX-License-Identifier: MIT
-- What `arclua ssh` is to do, from its command line and what ssh_config says of the machine.
local core = require "arclua.core"
local errors = require "arclua.errors"
local forward_spec = require "arclua.forward.spec"
local paths = require "arclua.paths"
local words = require "arclua.openssh.words"

local plan = {}

local ENVIRON = "/proc/self/environ"

local RDP = "0:localhost:3389"

local FORWARDS = { { "L", "localforward" }, { "R", "remoteforward" }, { "D", "dynamicforward" } }

---@class arclua.SshPlan
---@field session "shell"|"command"|"subsystem"|"none"
---@field command string?     or the subsystem's name
---@field pty boolean
---@field env table<string, string>
---@field agent string?       the socket of the agent to forward
---@field stdin boolean
---@field escape string?
---@field forwards arclua.ForwardSpec[]
---@field strict boolean      a forwarding that fails ends it
---@field background boolean
---@field gateway boolean?    GatewayPorts
---@field mask integer?       StreamLocalBindMask
---@field unlink boolean?     StreamLocalBindUnlink
---@field stdio table?        where -W leads
---@field rdp arclua.ForwardSpec?  among the forwards
---@field notice string?      what ssh would say

local function refuse(text)
  return errors.fail { code = "config", op = "ssh", message = text }
end

-- ---- the environment -----------------------------------------------------------------------

-- Our variables: the file shows them as they were when the program began.
local function our_environment()
  local found = {}
  local file = io.open(ENVIRON, "rb")
  for entry in (file and file:read "a" or ""):gmatch "[^%z]+" do
    local name, value = entry:match "^([^=]+)=(.*)$"
    if name then
      found[name] = value
    end
  end
  if file then
    file:close()
  end
  return found
end

-- SendEnv's patterns; one with - takes earlier ones out.
local function wanted(lines)
  local patterns = {}
  for _, list in ipairs(lines or {}) do
    for _, pattern in ipairs(list) do
      local out = pattern:match "^%-(.+)$"
      if out then
        for i = #patterns, 1, -1 do
          if words.match(patterns[i], out) then
            table.remove(patterns, i)
          end
        end
      else
        patterns[#patterns + 1] = pattern
      end
    end
  end
  return patterns
end

local function environment(conf)
  local env, patterns = {}, wanted(conf.sendenv)
  if #patterns > 0 then
    local compiled = words.compile(patterns)
    for name, value in pairs(our_environment()) do
      if words.match_any(name, compiled) then
        env[name] = value
      end
    end
  end
  for _, word in ipairs(conf.setenv or {}) do
    local name, value = word:match "^([^=]+)=(.*)$"
    if not name then
      return refuse(("SetEnv: NAME=VALUE expected, got '%s'"):format(word))
    end
    env[name] = value
  end
  return env
end

-- ---- the parts -----------------------------------------------------------------------------

local SWITCH = { yes = true, ["true"] = true, no = false, ["false"] = false, none = false }

-- A socket as a keyword names it: a path or $VARIABLE.
local function socket(text)
  local name = text:match "^%$([%w_]+)$"
  if name then
    return paths.env(name)
  end
  return paths.expand(text)
end

-- The socket of the agent to forward; nil: none.
local function agent(conf)
  local value = conf.forwardagent or "no"
  local switch = SWITCH[value:lower()]
  if switch then -- the agent that logs us in
    value = conf.identityagent or "SSH_AUTH_SOCK"
    switch = SWITCH[value:lower()]
  end
  if switch == false then
    return nil
  end
  return socket(value == "SSH_AUTH_SOCK" and "$SSH_AUTH_SOCK" or value)
end

local function is_without(given, conf)
  return given.stdio or given.during or given.long.rdp or conf.sessiontype == "none"
end

-- The command of the line, or that of ssh_config; nil, err when both give one.
local function command_of(given, conf)
  local command = #given.command > 0 and table.concat(given.command, " ") or nil
  local remote = conf.remotecommand
  if not remote or remote:lower() == "none" then
    return command
  elseif command then
    return refuse(("a command was given, and RemoteCommand gives another (%s)"):format(
      conf.where.remotecommand))
  end
  return remote
end

-- The kind of session, and its command.
local function session(given, conf)
  if is_without(given, conf) then
    return "none"
  end
  local command, err = command_of(given, conf)
  if err then
    return nil, err
  elseif conf.forkafterauthentication and not command then
    return refuse "to go to the background (-f) it needs a command, or -N"
  elseif conf.sessiontype ~= "subsystem" then
    return command and "command" or "shell", command
  elseif not command then
    return refuse "a subsystem needs its name: arclua ssh -s MACHINE sftp"
  end
  return "subsystem", command
end

-- Whether to ask for a terminal, and what to say when it was wanted and cannot be.
local function terminal(given, conf, kind, stdin)
  local how = given.tty or conf.requesttty or "auto"
  if kind == "none" or how == "no" then
    return false
  end
  local asked = how == "yes" or how == "force" or kind == "shell"
  if asked and how ~= "force" and not (stdin and core.sys.isatty(0)) then
    return false, "no terminal is asked for, because standard input is none (-tt asks for one)"
  end
  return asked
end

-- All that is to be forwarded: as the line says, then ssh_config.
local function forwards(given, conf)
  local texts = table.move(given.forwards, 1, #given.forwards, 1, {})
  if conf.clearallforwardings or given.stdio then
    return {}
  end
  for _, known in ipairs(FORWARDS) do
    for _, line in ipairs(conf[known[2]] or {}) do
      texts[#texts + 1] = { kind = known[1], text = table.concat(line, ":") }
    end
  end
  local list = {}
  for _, forward in ipairs(texts) do
    local spec, err = forward_spec.parse(forward.kind, forward.text)
    if not spec then
      return nil, err
    end
    list[#list + 1] = spec
  end
  return list
end

-- Adds what leads somewhere to the plan: true | nil, err.
local function add_forwards(out, given, conf)
  local err
  out.forwards, err = forwards(given, conf)
  if not out.forwards then
    return nil, err
  end
  if given.stdio then
    out.stdio, err = forward_spec.place(given.stdio)
    return out.stdio and true or nil, err
  elseif given.long.rdp then
    out.rdp = forward_spec.parse("L", RDP)
    table.insert(out.forwards, out.rdp)
  end
  out.gateway, out.mask, out.unlink = conf.gatewayports, conf.streamlocalbindmask,
    conf.streamlocalbindunlink
  out.strict = conf.exitonforwardfailure or false
  return true
end

--- Errors: config.
---@param given arclua.SshArguments
---@param conf arclua.SshHost
---@return arclua.SshPlan|nil, arclua.Error?
function plan.of(given, conf)
  local kind, command = session(given, conf)
  if not kind then
    return nil, command
  end
  local env, err = environment(conf)
  if not env then
    return nil, err
  end
  local stdin = not (conf.stdinnull or conf.forkafterauthentication)
  local pty, notice = terminal(given, conf, kind, stdin)
  local out = { session = kind, command = command, pty = pty, notice = notice, env = env,
    agent = agent(conf), stdin = stdin,
    escape = conf.escapechar ~= "none" and (conf.escapechar or "~") or nil,
    background = conf.forkafterauthentication or false }
  local ok
  ok, err = add_forwards(out, given, conf)
  return ok and out, err
end

return plan
