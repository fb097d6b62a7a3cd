-- SPDX-License-Identifier: MIT
-- What is typed, with ssh's commands taken out: the escape character at the begin of a line, and
-- one more.
local Escape = {}
Escape.__index = Escape

local escape = {}

--- char: the escape character; actions: functions by the character that follows it. Any other
--- sequence goes on as it was typed; the escape character twice goes on once.
---@param char string
---@param actions table<string, fun()>
function escape.new(char, actions)
  return setmetatable({ char = char, actions = actions, at_start = true, pending = false }, Escape)
end

local function is_newline(c)
  return c == "\r" or c == "\n"
end

-- One byte: what is to be sent of it, "" for what is held back.
local function take(self, c)
  if not self.pending then
    self.pending = self.at_start and c == self.char
    self.at_start = is_newline(c)
    return self.pending and "" or c
  end
  self.pending = false
  self.at_start = is_newline(c)
  return c == self.char and c or self.char .. c
end

--- Takes what was typed; send gets what is left of it, in pieces, between the actions.
---@param chunk string
---@param send fun(text: string)
function Escape:feed(chunk, send)
  if not self.pending and not chunk:find(self.char, 1, true) then
    self.at_start = is_newline(chunk:sub(-1))
    return send(chunk)
  end
  local out = {}
  for c in chunk:gmatch "." do
    local action = self.pending and self.actions[c]
    if action then
      send(table.concat(out))
      out, self.pending, self.at_start = {}, false, true
      action()
    else
      out[#out + 1] = take(self, c)
    end
  end
  send(table.concat(out))
end

--- The character as people write it: "~", "^]".
---@return string
function escape.readable(char)
  return char:find "%c" and "^" .. string.char(char:byte() | 64) or char
end

return escape
