-- SPDX-License-Identifier: MIT
-- What was changed, or is to be: a plan for people, a table, JSON, the exit status.
local check = require "arclua.check"
local columns = require "arclua.report.table"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local json = require "arclua.json"
local nodeset = require "arclua.report.nodeset"
local output = require "arclua.output"

local Report = {}
Report.__index = Report
Report.__name = "arclua.setup_report"

---@class arclua.SetupReport
---@field results arclua.SetupRecord[]  one a machine
---@field providers string[]           subscriptions whose provider was registered, or is to be
---@field planned boolean              nothing was changed yet
---@field declined boolean?            whoever was asked said no
---@field seconds number
---@field why string?                  "stopped" when it ended early

local FAILED, UNREACHABLE, INTERRUPTED = 5, 4, 130

---@return arclua.SetupReport
local function new(spec)
  return setmetatable(spec, Report)
end

-- The time that it has taken.
function Report:_finish()
  self.seconds = self.core.now() - self.began
  return self
end

--- Whether anything is to be changed.
---@return boolean
function Report:has_changes()
  for _, record in ipairs(self.results) do
    if #record.steps > 0 then
      return true
    end
  end
  return false
end

-- Steps that are alike, with the names of their machines, in the order of their first.
local function by_step(records)
  local groups, by_text = {}, {}
  for _, record in ipairs(records) do
    for _, one in ipairs(record.steps) do
      if not by_text[one.text] then
        by_text[one.text] = { text = one.text, names = {} }
        groups[#groups + 1] = by_text[one.text]
      end
      table.insert(by_text[one.text].names, record.name)
    end
  end
  return groups
end

--- The plan: one line for each kind of change, with the machines that it concerns.
---@return string
function Report:plan()
  local lines = {}
  for _, group in ipairs(by_step(self.results)) do
    lines[#lines + 1] = ("%s: %s (%d)"):format(escape.text(group.text),
      escape.text(nodeset.fold(group.names)), #group.names)
  end
  for _, record in ipairs(self.results) do
    if record.err then
      lines[#lines + 1] = ("%s: not possible: %s"):format(escape.text(record.name),
        escape.text(errors.describe(record.err), true))
    end
  end
  return #lines > 0 and table.concat(lines, "\n") .. "\n" or "nothing is to be changed\n"
end

local function what(record)
  local texts = record.changes
  if record.state == "planned" then
    texts = {}
    for i, one in ipairs(record.steps) do
      texts[i] = one.text
    end
  end
  local text = table.concat(texts, "; ")
  if record.err then
    text = (text ~= "" and text .. "; " or "") .. record.err.message
  end
  return text
end

local function as_table(self)
  local rows = {}
  for i, record in ipairs(self.results) do
    rows[i] = { record.name, record.machine.resource_group, record.state, what(record) }
  end
  return columns.format({ "NAME", "RESOURCE GROUP", "STATE", "WHAT" }, rows)
end

local KEYS = { "machine", "name", "state", "changes", "error" }

local function encode(record)
  local changes = json.array {}
  for i, text in ipairs(record.changes) do
    changes[i] = text
  end
  return json.encode(json.ordered(KEYS, { machine = record.machine.id, name = record.name,
    state = record.state, changes = changes, error = record.err
      and json.ordered({ "code", "reason", "message", "remedy" }, record.err) or nil }))
end

--- How many machines are in which state.
---@return table<string, integer>
function Report:counts()
  local counts = {}
  for _, record in ipairs(self.results) do
    counts[record.state] = (counts[record.state] or 0) + 1
  end
  return counts
end

--- "3 changed, 1 unchanged in 2.1 s".
---@return string
function Report:summary()
  local counts, parts = self:counts(), {}
  for _, state in ipairs { "changed", "unchanged", "planned", "failed", "unreachable",
    "cancelled" } do
    if counts[state] then
      parts[#parts + 1] = ("%d %s"):format(counts[state], state)
    end
  end
  return ("%s in %.1f s"):format(table.concat(parts, ", "), self.seconds)
end

--- The exit status: 0; 4 when a machine does not answer after its change, or was not tried; 5 when
--- a change failed; 130 when interrupted.
---@return integer
function Report:exit_status()
  local counts = self:counts()
  if self.why == "stopped" then
    return INTERRUPTED
  elseif counts.unreachable or counts.cancelled or self.declined then
    return UNREACHABLE
  end
  return counts.failed and FAILED or 0
end

local FORMATS = {}

function FORMATS.table(self, out)
  out:write(#self.results > 0 and as_table(self) or "")
end

function FORMATS.jsonl(self, out)
  for _, record in ipairs(self.results) do
    out:line(encode(record))
  end
end

function FORMATS.json(self, out)
  local list = {}
  for i, record in ipairs(self.results) do
    list[i] = encode(record)
  end
  out:write("[" .. table.concat(list, ",\n ") .. "]\n")
end

function FORMATS.quiet() end

--- Prints it on standard output; remedies and the summary on standard error.
---@param opts { output: string? }?  table (default), json, jsonl or quiet
---@return nil
function Report:print(opts)
  opts = check.options(opts, { output = "string" })
  local format = FORMATS[opts.output or "table"]
  if not format then
    error("option 'output': table, json, jsonl or quiet expected, got '" .. opts.output .. "'", 2)
  end
  format(self, output.standard(1))
  local told = {}
  for _, record in ipairs(self.results) do
    local remedy = record.err and record.err.remedy
    if remedy and not told[remedy] then
      told[remedy] = true
      output.standard(2):line(("%s: %s"):format(escape.text(record.name), escape.text(remedy)))
    end
  end
  output.standard(2):line(self:summary())
end

return { new = new }
