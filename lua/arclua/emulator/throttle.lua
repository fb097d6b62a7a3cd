-- SPDX-License-Identifier: MIT
-- ARM's token buckets: one for each subscription (or the tenant), principal and kind of request;
-- and one that all principals of a subscription share, 15 times as large.
local core = require "arclua.core"

local throttle = {}

-- As documented since 2024, a region.
local BUCKETS = {
  reads = { size = 250, refill = 25 },
  writes = { size = 200, refill = 10 },
  deletes = { size = 200, refill = 10 },
}
local GLOBAL = 15

local Throttle = {}
Throttle.__index = Throttle

--- mode: "off", "documented", or a factor on size and refill.
--- Raises: another word.
function throttle.new(mode)
  local factor = mode == "documented" and 1 or tonumber(mode)
  if mode ~= "off" and (not factor or factor <= 0) then
    error("throttle: 'documented', 'off' or a factor above 0 expected, got "
      .. tostring(mode), 0)
  end
  return setmetatable({ factor = mode ~= "off" and factor or nil, levels = {} }, Throttle)
end

function throttle.kind(method)
  if method == "GET" or method == "HEAD" then
    return "reads"
  end
  return method == "DELETE" and "deletes" or "writes"
end

-- The level of a bucket at this time.
local function level_of(self, key, size, refill, now)
  local level = self.levels[key] or { tokens = size, at = now, closed = 0 }
  self.levels[key] = level
  level.tokens = math.min(size, level.tokens + (now - level.at) * refill)
  level.at = now
  return level
end

-- Seconds that whoever asks now is sent away for, nil when it may have a token. Who comes back too
-- early waits anew.
local function refusal(level, refill, now)
  if now < level.closed or level.tokens < 1 then
    local wait = math.max(1, math.ceil((1 - level.tokens) / refill))
    level.closed = now + wait
    return wait
  end
  return nil
end

--- Takes one token of both buckets: what is left in its own and in the shared one | nil, seconds to
--- wait.
---@param scope string      a subscription's ID, or "tenant"
---@param principal string
---@param kind "reads"|"writes"|"deletes"
---@return integer|nil, integer
function Throttle:take(scope, principal, kind)
  local bucket, now = BUCKETS[kind], core.now()
  if not self.factor then
    return bucket.size - 1, bucket.size * GLOBAL - 1
  end
  local size, refill = math.max(1, bucket.size * self.factor), bucket.refill * self.factor
  local own = level_of(self, ("%s %s %s"):format(scope, principal, kind), size, refill, now)
  local all = level_of(self, ("%s * %s"):format(scope, kind), size * GLOBAL, refill * GLOBAL, now)
  local wait = refusal(own, refill, now) or refusal(all, refill * GLOBAL, now)
  if wait then
    return nil, wait
  end
  own.tokens, all.tokens = own.tokens - 1, all.tokens - 1
  return math.floor(own.tokens), math.floor(all.tokens)
end

return throttle
