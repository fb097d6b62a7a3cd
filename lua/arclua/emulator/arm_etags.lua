-- SPDX-License-Identifier: MIT
-- ETags: a resource's is made of what it says of itself; If-Match and If-None-Match.
local core = require "arclua.core"
local json = require "arclua.json"
local reply = require "arclua.emulator.arm_reply"

local etags = {}

local function of(body)
  return '"' .. core.crypto.hex(core.crypto.sha256(json.encode(body))):sub(1, 32) .. '"'
end

-- The tag of the resource as it is now, nil when there is none.
local function current(state, request, route, at)
  local status, _, body = route.handle(state, { method = "GET", path = request.path,
    query = request.query, query_table = request.query_table, headers = {}, body = "" }, at)
  return status == 200 and of(body) or nil
end

local function lists(header, tag)
  if header == "*" then
    return tag ~= nil
  end
  for one in header:gmatch '"[^"]*"' do
    if one == tag then
      return true
    end
  end
  return false
end

local function failed(name)
  return { reply.fail(412, "PreconditionFailed", ("The condition specified by %s was not met.")
    :format(name)) }
end

--- What the conditions of a request forbid: an answer, or nil.
function etags.check(state, request, route, at)
  local match, none = request.headers["if-match"], request.headers["if-none-match"]
  if request.method == "GET" or not (match or none) then
    return nil
  end
  local tag = current(state, request, route, at)
  if match and request.method == "DELETE" and not tag then
    return { 204, {}, "" }
  elseif match and not lists(match, tag) then
    return failed "If-Match"
  elseif none and lists(none, tag) then
    return failed "If-None-Match"
  end
  return nil
end

--- Adds the tag to an answer that holds the resource.
function etags.add(status, headers, body)
  if (status == 200 or status == 201) and type(body) == "table" and body.id then
    headers.ETag = of(body)
  end
  return status, headers, body
end

return etags
