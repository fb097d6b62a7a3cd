-- SPDX-License-Identifier: MIT
-- POST /batch: several requests in one. Each is checked, throttled and answered by itself.
local json = require "arclua.json"
local operations = require "arclua.emulator.arm_operations"
local reply = require "arclua.emulator.arm_reply"
local text = require "arclua.emulator.text"

local batch = {}

local MOST = 20
local NAMES = { "operationresults", "operationresults" }

local function bad(message)
  return reply.fail(400, "InvalidBatchRequest", message, { cause = "gateway" })
end

-- What is wrong with an entry, nil when nothing is.
local function wrong(entry, names)
  local url = type(entry) == "table" and (entry.url or entry.relativeUrl)
  if type(url) ~= "string" or not url:find "^/" or url:lower():find "^/batch" then
    return "A request of the batch has no usable url."
  elseif type(entry.name) ~= "string" or names[entry.name] then
    return "The requests of a batch need names that differ."
  end
  names[entry.name] = true
end

-- The requests of the body | nil, what is wrong.
local function read(request)
  local body = json.decode(request.body)
  local list = type(body) == "table" and body.requests
  if type(list) ~= "table" or #list == 0 then
    return nil, "The batch has no requests."
  elseif #list > MOST then
    return nil, ("The batch has more than %d requests."):format(MOST)
  end
  local names = {}
  for _, entry in ipairs(list) do
    local why = wrong(entry, names)
    if why then
      return nil, why
    end
  end
  return list
end

local function sub_request(request, entry)
  local path, query = (entry.url or entry.relativeUrl):match "^([^?]*)%??(.*)$"
  return { method = entry.httpMethod or "GET", path = path, query = query,
    headers = request.headers, body = entry.content and json.encode(entry.content) or "",
    query_table = text.pairs(query, false, false) }
end

local function answer(request, entry, route)
  local headers = {}
  local status, more, body = route(sub_request(request, entry), headers)
  for name, value in pairs(more) do
    headers[name] = value
  end
  return { name = entry.name, httpStatusCode = status, headers = reply.finish(request, headers),
    content = body ~= "" and body or nil }
end

--- route(request, headers) answers one request, the buckets' headers into headers.
function batch.handle(state, request, route)
  local list, why = read(request)
  if not list then
    return bad(why)
  end
  local responses = json.array {}
  for i, entry in ipairs(list) do
    responses[#list + 1 - i] = answer(request, entry, route) -- in any order, as Azure does
  end
  if not request.deferred then
    return 200, {}, { responses = responses }
  end
  return operations.start(state, request, "providers/Microsoft.Resources", { status = 202,
    style = "location", retry_after = 5, names = NAMES, finish = function()
      return { responses = responses }
    end })
end

return batch
