-- SPDX-License-Identifier: MIT
-- Machines by Resource Graph; where it is denied, by ARM's lists.
local arm_machines = require "arclua.arm.machines"
local errors = require "arclua.errors"
local graph = require "arclua.arm.graph"
local kql = require "arclua.arm.kql"
local resource_id = require "arclua.resource_id"
local scope = require "arclua.scope"

local search = {}

-- So few are read one by one from ARM, which is newer than Resource Graph.
local SINGLE = 10

-- What Resource Graph may answer where there is none for this caller: the lists serve instead.
local DENIED = { denied = true, notfound = true, unavailable = true, throttled = true }

--- What is found, each machine once: set[1..], set.seen by key.
function search.new()
  return { seen = {}, listed = {} }
end

local function add(set, machine)
  local key = resource_id.key(machine.id)
  if not set.seen[key] then
    set.seen[key] = true
    set[#set + 1] = machine
  end
end

-- Whether Resource Graph is to be asked, after an error too: then it is said, once a sign-in.
local function falls_back(azure, err)
  if not DENIED[err.code] and err.reason ~= "arm.provider-not-registered" then
    return false
  end
  azure.graph_refused = err
  azure.log("info", ("Resource Graph: %s; listing the machines of each subscription instead")
    :format(err.message))
  return true
end

local function list(azure, set, subscriptions)
  for _, subscription in ipairs(subscriptions) do
    local key = subscription:lower()
    if not set.listed[key] then
      local found, err = arm_machines.list(azure.client, subscription)
      if not found then
        return nil, err
      end
      set.listed[key] = true
      for _, machine in ipairs(found) do
        add(set, machine)
      end
    end
  end
  return true
end

local function unseen(set, subscriptions)
  local seen, missing = {}, {}
  for _, machine in ipairs(set) do
    seen[machine.subscription:lower()] = true
  end
  for _, id in ipairs(subscriptions) do
    missing[#missing + 1] = not seen[id:lower()] and id or nil
  end
  return missing
end

-- Resource Graph passes over subscriptions that are not there, or says only that none is.
local function check_subscriptions(azure, subscriptions)
  if #subscriptions == 0 then
    return true
  end
  local visible, err = azure:visible_subscriptions()
  if not visible then
    return nil, err
  end
  local seen = {}
  for _, one in ipairs(visible) do
    seen[one.id:lower()] = true
  end
  for _, id in ipairs(subscriptions) do
    if not seen[id:lower()] then
      return scope.unknown(id, visible)
    end
  end
  return true
end

-- Adds those that Resource Graph gives under all conditions: true | nil, error, whether the lists
-- of ARM would not help either.
local function ask(azure, set, conditions, subscriptions)
  local done, err = graph.each(azure.client, { subscriptions = subscriptions,
    query = kql.machines(resource_id.TYPES, conditions), add = function(row)
      local machine = arm_machines.from_row(row)
      if machine then
        add(set, machine)
      end
    end })
  if azure.subscriptions_checked or err and err.code ~= "config" then
    return done, err
  end
  local ok, why = check_subscriptions(azure, unseen(set, subscriptions))
  if not ok then
    return nil, why, true
  end
  azure.subscriptions_checked = true
  return done, err
end

--- Adds the machines of some subscriptions under conditions of arclua.arm.kql; perhaps more, where
--- they had to be listed.
---@return true|nil, arclua.Error?
function search.where(azure, set, conditions, subscriptions)
  if not azure.graph_refused then
    local done, err, final = ask(azure, set, conditions, subscriptions)
    if done or final or not falls_back(azure, err) then
      return done, err
    end
  end
  return list(azure, set, subscriptions)
end

-- A machine by its ID; one that is absent is left out: the selection says so by name.
local function get(azure, set, id)
  local machine, err = arm_machines.get(azure.client, id)
  if machine then
    add(set, machine)
    return true
  elseif err.reason == "arm.machine-not-found" then
    return true
  end
  return nil, err
end

local function single(ids, from_graph)
  if from_graph or #ids >= SINGLE then
    return false
  end
  for _, id in ipairs(ids) do
    if not arm_machines.can_get(id) then
      return false
    end
  end
  return true
end

--- Adds the machines of these IDs, perhaps more. from_graph: Resource Graph gave the IDs itself.
---@return true|nil, arclua.Error?
function search.ids(azure, set, ids, from_graph)
  if #ids == 0 then
    return true
  elseif not single(ids, from_graph) then
    return search.where(azure, set, { kql.ids(ids) }, resource_id.subscriptions(ids))
  end
  for _, id in ipairs(ids) do
    local ok, err = get(azure, set, id)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function not_a_machine(row)
  local id = type(row) == "table" and row.id
  local own, what = nil, "a row without the column id"
  if type(id) == "string" then
    own, what = resource_id.machine_of(id)
    what = ("'%s' is %s"):format(id, what or "no resource's ID")
  end
  return own, what
end

--- The machines that the rows of a user's query mean: their IDs, each once. Errors: config, and
--- those of arclua.arm.graph.
---@return string[]|nil, arclua.Error?
function search.query(azure, text, subscriptions)
  local rows, err = graph.query(azure.client, text, subscriptions)
  if not rows then
    return nil, errors.with(err, { message = "option '--query': " .. err.message })
  end
  local ids, seen = {}, {}
  for _, row in ipairs(rows) do
    local id, what = not_a_machine(row)
    if not id then
      return errors.fail { code = "config", op = "select", message = "option '--query': " .. what,
        remedy = "let the query end in rows of machines with their id" }
    elseif not seen[resource_id.key(id)] then
      seen[resource_id.key(id)] = true
      ids[#ids + 1] = id
    end
  end
  return ids
end

return search
