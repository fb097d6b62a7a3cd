-- SPDX-License-Identifier: MIT
-- Jump hosts: one session a chain of them and run, shared by all who pass, made anew when it died.
local destination = require "arclua.openssh.destination"
local errors = require "arclua.errors"

local Jumps = {}
Jumps.__index = Jumps

local jump = {}

-- A chain that failed is not tried again by each of a thousand targets.
local REMEMBER = 5

--- reach(target, chain): a session on { host =, port =?, user =?, jump =?, hop = true } or a
--- machine; machine(text): the machine of that name.
---@param spec { core: table, reach: function, machine: function }
function jump.new(spec)
  return setmetatable({ core = spec.core, reach = spec.reach, machine = spec.machine, chains = {},
    sessions = {} }, Jumps)
end

local function key_of(list)
  local texts = {}
  for i, hop in ipairs(list) do
    texts[i] = hop.text
  end
  return table.concat(texts, ",")
end

-- What there is to reach as the last of a chain.
local function target_of(self, list)
  local hop = list[#list]
  if hop.machine then
    local machine, err = self.machine(hop.machine)
    if not machine then
      return nil, err
    end
    return setmetatable({ user = hop.user, port = hop.port, hop = true }, { __index = machine })
  end
  local before = #list > 1 and table.move(list, 1, #list - 1, 1, {}) or nil
  return { host = hop.host, port = hop.port, user = hop.user, name = hop.text, jump = before,
    hop = true }
end

-- Says where: the hop that failed first, whatever lies behind it.
local function at_hop(err, hop)
  if err.phase == "jump" or err.code == "cancelled" then
    return err
  end
  return errors.with(err, { phase = "jump", cause = err,
    message = ("jump host %s: %s"):format(hop.text, err.message) })
end

local function connect(self, list, chain)
  local target, err = target_of(self, list)
  local session
  if target then
    session, err = self.reach(target, chain)
  end
  if not session then
    return nil, at_hop(err, list[#list])
  end
  table.insert(self.sessions, session)
  return session
end

local function is_stale(self, entry)
  return entry.dead or entry.failed and entry.failed.retryable
    and self.core.now() - entry.failed_at > REMEMBER
end

-- The session on the last of a list of hops. chain: the lists that wait for this one.
local function session_of(self, list, chain)
  local key = key_of(list)
  if chain[key] then
    return errors.fail { code = "config", op = "connect", phase = "jump",
      message = ("jump host %s: ssh_config leads in a circle"):format(key) }
  end
  local entry = self.chains[key]
  if not entry or is_stale(self, entry) then
    entry = {}
    self.chains[key] = entry
    local inner = setmetatable({ [key] = true }, { __index = chain })
    -- A task of its own: a target that gives up must not take the session from the others.
    entry.task = self.core.spawn(function()
      local session, err = connect(self, list, inner)
      entry.failed, entry.failed_at = err, self.core.now()
      return session, err
    end)
  end
  local session, err = entry.task:await()
  return session, err, entry
end

-- The hop has answered: it is the target that cannot be reached from there.
local function is_answer(err)
  local reason = err.reason or ""
  return reason:find "^ssh%.forward" or reason:find "^ssh%.channel"
    or err.code == "cancelled" or err.code == "timeout"
end

--- A stream to host:port through the hops. Errors: phase "jump" when a hop fails, naming it.
---@param hops string|string[]|arclua.Destination[]
---@param chain table?  the lists that wait already
---@return arclua.Stream|nil, arclua.Error?
function Jumps:stream(hops, host, port, chain)
  local list, err = hops, nil
  if type(hops) == "string" or type(hops[1]) == "string" then
    list, err = destination.parse_jumps(hops)
    if not list then
      return nil, err
    end
  end
  for _ = 1, 2 do
    local session, failure, entry = session_of(self, list, chain or {})
    if not session then
      return nil, failure
    end
    local stream
    stream, err = session:direct_tcpip(host, port)
    if stream then
      return stream
    elseif is_answer(err) then
      return nil, errors.with(err, { phase = "tcp", message = ("from jump host %s: %s"):format(
        list[#list].text, err.message) })
    end
    entry.dead = true
  end
  return nil, at_hop(err, list[#list])
end

--- Ends the sessions, the last made first, and with them all that passes through.
function Jumps:close()
  for _, entry in pairs(self.chains) do
    entry.task:cancel()
  end
  self.chains = {}
  for i = #self.sessions, 1, -1 do
    self.sessions[i]:close()
    self.sessions[i] = nil
  end
end

return jump
