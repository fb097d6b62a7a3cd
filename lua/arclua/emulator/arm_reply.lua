-- SPDX-License-Identifier: MIT
-- The shapes of ARM's answers: headers that each has, errors, timestamps.
local core = require "arclua.core"
local json = require "arclua.json"
local text = require "arclua.emulator.text"

local reply = {}

--- RFC 3339 with seven digits of a second, as ARM writes times.
function reply.time(seconds)
  local whole = math.floor(seconds)
  return ("%s.%07dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", whole),
    math.floor((seconds - whole) * 1e7))
end

--- status, headers, body of an error.
---@param extra { headers: table?, cause: "gateway"|"service"|nil, target: string?,
---   details: table? }?
function reply.fail(status, code, message, extra)
  extra = extra or {}
  local headers = extra.headers or {}
  headers["x-ms-failure-cause"] = extra.cause
  return status, headers, { error = { code = code, message = message, target = extra.target,
    details = extra.details } }
end

-- The place that a skip token names; a token of ours is only ever passed back.
local function place(query)
  if not query["$skiptoken"] then
    return 1
  end
  local raw = core.crypto.unbase64(query["$skiptoken"])
  local from = raw and tonumber(raw:match '^{"o":(%d+)}$')
  return from and math.tointeger(from)
end

-- The URL of the page that begins at a place: the request's own with a token.
local function link(state, request, from)
  local query = {}
  for part in request.query:gmatch "[^&]+" do
    if not text.decode(part):lower():find "^%$skiptoken=" then
      query[#query + 1] = part
    end
  end
  local token = core.crypto.base64(('{"o":%d}'):format(from))
  return ("%s%s?%s&%%24skiptoken=%s"):format(state.cloud.resource_manager, request.path,
    table.concat(query, "&"), text.encode(token))
end

--- The page of a list that a request asks for: status, headers, body. render(item) of the items.
function reply.page(state, request, items, render)
  local from, size = place(request.query_table), state.page_size
  if not from then
    return reply.fail(400, "InvalidSkipToken", "The skip token is not valid.")
  end
  local value = json.array {}
  for i = from, math.min(#items, from + size - 1) do
    value[#value + 1] = render(items[i])
  end
  return 200, {}, { value = value,
    nextLink = from + size <= #items and link(state, request, from + size) or nil }
end

--- Adds what every answer of ARM has.
function reply.finish(request, headers)
  local id = core.crypto.uuid()
  local correlation = request.headers["x-ms-correlation-request-id"] or id
  headers["Cache-Control"] = "no-cache"
  headers["Pragma"] = "no-cache"
  headers["Expires"] = "-1"
  headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
  headers["X-Content-Type-Options"] = "nosniff"
  headers["x-ms-request-id"] = id
  headers["x-ms-correlation-request-id"] = correlation
  headers["x-ms-routing-request-id"] = ("WESTEUROPE:%s:%s"):format(
    os.date("!%Y%m%dT%H%M%SZ", math.floor(core.time())), core.crypto.uuid())
  if (request.headers["x-ms-return-client-request-id"] or ""):lower() == "true" then
    headers["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
  end
  return headers
end

return reply
