-- SPDX-License-Identifier: MIT
-- The keywords of ssh_config that count here, and how their words become values.
local keywords = {}

local SWITCH = { yes = true, ["true"] = true, no = false, ["false"] = false }

local function text(list)
  return list[1]
end

-- As ssh does.
local function lower(list)
  return list[1]:lower()
end

local function switch(list)
  return SWITCH[list[1]:lower()], "yes or no"
end

local function port(list)
  local value = list[1]:find "^%d+$" and math.tointeger(tonumber(list[1]))
  return value and value >= 1 and value <= 65535 and value or nil, "a number from 1 to 65535"
end

local MULTIPLES = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

local function seconds(list)
  local number, unit = list[1]:lower():match "^(%d+)([smhdw]?)$"
  if not number or #number > 9 then
    return nil, "a time expected, such as 30 or 2m"
  end
  return tonumber(number) * (MULTIPLES[unit] or 1), "a time"
end

local function all(list)
  return list
end

-- "ask" accepts nothing unasked, and here nobody is asked.
local POLICIES = { yes = "yes", ask = "yes", ["accept-new"] = "accept-new", no = "no", off = "no",
  ["true"] = "yes", ["false"] = "no" }

local function policy(list)
  return POLICIES[list[1]:lower()], "yes, ask, accept-new, no or off"
end

--- read(words): the value | nil, what was expected. many: every line adds one; else the first
--- line counts.
keywords.KNOWN = {
  user = { read = text }, port = { read = port }, hostname = { read = text },
  hostkeyalias = { read = lower }, proxyjump = { read = text }, proxycommand = { read = text },
  identityfile = { read = text, many = true }, certificatefile = { read = text, many = true },
  identitiesonly = { read = switch }, identityagent = { read = text },
  userknownhostsfile = { read = all }, stricthostkeychecking = { read = policy },
  serveraliveinterval = { read = seconds }, preferredauthentications = { read = text },
  hashknownhosts = { read = switch },
}

return keywords
