-- SPDX-License-Identifier: MIT
-- arclua proxy MACHINE [PORT]: OpenSSH's ProxyCommand.
local agent_key = require "arclua.openssh.agent_key"
local command = require "arclua.cli.command"
local connect = require "arclua.connect"
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local settings = require "arclua.settings"

local proxy = { name = "proxy", summary = "stdin and stdout to a machine's SSH server" }

-- What ssh itself gives when it could not connect.
local FAILED = 255

local PORT = convert.integer(1, 65535)
local DEFAULT_PORT = 22

local EPILOG = [[
OpenSSH finds all machines by their names with these lines in ~/.ssh/config:
  Host *.arc
    ProxyCommand arclua proxy %h]]

local function parser()
  local it = options.parser("arclua proxy", "Connects standard input and output to the SSH server "
    .. "of a machine.", "arclua proxy [options] MACHINE [PORT]"):epilog(EPILOG)
  it:argument("MACHINE", "NAME, RG/NAME, SUBSCRIPTION/RG/NAME, a resource ID or NAME.RG.SUB.arc.")
    :target "machine"
  it:argument("PORT", "The same as --port."):args "?":target "port_word"
    :convert(convert.argument("PORT", PORT))
  it:group("How to connect",
    it:option("--port", "SSH port (default: the configured one)."):argname "N"
      :convert(convert.option("--port", PORT)),
    it:option("--connect-timeout", "Until connected (60s; 180s after a change of ours).")
      :argname "DURATION":convert(convert.option("--connect-timeout",
        settings.KEYS.connect_timeout)),
    it:option("--relay-info", "With credentials from this file, as ssh-config --static writes it.")
      :argname "FILE",
    it:flag("--entra", "First put a certificate of Entra's into the SSH agent."),
    it:flag("--enable", "Set the machine up for SSH where that is missing."),
    it:flag("--replace", "With --enable and a port: change the port for all users."))
  return it
end

--- Copies between stdin/stdout and the stream, until the stream has ended.
---@return true|nil, arclua.Error?
function proxy.copy(stream)
  return core.splice(core.stdio(0, 1), stream, { follow = true })
end

-- A full name, and one that is known, saves the look at the machine, and with it a round trip.
local function find(azure, text)
  local machine, err = azure:_unread_machine(text)
  if machine or err then
    return machine, err
  end
  return azure:machine(text)
end

-- With what is in a file Azure is not asked.
local function by_relay_info(values, cloud)
  return require("arclua.cli.sshproxy").connect({ file = values.relay_info, cloud = cloud },
    values.port or values.port_word or DEFAULT_PORT)
end

local function reach(values, cloud)
  if values.relay_info then
    return by_relay_info(values, cloud)
  end
  local azure, err = command.login()
  if not azure then
    return nil, err
  end
  if values.entra then
    local ok
    ok, err = agent_key.provide(core, azure)
    if not ok then
      return nil, err
    end
  end
  local machine, stream
  machine, err = find(azure, values.machine)
  if not machine then
    return nil, err
  end
  stream, err = connect.stream(machine, { port = values.port or values.port_word,
    enable = values.enable, replace = values.replace, connect_timeout = values.connect_timeout })
  if err and err.reason == "arm.setup-needed" then
    -- A machine that does not exist has no endpoint either.
    local found, why = azure:machine(values.machine)
    err = found and err or why
  end
  return stream, err
end

-- An interruption (ssh ends its proxies by SIGHUP) is no news. ssh says nothing of the host.
local function fail(err, name)
  if errors.is(err) and err.code ~= "cancelled" then
    local text = errors.describe(err)
    local prefix = text:find(name, 1, true) and "" or name .. ": "
    output.standard(2):line("arclua: " .. escape.text(prefix .. text, true))
  end
  return FAILED
end

-- What is wrong with the options together, nil when nothing is.
local function contradiction(values)
  local port = values.port or values.port_word
  if values.port and values.port_word then
    return "PORT and option '--port' exclude each other"
  elseif values.replace and not (values.enable and port) then
    return "option '--replace' needs --enable and a port"
  end
  for _, name in ipairs { "enable", "entra" } do
    if values.relay_info and values[name] then
      return ("options '--relay-info' and '--%s' exclude each other"):format(name)
    end
  end
end

function proxy.run(argv, base)
  local values, merged = command.parse(parser(), "proxy", argv, base)
  if not values then
    return merged
  end
  local wrong = contradiction(values)
  if wrong then
    return command.usage("proxy", wrong)
  end
  local stream, err = reach(values, merged.cloud)
  local ok
  if stream then
    ok, err = proxy.copy(stream)
  end
  return ok and 0 or fail(err, values.machine)
end

proxy.parser = parser -- for completion

return proxy
