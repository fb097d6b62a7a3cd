-- SPDX-License-Identifier: MIT
-- Finding machines: what ARM has to be asked for a selection, and the answer selected from.
local arm_machines = require "arclua.arm.machines"
local core = require "arclua.core"
local errors = require "arclua.errors"
local glob = require "arclua.glob"
local resource_id = require "arclua.resource_id"
local select_ = require "arclua.select"

local machines = {}

-- From so many IDs in one subscription on its whole list is cheaper.
local LIST_FROM = 10

local function add(set, list)
  for _, machine in ipairs(list) do
    local key = resource_id.key(machine.id)
    if not set.seen[key] then
      set.seen[key] = true
      set[#set + 1] = machine
    end
  end
  return true
end

local function add_subscription(azure, set, subscription)
  local key = subscription:lower()
  if set.listed[key] then
    return true
  end
  local list, err = arm_machines.list(azure.client, subscription)
  if not list then
    return nil, err
  end
  set.listed[key] = true
  return add(set, list)
end

-- A machine by its ID; one that is absent is left out: the selection says so by name.
local function add_id(azure, set, id)
  local machine, err = arm_machines.get(azure.client, id)
  if machine then
    return add(set, { machine })
  elseif err.reason == "arm.machine-not-found" then
    return true
  end
  return nil, err
end

local function add_ids(azure, set, ids)
  local groups, order = {}, {}
  for _, id in ipairs(ids) do
    local subscription = resource_id.parse(id).subscription
    if not groups[subscription] then
      groups[subscription] = {}
      order[#order + 1] = subscription
    end
    table.insert(groups[subscription], id)
  end
  for _, subscription in ipairs(order) do
    local group = groups[subscription]
    if #group >= LIST_FROM then
      local ok, err = add_subscription(azure, set, subscription)
      if not ok then
        return nil, err
      end
    else
      for _, id in ipairs(group) do
        local ok, err = add_id(azure, set, id)
        if not ok then
          return nil, err
        end
      end
    end
  end
  return true
end

local function named_ids(selection)
  local ids = {}
  for _, name in ipairs(selection.names) do
    ids[#ids + 1] = name.id
  end
  return ids
end

local function check_ids(selection, set)
  local missing = {}
  for _, id in ipairs(selection.ids.list) do
    if not set.seen[resource_id.key(id)] then
      missing[#missing + 1] = id
    end
  end
  if #missing > 0 then
    return errors.fail { reason = "arm.machine-not-found", op = "select",
      message = "option '--ids': no such machine: " .. table.concat(missing, ", ") }
  end
  return true
end

-- Everything that the selection may choose from.
local function candidates(azure, selection)
  local set = { seen = {}, listed = {} }
  if selection.ids then
    local ok, err = add_ids(azure, set, selection.ids.list)
    if not ok then
      return nil, err
    end
    ok, err = check_ids(selection, set)
    return ok and set, err
  end
  local ids = named_ids(selection)
  if #ids < #selection.names or #ids == 0 then
    local subscriptions, err = azure:subscriptions()
    if not subscriptions then
      return nil, err
    end
    for _, subscription in ipairs(subscriptions) do
      local ok, why = add_subscription(azure, set, subscription)
      if not ok then
        return nil, why
      end
    end
  end
  local ok, err = add_ids(azure, set, ids)
  return ok and set, err
end

--- The machines that a selector means. Errors: as select.apply, scope and ARM.
---@param azure arclua.Azure
---@param selector arclua.Selector
---@return arclua.MachineData[]|nil, arclua.Error?
function machines.find(azure, selector)
  local selection, err = select_.compile(selector)
  if not selection then
    return nil, err
  end
  local set
  set, err = candidates(azure, selection)
  if not set then
    return nil, err
  end
  return select_.apply(selection, set)
end

--- The one machine that spec means: an ID, RG/NAME, SUB/RG/NAME or a name unique in scope.
---@param azure arclua.Azure
---@param spec string
---@return arclua.MachineData|nil, arclua.Error?
function machines.resolve(azure, spec)
  if glob.is_pattern(spec) then
    return errors.fail { code = "config", op = "machine",
      message = ("machine '%s': one name expected, not a pattern"):format(spec) }
  end
  local list, err = machines.find(azure, { names = { spec } })
  if not list then
    return nil, err
  end
  return list[1]
end

--- The IDs in a file, one a line; blank lines and # comments count not. "-" is standard input.
--- Errors: notfound, io.
---@return string[]|nil, arclua.Error?
function machines.read_ids(path)
  local text, err
  if path == "-" then
    text, err = machines.read_stdin()
  else
    text, err = core.sys.read_file(path, 64 * 1024 * 1024)
  end
  if not text then
    return nil, errors.with(err, { message = "option '--ids': " .. err.message })
  end
  local ids = {}
  for line in text:gmatch "[^\r\n]+" do
    local id = line:match "^%s*(.-)%s*$"
    if id ~= "" and not id:find "^#" then
      ids[#ids + 1] = id
    end
  end
  return ids
end

--- All of standard input.
---@return string|nil, arclua.Error?
function machines.read_stdin()
  local input, parts = core.stdio(0), {}
  while true do
    local chunk, err = input:read()
    if err then
      return nil, err
    elseif not chunk then
      return table.concat(parts)
    end
    parts[#parts + 1] = chunk
  end
end

return machines
