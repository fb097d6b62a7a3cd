-- SPDX-License-Identifier: MIT
-- Long-running operations: how they begin, their signed links, how they are polled, how they end.
local core = require "arclua.core"
local reply = require "arclua.emulator.arm_reply"

local operations = {}

local PADDING = 2500 -- bytes of a certificate in each link, as in Azure's
local FOREIGN = "https://management.evil.example"

---@class arclua.emulator.Operation
---@field style "async"|"location"|"both"  which links its answers bear
---@field status integer            of the first answer
---@field body any                  of the first answer
---@field retry_after integer       seconds, as Azure asks for; shortened for a short operation
---@field names string[]            of its links: state, result
---@field finish fun(): any, table?  called at its end when no fault ends it; gives the result, or
---   with an error { code, message } what remains of it: then it has failed
---@field over (fun(): boolean)?     whether it has ended; default: its time is over
---@field fail fun(code: string, message: string)?  called at its end when it fails
---@field empty boolean?            the result has no body

--- Makes room for them. seconds: how long each takes; default 1.
function operations.prepare(state, seconds)
  state.operations, state.running, state.operation_time = {}, {}, seconds or 1
end

-- ---- links -----------------------------------------------------------------------------------

local function random_text(n)
  return core.crypto.base64url(core.crypto.random(n * 3 // 4 + 3)):sub(1, n)
end

-- A fresh link; the older ones stay good, unless a fault says otherwise.
local function link(state, op, name)
  op.ticks = op.ticks + 1
  local query = ("api-version=%s&t=%d&c=%s&s=%s&h=%s"):format(op.version, op.ticks, op.padding,
    random_text(342), random_text(43))
  if op.fault == "rotate" then
    op.links[name] = {}
  end
  op.links[name] = op.links[name] or {}
  op.links[name][query] = true
  local origin = op.fault == "foreign-link" and FOREIGN or state.cloud.resource_manager
  return ("%s/%s/%s/%s?%s"):format(origin, op.place, name, op.id, query)
end

local function pause(state, op)
  return ("%d"):format(math.min(op.spec.retry_after, state.operation_time // 3))
end

local function headers_of(state, op)
  local headers = { ["Retry-After"] = pause(state, op) }
  if op.spec.style ~= "location" then
    headers["Azure-AsyncOperation"] = link(state, op, op.spec.names[1])
  end
  if op.spec.style ~= "async" then
    headers.Location = link(state, op, op.spec.names[2])
  end
  return headers
end

-- ---- life ------------------------------------------------------------------------------------

-- place: the path that its links lie under.
local function new(state, request, place, spec)
  local fault = state.faults:take("operation", request.machine, request)
  local now = core.now()
  return { id = core.crypto.uuid(), spec = spec, place = place, ticks = 0, links = {},
    padding = random_text(PADDING), fault = fault and fault.kind, told = fault,
    version = request.query_table["api-version"], began = core.time(), since = now,
    ends = now + state.operation_time, machine = request.machine }
end

--- Begins one: status, headers, body of the answer.
---@param request table
---@param place string
---@param spec arclua.emulator.Operation
function operations.start(state, request, place, spec)
  local op = new(state, request, place, spec)
  state.operations[op.id] = op
  state.running[#state.running + 1] = op
  state.log:add("operation", { machine = request.machine, id = op.id, fault = op.fault })
  return spec.status, headers_of(state, op), spec.body or ""
end

local function error_of(fault)
  if fault.code == "none" then
    return nil
  end
  return { code = fault.code or "OperationFailure",
    message = fault.message or "The operation failed on the machine." }
end

local function finish(state, op)
  if op.fault == "fail" or op.fault == "cancel" then
    op.status = op.fault == "fail" and "Failed" or "Canceled"
    op.error = error_of(op.told)
    if op.spec.fail then
      op.spec.fail(op.error and op.error.code or op.status, op.error and op.error.message or "")
    end
  else
    op.result, op.error = op.spec.finish()
    op.status = op.error and "Failed" or "Succeeded"
  end
  state.log:add("operation-end", { machine = op.machine, id = op.id, status = op.status })
end

--- Ends those whose time has come; before anything is looked at.
function operations.settle(state)
  local now, running = core.now(), {}
  for _, op in ipairs(state.running) do
    local over = now >= op.ends
    if op.spec.over then
      over = op.spec.over()
    end
    if op.fault ~= "never" and over then
      finish(state, op)
    else
      running[#running + 1] = op
    end
  end
  state.running = running
end

-- ---- polls -----------------------------------------------------------------------------------

local function not_found(id)
  return reply.fail(404, "OperationNotFound", ("The operation '%s' was not found."):format(id))
end

local function state_of(state, op)
  local value = { name = op.id, startTime = reply.time(op.began), status = op.status,
    error = op.error }
  if op.status == "Succeeded" then
    value.properties = op.result
  elseif not op.status then
    local half = (op.since + op.ends) / 2
    value.status = core.now() < half and "Queued" or "InProgress"
    return 200, headers_of(state, op), value
  end
  return 200, {}, value
end

local function result_of(state, op)
  if not op.status then
    return 202, headers_of(state, op), ""
  elseif op.error or op.status ~= "Succeeded" then
    return reply.fail(400, op.error and op.error.code or op.status,
      op.error and op.error.message or "The operation did not succeed.")
  end
  return 200, {}, op.spec.empty and "" or op.result
end

--- GET of a link: .../{name}/{id}.
function operations.poll(state, request, name, id)
  local op = state.operations[id:lower()]
  if not op or op.fault == "gone" then
    return not_found(id)
  end
  local known = op.links[op.spec.names[1]:lower() == name:lower() and op.spec.names[1]
    or op.spec.names[2]]
  if not known or not known[request.query] then
    return reply.fail(403, "InvalidSignature", "The link to the operation is not one of ours.")
  end
  if name:lower() == op.spec.names[1]:lower() and op.spec.style ~= "location" then
    return state_of(state, op)
  end
  return result_of(state, op)
end

return operations
