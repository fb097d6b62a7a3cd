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
  local clean = spec.clean(text):gsub("[^\n]*\n", function(line)
    return prefix .. line
  end)
  local to = stream == "stderr" and spec.err or spec.out
  to:write(clean)
end

local function key(machine, stream)
  return stream .. " " .. (machine.id or machine.name)
end

--- What arrived of a machine's stream.
function Live:chunk(machine, stream, chunk)
  local name = key(machine, stream)
  local text = (self.rest[name] or "") .. chunk
  local last = text:match ".*()\n"
  if not last and #text >= LONGEST then
    text, last = text .. "\n", #text + 1
  end
  if not last then
    self.rest[name] = text
    return
  end
  self.rest[name] = text:sub(last + 1)
  print_lines(self, machine, stream, text:sub(1, last))
end

--- A machine is done: its unfinished lines, and how it ended when not well.
---@param result arclua.Result
function Live:result(result)
  for _, stream in ipairs { "stdout", "stderr" } do
    local name = key(result.machine, stream)
    local rest = self.rest[name]
    self.rest[name] = nil
    if rest and rest ~= "" then
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
