-- SPDX-License-Identifier: MIT
-- One line at the terminal that tells how far a long run is; nothing in a pipe.
local output = require "arclua.output"
local waiting = require "arclua.report.waiting"

local progress = {}

local FEW = 3 -- machines that are done too soon to be counted

--- What a run calls: count(done, total), wait(machine, text), clear(), and around(fn): fn with the
--- line out of its way.
---@return table
function progress.new()
  local to = output.standard(2)
  local show, clear = waiting.new(to)
  local it = { clear = clear }
  function it.wait(machine, text)
    if to.is_terminal then
      show(machine, text)
    end
  end
  function it.count(done, total)
    if to.is_terminal and total > FEW then
      show({ name = ("%d of %d machines"):format(done, total) }, "judged")
    end
  end
  function it.around(fn)
    return function(...)
      clear()
      return fn(...)
    end
  end
  return it
end

return progress
