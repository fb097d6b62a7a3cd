-- SPDX-License-Identifier: MIT
-- Ways to print while a run goes on: each gives the fleet's hooks and what to do at its end.
local live = require "arclua.report.live"
local output = require "arclua.output"
local record = require "arclua.fleet.record"
local style = require "arclua.report.style"
local waiting = require "arclua.report.waiting"

local printing = {}

local modes = {}

function modes.live(values)
  local function target(fd)
    local to = output.standard(fd)
    return { to = to, style = style.painter(style.wanted(to.is_terminal)),
      clean = style.cleaner(to.is_terminal, values.raw) }
  end
  local lines = live.new { stdout = target(1), stderr = target(2) }
  return {
    on_output = function(machine, stream, chunk)
      lines:chunk(machine, stream, chunk)
    end,
    on_result = function(result)
      lines:result(result)
    end,
  }, function(report)
    lines:finish()
    output.standard(2):line(report:summary())
  end
end

function modes.jsonl()
  local out = output.standard(1)
  return {
    on_result = function(result)
      out:line(record.encode(result))
      -- Printed: not to be held until the end of a large run.
      result.stdout, result.stderr = "", ""
    end,
  }, function(report)
    output.standard(2):line(report:summary())
  end
end

local function at_end(name)
  return function(values)
    return {}, function(report)
      report:print { output = name, raw = values.raw }
    end
  end
end

modes.grouped, modes.json, modes.quiet = at_end "grouped", at_end "json", at_end "quiet"

--- The name of the way that parsed values ask for.
---@return string
function printing.mode_of(values)
  if values.gather then
    return "grouped"
  end
  return values.output or (output.standard(1).is_terminal and "live" or "grouped")
end

--- Hooks of a fleet, and what prints its report.
---@return table hooks
---@return fun(report: arclua.Report) finish
function printing.start(mode, values)
  return modes[mode](values)
end

--- Calls before() ahead of whatever the hooks print.
function printing.ahead(hooks, before)
  for _, name in ipairs { "on_output", "on_result" } do
    local inner = hooks[name]
    if inner or name == "on_result" then
      hooks[name] = function(...)
        before()
        return inner and inner(...)
      end
    end
  end
end

--- With one machine, somebody at the terminal wants to know what keeps it.
function printing.tell_waits(hooks, list)
  local to = output.standard(2)
  if #list > 1 or not to.is_terminal then
    return
  end
  local clear
  hooks.on_wait, clear = waiting.new(to)
  printing.ahead(hooks, clear)
end

return printing
