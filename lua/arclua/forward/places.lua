-- SPDX-License-Identifier: MIT
-- Where forwarding listens on this side.
local core = require "arclua.core"
local errors = require "arclua.errors"

local places = {}

local EADDRINUSE, EACCES, EADDRNOTAVAIL, EAFNOSUPPORT = 98, 13, 99, 97

local REMEDIES = {
  [EADDRINUSE] = "something listens there already: choose another port, or 0 for a free one",
  [EACCES] = "ports below 1024 need root: choose another, such as 8080, or 0 for a free one",
}

local SOCKET_REMEDIES = {
  [EADDRINUSE] = "the file is there already: remove it, or say -o StreamLocalBindUnlink=yes",
}

-- The addresses that a word means; either family may be missing on this machine.
local function addresses(host)
  if host == "localhost" then
    return { "127.0.0.1", "::1" }
  elseif host == "*" then
    return { "0.0.0.0", "::" }
  end
  return { host }
end

local function explain(err, remedies)
  return errors.with(err, { remedy = remedies[err.status] or err.remedy })
end

local function is_absent(err)
  return err.status == EADDRNOTAVAIL or err.status == EAFNOSUPPORT
end

local function listen_tcp(host, port)
  local list, failure = {}, nil
  for _, address in ipairs(addresses(host)) do
    local listener, err = core.tcp.listen(address, port)
    if listener then
      list[#list + 1] = listener
      port = listener:port()
    elseif not failure or is_absent(failure) then
      failure = err
    end
  end
  if #list == 0 or failure and not is_absent(failure) then
    for _, listener in ipairs(list) do
      listener:close()
    end
    return nil, explain(failure, REMEDIES)
  end
  return list, port
end

local function is_address(host)
  return host == "localhost" or host == "*" or host:find "^[%d.]+$" or host:find ":"
end

--- Listens where a forwarding says: listeners, port | nil, err. opts: gateway (GatewayPorts),
--- mask, unlink (of a socket's file). Errors: what the system says, with what helps.
---@param listen { host: string?, port: integer?, path: string? }
---@param opts { gateway: boolean?, mask: integer?, unlink: boolean? }
---@return arclua.Listener[]|nil, integer|arclua.Error|nil
function places.listen(listen, opts)
  if listen.path then
    local listener, err = core.unix.listen(listen.path, { mask = opts.mask,
      replace = opts.unlink })
    if not listener then
      return nil, explain(err, SOCKET_REMEDIES)
    end
    return { listener }
  end
  local host = listen.host or (opts.gateway and "*" or "localhost")
  if not is_address(host) then
    return errors.fail { code = "config", op = "forward", message = ("cannot listen on %s: an "
      .. "address, localhost or * expected"):format(host) }
  end
  return listen_tcp(host, listen.port)
end

--- A place as people write it.
---@return string
function places.text(place)
  if place.path then
    return place.path
  end
  local host = place.host or "localhost"
  return ("%s:%d"):format(host:find ":" and "[" .. host .. "]" or host, place.port)
end

return places
