-- SPDX-License-Identifier: MIT
-- What a selection means: repeated values of one kind are "or", kinds are "and".
local check = require "arclua.check"
local errors = require "arclua.errors"
local glob = require "arclua.glob"
local machine_name = require "arclua.machine_name"
local resource_id = require "arclua.resource_id"
local tags = require "arclua.tags"

local select_ = {}

---@class arclua.Selector
---@field names string|string[]|nil           names, globs, RG/NAME, SUB/RG/NAME, IDs
---@field name string|string[]|nil            the same kind as names: name globs
---@field resource_group string|string[]|nil  globs
---@field tag table|string|string[]|nil       { KEY = VALUE or true } or "KEY[=VALUE]"
---@field os "linux"|"windows"|nil
---@field status "connected"|"disconnected"|"expired"|"any"|nil
---@field query string?                       KQL: machines whose rows Resource Graph gives; a row
---   needs the column id, of the machine or of what belongs to it (an extension)
---@field ids string[]?                       resource IDs
---@field exclude string|string[]|nil         name globs
---@field first integer?
---@field all boolean?                        everything, when nothing else is said

local RULES = {
  names = "string|table", name = "string|table", resource_group = "string|table",
  tag = "string|table", os = "string", status = "string", ids = "table", query = "string",
  exclude = "string|table", first = "integer", all = "boolean",
}

-- Kinds that choose machines by themselves.
local KINDS = { "names", "name", "resource_group", "tag", "os", "status", "ids", "query",
  "all" }

local OS = { linux = true, windows = true }
local STATUS = { connected = true, disconnected = true, expired = true, any = true }

local function refuse(option, expected, got)
  return errors.fail { code = "config", op = "select",
    message = ("option '%s': %s expected, got '%s'"):format(option, expected, got) }
end

local function list_of(value)
  if value == nil then
    return {}
  elseif type(value) == "string" then
    return { value }
  end
  return value
end

-- A function: whether any of the globs matches; nil when there are none.
local function any_glob(patterns)
  local tests = {}
  for i, pattern in ipairs(patterns) do
    local test, err = glob.compile(pattern)
    if not test then
      return nil, err
    end
    tests[i] = test
  end
  if #tests == 0 then
    return nil
  end
  return function(name)
    for _, test in ipairs(tests) do
      if test(name) then
        return true
      end
    end
    return false
  end
end

local function names_of(selector)
  local out = {}
  for _, texts in ipairs { list_of(selector.names), list_of(selector.name) } do
    for _, text in ipairs(texts) do
      local name, err = machine_name.compile(text)
      if not name then
        return nil, err
      end
      out[#out + 1] = name
    end
  end
  return out
end

local function ids_of(ids)
  if not ids then
    return nil
  end
  local set = { list = {} }
  for _, id in ipairs(ids) do
    local own, what = resource_id.machine_of(id)
    if what then
      return errors.fail { code = "config", op = "select",
        message = ("option '--ids': '%s' is %s"):format(id, what) }
    elseif not own then
      return refuse("--ids", "resource IDs, one a line", id)
    end
    set[resource_id.key(own)] = true
    set.list[#set.list + 1] = own
  end
  return set
end

local function check_words(selector)
  local os, status = selector.os, selector.status
  if os and not OS[os:lower()] then
    return refuse("--os", "linux or windows", os)
  elseif status and not STATUS[status:lower()] then
    return refuse("--status", "connected, disconnected, expired or any", status)
  elseif selector.first and selector.first < 1 then
    return refuse("--first", "a number from 1", selector.first)
  end
  return true
end

-- The tests that are not about names: list of functions of a machine.
local function filters(selector, compiled)
  local list = {}
  local groups, err = any_glob(list_of(selector.resource_group))
  local excluded, why = any_glob(list_of(selector.exclude))
  if err or why then
    return nil, err or why
  end
  list[#list + 1] = groups and function(m) return groups(m.resource_group) end
  list[#list + 1] = excluded and function(m) return not excluded(m.name) end
  list[#list + 1] = tags.test(compiled.tags)
  list[#list + 1] = compiled.ids and function(m) return compiled.ids[resource_id.key(m.id)] end
  local os, status = compiled.source.os, compiled.source.status
  list[#list + 1] = os and function(m) return m.os == os end
  list[#list + 1] = status and function(m) return m.status:lower() == status end
  return list
end

-- What was asked for, in one form; for the query.
local function source_of(selector, wanted)
  local status = (selector.status or "any"):lower()
  return { resource_group = list_of(selector.resource_group), exclude = list_of(selector.exclude),
    tags = wanted, os = selector.os and selector.os:lower(), status = status ~= "any" and status
      or nil }
end

--- Compiles a selector. Raises: unknown or ill-typed options. Errors: config.
---@param selector arclua.Selector
---@return arclua.Selection|nil, arclua.Error?
function select_.compile(selector)
  selector = check.options(selector, RULES, 3)
  local ok, err = check_words(selector)
  local compiled = { first = selector.first, query = selector.query }
  if ok then
    compiled.tags, err = tags.parse(selector.tag)
  end
  if compiled.tags then
    compiled.names, err = names_of(selector)
  end
  if compiled.names then
    compiled.ids, err = ids_of(selector.ids)
  end
  if err then
    return nil, err
  end
  compiled.source = source_of(selector, compiled.tags)
  compiled.filters, err = filters(selector, compiled)
  if err then
    return nil, err
  end
  return compiled
end

--- Whether a selector says anything (or --all).
---@return boolean
function select_.is_given(selector)
  for _, kind in ipairs(KINDS) do
    local value = selector[kind]
    if value and (type(value) ~= "table" or next(value) ~= nil or kind == "ids") then
      return true
    end
  end
  return false
end

local function passes(compiled, machine)
  for _, test in ipairs(compiled.filters) do
    if not test(machine) then
      return false
    end
  end
  return true
end

local function unknown(names)
  local texts = {}
  for _, name in ipairs(names) do
    texts[#texts + 1] = name.text
  end
  return errors.fail { reason = "arm.machine-not-found", op = "select",
    message = (#texts == 1 and "no machine is named " or "no machines are named ")
      .. table.concat(texts, ", ") }
end

local function ambiguous(name, found)
  local lines = {}
  for i, machine in ipairs(found) do
    lines[i] = ("  %s/%s/%s"):format(machine.subscription, machine.resource_group, machine.name)
  end
  return errors.fail { code = "conflict", op = "select",
    message = ("%d machines are named %s:\n%s"):format(#found, name.text,
      table.concat(lines, "\n")),
    remedy = "name one as RG/NAME or SUBSCRIPTION/RG/NAME" }
end

-- Machines by their IDs and by their names, for names that are no pattern: a list of thousands
-- of names is usual.
local function index_of(machines)
  local index = {}
  local function add(key, machine)
    index[key] = index[key] or {}
    table.insert(index[key], machine)
  end
  for _, machine in ipairs(machines) do
    local id, name = machine_name.keys(machine)
    add(id, machine)
    add(name, machine)
  end
  return index
end

local function matching(name, machines, index)
  local found = {}
  for _, machine in ipairs(name.exact and (index[name.key] or {}) or machines) do
    if name.test(machine) then
      found[#found + 1] = machine
    end
  end
  return found
end

-- The machines that the names mean, each once, in the order of machines; all when there are no
-- names.
local function by_names(compiled, machines)
  if #compiled.names == 0 then
    return machines
  end
  local chosen, missing, index = {}, {}, index_of(machines)
  for _, name in ipairs(compiled.names) do
    local found = matching(name, machines, index)
    if name.exact and #found == 0 then
      missing[#missing + 1] = name
    elseif name.exact and #found > 1 then
      return ambiguous(name, found)
    end
    for _, machine in ipairs(found) do
      chosen[machine] = true
    end
  end
  if #missing > 0 then
    return unknown(missing)
  end
  local list = {}
  for _, machine in ipairs(machines) do
    list[#list + 1] = chosen[machine] and machine or nil
  end
  return list
end

local function by_id(a, b)
  return a.id < b.id
end

-- By name, then by ID: names are sorted as texts, which is quicker than machines by a function.
local function sorted(list)
  local names, of, out = {}, {}, {}
  for _, machine in ipairs(list) do
    local name = machine.name
    if not of[name] then
      names[#names + 1], of[name] = name, machine
    elseif of[name].id then
      of[name] = { of[name], machine }
    else
      table.insert(of[name], machine)
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local some = of[name]
    if some.id then
      out[#out + 1] = some
    else
      table.sort(some, by_id)
      table.move(some, 1, #some, #out + 1, out)
    end
  end
  return out
end

--- The selected machines, sorted by name. Errors: notfound (a name that nothing has),
--- conflict (a name that several have).
---@param compiled arclua.Selection
---@param machines arclua.MachineData[]
---@return arclua.MachineData[]|nil, arclua.Error?
function select_.apply(compiled, machines)
  local named, err = by_names(compiled, machines)
  if not named then
    return nil, err
  end
  local out = {}
  for _, machine in ipairs(named) do
    if passes(compiled, machine) then
      out[#out + 1] = machine
    end
  end
  out = sorted(out)
  for i = #out, (compiled.first or #out) + 1, -1 do
    out[i] = nil
  end
  return out
end

return select_
