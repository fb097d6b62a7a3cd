-- SPDX-License-Identifier: MIT
-- A local Azure with Arc machines: Entra, ARM, the relay and N machines on loopback.
local core = require "arclua.core"
local check = require "arclua.check"
local json = require "arclua.json"
local arm = require "arclua.emulator.arm"
local az = require "arclua.emulator.az"
local entra = require "arclua.emulator.entra"
local environment = require "arclua.emulator.environment"
local faults = require "arclua.emulator.faults"
local files = require "arclua.emulator.files"
local http = require "arclua.emulator.http"
local listeners = require "arclua.emulator.listeners"
local log = require "arclua.emulator.log"
local machine = require "arclua.emulator.machine"
local node = require "arclua.emulator.node"
local operations = require "arclua.emulator.arm_operations"
local passwords = require "arclua.emulator.passwords"
local relay = require "arclua.emulator.relay"
local scripts = require "arclua.emulator.scripts"
local signin = require "arclua.emulator.signin"
local state = require "arclua.emulator.state"
local tasks = require "arclua.emulator.tasks"
local throttle = require "arclua.emulator.throttle"

local emulator = {}

local NAMESPACE = "azgn-emulator"
local IDLE = 120 -- seconds without a frame after which a listener's data connection ends
local PARTING = 30 -- seconds for all to end at stop

local OPTIONS = {
  machines = "integer|table", port = "integer", as_root = "boolean", page_size = "integer",
  seed = "integer", faults = "table", throttle = "string|number", setup = "string",
  subscriptions = "integer", registered = "boolean", registration_delay = "number",
  token_lifetime = "number", rendezvous = "number", way = "string", log_file = "string",
  bound = "boolean", profile = "string", domain = "string", windows = "integer",
  operation_time = "number",
  machine_agent = "string", relay_host = "string", bridge = "table", sign_in = "string",
  provider_delay = "number", roles = "table", defects = "table", regions = "table",
  login = "string", az = "string", alike = "integer",
}

---@class arclua.Emulator
---@field port integer
---@field dir string                  all its files; removed at stop, or by the guardian
---@field cloud string                path of the cloud file
---@field env table<string, string>   what a client needs in its environment
---@field log table                   events: log:find{ event = "connect", machine = "web-01" }
---@field state table                 what exists: state.machines, state.subscriptions, ...
local Emulator = {}
Emulator.__index = Emulator
Emulator.__name = "arclua.emulator"

local function write_listeners(self)
  local lines = listeners.describe(self)
  if lines == "" then
    return true
  end
  local path = self.client_dir .. "/listeners.jsonl"
  self.env.ARCLUA_EMULATOR_LISTENERS = path
  return core.sys.write_file(path, lines, 384)
end

local function listen(self, port)
  local names = self.names
  local certified = { names.login, names.management, names.relay, names.domain, "localhost" }
  if self.advertise ~= "localhost" then
    certified[#certified + 1] = self.advertise
  end
  local made = core.crypto.make_ca(certified)
  local server, err = core.server.listen { cert = made.cert, key = made.key, port = port,
    latency = self.state.profile and self.state.profile.way }
  if not server then
    return nil, err
  end
  self.server, self.port = server, server:port()
  self.services = { [names.login] = entra, [names.management] = arm, [names.relay] = relay }
  if next(self.state.relays) then -- outsiders find localhost, and need not find names below it
    self.services.localhost, self.services[self.advertise] = relay, relay
  end
  environment.cloud(self, NAMESPACE)
  environment.fill(self)
  return files.all {
    function() return core.sys.write_file(self.state.cloud.ca, made.ca, 384) end,
    function() return core.sys.write_file(self.cloud, json.encode(self.state.cloud), 384) end,
    function() return signin.export(self) end,
    function() return not self.wants_az or az.install(self, self.wants_az) end,
    function() return write_listeners(self) end,
    function() return passwords.make(self) end,
  }
end

local function run(self, opts)
  return files.all {
    -- First of all the guardian: what follows takes its time, and whoever started us may die.
    function() return files.make_dirs(self, opts) end,
    function() return state.make_secrets(self.state) end,
    function() return signin.make(self.state, opts.sign_in) end,
    function() return files.make_privsep(self) end,
    function() return files.make_identity(self) end,
    function() return listen(self, opts.port or 0) end,
    function()
      self.runner = core.spawn(http.run, self)
      return true
    end,
  }
end

local function add_faults(self, list)
  for _, fault in ipairs(list) do
    self.state.faults:add(fault)
  end
end

-- An emulator that does not run yet.
local function new(opts)
  local self = setmetatable({ open = {}, links = {}, node_up = 0, bound = opts.bound,
    names = environment.names(opts.domain, NAMESPACE), listeners = {}, pendings = {},
    advertise = (opts.relay_host or "localhost"):lower(), dice = faults.new(opts.seed),
    bridge_rules = opts.bridge or { idle = IDLE },
    wants_az = az.wanted(opts) }, Emulator)
  self.log = log.new(opts.log_file)
  self.state = state.new(opts)
  self.state.log = self.log
  self.state.run_script = function(m, spec)
    return scripts.run(self, m, spec)
  end
  self.state.start_task = function(fn, ...)
    return tasks.start(self, fn, ...)
  end
  self.state.faults = faults.new(opts.seed, self.log)
  operations.prepare(self.state, opts.operation_time)
  self.state.throttle = throttle.new(opts.throttle or "off")
  add_faults(self, opts.faults or {})
  add_faults(self, self.state.broken)
  return self
end

---@class arclua.EmulatorOptions
---@field machines integer|table[]|nil  how many (3), or a list of { name, group, subscription, os,
---   tags, status, setup, ssh_port, profile, program, shell, agent, login, location, kind, type,
---   agent_version, agent_config, extensions, age, defects }; program: a list of words that answers
---   a connection instead of sshd; shell: of Windows, "cmd" (default) or "powershell"; kind:
---   "VMware" ...; agent_config: { mode, extensions_enabled, incoming, ports, blocklist };
---   extensions: a list of { name, publisher, type, version, state }; age: seconds that it has had
---   its status
---@field alike integer?                of a number of machines the first so many are alike, Linux
---   and connected (1000); those behind them are mixed, by the seed
---@field windows integer?              so many Windows-like machines behind them (0)
---@field subscriptions integer?        spread them over so many (1)
---@field port integer?                 of 127.0.0.1; default any free one
---@field domain string?                of its hosts' names; default "arc.localhost", which is
---   always this machine; clients need a proxy or hosts file that knows those of another
---@field setup string?                 "ready" (default), "endpoint" (no service configuration),
---   "none"
---@field faults table[]?               see the list of faults in docs/emulator.md
---@field seed integer?                 makes faults by chance, and mixed machines, repeatable
---@field throttle string|number|nil    ARM's limits: "off" (default), "documented", a factor
---@field page_size integer?            machines on a page of ARM's lists (100)
---@field operation_time number?        seconds that ARM's long-running operations take (1)
---@field registered boolean?           the provider is registered (default true)
---@field registration_delay number?    seconds until an agent has heard of a change (0)
---@field provider_delay number?        seconds that registering a provider takes (0)
---@field roles string[]?               of the application and the person; default Owner and
---   Virtual Machine Administrator Login
---@field regions string[]?             where Microsoft.HybridConnectivity is; default everywhere
---@field defects table?                { [machine's name] = defect or list of defects }
---@field token_lifetime number?        seconds
---@field rendezvous number?            seconds that an agent has to accept (30)
---@field sign_in string?              what env signs in with: "secret" (default), "certificate",
---   "workload" (a platform's token in a file), "github" (its service for jobs), "imds",
---   "app-service", "cloud-shell", "arc" (what runs in Azure), "azure-cli" (az)
---@field az string?                   puts an az and an azd on the path of env: "signed-in"
---   (default with sign_in "azure-cli"; else there is none), "signed-out", "expired",
---   "no-extension" (no `az ssh`), "notice" (words before the JSON), "garbage", "hang"
---@field as_root boolean?              as root: log in as root, not as another user
---@field way string?                   how the machines get a user: "wrapper", "mount", "plain";
---   default the first that works (emulator/account.lua)
---@field profile string?             how far all are from each other: "near", "mid", "far" or
---   "azure"; machines may have their own
---@field login string?              what the machines accept: "any" (default), "key", or "entra":
---   certificates only; "password" or "keyboard-interactive": a password alone, which
---   env.ARCLUA_EMULATOR_PASSWORD is the file of. Also for one machine: login = "entra"
---@field log_file string?              gets one JSON line an event
---@field machine_agent string?         "internal" (default): the emulator's own agent and sshd;
---   "external": listeners attach by the relay. Also for one machine: agent = "external"
---@field relay_host string?            the host in the addresses that listeners are told
---   (localhost)
---@field bridge table?                 of outside listeners: { budget = bytes held a direction,
---   idle = seconds (120; 0 = any), patience = seconds that a Close may be unanswered (10),
---   reset = true: an abort is passed on as one }
---@field bound boolean?                this process ends (TERM, then KILL) when its starter does

--- Starts an emulator on this loop. It must be stopped, or declared <close>.
--- Raises: unknown options, impossible faults or machines.
--- Errors: config (no sshd, no user for the machines), and what the port and the files give.
---@param opts arclua.EmulatorOptions?
---@return arclua.Emulator|nil, arclua.Error?
function emulator.start(opts)
  opts = check.options(opts, OPTIONS)
  if not (opts.relay_host or "localhost"):find "^%a[%w%-%.]*$" then
    error("option 'relay_host': the name of a host, got '" .. opts.relay_host .. "'", 2)
  end
  signin.check(opts.sign_in)
  az.check(opts.az, 3)
  local self = new(opts)
  core.sys.rlimit_nofile()
  local ok, err = run(self, opts)
  if not ok then
    self:stop()
    return nil, err
  end
  for _, fault in ipairs(opts.faults or {}) do
    if fault.at == "node" then
      node.watch(self, fault)
    end
  end
  self.log:add("started", { port = self.port, machines = #self.state.machines })
  return self
end

--- Adds a fault (docs/emulator.md lists them) and returns it.
--- Raises: a fault that is not in the list.
---@param fault table
---@return table fault
function Emulator:fault(fault)
  self.state.faults:add(fault)
  if fault.at == "node" then
    node.watch(self, fault)
  end
  return fault
end

--- Ends a fault, or all.
---@param fault table?  what emulator:fault returned
function Emulator:clear(fault)
  self.state.faults:clear(fault)
end

--- Lets the emulator's az and azd behave in another way from their next call on.
--- Raises: there is no such way; the emulator was started without az.
---@param mode string  as the option az
---@return true|nil, arclua.Error?
function Emulator:az(mode)
  return az.change(self, mode)
end

--- A machine of the state by name, "group/name" or id.
--- Raises: there is none.
---@param name string
---@return table  { name, id, group, subscription, tags, status, setup, ... }
function Emulator:machine(name)
  local found = state.find(self.state, name)
  if not found then
    error("the emulator has no machine '" .. tostring(name) .. "'", 2)
  end
  return found
end

--- Another application that signs in with a secret: what a client needs in its environment. Its
--- roles are given at a scope, by default everywhere.
--- Raises: an unknown role.
---@param spec { roles: string[]?, scope: string? }
---@return table<string, string> env, string object_id
function Emulator:principal(spec)
  local own, object_id = signin.principal(self.state, spec.roles or {}, spec.scope or "/")
  local env = {}
  for _, source in ipairs { self.env, own } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return env, object_id
end

--- The home directory of a machine's logins: what commands write there can be read here.
---@param name string
---@return string|nil, arclua.Error?
function Emulator:home(name)
  return machine.home(self, self:machine(name))
end

--- One line for each command, shell or subsystem that the machine has started.
---@param name string
---@return string[]
function Emulator:sessions(name)
  return machine.sessions(self:machine(name))
end

-- The guardian kills what is left and removes the directory, then closes its end.
local function dismiss(guardian)
  guardian:shutdown()
  guardian:read()
  guardian:close()
end

--- Ends all connections and machines, removes all files. Idempotent; cannot be cancelled.
function Emulator:stop()
  if self.stopped then
    return
  end
  self.stopped = true
  core.shield(PARTING, function()
    if self.server then
      self.server:close()
    end
    signin.stop(self)
    tasks.finish(self)
    passwords.tidy(self)
    if self.guardian then
      dismiss(self.guardian)
    elseif self.dir then
      core.sys.remove(self.dir)
    end
  end)
end

Emulator.close = Emulator.stop
Emulator.__close = Emulator.stop

--- The environment as lines for a shell: `export K='V'`, sorted.
---@param env table<string, string>  emulator.env
---@return string
function emulator.exports(env)
  local names, lines = {}, {}
  for name in pairs(env) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = ("export %s='%s'\n"):format(name, (env[name]:gsub("'", "'\\''")))
  end
  return table.concat(lines)
end

return emulator
