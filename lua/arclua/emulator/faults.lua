-- SPDX-License-Identifier: MIT
-- Faults on request. start{ faults = { {...}, ... } } or handle:fault{...} while it runs.
--
-- A fault is a table. `at` says where, `kind` what. For all of them:
--   machine = NAME     only this machine ("*" or nil: every one)
--   times   = N        then it is used up (nil: for ever)
--   after   = N        lets the first N matching requests pass
--   chance  = 0..1     of each match, by the emulator's seed (nil: always)
--   begins  = SECONDS  nothing before, from when it was added (nil: at once)
--   lasts   = SECONDS  from then on (nil: for ever): a storm
-- Each that strikes is one event "fault" in the log.
-- handle:fault returns the fault; handle:clear(fault) ends it, handle:clear() ends all.
--
-- at       kind            what the client sees
-- -------  --------------  ----------------------------------------------------------------
-- relay    unauthorized    401 "The token has an invalid signature."
--          expired         401 "ExpiredToken: ..."
--          forbidden       403
--          no-endpoint     404 "Endpoint does not exist."
--          no-listener     404 "There are no listeners connected for the endpoint."
--          not-accepted    404 "None of the connected listeners accepted ..." at once
--          busy            503 of the relay itself
--          error           500
--          answer          status = N, reason = TEXT
--          black-hole      no answer at all; the connection stays open
--          slow            the answer comes `delay` seconds later, then all is well;
--                          with `upto`: between `delay` and `upto` seconds, by the seed
--          drop            the connection is reset instead of an answer
-- agent    silent          the agent never accepts: 404 "None of ..." after 30 s
--          reset           101, and then a reset without data
-- sshd     down            503 "connection to localhost:22 failed: dial tcp ..."
--          silent          101, and then never a byte: no banner
--          garbage         101, and then bytes that are no SSH
-- sftp     absent          the machine's sshd has no subsystem sftp
--          full            a file of more than `bytes` bytes (64 KiB, in steps of 1 KiB) finds
--                          the disk full: SFTP's "Failure"
--          read-only       nothing may be written: "Permission denied"
-- link     reset           reset after `bytes` bytes (default 0) from the machine, or with
--                          from = "sender" from there;
--                          or with bytes = "exec" when the first command has started
--          close           the same, by a WebSocket Close of `code` (default 1011)
--          stall           after `bytes` bytes nothing moves any more
-- accept   close           an outside listener's control channel is ended by a Close of `code`
--                          (1011) instead of being told of a sender
-- renew    close           the same, when it renews its token
-- node     restart         the relay's node restarts `begins` seconds from now (0), and again
--                          `every` seconds: every connection is ended by a Close of `code`
--                          (1011), or a reset if it is older than the fault; senders find no
--                          listener for `down` seconds (0)
-- clock    skew            Entra's, ARM's and the relay's clocks are `seconds` fast; with
--                          `machine` that machine's clock instead, by which its agent judges
-- machine  offline         ARM says Disconnected, the relay has no listener
-- arm      answer          status = N, code = TEXT, message = TEXT, retry_after = SECONDS,
--                          body = TEXT (instead of the error's JSON)
--          drop            the connection is reset
--          lost            the request is carried out, then the connection is reset
--          slow            the answer comes `delay` (to `upto`) seconds later
--          black-hole      no answer
--          short-lived     credentials of a relay end after `lifetime` seconds (0)
--          challenge       401 with claims (CAE) for tokens from before the fault
--          loop            a page of a list links to itself
--          foreign-link    a page of a list links to another host
--          deferred        a batch is answered 202, its answers come later
--                          all with method = "GET", path = Lua pattern on the lower-case path
-- operation  fail          a long-running operation ends as Failed, with `code` and `message`
--                          (code = none: without an error)
--          cancel          it ends as Canceled
--          never           it never ends
--          gone            its links say 404
--          rotate          only its newest link is good
--          foreign-link    its links lead to another host
--                          all chosen when it begins, with method and path as arm
-- entra    answer          status = N, error = TEXT, number = AADSTS number, retry_after = N
--          short-lived     tokens end after `lifetime` seconds (0)
--          drop, slow, black-hole, as above
-- certificate  expired      an SSH certificate that ended a minute ago
--          foreign         one that an authority signed whom no machine trusts
--          short-lived     certificates end after `lifetime` seconds
local core = require "arclua.core"

local faults = {}

local KINDS = {
  relay = "unauthorized expired forbidden no-endpoint no-listener not-accepted busy error answer"
    .. " black-hole slow drop",
  agent = "silent reset",
  sshd = "down silent garbage",
  sftp = "absent full read-only",
  link = "reset close stall",
  accept = "close",
  renew = "close",
  node = "restart",
  clock = "skew",
  machine = "offline",
  arm = "answer drop lost slow black-hole short-lived challenge loop foreign-link deferred",
  operation = "fail cancel never gone rotate foreign-link",
  entra = "answer drop slow black-hole short-lived",
  certificate = "expired foreign short-lived",
}

local PLACES = "relay, agent, sshd, sftp, link, accept, renew, node, clock, machine, arm, "
  .. "operation, entra, certificate"

-- What each field is; true: a number or a word ("exec", a code of ARM's).
local FIELDS = { bytes = true, code = true }
for name in ("at kind machine from reason method path message body error"):gmatch "%S+" do
  FIELDS[name] = "string"
end
for name in ("times after chance begins lasts status delay upto retry_after number seconds every"
  .. " down lifetime"):gmatch "%S+" do
  FIELDS[name] = "number"
end

local Faults = {}
Faults.__index = Faults
Faults.__name = "arclua.emulator.faults"

--- log: gets an event for each that strikes, or nil.
function faults.new(seed, log)
  return setmetatable({ rules = {}, seed = seed or 1, streams = {}, log = log }, Faults)
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
  for name, value in pairs(fault) do
    local wanted = FIELDS[name]
    if not wanted then
      return nil, ("a fault has no field '%s'"):format(name)
    elseif wanted ~= true and type(value) ~= wanted then
      return nil, ("field '%s' of a fault: %s expected, got '%s'"):format(name, wanted, value)
    end
  end
  local kinds = KINDS[fault.at]
  if not kinds then
    return nil, ("at=%s: one of %s expected"):format(fault.at, PLACES)
  elseif not fault.kind or not has_word(kinds, fault.kind) then
    return nil, ("at=%s,kind=%s: one of %s expected"):format(fault.at, fault.kind,
      (kinds:gsub(" ", ", ")))
  elseif fault.from and fault.from ~= "machine" and fault.from ~= "sender" then
    return nil, "a fault comes from the machine or from the sender"
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
    fault[name] = FIELDS[name] ~= "string" and tonumber(value) or value
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
  local begins = core.now() + (fault.begins or 0)
  local rule = { spec = fault, since = self:time(), left = fault.times or math.huge,
    pass = fault.after or 0, begins = begins, ends = begins + (fault.lasts or math.huge) }
  self.rules[#self.rules + 1] = rule
  return fault
end

--- Ends this fault, or all.
function Faults:clear(fault)
  for i = #self.rules, 1, -1 do
    if not fault or self.rules[i].spec == fault then
      table.remove(self.rules, i).left = 0
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
    if spec.kind == "short-lived" and at == "arm"
      and not request.path:lower():find "/listcredentials$" then
      return false
    end
    return (not spec.method or spec.method == request.method)
      and (not spec.path or request.path:lower():find(spec.path) ~= nil)
  end
  return true
end

local function in_force(rule)
  local now = core.now()
  return rule.left > 0 and now >= rule.begins and now < rule.ends
end

--- Notes in the log that a fault has struck.
function Faults:struck(fault, more)
  if self.log then
    local entry = { at = fault.at, kind = fault.kind, status = fault.status }
    for key, value in pairs(more) do
      entry[key] = value
    end
    self.log:add("fault", entry)
  end
end

--- The seconds that a fault of kind slow takes.
function Faults:delay(fault, machine)
  local least = fault.delay or 5
  return fault.upto and least + (fault.upto - least) * self:random(machine) or least
end

-- Of a token, not of a request: whoever checks it asks for these.
local PASSIVE = { challenge = true }

-- A link's fault strikes later, if ever; others do when they are taken.
local function note(self, spec, machine, request)
  if spec.at ~= "link" then
    self:struck(spec, { machine = machine, path = request and request.path })
  end
  return spec
end

--- The fault that is due here, counted as used; nil = none. request.spared: it had its fault.
---@param request { method: string, path: string }?
function Faults:take(at, machine, request)
  for _, rule in ipairs(request and request.spared and {} or self.rules) do
    local spec = rule.spec
    if in_force(rule) and not PASSIVE[spec.kind] and matches(spec, at, machine, request) then
      if rule.pass > 0 then
        rule.pass = rule.pass - 1
      elseif not spec.chance or self:random(machine) < spec.chance then
        rule.left = rule.left - 1
        return note(self, spec, machine, request)
      end
    end
  end
  return nil
end

--- Since when (by the cloud's clock) tokens of before get a claims challenge, and a function that
--- notes that one did; nil = they do not.
function Faults:challenge()
  for _, rule in ipairs(self.rules) do
    if in_force(rule) and rule.spec.kind == "challenge" then
      return rule.since, function()
        rule.left = rule.left - 1
        self:struck(rule.spec, {})
      end
    end
  end
end

--- Whether such a fault is in force, without using it up.
function Faults:active(at, kind, machine)
  for _, rule in ipairs(self.rules) do
    if in_force(rule) and rule.spec.kind == kind and matches(rule.spec, at, machine) then
      return true
    end
  end
  return false
end

--- Whether a fault of this place may still come.
function Faults:expects(at)
  for _, rule in ipairs(self.rules) do
    if rule.spec.at == at and rule.left > 0 and core.now() < rule.ends then
      return true
    end
  end
  return false
end

--- How many seconds a clock is fast: a machine's, or (nil) the cloud's.
function Faults:skew(machine)
  local sum = 0
  for _, rule in ipairs(self.rules) do
    local spec = rule.spec
    if spec.at == "clock" and in_force(rule)
      and (spec.machine == machine or (machine and spec.machine == "*")) then
      sum = sum + (spec.seconds or 0)
      if not rule.said then
        rule.said = true
        self:struck(spec, { machine = spec.machine, seconds = spec.seconds })
      end
    end
  end
  return sum
end

--- Seconds since 1970 by that machine's clock, or (nil) by the cloud's.
function Faults:time(machine)
  return core.time() + self:skew(machine)
end

return faults
