-- SPDX-License-Identifier: MIT
-- What can be wrong with a machine, on request: each defect is one thing that keeps SSH from
-- working, as it is found in the field.
local extensions = require "arclua.emulator.arm_extensions"
local roles = require "arclua.emulator.roles"

local defects = {}

local DAY = 86400
local ENTRA = { name = "AADSSHLogin", publisher = "Microsoft.Azure.ActiveDirectory",
  type = "AADSSHLoginForLinux" }

local function entra(failed)
  return { name = ENTRA.name, publisher = ENTRA.publisher, type = ENTRA.type, failed = failed }
end

-- Leaves the roles of the application and the person everywhere but on this machine, where they
-- only read: rights are inherited, so they move from the tenant to every other machine.
local function take_roles(s, m)
  s.poor = s.poor or {}
  s.poor[m.id] = true
end

local function move_roles(s)
  local held = s.assignments[""] or {}
  s.assignments[""] = nil
  for _, assignment in ipairs(held) do
    for _, machine in ipairs(s.machines) do
      if not s.poor[machine.id] then
        roles.assign(s, assignment.role, assignment.principal, machine.id,
          { kind = assignment.kind })
      end
    end
  end
  for _, principal in ipairs { s.object_id, s.users.oid } do
    roles.assign(s, roles.find "Reader", principal, "/")
  end
end

-- Each is told the state and the machine.
defects.ALL = {
  ["unregistered"] = function(s, m)
    s.subscriptions[m.subscription].providers["microsoft.hybridconnectivity"].state =
      "NotRegistered"
  end,
  ["no-endpoint"] = function(_, m)
    m.endpoint, m.services = nil, {}
  end,
  ["no-service"] = function(_, m)
    m.services = {}
  end,
  ["old-agent"] = function(_, m)
    m.agent_version = "1.4.02015.1"
  end,
  ["disconnected"] = function(_, m)
    m.status, m.changed = "Disconnected", m.changed - 3 * DAY
  end,
  ["expired"] = function(_, m)
    m.status, m.changed = "Expired", m.changed - 60 * DAY
  end,
  ["incoming-off"] = function(_, m)
    m.agent_config.incoming = false
  end,
  ["port-not-listed"] = function(_, m)
    m.agent_config.ports = { "6516" }
  end,
  ["sshd-down"] = function(s, m)
    s.broken[#s.broken + 1] = { at = "sshd", kind = "down", machine = m.name }
  end,
  ["no-ssh"] = function(s, m)
    s.broken[#s.broken + 1] = { at = "sshd", kind = "garbage", machine = m.name }
  end,
  ["wrong-port"] = function(_, m)
    m.services.ssh.port = 2222
  end,
  ["no-extension"] = function(_, m)
    m.extensions = {}
  end,
  ["extension-failed"] = function(_, m)
    m.extensions, m.extension_fails = {}, true
    extensions.add(m, entra(true))
  end,
  ["monitor-mode"] = function(_, m)
    m.agent_config.mode, m.agent_config.incoming = "monitor", false
    m.extensions = {}
  end,
  ["extensions-off"] = function(_, m)
    m.agent_config.extensions_enabled = false
    m.extensions = {}
  end,
  ["no-rights"] = take_roles,
  ["locked"] = function(_, m)
    m.lock = "ReadOnly"
  end,
  ["region"] = function(_, m)
    m.location = "antarcticasouth"
  end,
  ["private-link"] = function(_, m)
    m.private_link = ("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.HybridCompute"
      .. "/privateLinkScopes/pls-1"):format(m.subscription, m.group)
  end,
}

--- The names of all defects, sorted.
---@return string[]
function defects.names()
  local names = {}
  for name in pairs(defects.ALL) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function list_of(value)
  return type(value) == "string" and { value } or value or {}
end

local function apply_one(s, machine, name)
  local defect = defects.ALL[name]
    or error(("there is no defect '%s': %s"):format(tostring(name),
      table.concat(defects.names(), ", ")), 0)
  defect(s, machine)
end

--- "MACHINE=DEFECT" → machine, defect | nil, what is wrong.
---@return string|nil, string
function defects.parse(text)
  local machine, name = text:match "^([^=]+)=(.+)$"
  if not machine then
    return nil, ("MACHINE=DEFECT expected, got '%s'"):format(text)
  elseif not defects.ALL[name] then
    return nil, ("one of %s expected, got '%s'"):format(table.concat(defects.names(), ", "), name)
  end
  return machine, name
end

-- Where some region lacks the service, the others are those that have it.
local function limit_regions(s)
  for _, machine in ipairs(s.machines) do
    if machine.location == "antarcticasouth" then
      s.regions = s.regions or { "West Europe", "North Europe" }
    end
  end
end

local ABOUT_ENTRA = { ["no-extension"] = true, ["extension-failed"] = true,
  ["monitor-mode"] = true, ["extensions-off"] = true }

-- Where one machine lacks the extension of Entra's sign-in, the others have it.
local function has_entra(by_machine)
  for _, names in pairs(by_machine) do
    for _, name in ipairs(names) do
      if ABOUT_ENTRA[name] then
        return true
      end
    end
  end
  return false
end

local function add_extensions(s, specs, by_machine)
  local usual = has_entra(by_machine)
  for i, machine in ipairs(s.machines) do
    local given = specs[i].extensions or usual and machine.os == "linux" and { entra() } or {}
    machine.extensions = {}
    for _, extension in ipairs(given) do
      extensions.add(machine, extension)
    end
  end
end

--- Puts the extensions of the machines' specs on them, then applies the defects.
--- Raises: an unknown defect, a machine that is not there.
---@param wanted table<string, string|string[]>?  by machine
function defects.apply(s, specs, wanted)
  s.broken = {}
  local by_machine = {}
  for i, machine in ipairs(s.machines) do
    by_machine[machine] = { table.unpack(list_of(specs[i].defects)) }
  end
  for name, list in pairs(wanted or {}) do
    local machine = s.by_name[name:lower()] or error("there is no machine '" .. name .. "'", 0)
    for _, one in ipairs(list_of(list)) do
      table.insert(by_machine[machine], one)
    end
  end
  add_extensions(s, specs, by_machine)
  for _, machine in ipairs(s.machines) do
    for _, name in ipairs(by_machine[machine]) do
      apply_one(s, machine, name)
    end
  end
  if s.poor then
    move_roles(s)
  end
  limit_regions(s)
end

return defects
