-- SPDX-License-Identifier: MIT
-- What a terminal was told to do by output that was then cut off: the alternate screen, reports of
-- the mouse, a hidden cursor ... Watched, so that it can be undone.
local Modes = {}
Modes.__index = Modes

local modes = {}

-- DEC's private modes that disturb a shell: what ends each.
local ENDS = { ["1"] = "l", ["9"] = "l", ["25"] = "h", ["47"] = "l", ["1000"] = "l",
  ["1001"] = "l", ["1002"] = "l", ["1003"] = "l", ["1004"] = "l", ["1005"] = "l", ["1006"] = "l",
  ["1015"] = "l", ["1016"] = "l", ["1047"] = "l", ["1049"] = "l", ["2004"] = "l" }
-- These bring the other screen back, and so come last.
local SCREENS = { ["47"] = true, ["1047"] = true, ["1049"] = true }

local KEYPAD = "keypad"
local LONGEST = 64 -- a sequence that is cut in two is kept up to here

function modes.new()
  return setmetatable({ on = {}, held = "" }, Modes)
end

--- Looks at output that passes.
---@param chunk string
function Modes:feed(chunk)
  if self.held == "" and not chunk:find("\27", 1, true) then
    return
  end
  local text = self.held .. chunk
  for list, final in text:gmatch "\27%[%?([%d;]+)([hl])" do
    for number in list:gmatch "%d+" do
      if ENDS[number] then
        self.on[number] = final ~= ENDS[number] or nil
      end
    end
  end
  for final in text:gmatch "\27([=>])" do
    self.on[KEYPAD] = final == "=" or nil
  end
  self.held = text:match "\27%[?%??[%d;]*$" or ""
  if #self.held > LONGEST then
    self.held = ""
  end
end

--- What puts the terminal in order: "" when nothing is on.
---@return string
function Modes:undo()
  local out, screens = {}, {}
  for number in pairs(self.on) do
    local list = SCREENS[number] and screens or out
    list[#list + 1] = number == KEYPAD and "\27>" or ("\27[?%s%s"):format(number, ENDS[number])
  end
  table.sort(out)
  table.sort(screens)
  self.on = {}
  local text = table.concat(out) .. table.concat(screens)
  return text ~= "" and text .. "\27[m" or ""
end

return modes
