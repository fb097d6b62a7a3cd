-- SPDX-License-Identifier: MIT
-- What happened in the emulator: the last events in memory, all of them in a file if asked.
local core = require "arclua.core"
local json = require "arclua.json"

local log = {}

local KEPT = 5000 -- events in memory; the oldest go first

local Log = {}
Log.__index = Log
Log.__name = "arclua.emulator.log"

--- path: a file that gets one JSON line an event (0600), or nil.
function log.new(path)
  return setmetatable({ first = 1, last = 0, path = path }, Log)
end

--- Adds an event; fields must hold no secret.
function Log:add(event, fields)
  local entry = { event = event, time = core.time() }
  for key, value in pairs(fields or {}) do
    entry[key] = value
  end
  self.last = self.last + 1
  self[self.last] = entry
  if self.last - self.first >= KEPT then
    self[self.first] = nil
    self.first = self.first + 1
  end
  if self.path then
    core.sys.append_file(self.path, json.encode(entry) .. "\n", 384)
  end
  return entry
end

--- The kept events, oldest first, that have all of these fields: log:find{ event = "connect" }.
---@return table[]
function Log:find(fields)
  local found = {}
  for i = self.first, self.last do
    local same = true
    for key, value in pairs(fields or {}) do
      same = same and self[i][key] == value
    end
    if same then
      found[#found + 1] = self[i]
    end
  end
  return found
end

--- How many there are.
function Log:count(fields)
  return #self:find(fields)
end

return log
