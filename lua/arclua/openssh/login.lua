-- SPDX-License-Identifier: MIT
-- How to log in somewhere: options first, then our variables and configuration, then ssh_config,
-- then what OpenSSH would do by itself.
local alias = require "arclua.alias"
local core = require "arclua.core"
local defaults = require "arclua.defaults"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local settings = require "arclua.settings"
local tokens = require "arclua.openssh.tokens"

local login = {}

-- What stanzas under a machine's bare name may say: who logs in.
local FROM_NAME = { "user", "identityfile", "certificatefile", "identitiesonly", "identityagent",
  "preferredauthentications", "passwordauthentication", "pubkeyauthentication",
  "kbdinteractiveauthentication", "challengeresponseauthentication", "serveraliveinterval",
  "sendenv", "setenv", "forwardagent", "requesttty", "escapechar", "remotecommand", "sessiontype",
  "localforward", "remoteforward", "dynamicforward", "exitonforwardfailure", "gatewayports" }
-- What only stanzas about its alias may say: where it is. Those that fit the bare name, too, are
-- about a host of that name in some network.
local FROM_ALIAS = { "port", "hostname", "proxyjump", "proxycommand", "hostkeyalias" }

local METHODS = { "publickey", "keyboard-interactive", "password" }

---@class arclua.Login
---@field user string
---@field hostname string?   to dial, for a host
---@field port integer?      nil: none was chosen
---@field alias string       the name in known_hosts
---@field jump string|string[]|nil
---@field options table      for core.ssh.connect

-- A keyword's value from two places: the first wins, lists add up.
local function both(first, second)
  if type(first) ~= "table" or not second then
    return first == nil and second or first
  end
  return table.move(second, 1, #second, #first + 1, table.move(first, 1, #first, 1, {}))
end

-- What ssh_config says of a machine: by its alias, then by its name.
local function look_up_machine(machine, given, config)
  local name, hop = machine:alias(), machine.hop
  local all, err = config:of(name, { user = given, hop = hop })
  local way = all and config:of(name, { user = given, own = true, apart = machine.name,
    hop = hop })
  local own
  if way then
    own, err = config:of(machine.name, { user = given, own = true, hop = hop })
  end
  if not own then
    return nil, err
  end
  local out = {}
  for keyword, value in pairs(all) do
    out[keyword] = value
  end
  for _, keyword in ipairs(FROM_ALIAS) do
    out[keyword] = way[keyword]
  end
  out.where = way.where
  for _, keyword in ipairs(FROM_NAME) do
    out[keyword] = both(out[keyword], own[keyword])
  end
  return out
end

local function look_up(target, given, config)
  if target.host then
    return config:of(target.host, { user = given, hop = target.hop })
  end
  return look_up_machine(target, given, config)
end

local function expand_all(list, of, wanted)
  local out = {}
  for _, text in ipairs(list or {}) do
    local path, err = tokens.path(text, of)
    if not path then
      return nil, err
    elseif text:lower() ~= "none" and (not wanted or wanted(path)) then
      out[#out + 1] = path
    end
  end
  return out
end

local function exists(path)
  return core.sys.stat(path) ~= nil
end

-- The given keys, then those of ssh_config that exist; without any, OpenSSH's own.
local function identities(given, conf, of)
  if not given and not conf.identityfile then
    return paths.default_identities()
  end
  local list = {}
  for i, path in ipairs(type(given) == "string" and { given } or given or {}) do
    list[i] = paths.expand(path)
  end
  local more, err = expand_all(conf.identityfile, of, exists)
  return more and table.move(more, 1, #more, #list + 1, list), err
end

-- true, false, or a socket.
local function agent(opts, conf, of)
  local name = conf.identityagent
  if opts.agent ~= nil or not name then
    return opts.agent
  elseif name:lower() == "none" then
    return false
  elseif name == "SSH_AUTH_SOCK" then
    return true
  elseif name:find "^%$[%w_]+$" then
    return os.getenv(name:sub(2)) or false
  end
  return tokens.path(name, of)
end

-- The ways to log in that are not forbidden, in the order that was asked for.
local function methods(conf)
  local interactive = conf.kbdinteractiveauthentication
  if interactive == nil then
    interactive = conf.challengeresponseauthentication
  end
  local allowed = { publickey = conf.pubkeyauthentication ~= false,
    ["keyboard-interactive"] = interactive ~= false,
    password = conf.passwordauthentication ~= false }
  local list = {}
  for name in (conf.preferredauthentications or table.concat(METHODS, ",")):gmatch "[^,%s]+" do
    list[#list + 1] = allowed[name] and name or nil
    allowed[name] = false -- once
  end
  return #list > 0 and list or nil
end

local function known_hosts(target, opts, conf, of)
  local azure = target.azure
  local given = opts.known_hosts or azure and azure.known_hosts or defaults.login.known_hosts
    or settings.get("known_hosts", azure and azure.config)
  if type(given) == "table" then
    return expand_all(given, of)
  elseif given or not conf.userknownhostsfile then
    return { paths.expand(given or paths.known_hosts()) }
  end
  local list, err = expand_all(conf.userknownhostsfile, of)
  return list, err
end

-- Where a host is, by which name its key is known.
local function place(target, opts, conf)
  if not target.host then
    return nil, opts.port or target.hop and target.port or conf.port,
      conf.hostkeyalias or target:alias()
  end
  local hostname = conf.hostname and tokens.hostname(conf.hostname, target.host) or target.host
  local port = target.port or opts.port or conf.port or 22
  return hostname, port, conf.hostkeyalias or alias.of_host(hostname:lower(), port)
end

local function chosen(opts, target, name)
  if opts[name] ~= nil then
    return opts[name]
  end
  return settings.get(name, target.azure and target.azure.config)
end

-- The files of a login: into options; true | nil, err.
local function add_files(options, target, opts, conf, of)
  local given, err = chosen(opts, target, "identity")
  if err then
    return nil, err
  end
  local files = {
    { "identities", identities, given, conf, of },
    { "certificates", expand_all, conf.certificatefile, of, exists },
    { "known_hosts", known_hosts, target, opts, conf, of },
  }
  for _, file in ipairs(files) do
    options[file[1]], err = file[2](table.unpack(file, 3, 6))
    if not options[file[1]] then
      return nil, err
    end
  end
  if #options.certificates == 0 then
    options.certificates = nil
  end
  options.agent, err = agent(opts, conf, of)
  return not err or nil, err
end

-- User, policy and the keywords of ssh_config | nil, nil, nil, err.
local function settle(target, opts, config, named)
  local given, policy, conf, err
  given = target.user or opts.user or named
  if not given then
    given, err = chosen(opts, target, "user")
  end
  if not err then
    policy, err = chosen(opts, target, "host_key_policy")
  end
  if not err then
    conf, err = look_up(target, given, config)
  end
  return conf and (given or conf.user or core.sys.user()), policy, conf, err
end

--- The jump hosts that a value names; nil for none.
---@param value string|string[]|arclua.Destination[]|nil
function login.jump(value)
  local first = type(value) == "table" and #value == 1 and value[1] or value
  return first ~= "none" and value ~= nil and #value > 0 and value or nil
end

-- With a certificate nothing else is tried: each key that a server does not know costs an attempt.
local function use_certificate(options, certificate)
  options.certificate, options.methods = certificate, { "publickey" }
  options.identities, options.certificates, options.agent = {}, nil, false
end

local function check_entra(opts)
  for _, name in ipairs { "identity", "password", "passphrase", "ask_pass" } do
    if opts[name] then
      return errors.fail { code = "config", op = "connect",
        message = ("options 'entra' and '%s' exclude each other"):format(name),
        remedy = "with Entra's certificate no other key or password is used" }
    end
  end
  return true
end

--- How to log in on a machine, or a host { host =, port =?, user =?, jump =? }.
--- Errors: config.
---@param target table
---@param opts arclua.ConnectOptions
---@param config arclua.SshConfig
---@param entra { certificate: arclua.SshCertificate, user: string }?  of context:certificate
---@return arclua.Login|nil, arclua.Error?
function login.of(target, opts, config, entra)
  local user, policy, conf, err = settle(target, opts, config, entra and entra.user)
  local ok = user
  if ok and entra then
    ok, err = check_entra(opts)
  end
  if not ok then
    return nil, err
  end
  local hostname, port, key_name = place(target, opts, conf)
  local name = target.host or target:alias()
  local options = { user = user, alias = key_name, os = target.os,
    host_key_policy = policy or conf.stricthostkeychecking,
    identities_only = conf.identitiesonly, methods = methods(conf),
    hash_known_hosts = conf.hashknownhosts, keepalive = conf.serveraliveinterval,
    passphrase = opts.passphrase,
    password = opts.password }
  ok, err = add_files(options, target, opts, conf, { host = name, hostname = hostname or name,
    user = user, port = port, alias = key_name })
  if not ok then
    return nil, err
  end
  if entra then
    use_certificate(options, entra.certificate)
  end
  return { user = user, hostname = hostname, port = port, alias = key_name, options = options,
    jump = login.jump(target.jump or opts.jump or conf.proxyjump), conf = conf }
end

--- Refuses a jump host for a machine behind the relay.
---@return nil, arclua.Error
function login.no_jump(name, where)
  return errors.fail { code = "config", op = "connect", message = ("%s is reached through the "
    .. "relay: a jump host (%s) is for hosts that are reached directly"):format(name, where),
    remedy = "leave the jump host away, or name hosts and say --direct" }
end

--- Refuses a login with Entra on a Windows machine.
---@return nil, arclua.Error
function login.no_entra(name)
  return errors.fail { reason = "machine.no-entra-login", op = "connect",
    message = name .. " is a Windows machine: Entra's SSH certificates are for Linux" }
end

return login
