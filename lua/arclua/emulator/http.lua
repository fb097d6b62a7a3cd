-- SPDX-License-Identifier: MIT
-- One listener for all the services: which one is meant is in the Host header.
local core = require "arclua.core"
local json = require "arclua.json"
local text = require "arclua.emulator.text"

local http = {}

local FIRST = 30 -- seconds for TLS and the first request, however slowly it comes
local FRESH = 2048 -- connections without a request, at most; a new one ends the oldest
local IDLE = 120 -- seconds that a connection may wait for its next request
local BLACK_HOLE = 3600 -- longer than any client waits

-- Host headers are the guard against a browser that was led here by a foreign name.
local function service_of(emulator, host)
  if not host then
    return nil, 400, "Bad Request"
  end
  local name, port = host:lower():match "^([^:]+):?(%d*)$"
  if not name then
    return nil, 400, "Bad Request"
  end
  local given = port == "" and 443 or tonumber(port)
  local service = given == emulator.port and emulator.services[name]
  if not service then
    return nil, 421, "Misdirected Request"
  end
  return service
end

local REASONS = { [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content",
  [302] = "Found",
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict",
  [412] = "Precondition Failed", [413] = "Payload Too Large", [421] = "Misdirected Request",
  [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout" }

function http.reason(status)
  return REASONS[status] or "Unknown"
end

--- Answers a request: a table is written as JSON.
function http.respond(conn, status, headers, body)
  local out = { Date = text.http_date(core.time()) }
  for name, value in pairs(headers or {}) do
    out[name] = value
  end
  if type(body) == "table" then
    body = json.encode(body)
    out["Content-Type"] = out["Content-Type"] or "application/json; charset=utf-8"
  end
  return conn:respond(status, http.reason(status), out, body or "")
end

--- Acts out a fault of kind drop, black-hole or slow (seconds). True: go on with the answer.
function http.act(conn, fault, seconds)
  if fault.kind == "slow" then
    return core.sleep(seconds)
  elseif fault.kind == "black-hole" then
    conn:drain(BLACK_HOLE)
  end
  conn:abort()
  return false
end

-- A request of Entra or ARM. True: the connection goes on.
local function answer(emulator, service, conn, request)
  local status, headers, body = service.handle(emulator.state, request)
  if not status then -- headers is the fault
    if headers.kind == "lost" then
      request.spared = true
      service.handle(emulator.state, request)
      conn:abort()
      return false
    elseif not http.act(conn, headers, emulator.state.faults:delay(headers)) then
      return false
    end
    request.spared = true
    status, headers, body = service.handle(emulator.state, request)
  end
  headers.Date = text.http_date(emulator.state.faults:time())
  return http.respond(conn, status, headers, body)
end

local function dispatch(emulator, conn, request)
  local service, status, reason = service_of(emulator, request.headers.host)
  if not service then
    emulator.log:add("misdirected", { host = text.plain(request.headers.host or "", 100) })
    conn:respond(status, reason, { Connection = "close" }, "")
    return false
  elseif service.connection then
    return service.connection(emulator, conn, request)
  end
  return answer(emulator, service, conn, request)
end

-- Connections that have not asked for anything yet: whoever only dials cannot use up the
-- descriptors of those who ask.
local Fresh = {}
Fresh.__index = Fresh

local function new_fresh()
  return setmetatable({ first = 1, last = 0, count = 0 }, Fresh)
end

-- A function that takes the connection out again.
function Fresh:add(conn)
  self.last, self.count = self.last + 1, self.count + 1
  local at = self.last
  self[at] = conn
  if self.count > FRESH then
    self:drop_oldest()
  end
  return function()
    if self[at] then
      self[at], self.count = nil, self.count - 1
    end
  end
end

function Fresh:drop_oldest()
  while not self[self.first] do
    self.first = self.first + 1
  end
  local oldest = self[self.first]
  self[self.first], self.count = nil, self.count - 1
  oldest:abort()
end

-- One connection, until it ends. Never raises: an error of ours is logged and answered 500.
local function serve(emulator, conn, known)
  local timeout = FIRST
  while true do
    local request, err = conn:request(timeout)
    timeout = IDLE
    known()
    if not request then
      if err and err.status and err.status >= 400 then
        conn:respond(err.status, http.reason(err.status), { Connection = "close" }, "")
      end
      break
    end
    local ok, go_on = pcall(dispatch, emulator, conn, request)
    if not ok then
      emulator.log:add("error", { message = tostring(go_on), path = request.path })
      conn:respond(500, http.reason(500), { Connection = "close" }, "")
      break
    elseif not go_on then
      break
    end
  end
end

--- Accepts until the server is closed. emulator.open holds the connections' tasks.
function http.run(emulator)
  local fresh = new_fresh()
  while not emulator.stopped do
    local conn, err = emulator.server:accept()
    if not conn then
      if err.code == "closed" or err.code == "cancelled" then
        return
      end
      emulator.log:add("accept-failed", { message = err.message })
      if not core.sleep(0.1) then -- out of descriptors: some will be given back
        return
      end
    else
      local task
      local known = fresh:add(conn)
      task = core.spawn(function()
        local done <close> = conn
        local ok, why = pcall(serve, emulator, done, known)
        known()
        emulator.open[task] = nil
        if not ok then
          emulator.log:add("error", { message = tostring(why) })
        end
      end)
      emulator.open[task] = conn
    end
  end
end

return http
