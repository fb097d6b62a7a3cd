-- SPDX-License-Identifier: MIT
-- Reaching a machine through the relay: attempts, and when another one makes sense.
local real = require "arclua.core"
local errors = require "arclua.errors"

local relay = {}

-- The agent is not there (yet): wait 1, 2, 4, 5, 5 ... s within a budget.
local ABSENT = { ["relay.no-listener"] = true, ["relay.no-endpoint"] = true }
local PAUSES = { 1, 2, 4 }
local LONGEST_PAUSE = 5
local JITTER = 0.2
local BUDGET, BUDGET_AFTER_CHANGE = 30, 180
-- Names of hybrid connections rotate: ask for new ones this often meanwhile.
local RELIST = 30
-- Other failures that may pass.
local TRIES = 3

---@class arclua.RelayRequest
---@field info arclua.RelayInfo
---@field port integer
---@field changed boolean?     we have just set the machine up
---@field budget number?       seconds that an absent agent gets; default 30, 180 when changed
---@field cached boolean?      the credentials are kept ones: the endpoint may have another name
---@field ca string?
---@field renew fun(): arclua.RelayInfo?, arclua.Error?   new credentials
---@field on_wait fun(text: string, err: arclua.Error)?   before each pause: what is waited for
---@field on_attempt fun()?
---@field primitives table?
---@field random fun(): number?

-- What an absent agent's answers say of how far its waking is: they come in this order.
local WAITING = {
  ["relay.no-endpoint"] = "waiting for the agent (not registered yet)",
  ["relay.no-listener"] = "waiting for the agent (no listener yet)",
}

local function pause(n, random)
  return (PAUSES[n] or LONGEST_PAUSE) * (1 - JITTER + 2 * JITTER * random())
end

-- What ARM says instead of new credentials, and explains the refusal.
local function explains(err)
  return err.code == "cancelled" or err.reason == "arm.setup-needed"
end

-- Replaces the credentials: true | nil, err. Why they were refused is told when ARM is silent.
local function renew(state, request, refusal)
  local info, err = request.renew()
  if not info then
    return nil, explains(err) and err or refusal
  end
  state.info, state.listed = info, state.core.now()
  return true
end

-- What to do after err: seconds to wait (0 = at once), or nil, err to give up.
local function next_step(state, request, err)
  local now = state.core.now()
  if err.reason == "relay.denied" then
    if state.renewed then
      return nil, err
    end
    state.renewed = true
    local ok, why = renew(state, request, err)
    return ok and 0, why
  elseif not err.retryable then
    return nil, err
  elseif not ABSENT[err.reason] then
    state.failures = state.failures + 1
    return state.failures < TRIES and pause(state.failures, state.random) or nil, err
  end
  state.absences = state.absences + 1
  local delay = pause(state.absences, state.random)
  if now + delay - state.began > state.budget then
    return nil, err
  end
  if err.reason == "relay.no-endpoint" and now - state.listed >= RELIST then
    local ok, why = renew(state, request, err)
    if not ok then
      return nil, why
    end
  end
  return delay
end

-- "waiting for the agent (no listener yet), 12 s, attempt 4"
local function describe(state, err)
  local what = WAITING[err.reason] or ("trying again (%s)"):format(err.message:match "[^\n]*")
  return ("%s, %.0f s, attempt %d"):format(what, state.core.now() - state.began,
    state.attempts + 1)
end

-- The last error, with how long it was tried. alike: the same for machines that fared alike.
local function give_up(state, err)
  if state.attempts < 2 or err.code == "cancelled" then
    return err
  end
  local elapsed = state.core.now() - state.began
  return errors.with(err, { attempts = state.attempts, elapsed = elapsed, alike = err.message,
    message = ("%s; gave up after %d attempts in %.0f s"):format(err.message, state.attempts,
      elapsed) })
end

-- Waits before the next attempt: true | nil, err.
local function rest(state, request, delay, err)
  if delay <= 0 then
    return true
  elseif request.on_wait then
    request.on_wait(describe(state, err), err)
  end
  local ok, ended = state.core.sleep(delay)
  if not ok then
    return nil, ended.code == "timeout" and err or ended
  end
  return true
end

local function new_state(request)
  local core = request.primitives or real
  local now = core.now()
  return { core = core, info = request.info, began = now, attempts = 0, failures = 0,
    absences = 0, listed = request.cached and -math.huge or now,
    budget = request.budget or (request.changed and BUDGET_AFTER_CHANGE or BUDGET),
    random = request.random or math.random }
end

--- A stream to the machine's SSH server. Deadlines and cancels of the task end it.
---@param request arclua.RelayRequest
---@return arclua.Stream|nil, arclua.Error?
function relay.connect(request)
  local state = new_state(request)
  while true do
    if request.on_attempt then
      request.on_attempt()
    end
    state.attempts = state.attempts + 1
    local stream, err = state.core.relay.connect(state.info,
      { port = request.port, ca = request.ca })
    if stream then
      return stream
    elseif state.last and err.code == "timeout" and not err.reason then
      -- The caller's time is up: what kept us from connecting says more than "timeout".
      state.attempts = state.attempts - 1
      return nil, give_up(state, state.last)
    end
    state.last = err
    local delay, why = next_step(state, request, err)
    if not delay then
      return nil, give_up(state, why)
    end
    local ok, ended = rest(state, request, delay, err)
    if not ok then
      return nil, give_up(state, ended)
    end
  end
end

return relay
