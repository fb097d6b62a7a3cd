-- SPDX-License-Identifier: MIT
-- A credential: a source of tokens behind caching, early refresh and single flight.
local real = require "arclua.core"
local errors = require "arclua.errors"

local Credential = {}
Credential.__index = Credential
Credential.__name = "arclua.credential"

-- A token is not used in its last minutes; a short-lived one not in its second half.
local MARGIN = 300
-- How long a refusal answers further askers, so that a fleet does not hammer Entra.
local REFUSAL, REFUSAL_MAX = 5, 3600
-- Between two tries to renew a token that is still good.
local RENEWAL_PAUSE = 30

---@class arclua.TokenSource
---@field name string
---@field fetch fun(self, scope: string, opts: { claims: string?, tenant: string?,
---   early: boolean? }): arclua.Secret?, table   early: the old token is good yet, so try no more
---   than once, and ask nobody
---@field forget fun(self)?   called when a token was refused
---@field close fun(self)?    wipes what it holds

--- Wraps a source of tokens.
---@param source arclua.TokenSource
---@param primitives table?  instead of arclua.core
---@return arclua.Credential
local function new(source, primitives)
  return setmetatable({ name = source.name, _source = source, _slots = {},
    _given = setmetatable({}, { __mode = "k" }), _core = primitives or real }, Credential)
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

local function store(self, slot, ok, secret, info)
  local now = self._core.time()
  slot.flight, slot.renewed = nil, now
  if not ok then
    info, secret = errors.new { code = "unknown", op = "credential",
      message = self.name .. ": " .. tostring(secret) }, nil
  end
  if secret and self._closed then
    secret:close()
    secret, info = errors.fail { code = "cancelled", op = "credential",
      message = "the credential was closed meanwhile" }
  elseif secret then
    slot.secret, slot.info, slot.got, slot.err = secret, info, now, nil
    self._given[secret] = true
  else
    slot.err = info
    slot.err_until = now + math.min(info.retry_after or REFUSAL, REFUSAL_MAX)
  end
  return secret, info
end

-- The request runs in a task of its own: a caller that is cancelled does not end it for others.
local function launch(self, slot, scope, opts)
  local core = self._core
  local flight = { done = core.cond(), claims = opts.claims }
  slot.flight = flight
  core.spawn(function()
    flight.secret, flight.info = store(self, slot,
      pcall(self._source.fetch, self._source, scope, opts))
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

-- The token at hand, renewed by whoever comes first after it fell due: who has a good one does
-- not wait for a service that is down.
local function current(self, slot, scope, opts, now)
  if not slot.flight and due(slot, now) then
    local secret, info = wait(launch(self, slot, scope, { tenant = opts.tenant,
      ssh_key = opts.ssh_key, early = true }))
    if secret then
      return secret, info
    end
  end
  return slot.secret, slot.info
end

-- What the requests under way give, until one is good enough for claims; nothing when none is left.
local function join(slot, claims)
  while slot.flight do
    local flight = slot.flight
    local secret, info = wait(flight)
    if not secret or not claims or flight.claims == claims then
      return secret, info
    end
  end
end

-- What one request brings serves those of the same scope and tenant; a certificate is of one key.
local function slot_of(self, scope, opts)
  local name = ("%s\n%s\n%s"):format(scope, (opts.tenant or ""):lower(),
    opts.ssh_key and opts.ssh_key:id() or "")
  self._slots[name] = self._slots[name] or {}
  return self._slots[name]
end

--- A token for the scope: from memory while it is good, else asked for once, whoever asks.
--- claims (a challenge's JSON text) or stale (the token that was refused) bring a new one. tenant:
--- another than the credential's own.
--- Raises: it is closed.
---@param scope string
---@param opts { claims: string?, stale: arclua.Secret?, tenant: string?,
---   ssh_key: arclua.SshKey? }?
---@return arclua.Secret|nil, table|arclua.Error info  { expires_on, refresh_on?, ... }
function Credential:token(scope, opts)
  if self._closed then
    error("the credential is closed", 2)
  end
  opts = opts or {}
  local slot = slot_of(self, scope, opts)
  local now = self._core.time()
  drop(self, slot, opts.stale)
  local forced = opts.claims and not opts.stale
  if usable(slot, now) and not forced then
    return current(self, slot, scope, opts, now)
  end
  local secret, info = join(slot, opts.claims)
  if secret or info then
    return secret, info
  elseif slot.err and now < slot.err_until and not opts.claims then
    return nil, slot.err
  end
  return wait(launch(self, slot, scope, { claims = opts.claims, tenant = opts.tenant,
    ssh_key = opts.ssh_key }))
end

--- An SSH certificate for the key; kept, renewed and asked for once, as tokens are.
---@param scope string
---@param key arclua.SshKey
---@return arclua.SshCertificate|nil, table|arclua.Error info  { expires_on }
function Credential:certificate(scope, key)
  return self:token(scope, { ssh_key = key })
end

--- Whether its tokens were given from outside: they are good for this run only.
---@return boolean
function Credential:is_static()
  local source = self._source
  return (source.chosen or source).static == true
end

--- Wipes the tokens at hand, also those that were given out, and what the source holds. It is of
--- no use afterwards. Idempotent; also __close.
function Credential:close()
  self._closed = true
  for secret in pairs(self._given) do
    secret:close()
  end
  self._slots, self._given = {}, {}
  if self._source.close then
    self._source:close()
  end
end

Credential.__close = Credential.close

function Credential:__tostring()
  return "credential: " .. self.name
end

return { new = new }
