-- SPDX-License-Identifier: MIT
-- Colour for a terminal, none elsewhere.
local defaults = require "arclua.defaults"
local escape = require "arclua.report.escape"
local paths = require "arclua.paths"

local style = {}

local CODES = { name = "\27[1m", bad = "\27[31m", good = "\27[32m", faint = "\27[2m" }
local RESET = "\27[0m"

--- Whether to colour an output. choice: "auto", "always", "never"; default: what the program was
--- told, else "auto".
---@param choice string?
---@param terminal boolean
---@return boolean
function style.wanted(terminal, choice)
  choice = choice or defaults.color
  if choice == "always" or choice == "never" then
    return choice == "always"
  end
  return terminal and not paths.env "NO_COLOR" and os.getenv "TERM" ~= "dumb"
end

--- A function that colours a text by the name of a role.
---@return fun(name: string, text: string): string
function style.painter(wanted)
  if not wanted then
    return function(_, text)
      return text
    end
  end
  return function(name, text)
    return CODES[name] .. text .. RESET
  end
end

--- A function that makes a command's output harmless where it is shown. In a pipe, or with raw,
--- bytes pass as they are.
---@return fun(text: string): string
function style.cleaner(terminal, raw)
  if raw or not terminal then
    return function(text)
      return text
    end
  end
  return function(text)
    text = escape.output(text)
    if escape.has_colour(text) then
      text = text:gsub("([^\n]*\27%[[%d;]*m[^\n]*)", "%1" .. RESET)
    end
    return text
  end
end

return style
