-- SPDX-License-Identifier: MIT
-- Option tables of Lua functions: unknown keys and wrong types raise, naming them.
local check = {}

local function matches(value, types)
  for wanted in types:gmatch "[^|]+" do
    if type(value) == wanted or (wanted == "integer" and math.type(value) == "integer") then
      return true
    end
    local meta = type(value) == "userdata" and getmetatable(value)
    if wanted == "secret" and meta and meta.__name == "arclua.secret" then
      return true
    end
  end
  return false
end

--- Checks opts against rules { name = "type|type" }.
--- Raises: "option 'timeout': number expected, got string", "unknown option 'x'".
---@param opts table?
---@param rules table<string, string>
---@param level integer?  stack level to blame; default: the caller's caller
---@return table opts  an empty table for nil
function check.options(opts, rules, level)
  level = (level or 2) + 1
  if opts == nil then
    return {}
  end
  if type(opts) ~= "table" then
    error("options: table expected, got " .. type(opts), level)
  end
  for name, value in pairs(opts) do
    local types = rules[name]
    if not types then
      error("unknown option '" .. tostring(name) .. "'", level)
    end
    if types ~= "any" and not matches(value, types) then
      error(("option '%s': %s expected, got %s"):format(name, (types:gsub("|", " or ")),
        type(value)), level)
    end
  end
  return opts
end

return check
