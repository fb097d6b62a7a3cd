-- SPDX-License-Identifier: MIT
-- Long-running operations of ARM: which answer begins one, how it is polled, what it gives.
-- An operation is a plain table { method, url, kind, poll, location?, retry_after? }, which can be
-- saved and waited for by a later run.
local errors = require "arclua.errors"
local json = require "arclua.json"

local operation = {}

local INTERVAL = 30 -- seconds between polls when ARM does not say
local SHORTEST, LONGEST = 0.2, 600
local TIMEOUT = 3600
local BAD = "http.bad-answer"

-- Failures to read a state that say nothing of it, and are told as they are.
local OURS = { cancelled = true, timeout = true, auth = true, denied = true, config = true,
  nomem = true }

local DONE = { succeeded = true, failed = true, canceled = true, cancelled = true }

---@class arclua.ArmOperation
---@field method string          of the request that began it
---@field url string             its URL
---@field kind "async"|"location"|"resource"  what is polled
---@field poll string            the URL to poll
---@field location string?       where the result will be
---@field retry_after number?    seconds until the first poll

local function is_change(method)
  return method == "PUT" or method == "PATCH"
end

local function provisioning(value)
  local properties = type(value) == "table" and value.properties
  local state = type(properties) == "table" and properties.provisioningState
  return type(state) == "string" and state or nil
end

local function link(sender, page, name)
  local url = page.headers and page.headers[name]
  if url and not sender:owns(url) then
    return errors.fail { reason = BAD, op = "arm.operation", tracking_id = page.request_id,
      message = "the operation's " .. name .. " leads to another host" }
  end
  return url
end

-- The links of an answer: async, location | nil, nil, err.
local function links(sender, page)
  local async, err = link(sender, page, "azure-asyncoperation")
  local location
  if not err then
    location, err = link(sender, page, "location")
  end
  return async, location, err
end

-- What is to be polled after an answer, nil when all is done.
local function kind_of(method, value, status, async, location)
  local state = is_change(method) and provisioning(value)
  local over = state and DONE[state:lower()]
  if async then
    return "async"
  elseif location and (status == 202 or status == 201 and not over) then
    return "location"
  end
  return state and not over and "resource" or nil
end

--- The operation that an answer begins; nil when all is done.
---@return arclua.ArmOperation|nil, arclua.Error?
function operation.of(sender, method, url, value, page)
  if method == "GET" or method == "HEAD" or not page then
    return nil
  end
  local async, location, err = links(sender, page)
  if err then
    return nil, err
  end
  local kind = kind_of(method, value, page.status, async, location)
  if not kind and page.status == 202 then
    return errors.fail { reason = BAD, op = "arm.operation", tracking_id = page.request_id,
      message = "202 without a link to follow the operation by" }
  end
  local polled = { async = async, location = location, resource = url }
  return kind and { method = method, url = url, retry_after = page.retry_after, kind = kind,
    poll = polled[kind], location = location }
end

local function failed(it, status, error_, page)
  local err = errors.new { reason = "arm.operation-failed", op = "arm.operation",
    message = ("the operation ended as %s"):format(status), tracking_id = page.request_id,
    correlation_id = page.correlation_id }
  local read = type(error_) == "table" and it.core.arm.failure(0, json.encode(error_))
  if read then
    err.message = err.message .. ": " .. read.message
    err.service_code, err.target = read.service_code, read.target
  end
  return err
end

local function unknown(it, cause)
  return errors.new { reason = "arm.operation-unknown", op = "arm.operation", cause = cause,
    operation = it.given,
    status = cause.status, tracking_id = cause.tracking_id, correlation_id = cause.correlation_id,
    message = "the state of the operation cannot be read: " .. cause.message }
end

-- ---- one look --------------------------------------------------------------------------------
-- Each judge gives "running" | "done", value | nil, err.

local judges = {}

function judges.async(it, value, page)
  local status = type(value) == "table" and value.status
  if type(status) ~= "string" then
    return errors.fail { reason = BAD, op = "arm.operation", tracking_id = page.request_id,
      message = "the state of an operation has no 'status'" }
  elseif not DONE[status:lower()] then
    it.status = status
    return "running"
  elseif status:lower() ~= "succeeded" then
    return nil, failed(it, status, value.error, page)
  end
  return "done", value.properties or value
end

function judges.location(it, value, page)
  if page.status == 202 then
    return "running"
  end
  return judges.resource(it, value, page)
end

function judges.resource(it, value, page)
  local state = provisioning(value)
  if not state or state:lower() == "succeeded" then
    return "done", value
  elseif DONE[state:lower()] then
    return nil, failed(it, state, value.properties.error or value.error, page)
  end
  it.status = state
  return "running"
end

-- The newest links; the first stay good, but only for a while.
local function renew_links(sender, it, page)
  local async, location, err = links(sender, page)
  if err then
    return nil, err
  end
  it.location = location or it.location
  it.poll = it.kind == "async" and async or it.kind == "location" and location or it.poll
  return true
end

-- A state that is gone after its day: what the resource itself says.
local function look_at_resource(sender, it, err)
  local value, why, page = sender:get(it.url)
  if value == nil and why.status == 404 and it.method == "DELETE" then
    return "done", true
  elseif value == nil or it.method == "POST" or it.method == "DELETE" then
    return nil, unknown(it, err)
  end
  return judges.resource(it, value, page)
end

local function look(sender, it)
  local value, err, page = sender:get(it.poll)
  if value == nil then
    if OURS[err.code] or err.reason == BAD then
      return nil, err
    elseif it.kind ~= "resource" and (err.status == 404 or err.status == 410) then
      return look_at_resource(sender, it, err)
    end
    return nil, unknown(it, err)
  end
  it.retry_after = page.retry_after
  local state
  state, value = judges[it.kind](it, value, page)
  if state == "running" then
    local ok, why = renew_links(sender, it, page)
    if not ok then
      return nil, why
    end
  end
  return state, value
end

-- ---- to the end ------------------------------------------------------------------------------

-- What the finished operation gives.
local function result(sender, it, value)
  if it.method == "DELETE" then
    return true
  elseif it.method == "POST" then
    if it.kind == "async" and it.location and it.final ~= "async" then
      return sender:get(it.location)
    end
    return value
  elseif it.kind == "resource" then
    return value
  end
  return sender:get(it.url)
end

local function expired(it, seconds)
  return errors.new { reason = "arm.operation-timeout", op = "arm.operation", operation = it.given,
    message = ("the operation is not over after %.0f s%s"):format(seconds,
      it.status and " (" .. it.status .. ")" or "") }
end

local function interval(it)
  return math.max(SHORTEST, math.min(it.retry_after or INTERVAL, LONGEST))
end

local function follow(sender, it, opts, limit)
  while true do
    local pause = interval(it)
    if sender.core.now() + pause > limit then
      pause = math.max(0, limit - sender.core.now())
    end
    local ok, ended = sender.core.sleep(pause)
    if not ok then
      return nil, ended
    end
    local state, value = look(sender, it)
    if state == "done" then
      return result(sender, it, value)
    elseif not state then
      return nil, value
    elseif opts.progress then
      opts.progress(it.status or "Running")
    end
    if sender.core.now() >= limit then
      return nil, nil
    end
  end
end

--- Polls an operation to its end: the resource (PUT, PATCH), the result (POST), true (DELETE).
--- sender: what sends GETs, { core, owns(url), get(url) }.
---@param given arclua.ArmOperation
---@param opts { timeout: number?, final: string?, progress: fun(status: string)? }
---@return any value, arclua.Error? err, arclua.ArmPage? page
function operation.wait(sender, given, opts)
  local it = { core = sender.core, final = opts.final, given = given }
  for name, value in pairs(given) do
    it[name] = value
  end
  local seconds = opts.timeout or TIMEOUT
  local value, err, page = follow(sender, it, opts, sender.core.now() + seconds)
  if value == nil and not err then
    return nil, expired(it, seconds)
  end
  return value, err, page
end

return operation
