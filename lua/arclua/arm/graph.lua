-- SPDX-License-Identifier: MIT
-- Queries to Azure Resource Graph: pages, subscriptions by the thousand. Its quota is pace's.
local errors = require "arclua.errors"

local graph = {}

local API = "2022-10-01"
local PATH = "/providers/Microsoft.ResourceGraph/resources"
local PAGE = 1000 -- rows, the most that it gives
local SCOPES = 1000 -- subscriptions in one request

local function bad_answer(why)
  return errors.fail { reason = "http.bad-answer", op = "graph",
    message = "Resource Graph: " .. why }
end

-- Tells of subscriptions that were left out.
local function note(client, page)
  local headers = page and page.headers or {}
  if (headers["x-ms-tenant-subscription-limit-hit"] or ""):lower() == "true" then
    client.log("warn", "Resource Graph: only the first 10,000 subscriptions were searched; "
      .. "name some with --subscription")
  end
end

-- { columns, rows } as a list of objects.
local function from_table(data)
  local out = {}
  for i, cells in ipairs(data.rows) do
    local row = {}
    if #cells ~= #data.columns then
      return nil
    end
    for c, column in ipairs(data.columns) do
      row[column.name] = cells[c]
    end
    out[i] = row
  end
  return out
end

-- The rows of an answer: list | nil, what is wrong.
local function rows_of(value)
  local data = type(value) == "table" and value.data
  if type(data) ~= "table" then
    return nil, "an answer without data"
  elseif data.columns and data.rows then
    local rows = from_table(data)
    if not rows then
      return nil, "a row that has not as many cells as the table has columns"
    end
    return rows
  end
  return data
end

-- Adds rows, each ID once: list, and a function that takes a row.
local function collector()
  local out, seen = {}, {}
  return out, function(row)
    local id = type(row) == "table" and type(row.id) == "string" and row.id:lower()
    if not id or not seen[id] then
      seen[id or out] = true
      out[#out + 1] = row
    end
  end
end

-- Whether a page leads on: it begins with a row that no earlier one began with, and there are not
-- many more rows than the service has announced.
local function leads_on(rows, value, state)
  local first = type(rows[1]) == "table" and tostring(rows[1].id):lower()
  local known = not first or state.firsts[first]
  state.firsts[first or ""] = true
  state.count = state.count + #rows
  state.total = state.total or tonumber(value.totalRecords) or math.huge
  return not known and state.count <= state.total + PAGE
end

-- The token of the next page; nil on the last | nil, error.
local function next_token(value, token, state, new)
  local following = value["$skipToken"]
  if following == nil or following == "" then
    if tostring(value.resultTruncated):lower() == "true" then
      return errors.fail { code = "limit", op = "graph",
        message = ("Resource Graph gave %d of %s rows, and no way to the rest"):format(
          state.count, tostring(value.totalRecords or "more")),
        remedy = "let the query end in columns with id, without limit or take, and with "
          .. "`| order by id asc`" }
    end
    return nil
  elseif following == token or state.tokens[following] then
    return bad_answer "a page's $skipToken leads back to an earlier page"
  elseif not new then
    return bad_answer "a page with nothing new, and yet another one after it"
  end
  state.tokens[following] = true
  return following
end

-- One request: value | nil, error.
local function ask(client, body)
  local value, err, page = client:request { url = client:url(PATH, API), method = "POST",
    body = body }
  note(client, page)
  return value, err
end

-- All pages for some subscriptions.
local function pages(client, opts, subscriptions)
  local state, token = { count = 0, firsts = {}, tokens = {} }, nil
  repeat
    local value, err = ask(client, { query = opts.query, subscriptions = subscriptions,
      options = { ["$top"] = PAGE, resultFormat = "objectArray", ["$skipToken"] = token } })
    if value == nil then
      return nil, err
    end
    local rows, why = rows_of(value)
    if not rows then
      return bad_answer(why)
    end
    token, err = next_token(value, token, state, leads_on(rows, value, state))
    if err then
      return nil, err
    end
    for _, row in ipairs(rows) do
      opts.add(row)
    end
  until not token
  return true
end

--- Hands every row of a query, over all pages and subscriptions, to opts.add. Errors: config
--- (arm.bad-request: Resource Graph's words on a query that cannot be read), denied, limit (a query
--- that cannot be paged), protocol, and the network's.
---@param client arclua.ArmClient
---@param opts { query: string, subscriptions: string[], add: fun(row: table) }
---@return true|nil, arclua.Error?
function graph.each(client, opts)
  for from = 1, #opts.subscriptions, SCOPES do
    local some = table.move(opts.subscriptions, from, math.min(from + SCOPES - 1,
      #opts.subscriptions), 1, {})
    local ok, err = pages(client, opts, some)
    if not ok then
      return nil, err
    end
  end
  return true
end

--- All rows of a query, each ID once. Errors: as graph.each.
---@param client arclua.ArmClient
---@param query string
---@param subscriptions string[]
---@return table[]|nil, arclua.Error?
function graph.query(client, query, subscriptions)
  local rows, add = collector()
  local ok, err = graph.each(client, { query = query, subscriptions = subscriptions, add = add })
  return ok and rows, err
end

return graph
