-- SPDX-License-Identifier: MIT
-- Faults on request. start{ faults = { {...}, ... } } or handle:fault{...} while it runs.
--
-- A fault is a table. `at` says where, `kind` what. For all of them:
--   machine = NAME     only this machine ("*" or nil: every one)
--   times   = N        then it is used up (nil: for ever)
--   after   = N        lets the first N matching requests pass
--   chance  = 0..1     of each match, by the emulator's seed (nil: always)
-- handle:fault returns the fault; handle:clear(fault) ends it, handle:clear() ends all.
--
-- at       kind            what the client sees
-- -------  --------------  ----------------------------------------------------------------
-- relay    unauthorized    401 "The token has an invalid signature."
--          forbidden       403
--          no-endpoint     404 "Endpoint does not exist."
--          no-listener     404 "There are no listeners connected for the endpoint."
--          not-accepted    404 "None of the connected listeners accepted ..." at once
--          busy            503 of the relay itself
--          error           500
--          answer          status = N, reason = TEXT
--          black-hole      no answer at all; the connection stays open
--          slow            the answer comes `delay` seconds later, then all is well
--          drop            the connection is reset instead of an answer
-- agent    silent          the agent never accepts: 404 "None of ..." after 30 s
--          reset           101, and then a reset without data
-- sshd     down            503 "connection to localhost:22 failed: dial tcp ..."
--          silent          101, and then never a byte: no banner
--          garbage         101, and then bytes that are no SSH
-- link     reset           reset after `bytes` bytes from the machine (default 0);
--                          or with bytes = "exec" when the first command has started
--          close           the same, by a WebSocket Close of `code` (default 1011)
--          stall           after `bytes` bytes nothing moves any more
-- machine  offline         ARM says Disconnected, the relay has no listener
-- arm      answer          status = N, code = TEXT, message = TEXT, retry_after = SECONDS,
--                          body = TEXT (instead of the error's JSON)
--          drop            the connection is reset
--          slow            the answer comes `delay` seconds later
--          black-hole      no answer
--                          all with method = "GET", path = Lua pattern on the lower-case path
-- entra    answer          status = N, error = TEXT, number = AADSTS number, retry_after = N
--          drop, slow, black-hole, as above
local core = require "arclua.core"

local faults = {}

local KINDS = {
  relay = "unauthorized forbidden no-endpoint no-listener not-accepted busy error answer"
    .. " black-hole slow drop",
  agent = "silent reset",
  sshd = "down silent garbage",
  link = "reset close stall",
  machine = "offline",
  arm = "answer drop slow black-hole",
  entra = "answer drop slow black-hole",
}

local FIELDS = { at = true, kind = true, machine = true, times = true, after = true,
  chance = true, status = true, reason = true, delay = true, bytes = true, code = true,
  method = true, path = true, message = true, retry_after = true, body = true, error = true,
  number = true }

local Faults = {}
Faults.__index = Faults
Faults.__name = "arclua.emulator.faults"

function faults.new(seed)
  return setmetatable({ rules = {}, seed = seed or 1, streams = {} }, Faults)
end

local function has_word(words, wanted)
  for word in words:gmatch "%S+" do
    if word == wanted then
      return true
    end
  end
  return false
end

--- Whether it is a fault of the table above; else nil and what is wrong.
---@return true|nil, string?
function faults.check(fault)
  for name in pairs(fault) do
    if not FIELDS[name] then
      return nil, "unknown field '" .. tostring(name) .. "' of a fault"
    end
  end
  local kinds = KINDS[fault.at]
  if not kinds then
    return nil, "unknown place '" .. tostring(fault.at) .. "' of a fault"
  elseif not fault.kind or not has_word(kinds, fault.kind) then
    return nil, ("fault at %s: kind is one of %s"):format(fault.at, kinds)
  end
  return true
end

--- A fault from text: "at=relay,kind=busy,times=2,machine=web-01".
---@return table|nil, string?
function faults.parse(text)
  local fault = {}
  for part in text:gmatch "[^,]+" do
    local name, value = part:match "^([%w_]+)=(.+)$"
    if not name then
      return nil, ("NAME=VALUE expected, got '%s'"):format(part)
    end
    fault[name] = tonumber(value) or value
  end
  local ok, why = faults.check(fault)
  if not ok then
    return nil, why
  end
  return fault
end

--- Raises: a fault that is not in the table above.
function Faults:add(fault)
  local ok, why = faults.check(fault)
  if not ok then
    error(why, 3)
  end
  local rule = { spec = fault, left = fault.times or math.huge, pass = fault.after or 0 }
  self.rules[#self.rules + 1] = rule
  return fault
end

--- Ends this fault, or all.
function Faults:clear(fault)
  for i = #self.rules, 1, -1 do
    if not fault or self.rules[i].spec == fault then
      table.remove(self.rules, i)
    end
  end
end

-- Where a sequence of its own begins for a name: never 0, which xorshift would keep.
local function start_of(seed, name)
  return string.unpack("<i8", core.crypto.sha256(seed .. " " .. name)) | 1
end

--- 0..1 (a 64-bit xorshift*): for the same seed and name the same sequence, whatever the others do
--- meanwhile. name: a machine's, or nil.
function Faults:random(name)
  local key = name or ""
  local x = self.streams[key] or start_of(self.seed, key)
  x = x ~ (x >> 12)
  x = x ~ (x << 25)
  x = x ~ (x >> 27)
  self.streams[key] = x
  return ((x * 0x2545F4914F6CDD1D) >> 11) / (1 << 53)
end

local function matches(spec, at, machine, request)
  if spec.at ~= at then
    return false
  elseif spec.machine and spec.machine ~= "*" and spec.machine ~= machine then
    return false
  elseif request then
    return (not spec.method or spec.method == request.method)
      and (not spec.path or request.path:lower():find(spec.path) ~= nil)
  end
  return true
end

--- The fault that is due here, counted as used; nil = none.
---@param request { method: string, path: string }?
function Faults:take(at, machine, request)
  for _, rule in ipairs(self.rules) do
    local spec = rule.spec
    if rule.left > 0 and matches(spec, at, machine, request) then
      if rule.pass > 0 then
        rule.pass = rule.pass - 1
      elseif not spec.chance or self:random(machine) < spec.chance then
        rule.left = rule.left - 1
        return spec
      end
    end
  end
  return nil
end

--- Whether such a fault is in force, without using it up.
function Faults:active(at, kind, machine)
  for _, rule in ipairs(self.rules) do
    if rule.left > 0 and rule.spec.kind == kind and matches(rule.spec, at, machine) then
      return true
    end
  end
  return false
end

return faults
