-- SPDX-License-Identifier: MIT
-- Error values made in Lua: the same shape and metatable as those of the core.
local core = require "arclua.core"

local errors = {}

-- Codes that say "the same request may succeed later", as in the core.
local RETRYABLE = { timeout = true, closed = true, refused = true, dns = true,
  throttled = true, unavailable = true }

---@class arclua.ErrorSpec
---@field code string?        needed unless reason is given
---@field reason string?      a key of core.reasons; decides code, retryable and remedy
---@field message string
---@field remedy string?      instead of the reason's
---@field op string?
---@field phase string?
---@field retryable boolean?
---@field retry_after number?
---@field status integer?
---@field cause arclua.Error?

--- Makes an error value.
--- Raises: an unknown reason, or neither code nor reason (our own bugs).
---@param spec arclua.ErrorSpec
---@return arclua.Error
function errors.new(spec)
  local err = {}
  for key, value in pairs(spec) do
    err[key] = value
  end
  if spec.reason then
    local known = core.reasons[spec.reason]
    if not known then
      error("unknown reason '" .. tostring(spec.reason) .. "'", 2)
    end
    err.code = spec.code or known.code
    err.remedy = spec.remedy or known.remedy
    if spec.retryable == nil then
      err.retryable = known.retryable
    end
  elseif spec.retryable == nil then
    err.retryable = RETRYABLE[spec.code] or false
  end
  if type(err.code) ~= "string" then
    error("an error needs a code or a reason", 2)
  end
  return setmetatable(err, core.error_meta)
end

--- nil, and the error: `return errors.fail{...}`.
---@param spec arclua.ErrorSpec
---@return nil, arclua.Error
function errors.fail(spec)
  return nil, errors.new(spec)
end

--- Whether value is an error value (not a raised string).
---@param value any
---@return boolean
function errors.is(value)
  return type(value) == "table" and getmetatable(value) == core.error_meta
end

-- By what names Azure's support finds the request.
local function ids(err)
  if not err.correlation_id or not err.tracking_id then
    return ""
  end
  return ("\n  request id %s, correlation id %s"):format(err.tracking_id, err.correlation_id)
end

local function with_remedy(text, err)
  if err.remedy and not text:find(err.remedy, 1, true) then
    text = text .. "\n  " .. err.remedy
  end
  return text .. ids(err)
end

--- The text for people: message, then the remedy on a second line; of ARM's errors also the ids by
--- which Azure's support finds the request.
---@param err any  what is no error value is turned into text
---@return string
function errors.describe(err)
  return errors.is(err) and with_remedy(err.message, err) or tostring(err)
end

--- The text for those who write Lua: "op: message (code)", then the remedy on a second line.
---@param err any  what is no error value is turned into text
---@return string
function errors.detail(err)
  return errors.is(err) and with_remedy(tostring(err), err) or tostring(err)
end

--- A copy of err with other fields (a shared error stays unchanged).
---@param err arclua.Error
---@param fields table  those to set
---@return arclua.Error
function errors.with(err, fields)
  local copy = {}
  for key, value in pairs(err) do
    copy[key] = value
  end
  for key, value in pairs(fields) do
    copy[key] = value
  end
  return setmetatable(copy, getmetatable(err))
end

return errors
