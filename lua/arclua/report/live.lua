-- SPDX-License-Identifier: MIT
-- Lines as they come, each behind its machine's name. Holds at most one line a stream.
local words = require "arclua.report.words"

local Live = {}
Live.__index = Live

local live = {}

-- A line longer than this is printed in pieces.
local LONGEST = 65536

---@class arclua.LiveSpec
---@field out arclua.Output
---@field err arclua.Output
---@field style fun(name: string, text: string): string
---@field clean fun(text: string): string

---@param spec arclua.LiveSpec
function live.new(spec)
  return setmetatable({ spec = spec, rest = {} }, Live)
end

local function print_lines(self, machine, stream, text)
  local spec = self.spec
  local prefix = spec.style("name", machine.name .. ":") .. " "
  local lines = spec.clean(text):gsub("[^\n]*\n", prefix:gsub("%%", "%%%%") .. "%0")
  local to = stream == "stderr" and spec.err or spec.out
  to:write(lines)
end

local function key(machine, stream)
  return stream .. " " .. (machine.id or machine.name)
end

-- Keeps the pieces of a line that has not ended: the line so far once it is too long.
local function keep(self, name, piece)
  local rest = self.rest[name] or { size = 0 }
  rest[#rest + 1], rest.size = piece, rest.size + #piece
  if rest.size < LONGEST then
    self.rest[name] = rest
    return nil
  end
  self.rest[name] = nil
  return table.concat(rest) .. "\n"
end

-- The kept beginning of a line, "" when there is none.
local function take(self, name)
  local rest = self.rest[name]
  self.rest[name] = nil
  return rest and table.concat(rest) or ""
end

--- What arrived of a machine's stream.
function Live:chunk(machine, stream, chunk)
  local name = key(machine, stream)
  local tail = chunk:reverse():find("\n", 1, true)
  local last = tail and #chunk - tail + 1
  if last then
    print_lines(self, machine, stream, take(self, name) .. chunk:sub(1, last))
    chunk = chunk:sub(last + 1)
  end
  local long = chunk ~= "" and keep(self, name, chunk)
  if long then
    print_lines(self, machine, stream, long)
  end
end

--- A machine is done: its unfinished lines, and how it ended when not well.
---@param result arclua.Result
function Live:result(result)
  for _, stream in ipairs { "stdout", "stderr" } do
    local rest = take(self, key(result.machine, stream))
    if rest ~= "" then
      print_lines(self, result.machine, stream, rest .. "\n")
    end
  end
  if result.state ~= "ok" then
    local style = self.spec.style
    local remedy = words.remedy(result)
    self.spec.err:write(("%s %s%s\n"):format(style("name", result.name .. ":"),
      style("bad", words.outcome(result)), remedy and "\n  " .. remedy or ""))
  end
end

return live
