-- SPDX-License-Identifier: MIT
-- Tasks of an emulator's own: one that breaks is told in the log, and none outlives its stop.
local core = require "arclua.core"

local tasks = {}

--- Starts fn(...) as a task that tasks.finish ends.
function tasks.start(emulator, fn, ...)
  local task
  task = core.spawn(function(...)
    local ok, why = pcall(fn, ...)
    emulator.open[task] = nil
    if not ok then
      emulator.log:add("error", { message = tostring(why) })
    end
  end, ...)
  emulator.open[task] = task
end

--- Cancels all, the one that serves too, and waits for their ends.
function tasks.finish(emulator)
  local list = { emulator.runner }
  for task in pairs(emulator.open) do
    list[#list + 1] = task
    task:cancel()
  end
  if emulator.runner then
    emulator.runner:cancel()
  end
  for _, task in ipairs(list) do
    task:await()
  end
end

return tasks
