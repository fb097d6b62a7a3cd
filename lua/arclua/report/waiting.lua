-- SPDX-License-Identifier: MIT
-- One line at the terminal that says what is waited for, gone when something else is printed.
local escape = require "arclua.report.escape"

local waiting = {}

-- A line that wraps could not be taken back.
local WIDTH = 79

--- Show(machine, text) and clear().
---@param to arclua.Output  a terminal
---@return fun(machine, text: string) show
---@return fun() clear
function waiting.new(to)
  local shown = 0
  local function clear()
    if shown > 0 then
      to:write("\r" .. (" "):rep(shown) .. "\r")
      shown = 0
    end
  end
  local function show(machine, text)
    local line = escape.text(machine.name .. ": " .. text)
    if #line > WIDTH then -- no character in halves
      line = line:sub(1, WIDTH):gsub("[\xc0-\xf7][\x80-\xbf]*$", "")
    end
    clear()
    to:write(line)
    shown = #line
  end
  return show, clear
end

return waiting
