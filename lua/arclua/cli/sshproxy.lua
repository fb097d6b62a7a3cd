-- SPDX-License-Identifier: MIT
-- Started as sshProxy...: the official proxy's interface. The relay information comes in the
-- variable SSHPROXY_RELAY_INFO or by -r FILE; errors are lines of JSON, which its callers read.
local convert = require "arclua.convert"
local core = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"
local paths = require "arclua.paths"

local sshproxy = {}

local FAILED, USAGE = 255, 2
local VARIABLE = "SSHPROXY_RELAY_INFO"
local CONNECT_TIMEOUT = 60
local LINE = { "level", "msg", "proxyVersion" }

local HELP = [[
Usage: sshProxy [-r FILE] [-p PORT]

Connects standard input and output to the SSH server of an Azure Arc-enabled server. The relay
information (JSON, or JSON in base64) comes from FILE, else from the variable SSHPROXY_RELAY_INFO.

  -r FILE   file with the relay information
  -p PORT   port of the SSH server (22)
]]

local FLAGS = { r = "file", p = "port" }

local function say(text)
  io.stderr:write(json.encode(json.ordered(LINE, { level = "fatal", msg = "sshproxy: " .. text,
    proxyVersion = core.version })), "\n")
end

-- { file =, port = } | nil, what is wrong.
local function parse(argv)
  local given, i = {}, 1
  while argv[i] do
    local name, value = argv[i]:match "^%-%-?(%a+)=?(.*)$"
    local key = FLAGS[name]
    if not key then
      return nil, ("unknown argument '%s'"):format(argv[i])
    elseif not argv[i]:find("=", 1, true) then
      i = i + 1
      value = argv[i]
    end
    if not value or value == "" then
      return nil, ("option '-%s' needs a value"):format(name)
    end
    given[key] = value
    i = i + 1
  end
  return given
end

-- relayinfo | nil, err.
local function relay_info(file)
  local secret, err = core.secret_env(VARIABLE, true), nil
  if file then
    secret, err = core.secret_file(paths.expand(file))
  end
  if not secret then
    return nil, err or errors.new { code = "config", message = ("no relay information: neither "
      .. "option '-r' nor the variable %s"):format(VARIABLE) }
  end
  local held <close> = secret
  return core.relayinfo(held)
end

-- The authority of another cloud, as everywhere.
local function authority(name)
  if not name then
    return nil
  end
  local cloud, err = require("arclua.clouds").load(name)
  return cloud and cloud.ca, err
end

local function nothing_new()
  return errors.fail { code = "denied", message = "the relay information was given" }
end

--- A stream to the machine's SSH server by relay information from a file or the variable. Errors:
--- config, denied (it has expired), and what the relay says.
---@param given { file: string?, cloud: string? }
---@param port integer
---@return arclua.Stream|nil, arclua.Error?
function sshproxy.connect(given, port)
  local info, err = relay_info(given.file)
  if not info then
    return nil, err
  end
  local ca
  ca, err = authority(given.cloud)
  if err then
    return nil, err
  end
  local stream
  stream, err = core.timeout(CONNECT_TIMEOUT, require("arclua.relay").connect,
    { info = info, port = port, ca = ca, renew = nothing_new })
  local expires = info:expires_on()
  if not stream and err.reason == "relay.denied" and expires and expires < core.time() then
    err = errors.with(err, { message = ("%s; the relay information has expired (%s)"):format(
      err.message, core.sys.utc(expires)) })
  end
  return stream, err
end

-- Why there is no connection: the relay's words behind its status, as the official proxy has it.
local function refusal(err)
  local from_relay = err.status and err.reason and err.reason:find "^relay%."
  return from_relay and ("error connecting to the address: %d %s"):format(err.status, err.message)
    or err.message
end

local function serve(given, port)
  given.cloud = paths.env "ARCLUA_CLOUD"
  local stream, err = sshproxy.connect(given, port)
  if not stream then
    say(refusal(err))
    return FAILED
  end
  local ok
  ok, err = core.splice(core.stdio(0, 1), stream, { follow = true })
  if not ok and err.code ~= "cancelled" then
    say("error copying information from the connection: " .. err.message)
  end
  return ok and 0 or FAILED
end

local HELP_FLAGS = { ["-h"] = true, ["-help"] = true, ["--help"] = true }

--- argv: [0] the program's name, then its arguments.
---@return integer status
function sshproxy.run(argv)
  if HELP_FLAGS[argv[1]] then
    io.stdout:write(HELP)
    return 0
  end
  local given, why = parse(argv)
  local port
  if given then
    port, why = convert.read(convert.integer(1, 65535), given.port or "22", "option '-p'")
  end
  if not port then
    say(why)
    return USAGE
  end
  return serve(given, port)
end

return sshproxy
