-- SPDX-License-Identifier: MIT
-- Finding machines: what ARM has to be asked for a selection, and the answer selected from.
local arm_machines = require "arclua.arm.machines"
local core = require "arclua.core"
local errors = require "arclua.errors"
local glob = require "arclua.glob"
local kql = require "arclua.arm.kql"
local machine_name = require "arclua.machine_name"
local resource_id = require "arclua.resource_id"
local search = require "arclua.arm.search"
local select_ = require "arclua.select"

local machines = {}

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

-- Lets pass only machines that a user's query gave.
local function restrict(selection, ids)
  local wanted = {}
  for _, id in ipairs(ids) do
    wanted[resource_id.key(id)] = true
  end
  table.insert(selection.filters, function(machine)
    return wanted[resource_id.key(machine.id)] == true
  end)
end

local function add_queried(azure, set, selection)
  local subscriptions, err = azure:subscriptions()
  if not subscriptions then
    return nil, err
  end
  local ids
  ids, err = search.query(azure, selection.query, subscriptions)
  if not ids then
    return nil, err
  end
  restrict(selection, ids)
  return search.ids(azure, set, ids, true)
end

local function add_given(azure, set, selection)
  local ok, err = search.ids(azure, set, selection.ids.list)
  if not ok then
    return nil, err
  end
  return check_ids(selection, set)
end

local function add_named(azure, set, selection)
  local ids = named_ids(selection)
  if #ids < #selection.names or #ids == 0 then
    local subscriptions, err = azure:subscriptions()
    if not subscriptions then
      return nil, err
    end
    local ok, why = search.where(azure, set, kql.conditions(selection), subscriptions)
    if not ok then
      return nil, why
    end
  end
  return search.ids(azure, set, ids)
end

-- Everything that the selection may choose from.
local function candidates(azure, selection)
  local set = search.new()
  local ok, err
  if selection.ids then
    ok, err = add_given(azure, set, selection)
  elseif not selection.query then
    ok, err = add_named(azure, set, selection)
  end
  if selection.query and not err then
    ok, err = add_queried(azure, set, selection)
  end
  return ok and set, err
end

-- Whether a selection asks for all that is in scope.
local function is_everything(selection)
  return #selection.names == 0 and not selection.ids and not selection.query
    and #kql.conditions(selection) == 0
end

--- The machines that a selector means. Errors: as select.apply, scope, ARM and Resource Graph.
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
  elseif is_everything(selection) then
    azure:_known_machines():fill(set)
  end
  return select_.apply(selection, set)
end

-- A machine whose ID an earlier run has learnt; nothing when it has gone since.
local function remembered(azure, name)
  local known = azure:_known_machines()
  local id = known:find(name)
  if not id or not arm_machines.can_get(id) then
    return nil
  end
  local machine, err = arm_machines.get(azure.client, id)
  if not machine and err.reason == "arm.machine-not-found" then
    known:forget(name)
    return nil
  end
  return machine, err
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
  local name, err = machine_name.compile(spec)
  local machine
  if name and not name.id then
    machine, err = remembered(azure, name)
  end
  if machine or err then
    return machine, err
  end
  local list
  list, err = machines.find(azure, { names = { spec } })
  if not list then
    return nil, err
  end
  azure:_known_machines():learn(list)
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
