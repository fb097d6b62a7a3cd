-- SPDX-License-Identifier: MIT
-- Options of SELECT, FLEET and printing that do not go together, for the commands that share them.
local escape = require "arclua.report.escape"

local conflicts = {}

local function is_given(value)
  return value and (type(value) ~= "table" or #value > 0)
end

conflicts.is_given = is_given

-- What is wrong with --entra.
local function wrong_login(values)
  for _, name in ipairs { "identity", "ask_pass" } do
    if values.entra and is_given(values[name]) then
      return ("options '--entra' and '--%s' exclude each other"):format((name:gsub("_", "-")))
    end
  end
  return nil
end

-- What is wrong with --direct and --jump.
local function wrong_way(values, direct)
  if not values.direct then
    return is_given(values.jump) and "option '--jump' is for hosts that are reached directly: a "
      .. "machine of Azure Arc is reached through the relay; name hosts, and say --direct" or nil
  elseif not direct.hosts then
    return direct.example
  end
  for _, name in ipairs(direct.forbidden) do
    if is_given(values[name]) then
      return ("option '--%s' is for machines of Azure Arc, not for --direct"):format(
        (name:gsub("_", "-")))
    end
  end
  return nil
end

--- What is wrong with the options, nil when nothing is. direct: what --direct needs.
---@param values table
---@param direct { hosts: boolean, example: string, forbidden: string[] }  whether hosts are named;
---   what to say when none is; the options that say nothing about hosts
---@return string|nil
function conflicts.find(values, direct)
  if values.replace and not (values.enable and values.port) then
    return "option '--replace' needs --enable and --port"
  elseif values.gather and values.output and values.output ~= "grouped" then
    return ("option '-b' and '--output %s' exclude each other"):format(escape.text(values.output))
  end
  return wrong_login(values) or wrong_way(values, direct)
end

return conflicts
