-- SPDX-License-Identifier: MIT
-- Faults of ARM that are an answer, or change one.
local reply = require "arclua.emulator.arm_reply"

local arm_faults = {}

local function given(fault)
  local status, more, body = reply.fail(fault.status or 500, fault.code or "InternalServerError",
    fault.message or "The server encountered an internal error.", { headers = {
      ["Retry-After"] = fault.retry_after and ("%d"):format(fault.retry_after) or nil } })
  return status, more, fault.body or body
end

-- Before the request is looked at.
local REQUESTS = {
  ["short-lived"] = function(fault, request)
    request.lifetime = fault.lifetime or 0
  end,
  deferred = function(_, request)
    request.deferred = true
  end,
}

-- Where the link of a page leads.
local LINKS = {
  loop = function(state, request)
    return ("%s%s?%s"):format(state.cloud.resource_manager, request.path, request.query)
  end,
  ["foreign-link"] = function()
    return "https://management.evil.example/next?api-version=2025-01-13"
  end,
}

--- Whether the fault is acted out here; else it is one of the connection.
function arm_faults.is_answered(fault)
  return fault.kind == "answer" or (REQUESTS[fault.kind] or LINKS[fault.kind]) ~= nil
end

--- The answer: status, headers, body. fault: or nil; usual() gives what would be answered without.
function arm_faults.answer(state, request, fault, usual)
  local kind = fault and fault.kind
  if kind == "answer" then
    return given(fault)
  elseif REQUESTS[kind] then
    REQUESTS[kind](fault, request)
  end
  local status, more, body = usual()
  if LINKS[kind] and type(body) == "table" and body.value then
    body.nextLink = LINKS[kind](state, request)
  end
  return status, more, body
end

return arm_faults
