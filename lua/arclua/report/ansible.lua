-- SPDX-License-Identifier: MIT
-- Machines as an inventory for Ansible: what an inventory script prints for --list.
local alias = require "arclua.alias"
local json = require "arclua.json"
local quote = require "arclua.quote"

local ansible = {}

---@class arclua.AnsibleOptions
---@field proxy string[]      the program and its global options
---@field cloud string        name of the cloud, as aliases have it
---@field user string?        for all hosts
---@field identity string[]?  absolute paths; Ansible takes the first

-- A group's name, which must be a name of Python.
local function group(...)
  local text = table.concat({ ... }, "_"):lower():gsub("[^a-z0-9_]", "_")
  return text:find "^%d" and "_" .. text or text
end

-- Text that is not ours: a template in it would be run by whoever reads the inventory.
local function foreign(value)
  if type(value) == "string" and value:find "{[{%%#]" then
    return { __ansible_unsafe = value }
  end
  return value
end

local function foreign_tags(tags)
  local out = {}
  for key, value in pairs(tags) do
    -- A key cannot be marked.
    if not key:find "{[{%%#]" then
      out[key] = foreign(value)
    end
  end
  return out
end

local function variables(machine, full, opts)
  return {
    ansible_host = full,
    ansible_user = opts.user,
    ansible_ssh_private_key_file = opts.identity and opts.identity[1],
    ansible_shell_type = machine.os == "windows" and "powershell" or nil,
    arc_id = machine.id, arc_resource_group = machine.resource_group,
    arc_subscription = machine.subscription, arc_location = machine.location,
    arc_os = machine.os, arc_os_name = foreign(machine.os_name), arc_status = machine.status,
    arc_agent_version = foreign(machine.agent_version),
    arc_tags = foreign_tags(machine.tags or {}),
  }
end

local function groups_of(machine)
  local list = { group("rg", machine.resource_group),
    group("subscription", machine.subscription) }
  for _, field in ipairs { "os", "location", "status" } do
    list[#list + 1] = machine[field] and group(field, machine[field]) or nil
  end
  for key, value in pairs(machine.tags or {}) do
    list[#list + 1] = group("tag", key, value)
  end
  return list
end

-- The name as it is when no other machine has it, else the alias.
local function names(machines, cloud)
  local count, out = {}, {}
  for _, machine in ipairs(machines) do
    local key = machine.name:lower()
    count[key] = (count[key] or 0) + 1
  end
  for i, machine in ipairs(machines) do
    local plain = count[machine.name:lower()] == 1 and machine.name:find "^[%w_][%w_.-]*$"
    out[i] = plain and machine.name or alias.of(machine, cloud)
  end
  return out
end

--- The inventory: groups rg_GROUP, subscription_ID, os_OS, location_PLACE, status_STATUS and
--- tag_KEY_VALUE; hosts by name, by alias where two have one name; all their variables.
---@param machines arclua.MachineData[]
---@param opts arclua.AnsibleOptions
---@return string  one line of JSON
function ansible.encode(machines, opts)
  local hosts, groups, vars = names(machines, opts.cloud), {}, {}
  for i, machine in ipairs(machines) do
    vars[hosts[i]] = variables(machine, alias.of(machine, opts.cloud), opts)
    for _, name in ipairs(groups_of(machine)) do
      groups[name] = groups[name] or { hosts = json.array {} }
      table.insert(groups[name].hosts, hosts[i])
    end
  end
  local words = table.move(opts.proxy, 1, #opts.proxy, 1, {})
  for i, word in ipairs(words) do
    words[i] = quote.sh(word):gsub("%%", "%%%%")
  end
  groups.all = { hosts = json.array(hosts), vars = { ansible_ssh_common_args = "-o "
    .. quote.sh(("ProxyCommand=%s proxy %%h"):format(table.concat(words, " "))) } }
  groups._meta = { hostvars = vars }
  return json.encode(groups)
end

return ansible
