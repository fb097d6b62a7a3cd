-- SPDX-License-Identifier: MIT
-- What ssh's -L, -R and -D are told: where to listen, and where that leads.
local errors = require "arclua.errors"

local spec = {}

---@class arclua.ForwardSpec
---@field kind "L"|"R"|"D"      listen here; listen there; listen here and speak SOCKS
---@field text string           as it was written
---@field listen { host: string?, port: integer?, path: string? }   host nil: by GatewayPorts;
---   port 0: a free one
---@field target { host: string?, port: integer?, path: string? }|nil  nil: SOCKS

local EXPECTED = {
  L = "[ADDRESS:]PORT:HOST:PORT, with a socket's path in place of ADDRESS:PORT or HOST:PORT",
  R = "[ADDRESS:]PORT:HOST:PORT, with a socket's path in place of HOST:PORT",
  D = "[ADDRESS:]PORT",
}

local function refuse(kind, text, why)
  return errors.fail { code = "config", op = "forward", message = ("option '-%s %s': %s"):format(
    kind, text, why or EXPECTED[kind] .. " expected") }
end

-- Fields between colons; an address in brackets is one, as are a path's own colons after "\:".
local function split(text)
  local fields, i = {}, 1
  while i <= #text + 1 do
    local field, after = text:match("^%[([^%]]*)%]()", i)
    if not field then
      local out = {}
      after = i
      while after <= #text and text:sub(after, after) ~= ":" do
        if text:find("^\\[:\\]", after) then
          after = after + 1
        end
        out[#out + 1] = text:sub(after, after)
        after = after + 1
      end
      field = table.concat(out)
    end
    if after <= #text and text:sub(after, after) ~= ":" then
      return nil
    end
    fields[#fields + 1] = field
    i = after + 1
  end
  return fields
end

local function port_of(text, least)
  local port = text:find "^%d+$" and math.tointeger(tonumber(text))
  return port and port >= least and port <= 65535 and port or nil
end

local function is_path(text)
  return text:find("/", 1, true) ~= nil
end

-- The place at the end of the fields: a path, or host and port. Takes its fields away.
local function take_target(fields)
  local last = table.remove(fields)
  if last and is_path(last) then
    return { path = last }
  end
  local port, host = last and port_of(last, 1), table.remove(fields)
  if not port or not host or host == "" then
    return nil
  end
  return { host = host, port = port }
end

-- Where to listen, from the fields that are left.
local function take_listen(fields, kind)
  if #fields == 1 and is_path(fields[1]) then
    return kind ~= "D" and { path = fields[1] } or nil
  end
  local port = port_of(fields[#fields] or "", 0)
  if not port or #fields > 2 then
    return nil
  end
  return { host = fields[2] and fields[1] or nil, port = port }
end

-- An empty address and * mean all, as in ssh.
local function all_hosts(listen)
  if listen.host == "" then
    listen.host = "*"
  end
  return listen
end

--- Parses one. For -R without a target the machine speaks SOCKS to us, as in ssh.
--- Errors: config.
---@param kind "L"|"R"|"D"
---@param text string
---@return arclua.ForwardSpec|nil, arclua.Error?
function spec.parse(kind, text)
  local fields = split((text:gsub("%s+", ":")))
  if not fields then
    return refuse(kind, text)
  end
  local target
  if kind == "L" or kind == "R" and (#fields > 2 or is_path(fields[#fields])) then
    target = take_target(fields)
    if not target then
      return refuse(kind, text)
    end
  end
  local listen = take_listen(fields, kind)
  if not listen then
    return refuse(kind, text)
  elseif kind == "R" and listen.path then
    return refuse(kind, text, "a socket's path on the machine cannot be listened on: libssh has no "
      .. "request for it; listen on a port")
  end
  return { kind = kind, text = text, listen = all_hosts(listen), target = target }
end

--- "HOST:PORT" of ssh's -W. Errors: config.
---@param text string
---@return { host: string, port: integer }|nil, arclua.Error?
function spec.place(text)
  local fields = split(text)
  local target = fields and #fields <= 2 and take_target(fields)
  if not target or #fields > 0 then
    return errors.fail { code = "config", op = "forward",
      message = ("option '-W %s': HOST:PORT or a socket's path expected"):format(text) }
  end
  return target
end

return spec
