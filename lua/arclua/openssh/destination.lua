-- SPDX-License-Identifier: MIT
-- [USER@]HOST[:PORT] as people write it, and lists of jump hosts.
local alias = require "arclua.alias"
local errors = require "arclua.errors"

local destination = {}

local MAX_HOPS = 16

---@class arclua.Destination
---@field text string      as it was written
---@field user string?
---@field host string?     a host reached directly
---@field machine string?  an Arc machine: RG/NAME, SUBSCRIPTION/RG/NAME, a resource ID, an alias
---@field port integer?

local function refuse(text, why)
  return errors.fail { code = "config", op = "connect",
    message = ("'%s': %s"):format(text, why) }
end

-- "HOST:PORT", "[ADDRESS]:PORT", an IPv6 address by itself: host, port as text.
local function split_port(text)
  local host, port = text:match "^%[(.*)%]:?(%d*)$"
  if host then
    return host, port ~= "" and port or nil
  elseif text:find ":[^:]*:" then
    return text
  end
  host, port = text:match "^(.*):(.*)$"
  return host or text, port
end

local function check_port(text)
  local port = text:find "^%d+$" and math.tointeger(tonumber(text))
  return port and port >= 1 and port <= 65535 and port or nil
end

--- Parses a destination. A name with "/" in it and an alias NAME.RG.SUBSCRIPTION.arc are
--- machines, all else is a host. Errors: config.
---@param text string
---@return arclua.Destination|nil, arclua.Error?
function destination.parse(text)
  local user, rest = text:match "^(.*)@([^@]*)$"
  local host, port = split_port(rest or text)
  if user == "" or host == "" or host:find "^%-" or host:find "[%s%c]" then
    return refuse(text, "[USER@]HOST[:PORT] expected")
  end
  local found = { text = text, user = user, port = port and check_port(port) }
  if port and not found.port then
    return refuse(text, "a port from 1 to 65535 expected")
  elseif host:find("/", 1, true) or alias.parse(host) then
    found.machine = host
  else
    found.host = host
  end
  return found
end

--- Parses jump hosts in the order in which they are passed: text with commas between, or a list.
--- Errors: config.
---@param jump string|string[]
---@return arclua.Destination[]|nil, arclua.Error?
function destination.parse_jumps(jump)
  local text = type(jump) == "table" and table.concat(jump, ",") or jump
  local list = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local hop, err = destination.parse(part)
    if not hop then
      return nil, errors.with(err, { message = "jump host " .. err.message })
    elseif hop.machine and #list > 0 then
      return refuse(hop.text, "an Arc machine is reached through the relay, so it can only be "
        .. "the first jump host")
    end
    list[#list + 1] = hop
  end
  if #list > MAX_HOPS then
    return refuse(text, ("more than %d jump hosts"):format(MAX_HOPS))
  end
  return list
end

return destination
