-- SPDX-License-Identifier: MIT
-- The log for people, on stderr. Nothing secret is ever given to it.
local core = require "arclua.core"
local escape = require "arclua.report.escape"
local output = require "arclua.output"

local log = {}

local LEVELS = { error = 1, warn = 2, info = 3, debug = 4, trace = 5 }

--- A function that prints what is at least as grave as level, on stderr or at the end of a file.
--- Errors: what opening the file gives.
---@param level string
---@param path string?
---@return (fun(level: string, text: string))|nil, arclua.Error?
function log.new(level, path)
  local limit = LEVELS[level]
  local file, err = true, nil
  if path then
    file, err = core.sys.append_file(path, "")
  end
  return file and function(grade, text)
    local line = ("arclua: %s: %s"):format(grade, escape.text(text))
    if LEVELS[grade] > limit then
      return
    elseif path then
      core.sys.append_file(path, line .. "\n")
    else
      output.standard(2):line(line)
    end
  end or nil, err
end

return log
