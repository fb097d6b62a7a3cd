-- SPDX-License-Identifier: MIT
-- Microsoft.ResourceGraph/resources: queries, their pages and quota.
local core = require "arclua.core"
local json = require "arclua.json"
local kql = require "arclua.emulator.kql"
local reply = require "arclua.emulator.arm_reply"
local tables = require "arclua.emulator.graph_tables"
local text = require "arclua.emulator.text"
local values = require "arclua.emulator.kql.values"

local graph = {}

local QUOTA, WINDOW = 15, 5 -- queries in so many seconds
local MOST = 1000 -- rows on a page
local KEPT = 16 -- results whose further pages may be asked for

local BAD = "Please provide below info when asking for support: timestamp = %s, correlationId = %s."
local INVALID = "Query is invalid. Please refer to the documentation for the Azure Resource Graph "
  .. "service and fix the error before retrying."

local function refuse(status, code, details, headers)
  return reply.fail(status, code, BAD:format(reply.time(core.time()), core.crypto.uuid()),
    { details = json.array(details), headers = headers })
end

local function bad_query(failure)
  return refuse(400, "BadRequest", { { code = "InvalidQuery", message = INVALID },
    { code = failure.code, line = failure.line, characterPositionInLine = failure.column,
      token = failure.token,
      message = ("Query could not be parsed at '%s' on line [%d,%d]. Token: %s, Line: %d, "
        .. "Position: %d. %s."):format(text.plain(failure.token, 60), failure.line, failure.column,
        text.plain(failure.token, 60), failure.line, failure.column, failure.why) } })
end

-- The quota of the one caller: what is left, and the seconds until the window ends.
local function take(state)
  local factor = state.throttle.factor
  if not factor then
    return QUOTA - 1, WINDOW
  end
  local quota, now = math.max(1, math.floor(QUOTA * factor)), core.now()
  local window = state.graph_window
  if not window or now >= window.ends then
    window = { left = quota, ends = now + WINDOW }
    state.graph_window = window
  end
  window.left = window.left - 1
  return window.left, math.max(1, math.ceil(window.ends - now))
end

local function quota_headers(left, resets)
  return { ["x-ms-user-quota-remaining"] = ("%d"):format(math.max(left, 0)),
    ["x-ms-user-quota-resets-after"] = ("00:00:%02d"):format(resets) }
end

local function list_of(value)
  return type(value) == "table" and value or {}
end

-- A function that tells the subscriptions that are asked for | nil, the answer that refuses.
local function scope_of(state, body)
  local given = list_of(body.subscriptions)
  for _, name in ipairs(list_of(body.managementGroups)) do
    if name ~= state.tenant then
      return nil, { refuse(400, "BadRequest", { { code = "ManagementGroupNotFound",
        message = ("The management group '%s' is not there."):format(tostring(name)) } }) }
    end
  end
  if #given == 0 then
    return function() return true end
  end
  local wanted, known = {}, false
  for _, id in ipairs(given) do
    local key = tostring(id):lower()
    wanted[key], known = true, known or state.subscriptions[key] ~= nil
  end
  if not known then
    return nil, { refuse(400, "BadRequest", { { code = "NoValidSubscriptionsInQueryRequest",
      message = ("There must be at least one subscription that is eligible to contain resources. "
        .. "Given: '%s'."):format(table.concat(given, ",")) } }) }
  end
  return function(id)
    return wanted[id] == true
  end
end

local FORMATS = { objectArray = true, table = true }

local function between(value, least, most)
  return math.type(value) == "integer" and value >= least and value <= most
end

local function wrong_options(options)
  if not between(options["$top"] or 100, 1, MOST) then
    return "$top must be between 1 and 1000"
  elseif not between(options["$skip"] or 0, 0, math.maxinteger) then
    return "$skip must not be negative"
  elseif not FORMATS[options.resultFormat or "table"] then
    return "resultFormat must be table or objectArray"
  end
end

-- What is wrong with the body, or nil: code, words.
local function wrong(body)
  local why = wrong_options(body.options)
  if why then
    return "InvalidQueryOptions", why
  elseif type(body.query) ~= "string" or body.query == "" then
    return "InvalidQuery", "a query is missing"
  elseif #list_of(body.facets) > 0 then
    return "NotSupported", "the emulator has no facets"
  elseif #list_of(body.subscriptions) > MOST then
    return "TooManySubscriptions", "at most 1000 subscriptions in a request"
  end
end

-- A result is kept until others have taken its place, so that its pages belong together.
local function keep(state, key, result)
  local kept = state.graph_results or {}
  state.graph_results = kept
  result.key = key
  table.insert(kept, 1, result)
  kept[KEPT + 1] = nil
  return result
end

local function kept_result(state, key, number)
  for _, result in ipairs(state.graph_results or {}) do
    if result.key == key and result.number == number then
      return result
    end
  end
end

-- Where a page begins: offset, the number of the result that it is of | nil.
local function place(options)
  if not options["$skipToken"] then
    return options["$skip"] or 0
  end
  local raw = core.crypto.unbase64(tostring(options["$skipToken"]))
  local number, from = (raw or ""):match '^{"r":(%d+),"o":(%d+)}$'
  return math.tointeger(tonumber(from)), math.tointeger(tonumber(number))
end

local function object_rows(result, from, to)
  local data = json.array {}
  for i = from, to do
    local row, cells = result.rows[i], {}
    for _, name in ipairs(result.columns) do
      cells[name] = tables.cell(row[name], values.plain)
    end
    data[#data + 1] = json.ordered(result.columns, cells)
  end
  return data
end

local function column_types(result, from, to)
  local columns = json.array {}
  for c, name in ipairs(result.columns) do
    local kind = "string"
    for i = from, to do
      local value = result.rows[i][name]
      if value ~= nil and value ~= json.null then
        kind = values.type_name(value)
        break
      end
    end
    columns[c] = { name = name, type = kind }
  end
  return columns
end

local function table_rows(result, from, to)
  local rows = json.array {}
  for i = from, to do
    local cells = json.array {}
    for c, name in ipairs(result.columns) do
      cells[c] = tables.cell(result.rows[i][name], values.plain)
    end
    rows[#rows + 1] = cells
  end
  return { columns = column_types(result, from, to), rows = rows }
end

local function has_id(result)
  for _, name in ipairs(result.columns) do
    if name == "id" then
      return true
    end
  end
  return false
end

local function page(result, options, from)
  local to = math.min(#result.rows, from + (options["$top"] or 100))
  local more = to < #result.rows
  local paged = more and has_id(result) and not result.limited
  local render = options.resultFormat == "objectArray" and object_rows or table_rows
  return { totalRecords = #result.rows, count = math.max(0, to - from),
    data = render(result, from + 1, to), facets = json.array {},
    resultTruncated = more and not paged and "true" or "false",
    ["$skipToken"] = paged and core.crypto.base64(('{"r":%d,"o":%d}'):format(result.number, to))
      or nil }
end

-- The answer to a checked body: status, headers, body.
local function answer(state, body, principal)
  local from, number = place(body.options)
  if not from then
    return refuse(400, "BadRequest", { { code = "InvalidSkipToken",
      message = "The skip token is not valid." } })
  end
  local wanted, refusal = scope_of(state, body)
  if not wanted then
    return table.unpack(refusal)
  end
  local key = table.concat({ principal, body.query,
    table.concat(list_of(body.subscriptions), ",") }, "\0")
  local result = number and kept_result(state, key, number)
  if not result then
    local failure
    result, failure = kql.run(body.query, tables.of(state, wanted, principal))
    if not result then
      return bad_query(failure)
    end
    state.graph_number = (state.graph_number or 0) + 1
    result.number = state.graph_number
    keep(state, key, result)
  end
  return 200, {}, page(result, body.options, from)
end

local function read(request)
  local kind = (request.headers["content-type"] or ""):lower():match "^[^;]*"
  if kind ~= "application/json" then
    return nil, { reply.fail(500, "InternalServerError", "Encountered internal server error.") }
  end
  local body = json.decode(request.body)
  if type(body) ~= "table" then
    return nil, { refuse(400, "BadRequest", { { code = "InvalidRequestBody",
      message = "The request body is no JSON object." } }) }
  end
  body.options = list_of(body.options)
  local code, why = wrong(body)
  if code then
    return nil, { refuse(400, "BadRequest", { { code = code, message = why } }) }
  end
  return body
end

--- POST of a query.
function graph.query(state, request)
  local left, resets = take(state)
  local quota = quota_headers(left, resets)
  if left < 0 then
    quota["Retry-After"] = ("%d"):format(resets)
    return refuse(429, "RateLimiting", { { code = "RateLimiting", message = "Client application "
      .. "has been throttled and should not attempt to repeat the request until an amount of time "
      .. "has elapsed. Please see https://aka.ms/resourcegraph-throttling for help." } }, quota)
  end
  local body, refusal = read(request)
  local status, headers, value
  if body then
    status, headers, value = answer(state, body, request.principal)
  else
    status, headers, value = table.unpack(refusal)
  end
  for name, header in pairs(quota) do
    headers[name] = header
  end
  return status, headers, value
end

return graph
