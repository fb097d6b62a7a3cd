-- SPDX-License-Identifier: MIT
-- So many at a time, a result for every item, whatever happens.
local real = require "arclua.core"

local scheduler = {}

-- After a stop the running items may end what they run: SSH's 5 s and some to spare.
local GRACE = 10

---@class arclua.Schedule
---@field items any[]
---@field parallel integer
---@field deadline number?        seconds for all
---@field work fun(item: any, index: integer): any        gives the result
---@field broken fun(item: any, text: string): any        the result when work raised
---@field untried fun(item: any, why: "stopped"|"deadline"): any  the result of one never begun
---@field done fun(result: any, index: integer)?          told each result as it comes
---@field primitives table?

local function finish(state, index, result)
  state.results[index] = result
  if state.spec.done then
    state.spec.done(result, index)
  end
end

-- Waits are refused once the deadline has passed: that tells it exactly, where comparing clocks
-- would not.
local function over(state)
  if state.spec.deadline and not state.why then
    local ok, err = state.core.sleep(0)
    state.why = not ok and err.code == "timeout" and "deadline" or nil
  end
  return state.why ~= nil
end

local function worker(state)
  local spec = state.spec
  while not over(state) and state.next <= #spec.items do
    local index = state.next
    state.next = index + 1
    local item = spec.items[index]
    local ok, result = xpcall(spec.work, debug.traceback, item, index)
    if not ok then
      result = spec.broken(item, result)
    end
    finish(state, index, result)
  end
  return true
end

local function start(state)
  local core, tasks = state.core, {}
  for i = 1, math.min(state.spec.parallel, #state.spec.items) do
    if state.spec.deadline then
      tasks[i] = core.spawn(core.timeout, state.spec.deadline, worker, state)
    else
      tasks[i] = core.spawn(worker, state)
    end
  end
  return tasks
end

local function await_all(tasks)
  for _, task in ipairs(tasks) do
    local ok, err = task:await()
    if not ok then
      return nil, err
    end
  end
  return true
end

local function stop(state, tasks)
  state.why = "stopped"
  for _, task in ipairs(tasks) do
    task:cancel()
  end
  state.core.shield(GRACE, await_all, tasks)
end

--- Runs work over items. Returns the results in the order of the items, and why the run ended
--- early: "stopped" (the caller was cancelled or timed out), "deadline", nil.
---@param spec arclua.Schedule
---@return any[] results, string? why
function scheduler.run(spec)
  local core = spec.primitives or real
  local state = { core = core, spec = spec, results = {}, next = 1 }
  local tasks = start(state)
  if not await_all(tasks) then
    stop(state, tasks)
  end
  for index, item in ipairs(spec.items) do
    if state.results[index] == nil then
      finish(state, index, spec.untried(item, state.why or "stopped"))
    end
  end
  return state.results, state.why
end

return scheduler
