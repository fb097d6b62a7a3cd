-- SPDX-License-Identifier: MIT
-- A local Azure with Arc machines: Entra, ARM, the relay and N machines on loopback.
local core = require "arclua.core"
local check = require "arclua.check"
local json = require "arclua.json"
local account = require "arclua.emulator.account"
local arm = require "arclua.emulator.arm"
local entra = require "arclua.emulator.entra"
local faults = require "arclua.emulator.faults"
local http = require "arclua.emulator.http"
local log = require "arclua.emulator.log"
local machine = require "arclua.emulator.machine"
local node = require "arclua.emulator.node"
local relay = require "arclua.emulator.relay"
local state = require "arclua.emulator.state"
local throttle = require "arclua.emulator.throttle"

local emulator = {}

local DOMAIN = "arc.localhost"
local NAMESPACE = "azgn-emulator"
local PARTING = 30 -- seconds for all to end at stop

local OPTIONS = {
  machines = "integer|table", port = "integer", as_root = "boolean", page_size = "integer",
  seed = "integer", faults = "table", throttle = "string|number", setup = "string",
  subscriptions = "integer", registered = "boolean", registration_delay = "number",
  token_lifetime = "number", rendezvous = "number", way = "string", log_file = "string",
  bound = "boolean", profile = "string", domain = "string", windows = "integer",
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

local function host_names(domain)
  domain = domain or DOMAIN
  return { domain = domain, login = "login." .. domain, management = "management." .. domain,
    relay = NAMESPACE .. "." .. domain }
end

local function fill_cloud(self)
  local s, port, names = self.state, self.port, self.names
  s.cloud = {
    name = "arclua-emulator",
    authority = ("https://%s:%d"):format(names.login, port),
    resource_manager = ("https://%s:%d"):format(names.management, port),
    audience = "https://" .. names.management,
    relay_suffix = ("%s:%d"):format(names.domain, port),
    ca = self.client_dir .. "/ca.pem",
    credential = "environment",
  }
  s.relay_namespace, s.relay_host = NAMESPACE, names.relay
end

local function no_proxy(domain)
  local old = os.getenv "NO_PROXY" or os.getenv "no_proxy" or ""
  return (old ~= "" and old .. "," or "") .. domain .. ",." .. domain
end

local function fill_env(self)
  local s, dir = self.state, self.client_dir
  self.cloud = dir .. "/cloud.json"
  self.env = {
    ARCLUA_CLOUD = self.cloud,
    AZURE_TENANT_ID = s.tenant, AZURE_CLIENT_ID = s.client_id,
    AZURE_CLIENT_SECRET = s.client_secret,
    AZURE_AUTHORITY_HOST = s.cloud.authority,
    ARCLUA_USER = self.who.user, ARCLUA_IDENTITY = dir .. "/id_ed25519",
    ARCLUA_KNOWN_HOSTS = dir .. "/known_hosts", ARCLUA_STATE = dir .. "/state",
    NO_PROXY = no_proxy(self.names.domain),
  }
end

-- Runs the steps until one fails.
local function all(steps)
  for _, step in ipairs(steps) do
    local ok, err = step()
    if not ok then
      return nil, err
    end
  end
  return true
end

-- The directory: what clients may read in client/, what the machines' user may in machines/.
-- As root with another user for the machines, that user must be able to pass through the top.
local function make_dirs(self, opts)
  local sys = core.sys
  local dir, err = sys.mkdtemp "arclua-emulator"
  if not dir then
    return nil, err
  end
  self.dir = dir
  self.client_dir, self.machines_dir = dir .. "/client", dir .. "/machines"
  self.mark = "ARCLUA_EMULATOR=" .. dir
  return all {
    function()
      local guardian, why = core.server.guardian { dir = dir, mark = self.mark,
        bound = self.bound }
      self.guardian = guardian
      return guardian, why
    end,
    function() return sys.mkdir(self.client_dir .. "/state", 448) end,
    function() return sys.chmod(self.client_dir, 448) end,
    function() return sys.mkdir(self.machines_dir, 448) end,
    function() return sys.getuid() ~= 0 or opts.as_root or sys.chmod(dir, 457) end,
    function()
      return sys.getuid() ~= 0 or opts.as_root or sys.chown(self.machines_dir, 65534, 65534)
    end,
    function()
      local who, why = account.choose(opts.as_root, self.machines_dir, opts.way)
      self.who = who
      return who, why
    end,
  }
end

-- As root, sshd wants its directory for the part that is not trusted yet.
local function make_privsep(self)
  if self.who.uid ~= 0 or core.sys.stat "/run/sshd" then
    return true
  end
  return core.sys.mkdir("/run/sshd", 493)
end

local function make_identity(self)
  local key = self.client_dir .. "/id_ed25519"
  return all {
    function() return core.ssh.keygen(key, "arclua emulator") end,
    function()
      local public, err = core.sys.read_file(key .. ".pub")
      if not public then
        return nil, err
      end
      local path = self.machines_dir .. "/authorized_keys"
      return all {
        function() return core.sys.write_file(path, public, 384) end,
        function()
          return not self.who.drop or core.sys.chown(path, self.who.uid, self.who.gid)
        end,
      }
    end,
    function() return core.sys.write_file(self.client_dir .. "/known_hosts", "", 384) end,
  }
end

local function listen(self, port)
  local names = self.names
  local made = core.crypto.make_ca { names.login, names.management, names.relay, names.domain,
    "localhost" }
  local server, err = core.server.listen { cert = made.cert, key = made.key, port = port,
    latency = self.state.profile and self.state.profile.way }
  if not server then
    return nil, err
  end
  self.server, self.port = server, server:port()
  self.services = { [names.login] = entra, [names.management] = arm, [names.relay] = relay }
  fill_cloud(self)
  fill_env(self)
  return all {
    function() return core.sys.write_file(self.state.cloud.ca, made.ca, 384) end,
    function() return core.sys.write_file(self.cloud, json.encode(self.state.cloud), 384) end,
  }
end

local function run(self, opts)
  return all {
    -- First of all the guardian: what follows takes its time, and whoever started us may die.
    function() return make_dirs(self, opts) end,
    function() return state.make_secrets(self.state) end,
    function() return make_privsep(self) end,
    function() return make_identity(self) end,
    function() return listen(self, opts.port or 0) end,
    function()
      self.runner = core.spawn(http.run, self)
      return true
    end,
  }
end

---@class arclua.EmulatorOptions
---@field machines integer|table[]|nil  how many (3), or a list of { name, group, subscription, os,
---   tags, status, setup, ssh_port, profile, program, shell }; program: a list of words that
---   answers a connection instead of sshd; shell: of Windows, "cmd" (default) or "powershell"
---@field windows integer?              so many Windows-like machines behind them (0)
---@field subscriptions integer?        spread them over so many (1)
---@field port integer?                 of 127.0.0.1; default any free one
---@field domain string?                of its hosts' names; default "arc.localhost", which is
---   always this machine; clients need a proxy or hosts file that knows those of another
---@field setup string?                 "ready" (default), "endpoint" (no service configuration),
---   "none"
---@field faults table[]?               see the list of faults in docs/emulator.md
---@field seed integer?                 makes faults by chance repeatable
---@field throttle string|number|nil    ARM's limits: "off" (default), "documented", a factor
---@field page_size integer?            machines on a page of ARM's lists (100)
---@field registered boolean?           the provider is registered (default true)
---@field registration_delay number?    seconds that registering takes
---@field token_lifetime number?        seconds
---@field rendezvous number?            seconds that an agent has to accept (30)
---@field as_root boolean?              as root: log in as root, not as another user
---@field way string?                   how the machines get a user: "wrapper", "mount", "plain";
---   default the first that works (emulator/account.lua)
---@field profile string?             how far all are from each other: "near", "mid", "far" or
---   "azure"; machines may have their own
---@field log_file string?              gets one JSON line an event
---@field bound boolean?                this process ends (TERM, then KILL) when its starter does

--- Starts an emulator on this loop. It must be stopped, or declared <close>.
--- Raises: unknown options, impossible faults or machines.
--- Errors: config (no sshd, no user for the machines), and what the port and the files give.
---@param opts arclua.EmulatorOptions?
---@return arclua.Emulator|nil, arclua.Error?
function emulator.start(opts)
  opts = check.options(opts, OPTIONS)
  local self = setmetatable({ open = {}, links = {}, node_up = 0, bound = opts.bound,
    names = host_names(opts.domain) }, Emulator)
  self.log = log.new(opts.log_file)
  self.state = state.new(opts)
  self.state.log = self.log
  self.state.faults = faults.new(opts.seed, self.log)
  self.state.throttle = throttle.new(opts.throttle or "off")
  for _, fault in ipairs(opts.faults or {}) do
    self.state.faults:add(fault)
  end
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

local function end_tasks(self)
  local tasks = { self.runner }
  for task in pairs(self.open) do
    tasks[#tasks + 1] = task
    task:cancel()
  end
  if self.runner then
    self.runner:cancel()
  end
  for _, task in ipairs(tasks) do
    task:await()
  end
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
    end_tasks(self)
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
