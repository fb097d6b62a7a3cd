-- SPDX-License-Identifier: MIT
-- What exists in the emulated cloud: one tenant, subscriptions, groups, machines.
local core = require "arclua.core"
local defects = require "arclua.emulator.defects"
local estate = require "arclua.emulator.estate"
local passwords = require "arclua.emulator.passwords"
local profile = require "arclua.emulator.profile"
local providers = require "arclua.emulator.arm_providers"
local roles = require "arclua.emulator.roles"
local users = require "arclua.emulator.users"

local state = {}

-- Known to everybody, as real ids are; what must be secret is random at each start.
local TENANT = "a5c1e000-0000-4000-8000-0000000000aa"
local SUBSCRIPTION = "a5c1e000-0000-4000-8000-%012d"
local LOCATION = "westeurope"
state.MACHINES = "Microsoft.HybridCompute/machines"
state.LISTENER = "listener" -- the rule by which outsiders listen
local SET_UP = 86400 -- seconds before the start that machines were set up
local RENDEZVOUS = 30 -- seconds that a listener has to accept a sender

local NAME = "^[%w%-_%.]+$"

local function uuid_of(text)
  local hex = core.crypto.hex(core.crypto.sha256(text))
  return ("%s-%s-4%s-8%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16),
    hex:sub(18, 20), hex:sub(21, 32))
end

local function add_group(s, subscription, name)
  local key = subscription .. "/" .. name:lower()
  if not s.groups[key] then
    local group = { name = name, subscription = subscription, location = LOCATION,
      tags = { env = name:match "^rg%-(%a+)" } }
    s.groups[key] = group
    s.group_list[#s.group_list + 1] = group
  end
  return s.groups[key]
end

-- Where a machine would be: its id and group.
-- Raises: no such subscription, a name that Azure would refuse, a machine that is there.
local function place(s, spec)
  local subscription = s.subscriptions[spec.subscription or 1]
  if not subscription then
    error("a machine of subscription " .. tostring(spec.subscription) .. ", which is not there")
  elseif not spec.name:find(NAME) or #spec.name > 54 then
    error("'" .. spec.name .. "' is no name of a machine")
  end
  local group = add_group(s, subscription.id, spec.group or "rg-prod")
  local id = ("/subscriptions/%s/resourceGroups/%s/providers/%s/%s"):format(subscription.id,
    group.name, spec.type or state.MACHINES, spec.name)
  if s.by_id[id:lower()] then
    error("there is a machine " .. id .. " already")
  end
  return id, group
end

-- Windows' OpenSSH starts cmd.exe unless the machine says otherwise.
local function shell_of(spec)
  local shell = spec.shell or "cmd"
  if spec.os ~= "windows" then
    shell = spec.shell
  end
  if shell ~= nil and (spec.os ~= "windows" or shell ~= "cmd" and shell ~= "powershell") then
    error("shell: 'cmd' or 'powershell' of a Windows machine expected, got " .. tostring(shell))
  end
  return shell
end

local function set_up(machine, setup)
  if setup ~= "none" then
    machine.endpoint = { name = "default", created = core.time() - SET_UP, ready = 0 }
  end
  if setup == "ready" then
    machine.services.ssh = { name = "SSH", service = "SSH", port = machine.ssh_port,
      created = core.time() - SET_UP }
  end
end

--- The path of a hybrid connection: a machine's, made at this time (nanoseconds since 1970).
function state.relay_path(machine, ns)
  return ("microsoft.hybridcompute/machines/%s/%d/v2"):format(machine.hex, ns)
end

-- What a machine's sshd takes, and whether passwords are among that. Entra has no login for
-- Windows.
local function login_of(s, spec)
  local login = spec.login or s.login or "any"
  if passwords.KINDS[login] then
    return "key", login
  elseif login ~= "any" and login ~= "key" and login ~= "entra" then
    error("login: 'any', 'key', 'entra', 'password' or 'keyboard-interactive' expected, got "
      .. tostring(login))
  end
  return spec.os == "windows" and "key" or login
end

-- A machine with no agent of ours has one path for all its life, where outsiders listen.
local function attach(s, machine, agent)
  agent = agent or "internal"
  if agent ~= "internal" and agent ~= "external" then
    error("the agent of '" .. machine.name .. "' is internal or external")
  end
  machine.agent = agent
  if agent == "external" then
    machine.relay = state.relay_path(machine, math.floor(core.time()) * 1000000000)
    s.relays[machine.relay] = { machine = machine, expires = math.huge }
  end
end

-- What Azure reports of a machine, beside its status.
local function report(machine, spec)
  for _, name in ipairs { "kind", "system", "agent_version", "site" } do
    machine[name] = spec[name]
  end
  machine.type = spec.type or state.MACHINES
  machine.location = spec.location or LOCATION
  machine.extensions, machine.run_commands = {}, {}
  machine.agent_config = spec.agent_config
    or spec.monitor and { mode = "monitor", incoming = false } or {}
  machine.changed = core.time() - (spec.age or 0)
end

--- Adds a machine.
--- Raises: what cannot be there.
---@param spec { name: string, group: string?, subscription: integer?, os: string?, tags: table?,
---   status: string?, setup: string?, ssh_port: integer?, profile: string?, program: string[]?,
---   login: string?, shell: string?, agent: string?, location: string?, type: string?,
---   kind: string?, system: string?, agent_version: string?, extensions: table[]?, age: number?,
---   site: string?, monitor: boolean? }  age: seconds that it has had its status; the rest as Azure
---   reports it
function state.add_machine(s, spec)
  local id, group = place(s, spec)
  local machine = {
    id = id, name = spec.name, group = group.name, subscription = group.subscription,
    os = spec.os or "linux", tags = spec.tags or {},
    status = spec.status or "Connected", vm_id = uuid_of(id), ssh_port = spec.ssh_port or 22,
    hex = core.crypto.hex(core.crypto.sha256(id:lower())), services = {},
    connections = 0, index = #s.machines + 1, program = spec.program,
    profile = profile.find(spec.profile) or s.profile, shell = shell_of(spec),
  }
  report(machine, spec)
  machine.login, machine.words = login_of(s, spec)
  set_up(machine, spec.setup or s.setup)
  attach(s, machine, spec.agent or s.agent)
  s.machines[machine.index] = machine
  s.by_id[id:lower()] = machine
  s.by_name[spec.name:lower()] = s.by_name[spec.name:lower()] or machine
  return machine
end

--- Makes the secrets: random at each start, and slow (an RSA key).
function state.make_secrets(s)
  s.client_secret = core.crypto.base64url(core.crypto.random(30))
  for _, rule in pairs(s.rules) do
    rule.key = core.crypto.base64(core.crypto.random(32))
  end
  s.key, s.kid = core.crypto.rsa_key(), core.crypto.uuid()
  return true
end

-- What the application and the person may do: by default everything, and signing in with Entra.
local ROLES = { "Owner", "Virtual Machine Administrator Login" }

local function give_roles(s, names)
  for _, name in ipairs(names) do
    local role = roles.find(name) or error("there is no role '" .. tostring(name) .. "'", 0)
    roles.assign(s, role, s.object_id, "/")
    roles.assign(s, role, s.users.oid, "/", { kind = "User" })
  end
end

-- What is there before any machine.
local function tenant(opts)
  local sender = "sender" .. os.date "!%Y%m%d"
  return {
    tenant = TENANT, client_id = core.crypto.uuid(), object_id = core.crypto.uuid(),
    relay_key_name = sender, rules = { [sender] = { claim = "Send" },
      [state.LISTENER] = { claim = "Listen" } }, agent = opts.machine_agent, login = opts.login,
    subscriptions = {}, groups = {}, group_list = {}, machines = {}, by_id = {}, by_name = {},
    users = users.new(), relays = {}, last_ns = 0, profile = profile.find(opts.profile),
    assignments = {}, fresh = {}, apps = {}, regions = opts.regions,
  }
end

local DEFAULTS = { token_lifetime = 3599, page_size = 100, registration_delay = 0,
  provider_delay = 0, setup = "ready", rendezvous = RENDEZVOUS }

--- What exists, for the options of emulator.start; still without secrets.
function state.new(opts)
  local s = tenant(opts)
  for name, value in pairs(DEFAULTS) do
    s[name] = opts[name] or value
  end
  for i = 1, opts.subscriptions or 1 do
    local id = SUBSCRIPTION:format(i)
    s.subscriptions[i] = { id = id, name = "arclua emulator " .. i,
      providers = providers.new(opts.registered ~= false) }
    s.subscriptions[id] = s.subscriptions[i]
  end
  local specs = opts.machines or 3
  if type(specs) == "number" then
    specs = estate.specs(specs, { subscriptions = #s.subscriptions, windows = opts.windows or 0,
      alike = opts.alike, seed = opts.seed })
  end
  for _, spec in ipairs(specs) do
    state.add_machine(s, spec)
  end
  give_roles(s, opts.roles or ROLES)
  defects.apply(s, specs, opts.defects)
  return s
end

--- A machine by "name", "group/name" or resource id; nil = none.
function state.find(s, name)
  local lower = name:lower()
  if s.by_name[lower] or s.by_id[lower] then
    return s.by_name[lower] or s.by_id[lower]
  end
  for _, machine in ipairs(s.machines) do
    if (machine.group .. "/" .. machine.name):lower() == lower then
      return machine
    end
  end
  return nil
end

return state
