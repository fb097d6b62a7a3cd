-- SPDX-License-Identifier: MIT
-- ARM's token buckets: one for each subscription and kind of request.
local core = require "arclua.core"

local throttle = {}

-- As documented since 2024, for one principal and region.
local BUCKETS = {
  reads = { size = 250, refill = 25 },
  writes = { size = 200, refill = 10 },
  deletes = { size = 200, refill = 10 },
}

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

--- Takes one token. remaining, nil | nil, seconds to wait.
function Throttle:take(subscription, kind)
  local bucket = BUCKETS[kind]
  if not self.factor then
    return bucket.size - 1
  end
  local size, refill = math.max(1, bucket.size * self.factor), bucket.refill * self.factor
  local key, now = subscription .. " " .. kind, core.now()
  local level = self.levels[key] or { tokens = size, at = now }
  self.levels[key] = level
  level.tokens = math.min(size, level.tokens + (now - level.at) * refill)
  level.at = now
  if level.tokens < 1 then
    return nil, math.max(1, math.ceil((1 - level.tokens) / refill))
  end
  level.tokens = level.tokens - 1
  return math.floor(level.tokens)
end

return throttle
