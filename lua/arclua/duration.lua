-- SPDX-License-Identifier: MIT
-- Durations as people write them: 30, 30s, 2m, 1h30m, 500ms.
local errors = require "arclua.errors"

local duration = {}

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

--- What a refusal asks for.
duration.EXPECTED = "a duration such as 30, 30s, 2m or 1h"

local function refuse(text)
  return errors.fail { code = "config",
    message = ("%s expected, got '%s'"):format(duration.EXPECTED, text) }
end

--- Seconds. Errors: config.
---@param text string|number
---@return number|nil, arclua.Error?
function duration.parse(text)
  local plain = tonumber(text)
  if plain and tostring(text):find "^%d*%.?%d*$" then
    if plain > 0 then
      return plain
    end
    return refuse(text)
  end
  text = tostring(text)
  local total, from = 0, 1
  while from <= #text do
    local number, unit, last = text:match("^(%d+%.?%d*)(%a+)()", from)
    local factor = number and UNITS[unit]
    if not factor then
      return refuse(text)
    end
    total = total + tonumber(number) * factor
    from = last
  end
  if total <= 0 then
    return refuse(text)
  end
  return total
end

--- For people: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min".
---@param seconds number
---@return string
function duration.format(seconds)
  if seconds < 9.95 then
    return ("%.1f s"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 60 then
    return ("%d s"):format(whole)
  elseif whole < 3600 then
    return ("%d min %d s"):format(whole // 60, whole % 60)
  end
  return ("%d h %d min"):format(whole // 3600, whole % 3600 // 60)
end

return duration
