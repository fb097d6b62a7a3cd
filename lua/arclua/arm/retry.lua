-- SPDX-License-Identifier: MIT
-- Whether a request to ARM is sent again, and when.
local backoff = require "arclua.backoff"
local errors = require "arclua.errors"

local retry = {}

local RULES = { retries = 4, base = 0.8, cap = 60 }
-- ARM's own word counts up to so many seconds; more is told to the user instead.
local MAX_WAIT = 300
-- So long (seconds) a request goes on being throttled, or waits for another operation's end.
local PATIENCE = 900
local BUSY_PAUSE = 30

-- Failures before anything was sent.
local UNSENT = { dns = true, refused = true, tls = true }

--- The state of one logical request. replay: it may be sent twice.
---@param random (fun(): number)?
function retry.new(core, replay, random)
  return { core = core, replay = replay, failures = 0, random = random }
end

local function unsent(err)
  return UNSENT[err.code] or err.phase == "connect" or err.code == "throttled"
    or err.reason == "arm.busy"
end

-- The request may have been carried out, and must not be twice.
local function unknown(err)
  return errors.new { reason = "arm.outcome-unknown", op = err.op, cause = err,
    status = err.status, tracking_id = err.tracking_id, correlation_id = err.correlation_id,
    message = "no answer that tells how it went: " .. err.message }
end

local function too_long(err)
  return errors.with(err, { retryable = false, message = ("%s (Azure asks to wait %.0f s)"):format(
    err.message, err.retry_after) })
end

-- Until `since[what]` is PATIENCE ago.
local function patient(state, what)
  local now = state.core.now()
  state[what] = state[what] or now
  return now - state[what] < PATIENCE
end

local function own_delay(state, err)
  state.failures = state.failures + 1
  if state.failures > RULES.retries then
    return nil
  end
  return err.retry_after or backoff.delay({ base = RULES.base, cap = RULES.cap,
    random = state.random }, state.failures)
end

-- Why err ends it at once, nil when it may pass.
local function final(state, err)
  if not err.retryable then
    return err
  elseif not state.replay and not unsent(err) then
    return unknown(err)
  elseif err.retry_after and err.retry_after > MAX_WAIT then
    return too_long(err)
  end
  return nil
end

--- What to do after err: seconds to wait | nil, the error to give up with. A throttled request
--- waits with all others of its bucket: its 0 means that the bucket was told.
---@param err arclua.Error
---@return number|nil, arclua.Error?
function retry.next(state, err)
  local why = final(state, err)
  if why then
    return nil, why
  elseif err.code == "throttled" then
    return patient(state, "throttled") and 0 or nil, err
  elseif err.reason == "arm.busy" then
    return patient(state, "busy") and (err.retry_after or BUSY_PAUSE) or nil, err
  end
  return own_delay(state, err), err
end

--- Seconds that a bucket pauses after a 429.
---@return number
function retry.pause(err)
  return math.min(err.retry_after or backoff.delay({ base = 2, cap = 60 }, 1), MAX_WAIT)
end

return retry
