-- SPDX-License-Identifier: MIT
-- Forwarding: ports and sockets here that lead to places the machine reaches, and ports there that
-- lead to places we reach. What listens here outlives a session.
local core = require "arclua.core"
local errors = require "arclua.errors"
local places = require "arclua.forward.places"
local socks = require "arclua.forward.socks"
local spec = require "arclua.forward.spec"

local Forwards = {}
Forwards.__index = Forwards
Forwards.__name = "arclua.forwards"

local forward = {}

local PAUSE = 0.1 -- seconds after an accept that failed for want of descriptors
local CONNECT_TIMEOUT = 30

---@class arclua.ForwardOptions
---@field gateway boolean?   listen on all addresses where none is named
---@field mask integer?      mode bits that a socket's file does not get (octal 0177)
---@field unlink boolean?    take a socket's file away that is in the way
---@field log (fun(level: string, text: string))?  told of connections that fail

--- Reads what ssh's -L, -R or -D is told. Errors: config.
---@param kind "L"|"R"|"D"
---@param text string  "8080:localhost:80"
---@return arclua.ForwardSpec|nil, arclua.Error?
function forward.parse(kind, text)
  return spec.parse(kind, text)
end

--- What is to be forwarded over the sessions that it is given.
---@param list arclua.ForwardSpec[]
---@param opts arclua.ForwardOptions?
---@return arclua.Forwards
function forward.new(list, opts)
  opts = opts or {}
  return setmetatable({ list = list, opts = opts, log = opts.log or function() end, tasks = {},
    listeners = {}, remotes = {}, ports = {}, open = {}, changed = core.cond() }, Forwards)
end

local function flag(item)
  return ("-%s %s"):format(item.kind, item.text)
end

-- A task that is ended with us.
local function spawn(self, fn, ...)
  local task
  task = core.spawn(function(...)
    fn(self, ...)
    self.tasks[task] = nil
  end, ...)
  self.tasks[task] = true
  return task
end

-- ---- one connection ------------------------------------------------------------------------

-- The session, once there is one.
local function session_of(self)
  while not self.session do
    local ok, err = self.changed:wait()
    if not ok then
      return nil, err
    end
  end
  return self.session
end

local function connect_there(self, place)
  local session, err = session_of(self)
  if not session then
    return nil, err
  elseif place.path then
    return session:direct_streamlocal(place.path)
  end
  return session:direct_tcpip(place.host, place.port)
end

local function connect_here(_, place)
  if place.path then
    return core.unix.connect(place.path)
  end
  return core.tcp.connect(place.host, place.port, { timeout = CONNECT_TIMEOUT })
end

-- Connects from, which came in, with where it leads.
local function serve(self, item, from)
  local place, tell, err = item.target, nil, nil
  if not place then
    place, tell = socks.accept(from)
    err = not place and tell or nil
  end
  local to
  if place then
    to, err = (item.kind == "R" and connect_here or connect_there)(self, place)
    if tell then
      tell(err)
    end
  end
  if not to then
    self.log("warn", flag(item) .. ": " .. err.message)
    from:close()
    return
  end
  local entry = ("%s: %s to %s"):format(flag(item), from:name(), places.text(place))
  self.open[entry] = (self.open[entry] or 0) + 1
  core.splice(from, to)
  self.open[entry] = self.open[entry] > 1 and self.open[entry] - 1 or nil
  self.changed:broadcast()
end

local function accept_all(self, item, listener)
  while true do
    local stream, err = listener:accept()
    if stream then
      spawn(self, serve, item, stream)
    elseif err.code == "closed" or err.code == "cancelled" or item.kind == "R" then
      return
    else
      self.log("warn", flag(item) .. ": " .. err.message)
      if not core.sleep(PAUSE) then
        return
      end
    end
  end
end

-- ---- listening -----------------------------------------------------------------------------

local function started(self, item, port)
  self.ports[item] = port
  if item.listen.port == 0 then
    self.log("notice", ("%s listens on port %d"):format(flag(item), port))
  end
end

-- Calls fn for each item of which is true: true | nil, the first error; goes on after one.
local function each(self, fn, which)
  local first
  for _, item in ipairs(self.list) do
    if which(item) then
      local ok, err = fn(self, item)
      if not ok then
        err = errors.with(err, { message = ("%s: %s"):format(flag(item), err.message) })
        first = first or err
        self.log("error", errors.describe(err))
      end
    end
  end
  return first == nil, first
end

local function listen_here(self, item)
  local list, port = places.listen(item.listen, self.opts)
  if not list then
    return nil, port
  end
  for _, listener in ipairs(list) do
    table.insert(self.listeners, listener)
    spawn(self, accept_all, item, listener)
  end
  started(self, item, port)
  return true
end

-- The address as the server is told it.
local function there(self, listen)
  local host = listen.host or (self.opts.gateway and "*" or "localhost")
  return host == "*" and "" or host
end

local function listen_there(self, item)
  local remote, err = self.session:listen(there(self, item.listen), item.listen.port)
  if not remote then
    return nil, err
  end
  table.insert(self.remotes, remote)
  spawn(self, accept_all, item, remote)
  started(self, item, remote:port())
  return true
end

--- Listens on this side. What fails is logged, the rest goes on: true | nil, the first error.
---@return boolean, arclua.Error?
function Forwards:listen()
  return each(self, listen_here, function(item) return item.kind ~= "R" end)
end

--- Works over this session from now on, and asks it to listen for us: true | nil, the first error.
---@param session arclua.Session
---@return boolean, arclua.Error?
function Forwards:attach(session)
  self.session = session
  self.changed:broadcast()
  return each(self, listen_there, function(item) return item.kind == "R" end)
end

--- The session has gone: what comes in waits for the next.
function Forwards:detach()
  self.session = nil
  for i, remote in ipairs(self.remotes) do
    remote:close()
    self.remotes[i] = nil
  end
end

--- The ports of what listens, in the order of the list; false for a socket, or what failed.
---@return (integer|false)[]
function Forwards:bound()
  local out = {}
  for i, item in ipairs(self.list) do
    out[i] = self.ports[item] or false
  end
  return out
end

--- The connections that pass now, as lines.
---@return string[]
function Forwards:connections()
  local lines = {}
  for text, count in pairs(self.open) do
    for _ = 1, count do
      lines[#lines + 1] = text
    end
  end
  table.sort(lines)
  return lines
end

--- Waits until no connection passes any more.
---@return true|nil, arclua.Error?
function Forwards:drained()
  while next(self.open) do
    local ok, err = self.changed:wait()
    if not ok then
      return nil, err
    end
  end
  return true
end

--- Ends all of it.
function Forwards:close()
  for _, listener in ipairs(self.listeners) do
    listener:close()
  end
  self:detach()
  for task in pairs(self.tasks) do
    task:cancel()
  end
  self.listeners, self.tasks = {}, {}
end

Forwards.__close = Forwards.close

return forward
