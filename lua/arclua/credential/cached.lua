-- SPDX-License-Identifier: MIT
-- A credential: a source of tokens behind caching, early refresh and single flight.
local backoff = require "arclua.backoff"
local real = require "arclua.core"
local errors = require "arclua.errors"

local Credential = {}
Credential.__index = Credential
Credential.__name = "arclua.credential"

-- A token is not used in its last minutes; a short-lived one not in its second half.
local MARGIN = 300
-- How long a refusal answers further askers, so that a fleet does not hammer Entra.
local REFUSAL = 5
-- Between two tries to renew a token that is still good.
local RENEWAL_PAUSE = 30

local RETRY = { retries = 3, base = 0.8, cap = 60, max_wait = 60 }

---@class arclua.TokenSource
---@field name string
---@field fetch fun(self, scope: string, opts: { claims: string? }): arclua.Secret?, table
---@field forget fun(self)?   called when a token was refused

--- Wraps a source of tokens.
---@param source arclua.TokenSource
---@param primitives table?  instead of arclua.core
---@return arclua.Credential
local function new(source, primitives)
  return setmetatable({ name = source.name, _source = source, _slots = {},
    _core = primitives or real }, Credential)
end

local function usable(slot, now)
  if not slot.secret then
    return false
  end
  local life = slot.info.expires_on - slot.got
  return slot.info.expires_on - now > math.min(MARGIN, life / 2)
end

local function due(slot, now)
  local refresh_on = slot.info.refresh_on
  return refresh_on ~= nil and now >= refresh_on and now >= (slot.renewed or 0) + RENEWAL_PAUSE
end

local function attempt(self, scope, opts)
  return backoff.run({ retries = RETRY.retries, base = RETRY.base, cap = RETRY.cap,
    max_wait = RETRY.max_wait, sleep = self._core.sleep }, function()
    return self._source:fetch(scope, opts)
  end)
end

local function store(self, slot, ok, secret, info)
  local now = self._core.time()
  slot.flight, slot.renewed = nil, now
  if not ok then
    info, secret = errors.new { code = "unknown", op = "credential",
      message = self.name .. ": " .. tostring(secret) }, nil
  end
  if secret then
    slot.secret, slot.info, slot.got, slot.err = secret, info, now, nil
  else
    slot.err = info
    slot.err_until = now + (info.retry_after or REFUSAL)
  end
  return secret, info
end

-- The request runs in a task of its own: a caller that is cancelled does not end it for others.
local function launch(self, slot, scope, opts)
  local core = self._core
  local flight = { done = core.cond() }
  slot.flight = flight
  core.spawn(function()
    flight.secret, flight.info = store(self, slot, pcall(attempt, self, scope, opts))
    flight.over = true
    flight.done:broadcast()
  end)
  return flight
end

local function wait(flight)
  while not flight.over do
    local ok, err = flight.done:wait()
    if not ok then
      return nil, err
    end
  end
  if flight.secret then
    return flight.secret, flight.info
  end
  return nil, flight.info
end

-- A refused token is not given out again; the source hears of it once.
local function drop(self, slot, stale)
  if stale and slot.secret == stale then
    slot.secret = nil
    if self._source.forget then
      self._source:forget()
    end
  end
end

-- The token at hand, renewed by whoever comes first after it fell due.
local function current(self, slot, scope, opts, now)
  if not slot.flight and due(slot, now) then
    local secret, info = wait(launch(self, slot, scope, opts))
    if secret then
      return secret, info
    end
  end
  return slot.secret, slot.info
end

-- A certificate is of one key.
local function slot_of(self, scope, key)
  local name = key and scope .. "\0" .. key:id() or scope
  self._slots[name] = self._slots[name] or {}
  return self._slots[name]
end

--- A token for the scope: from memory while it is good, else asked for once, whoever asks.
--- claims (a challenge's JSON text) or stale (the token that was refused) bring a new one.
---@param scope string
---@param opts { claims: string?, stale: arclua.Secret?, ssh_key: arclua.SshKey? }?
---@return arclua.Secret|nil, table|arclua.Error info  { expires_on, refresh_on?, ... }
function Credential:token(scope, opts)
  opts = opts or {}
  local slot = slot_of(self, scope, opts.ssh_key)
  local now = self._core.time()
  drop(self, slot, opts.stale)
  local forced = opts.claims and not opts.stale
  if usable(slot, now) and not forced then
    return current(self, slot, scope, opts, now)
  elseif slot.flight then
    return wait(slot.flight)
  elseif slot.err and now < slot.err_until and not opts.claims then
    return nil, slot.err
  end
  return wait(launch(self, slot, scope, opts))
end

--- An SSH certificate for the key; kept, renewed and asked for once, as tokens are.
---@param scope string
---@param key arclua.SshKey
---@return arclua.SshCertificate|nil, table|arclua.Error info  { expires_on }
function Credential:certificate(scope, key)
  return self:token(scope, { ssh_key = key })
end

function Credential:__tostring()
  return "credential: " .. self.name
end

return { new = new }
