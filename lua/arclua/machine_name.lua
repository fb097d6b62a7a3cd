-- SPDX-License-Identifier: MIT
-- A machine's name as people give it: NAME, RG/NAME, SUBSCRIPTION/RG/NAME, a glob of these, an ID,
-- or the alias that known_hosts has.
local alias = require "arclua.alias"
local errors = require "arclua.errors"
local glob = require "arclua.glob"
local resource_id = require "arclua.resource_id"

local machine_name = {}

-- The ID that a full name means, nil for other names, or nil and what is wrong.
local function id_of(text, parts)
  local meant = alias.parse(text)
  local id = meant and resource_id.machine(meant.subscription, meant.resource_group, meant.name,
    meant.type)
  if id and resource_id.parse(id) or text:lower():find "^/subscriptions/" then
    local own, what = resource_id.machine_of(id or text)
    return own, what and ("'%s' is %s"):format(text, what)
  elseif #parts == 3 and not text:find "^/" and not glob.is_pattern(text) then
    return resource_id.machine(parts[1], parts[2], parts[3])
  end
  return nil
end

-- Tests for a name of one to three parts, by field.
local function part_tests(parts)
  local tests = {}
  for i, field in ipairs { "name", "resource_group", "subscription" } do
    local part = parts[#parts + 1 - i]
    if part then
      local test, err = glob.compile(part)
      if not test then
        return nil, err
      end
      tests[field] = test
    end
  end
  return tests
end

--- The keys by which names that are no pattern find a machine.
---@return string id, string name
function machine_name.keys(machine)
  return resource_id.key(machine.id), machine.name:lower()
end

--- Compiles a name: { text, exact, parts, id?, key?, test(machine) }. exact: it is no pattern, and
--- key is one of the keys of the machines that may pass the test. Errors: config.
---@param text string
---@return table|nil, arclua.Error?
function machine_name.compile(text)
  local parts = {}
  for part in text:gmatch "[^/]+" do
    parts[#parts + 1] = part
  end
  local id, wrong = id_of(text, parts)
  if wrong then
    return errors.fail { code = "config", op = "select", message = wrong }
  elseif id then
    local key = resource_id.key(id)
    local function test(machine)
      return resource_id.key(machine.id) == key
    end
    return { text = text, exact = true, parts = parts, id = id, key = key, test = test }
  elseif text:find "^/" or text:find "//" or #parts > 3 or #parts == 0 then
    return errors.fail { code = "config", op = "select", message = ("option 'NAME': a name, "
      .. "RG/NAME, SUBSCRIPTION/RG/NAME or a resource ID expected, got '%s'"):format(text) }
  end
  local tests, err = part_tests(parts)
  if not tests then
    return nil, err
  end
  local exact = not glob.is_pattern(text)
  local key = exact and parts[#parts]:lower() or nil
  return { text = text, exact = exact, parts = parts, key = key, test = function(machine)
    return tests.name(machine.name)
      and (not tests.resource_group or tests.resource_group(machine.resource_group))
      and (not tests.subscription or tests.subscription(machine.subscription))
  end }
end

return machine_name
