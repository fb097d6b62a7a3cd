-- SPDX-License-Identifier: MIT
-- Several GETs in one request (POST /batch). ARM documents it nowhere: what comes back unread,
-- throttled or not at all is asked for by itself.
local json = require "arclua.json"
local map = require "arclua.map"

local batch = {}

local SIZE, PARALLEL = 20, 8
local API = "2020-06-01"

-- The path of a URL of ours, as batches want it.
local function relative(sender, url)
  return url:sub(#sender.cloud.resource_manager + 1)
end

local function body_of(sender, urls, from, to)
  local requests = json.array {}
  for i = from, to do
    requests[#requests + 1] = { httpMethod = "GET", name = tostring(i),
      url = relative(sender, urls[i]) }
  end
  return { requests = requests }
end

-- The one answer of an entry: { value = } or { err = }; nil when it is to be asked for again.
local function read(core, response)
  local status = math.tointeger(response.httpStatusCode)
  local content = response.content
  if not status then
    return nil
  elseif status >= 200 and status <= 299 then
    if status == 202 then
      return nil
    end
    return { value = content == nil and true or content, status = status }
  end
  local err = core.arm.failure(status, content ~= nil and json.encode(content) or "")
  if err.retryable then
    return nil
  end
  local headers = type(response.headers) == "table" and response.headers or {}
  err.op, err.tracking_id = "arm.batch", headers["x-ms-request-id"]
  err.correlation_id = headers["x-ms-correlation-request-id"]
  return { err = err, status = status }
end

local function take(core, value, out, from, to)
  local responses = type(value) == "table" and value.responses
  for _, response in ipairs(type(responses) == "table" and responses or {}) do
    local i = type(response) == "table" and math.tointeger(tonumber(response.name))
    if i and i >= from and i <= to then
      out[i] = read(core, response)
    end
  end
end

-- Errors that say "no batches here", not "nothing works".
local function is_refusal(err)
  return err.status ~= nil and err.status ~= 401
end

-- Asks for what no batch answered.
local function singly(sender, urls, out)
  local missing = {}
  for i = 1, #urls do
    if not out[i] then
      missing[#missing + 1] = i
    end
  end
  local ok, err = map(missing, function(i)
    local value, why, page = sender:get(urls[i])
    out[i] = { value = value, err = why, status = page and page.status }
  end, { parallel = PARALLEL })
  return ok and out, err
end

--- Sends GETs of these URLs, 20 at a time. sender: an arclua.ArmClient.
---@param urls string[]
---@return { value: any, err: arclua.Error?, status: integer? }[]|nil, arclua.Error?
function batch.get(sender, urls)
  local out = {}
  for from = 1, #urls, SIZE do
    local to = math.min(from + SIZE - 1, #urls)
    local value, err = sender:request { method = "POST", replay = true, wait = true,
      url = sender:url("/batch", API), body = body_of(sender, urls, from, to) }
    if value == nil and not is_refusal(err) then
      return nil, err
    end
    take(sender.core, value, out, from, to)
  end
  return singly(sender, urls, out)
end

return batch
