-- SPDX-License-Identifier: MIT
-- What Entra has refused it refuses again for a while: equal requests are then answered from
-- memory, so that a program that loops does not have its tenant throttled or its user locked.
local errors = require "arclua.errors"

local throttle = {}

local LONGEST = 3600 -- seconds, whatever the server asks for
local PUBLIC, CONFIDENTIAL = 60, 5 -- while a server is busy, by who asks
local REFUSED = 60 -- a request that a person must do something about

-- Differ at each request, and say nothing about who asks.
local PASSING = { client_assertion = true, client_assertion_type = true }

-- By primitives, which are one in a program: key -> { err, ends, since }.
local states = setmetatable({}, { __mode = "k" })

local function mark(core, value)
  if type(value) == "string" then
    return value
  end
  return core.crypto.hex(core.crypto.hmac_sha256(value, "arclua throttle"))
end

--- What makes two requests equal. Secrets are in it as digests only.
---@param request { url: string, form: table, ssh_key: arclua.SshKey? }
---@param proof string|arclua.Secret|nil  what an assertion in the form stands for
---@return string
function throttle.key(core, request, proof)
  local parts = { "proof=" .. (proof and mark(core, proof) or ""),
    "ssh_key=" .. (request.ssh_key and request.ssh_key:id() or "") }
  for name, value in pairs(request.form) do
    if not PASSING[name] then
      parts[#parts + 1] = name .. "=" .. mark(core, value)
    end
  end
  table.sort(parts)
  return request.url .. "\n" .. table.concat(parts, "\n")
end

--- The refusal that an equal request got a short while ago, nil when it may be made.
---@return arclua.Error?
function throttle.known(core, key)
  local state, now = states[core], core.time()
  local entry = state and state[key]
  if not entry or now >= entry.ends or now < entry.since then
    return nil
  end
  local left = math.ceil(entry.ends - now)
  return errors.with(entry.err, { retry_after = left,
    message = ("%s (known for %d s, asked again in %d s)"):format(entry.err.message,
      math.floor(now - entry.since), left) })
end

local function life(err, public)
  if err.retry_after then
    return math.min(err.retry_after, LONGEST)
  elseif not err.status then -- nobody answered
    return 0
  elseif err.status == 400 then
    return REFUSED
  elseif err.status == 401 then
    return CONFIDENTIAL
  elseif err.status == 429 or err.status >= 500 then
    return public and PUBLIC or CONFIDENTIAL
  end
  return 0
end

local function forget_old(state, now)
  for key, entry in pairs(state) do
    if now >= entry.ends then
      state[key] = nil
    end
  end
end

--- Remembers a refusal. public: of a client without a secret. key nil: nothing was asked.
---@param err arclua.Error
function throttle.note(core, key, err, public)
  local seconds = key and life(err, public) or 0
  if seconds <= 0 then
    return
  end
  local now = core.time()
  local state = states[core] or {}
  states[core] = state
  forget_old(state, now)
  state[key] = { err = err, since = now, ends = now + seconds }
end

return throttle
