-- SPDX-License-Identifier: MIT
-- Times as the services write them, as seconds since 1970.
local times = {}

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9,
  Oct = 10, Nov = 11, Dec = 12 }

-- Days since 1970 of a date of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day
    - 719469
end

local function seconds(year, month, day, h, m, s)
  return days(math.tointeger(tonumber(year)), math.tointeger(tonumber(month)),
    math.tointeger(tonumber(day))) * 86400 + h * 3600 + m * 60 + s
end

--- "Wed, 25 Nov 2026 22:25:02 GMT"; nil for anything else.
---@param text string?
---@return integer|nil
function times.http(text)
  local day, name, year, h, m, s = (text or ""):match
    "^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$"
  return MONTHS[name] and seconds(year, MONTHS[name], day, h, m, s) or nil
end

--- "2026-11-25T22:25:02.1234567Z", also with an offset; nil for anything else.
---@param text any
---@return number|nil
function times.rfc3339(text)
  if type(text) ~= "string" then
    return nil
  end
  local year, month, day, h, m, s, zone = text:match
    "^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt](%d%d):(%d%d):(%d%d%.?%d*)(.*)$"
  local sign, oh, om = (zone or ""):match "^([+-])(%d%d):(%d%d)$"
  if not year or not sign and zone:upper() ~= "Z" then
    return nil
  end
  local offset = sign and (oh * 3600 + om * 60) * (sign == "-" and -1 or 1) or 0
  return seconds(year, month, day, h, m, s) - offset
end

--- ARM's time in UTC for people: "2026-11-22 18:16:05 UTC"; anything else as it is.
---@param text string
---@return string
function times.readable(text)
  return (text:gsub("^(%d+-%d+-%d+)T(%d+:%d+:%d+)%.?%d*Z$", "%1 %2 UTC"))
end

return times
