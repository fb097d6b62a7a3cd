-- SPDX-License-Identifier: MIT
-- All resources of a subscription or group in one list, as other clients ask for them.
local reply = require "arclua.emulator.arm_reply"
local roles = require "arclua.emulator.roles"

local resources = {}

local READ = "Microsoft.HybridCompute/machines/read"

local function machine_of(machine)
  return { id = machine.id, name = machine.name, location = machine.location, tags = machine.tags,
    type = machine.type }
end

local function extension_of(machine, one)
  return { id = machine.id .. "/extensions/" .. one.name, location = machine.location,
    name = machine.name .. "/" .. one.name, type = "Microsoft.HybridCompute/machines/extensions" }
end

-- What the caller may read.
local function all(state, principal, subscription, group)
  local list = {}
  for _, machine in ipairs(state.machines) do
    if machine.subscription == subscription
      and (not group or machine.group:lower() == group:lower())
      and roles.allowed(state, principal, machine.id, READ) then
      list[#list + 1] = machine_of(machine)
      for _, one in ipairs(machine.extensions) do
        list[#list + 1] = extension_of(machine, one)
      end
    end
  end
  return list
end

-- What a condition's name looks at.
local FIELDS = {
  name = function(entry, value) return entry.name:lower() == value:lower() end,
  resourcetype = function(entry, value) return entry.type:lower() == value:lower() end,
  location = function(entry, value) return entry.location:lower() == value:lower() end,
  resourcegroup = function(entry, value)
    return entry.id:lower():find("/resourcegroups/" .. value:lower() .. "/", 1, true) ~= nil
  end,
}

-- tagName eq 'k' and tagValue eq 'v' are one condition.
local function tag_test(name, value)
  return function(entry)
    local found = (entry.tags or {})[name]
    return found ~= nil and (value == nil or found == value)
  end
end

-- The tests of "name eq 'x' and resourceType eq 'y'" | nil: another filter.
local function tests_of(filter)
  local tests, tag, value = {}, nil, nil
  for part in (filter .. " and "):gmatch "(.-) and " do
    local field, text = part:match "^%s*(%w+)%s+eq%s+'(.*)'%s*$"
    text = text and text:gsub("''", "'")
    field = field and field:lower()
    if field == "tagname" then
      tag = text
    elseif field == "tagvalue" then
      value = text
    elseif FIELDS[field] then
      tests[#tests + 1] = function(entry) return FIELDS[field](entry, text) end
    else
      return nil
    end
  end
  if tag then
    tests[#tests + 1] = tag_test(tag, value)
  end
  return tests
end

local function passes(entry, tests)
  for _, test in ipairs(tests) do
    if not test(entry) then
      return false
    end
  end
  return true
end

--- GET of .../resources of a subscription or group; $filter with eq and and.
function resources.list(state, request, subscription, group)
  local filter = request.query_table["$filter"]
  filter = filter ~= "" and filter or nil
  local tests = tests_of(filter or "name eq ''")
  if not tests then
    return reply.fail(400, "InvalidFilterInQueryString",
      "The emulator knows filters of name, resourceType, resourceGroup, location, tagName and "
      .. "tagValue, with eq and and.", { cause = "gateway" })
  end
  local found = {}
  for _, entry in ipairs(all(state, request.principal, subscription, group)) do
    if not filter or passes(entry, tests) then
      found[#found + 1] = entry
    end
  end
  return reply.page(state, request, found, function(entry) return entry end)
end

return resources
