-- SPDX-License-Identifier: MIT
-- Lines as they come, each behind its machine's name. Holds at most one line a stream.
local escape = require "arclua.report.escape"
local fold = require "arclua.report.fold"

local Live = {}
Live.__index = Live

local live = {}

-- A line longer than this is printed in pieces.
local LONGEST = 65536

---@class arclua.LiveTarget
---@field to arclua.Output
---@field style fun(name: string, text: string): string
---@field clean fun(text: string): string

---@param spec { stdout: arclua.LiveTarget, stderr: arclua.LiveTarget }
function live.new(spec)
  return setmetatable({ spec = spec, rest = {}, stopped = {} }, Live)
end

local function print_lines(self, machine, stream, text)
  local target = self.spec[stream]
  local prefix = target.style("name", escape.text(machine.name) .. ":") .. " "
  target.to:write((target.clean(text):gsub("[^\n]*\n", prefix:gsub("%%", "%%%%") .. "%0")))
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

-- Whether the end of the run ended the machine's, and not something of its own.
local function of_the_run(result)
  local reason = result.err and result.err.reason
  return result.state == "cancelled" or reason == "fleet.deadline"
end

local function print_ends(self, results)
  for _, group in ipairs(fold.groups(results)) do
    self.spec.stderr.to:write(fold.line(group, self.spec.stderr.style))
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
  if of_the_run(result) then
    -- Not its output, which has been printed.
    self.stopped[#self.stopped + 1] = { name = result.name, state = result.state,
      err = result.err, ended = result.ended, copy = result.copy, stdout = "", stderr = "",
      truncated = 0 }
  elseif result.state ~= "ok" then
    print_ends(self, { result })
  end
end

--- The run is over: the machines that were stopped with it, in one line for each way it met them.
function Live:finish()
  print_ends(self, self.stopped)
  self.stopped = {}
end

return live
