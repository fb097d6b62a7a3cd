-- SPDX-License-Identifier: MIT
-- Tags that a selection asks for. Azure compares their keys without case, their values with it.
local errors = require "arclua.errors"

local tags = {}

local function add_texts(list, texts)
  for _, text in ipairs(texts) do
    local key, value = text:match "^([^=]+)=(.*)$"
    key = key or text
    if key == "" or text:find "^=" then
      return errors.fail { code = "config", op = "select",
        message = ("option '--tag': KEY or KEY=VALUE expected, got '%s'"):format(text) }
    end
    list[#list + 1] = { key:lower(), value }
  end
  return list
end

--- "KEY", "KEY=VALUE", a list of these or { KEY = VALUE or true } as a list of { key, value? }, the
--- key in lower case. Errors: config.
---@param tag table|string|nil
---@return table[]|nil, arclua.Error?
function tags.parse(tag)
  local list, err = add_texts({}, type(tag) == "string" and { tag } or tag or {})
  for key, value in pairs(list and type(tag) == "table" and tag or {}) do
    if type(key) == "string" then
      list[#list + 1] = { key:lower(), value ~= true and tostring(value) or nil }
    end
  end
  return list, err
end

--- A function that says whether a machine has one of them; nil when there are none.
---@param list table[]
---@return (fun(machine: arclua.MachineData): boolean)|nil
function tags.test(list)
  if #list == 0 then
    return nil
  end
  return function(machine)
    local values = {}
    for key, value in pairs(machine.tags) do
      values[key:lower()] = value
    end
    for _, wanted in ipairs(list) do
      local value = values[wanted[1]]
      if value and (wanted[2] == nil or wanted[2] == value) then
        return true
      end
    end
    return false
  end
end

return tags
