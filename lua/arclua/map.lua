-- SPDX-License-Identifier: MIT
-- A function over a list, so many at a time, results in the order of the list.
local check = require "arclua.check"
local core = require "arclua.core"

local DEFAULT = 64

-- Takes items until none is left; the first error stops everybody.
local function worker(state)
  while state.next <= state.n and not state.failed do
    local i = state.next
    state.next = i + 1
    local out = table.pack(xpcall(state.fn, state.handler, state.list[i], i))
    if out[1] then
      state.results[i] = out[2]
    else
      state.failed = state.failed or { out[2] }
    end
  end
  return true
end

local function cancel(tasks)
  for _, task in ipairs(tasks) do
    task:cancel()
  end
end

local function traced(err)
  return type(err) == "string" and debug.traceback(err, 2) or err
end

--- Calls fn(item, index) for each item, in tasks, opts.parallel (64) at a time. Results[i] is
--- fn's first value. Raises what fn raised. Errors: cancelled, timeout (the caller's wait ended;
--- running calls are cancelled).
---@param list any[]
---@param fn fun(item: any, index: integer): any
---@param opts { parallel: integer? }?  calls at a time, default 64
---@return any[]|nil results, arclua.Error?
return function(list, fn, opts)
  opts = check.options(opts, { parallel = "integer" })
  local state = { list = list, fn = fn, n = #list, next = 1, results = {}, handler = traced }
  local tasks = {}
  for i = 1, math.min(math.max(opts.parallel or DEFAULT, 1), state.n) do
    tasks[i] = core.spawn(worker, state)
  end
  for _, task in ipairs(tasks) do
    local ok, err = task:await()
    if not ok then
      state.n = 0
      cancel(tasks)
      return nil, err
    elseif state.failed then
      cancel(tasks)
      error(state.failed[1], 0)
    end
  end
  return state.results
end
