-- SPDX-License-Identifier: MIT
-- Repeating what may succeed later. Looks at err.retryable and err.retry_after only.
local core = require "arclua.core"

local backoff = {}

---@class arclua.BackoffOptions
---@field retries integer     after the first try
---@field base number         seconds before the first retry, doubled for each next
---@field cap number?         longest own wait (60)
---@field max_wait number?    longest wait that a server may ask for (300)
---@field before fun(delay: number, err: arclua.Error)?  told before each wait
---@field sleep fun(seconds: number)?  instead of core.sleep
---@field random fun(): number?        instead of math.random, in [0, 1)

--- The n-th own delay (1 = first), with jitter 0.8 to 1.3.
---@return number
function backoff.delay(opts, n)
  local random = (opts.random or math.random)()
  return math.min(opts.cap or 60, opts.base * 2 ^ (n - 1) * (0.8 + random * 0.5))
end

-- Seconds until the next try, nil when err is final or the server asks for too much.
local function pause(opts, attempt, err)
  if not err or not err.retryable or attempt > opts.retries then
    return nil
  elseif err.retry_after then
    return err.retry_after <= (opts.max_wait or 300) and err.retry_after or nil
  end
  return backoff.delay(opts, attempt)
end

--- Calls try(n) until it gives a value, or an error that is not worth another try.
--- Returns what the last call returned.
---@param opts arclua.BackoffOptions
---@param try fun(attempt: integer): any, ...
function backoff.run(opts, try)
  local attempt = 1
  while true do
    local out = table.pack(try(attempt))
    local delay = out[1] == nil and pause(opts, attempt, out[2])
    if not delay then
      return table.unpack(out, 1, out.n)
    elseif opts.before then
      opts.before(delay, out[2])
    end
    local ok, ended = (opts.sleep or core.sleep)(delay)
    if not ok then
      return nil, ended
    end
    attempt = attempt + 1
  end
end

return backoff
