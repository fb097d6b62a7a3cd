-- SPDX-License-Identifier: MIT
-- The shapes of ARM's answers: headers that each has, errors, timestamps.
local core = require "arclua.core"
local json = require "arclua.json"

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

--- A page of a list: render(item) of the items from..from+size-1; link(from) makes the URL of the
--- next page.
function reply.page(items, from, size, render, link)
  local value = json.array {}
  for i = from, math.min(#items, from + size - 1) do
    value[#value + 1] = render(items[i])
  end
  local more = from + size <= #items
  return 200, {}, { value = value, nextLink = more and link(from + size) or nil }
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
