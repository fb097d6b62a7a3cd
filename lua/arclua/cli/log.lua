-- SPDX-License-Identifier: MIT
-- The log for people, on stderr. Nothing secret is ever given to it.
local escape = require "arclua.report.escape"
local output = require "arclua.output"

local log = {}

local LEVELS = { error = 1, warn = 2, info = 3, debug = 4, trace = 5 }

--- A function that prints what is at least as grave as level.
---@param level string
---@return fun(level: string, text: string)
function log.new(level)
  local limit = LEVELS[level]
  return function(grade, text)
    if LEVELS[grade] <= limit then
      output.standard(2):line(("arclua: %s: %s"):format(grade, escape.text(text)))
    end
  end
end

return log
