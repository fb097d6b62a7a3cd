-- SPDX-License-Identifier: MIT
-- How fast requests may go to ARM, so that a large run is paced instead of refused. One bucket for
-- each subscription and kind of request (a sign-in is one principal), as ARM keeps them. What its
-- answers say is left corrects ours: other programs drink from the same bucket, and real ones may
-- be larger than documented.
local real = require "arclua.core"

local Pace = {}
Pace.__index = Pace

---@class arclua.PaceKind
---@field size number     requests at once
---@field rate number     more of them a second
---@field left string?    the header that tells how many are left, %s: "subscription" or "tenant"

---@type table<string, arclua.PaceKind>
local KINDS = {
  read = { size = 250, rate = 25, left = "x-ms-ratelimit-remaining-%s-reads" },
  write = { size = 200, rate = 10, left = "x-ms-ratelimit-remaining-%s-writes" },
  delete = { size = 200, rate = 10, left = "x-ms-ratelimit-remaining-%s-deletes" },
  graph = { size = 15, rate = 3, left = "x-ms-user-quota-remaining" },
}

local RESETS = "x-ms-user-quota-resets-after"
local WINDOW = 5 -- seconds of Resource Graph's quota, when it does not say
local TINY = 1e-6
-- So many are never used: ours may be ahead of ARM's count by less than one.
local RESERVE = 1
-- A rate that ARM refuses is halved, down to LEAST of the documented one; each answer after that
-- brings STEP of that back: a subscription may have less, and others may use the same bucket.
local LEAST, STEP = 1 / 64, 1 / 400

---@param primitives table?
local function new(primitives)
  return setmetatable({ buckets = {}, core = primitives or real }, Pace)
end

--- The bucket of a request: "tenant" without a subscription.
---@return string subscription, "read"|"write"|"delete"|"graph" kind
function Pace.classify(method, url)
  local path = url:lower():match "^[^?]*"
  if path:find("/providers/microsoft.resourcegraph/", 1, true) then
    return "tenant", "graph"
  end
  local kind = (method == "GET" or method == "HEAD") and "read"
    or method == "DELETE" and "delete" or "write"
  return path:match "/subscriptions/([^/]+)" or "tenant", kind
end

local function bucket(self, subscription, kind)
  local key = kind .. " " .. subscription:lower()
  local one = self.buckets[key]
  if not one then
    local now, rules = self.core.now(), KINDS[kind]
    one = { kind = kind, size = rules.size, rate = rules.rate, left = rules.size, at = now,
      paused = now, sent = 0, flying = 0, free = self.core.cond(),
      header = rules.left:format(subscription == "tenant" and "tenant" or "subscription") }
    self.buckets[key] = one
  end
  return one
end

local function refill(one, now)
  if now > one.at then
    one.left = math.min(one.size, one.left + (now - one.at) * one.rate)
    one.at = now
  end
end

-- Seconds until one more may go.
local function delay_of(one, now)
  refill(one, now)
  local lacking = 1 + RESERVE - one.left
  return math.max(one.paused - now, lacking > TINY and lacking / one.rate or 0)
end

-- Waits at the head of the line: what a pause adds meanwhile counts, too.
local function wait_turn(self, one)
  while true do
    local delay = delay_of(one, self.core.now())
    if delay <= 0 then
      return true
    end
    local ok, err = self.core.sleep(delay)
    if not ok then
      return nil, err
    end
  end
end

local function stand_in_line(one)
  while one.held do
    local ok, err = one.free:wait()
    if not ok then
      return nil, err
    end
  end
  one.held = true
  return true
end

--- Waits until one more request may be sent: a ticket, for :leave | nil, err.
---@param subscription string
---@param kind "read"|"write"|"delete"|"graph"
---@return table|nil, arclua.Error?
function Pace:enter(subscription, kind)
  local one = bucket(self, subscription, kind)
  local ok, err = stand_in_line(one)
  if not ok then
    return nil, err
  end
  ok, err = wait_turn(self, one)
  one.held = false
  one.free:signal()
  if not ok then
    return nil, err
  end
  one.left, one.sent, one.flying = one.left - 1, one.sent + 1, one.flying + 1
  return { bucket = one, number = one.sent, at = self.core.now() }
end

local function seconds_of(text)
  local h, m, s = (text or ""):match "^(%d+):(%d%d):(%d%d)$"
  return h and h * 3600 + m * 60 + s or WINDOW
end

-- What is left at ARM: at least what it said, less all that it may not have counted (requests do
-- not arrive in the order they were sent in); at most what it said, with what has come in since and
-- the part of one that a whole number does not tell.
local function correct(one, ticket, remaining, now)
  refill(one, now)
  local least = remaining - (one.sent - ticket.number) - one.flying
  local most = remaining + 1 + (now - ticket.at) * one.rate
  one.size = math.max(one.size, remaining + 1)
  one.left = math.max(least, math.min(one.left, most))
end

-- Once a pause: those that are under way may be refused, too.
local function slow_down(one, now)
  if now >= one.paused then
    one.rate = math.max(one.rate / 2, KINDS[one.kind].rate * LEAST)
  end
end

--- ARM has answered: headers, when an answer came; throttled: seconds that it asks to wait.
---@param ticket table
---@param headers table<string, string>?
---@param throttled number?
function Pace:leave(ticket, headers, throttled)
  local one, now = ticket.bucket, self.core.now()
  one.flying = one.flying - 1
  local remaining = headers and tonumber(headers[one.header])
  if throttled then
    slow_down(one, now)
    self:pause(one, throttled)
    return
  end
  one.rate = math.min(one.rate + STEP * KINDS[one.kind].rate, KINDS[one.kind].rate)
  if remaining then
    correct(one, ticket, remaining, now)
    if one.kind == "graph" and remaining < 1 then
      self:pause(one, seconds_of(headers[RESETS]))
    end
  end
end

--- Nobody sends a request of this bucket for so many seconds; then one, then the rest in turn.
function Pace:pause(one, seconds)
  local now = self.core.now()
  refill(one, now)
  one.paused = math.max(one.paused, now + seconds)
  one.left, one.at = 1 + RESERVE, math.max(one.at, one.paused)
end

--- Seconds that so many requests of a kind will take by the bucket's measure.
---@return number
function Pace:expected(subscription, kind, count)
  local one, now = bucket(self, subscription, kind), self.core.now()
  refill(one, now)
  local after = math.max(one.at, now) - now
  return math.max(0, after + (count + RESERVE - one.left) / one.rate)
end

return { new = new, classify = Pace.classify }
