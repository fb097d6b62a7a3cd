-- SPDX-License-Identifier: MIT
-- What the doctor found: printed for people, folded over machines, or as JSON.
local check = require "arclua.check"
local columns = require "arclua.report.table"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local json = require "arclua.json"
local nodeset = require "arclua.report.nodeset"
local output = require "arclua.output"
local style = require "arclua.report.style"

local Report = {}
Report.__index = Report
Report.__name = "arclua.doctor_report"

---@class arclua.DoctorReport
---@field results arclua.Patient[]    one a machine: machine, findings, state()
---@field hosts arclua.Finding[]      of what all machines share: hosts, clock
---@field changes arclua.Change[]     what fix has done
---@field seconds number
---@field why string?                 "stopped" when it ended early

local INTERRUPTED, FAILED, UNJUDGED = 130, 5, 4
-- So many machines are named in a remedy.
local NAMED = 8

local ORDER = { failed = 1, unknown = 2, warning = 3, ok = 4 }
local MARKS = { failed = "failed", unknown = "unknown", warning = "warning", ok = "ok" }
local COLOURS = { failed = "bad", unknown = "bad", warning = "faint", ok = "good" }

---@return arclua.DoctorReport
local function new(spec)
  return setmetatable(spec, Report)
end

-- ---- machines in words -----------------------------------------------------------------------

local function word(machine)
  local name = machine.resource_group .. "/" .. machine.name
  return name:find "^[%w%-_./]+$" and name or "'" .. name:gsub("'", "'\\''") .. "'"
end

-- A remedy with the machines that it is for.
local function remedy_for(finding, machines)
  if not finding.remedy then
    return nil
  end
  local names = {}
  for i = 1, math.min(#machines, NAMED) do
    names[i] = word(machines[i])
  end
  local text, more = table.concat(names, " "), ""
  local remedy, used = finding.remedy:gsub("{machine}", (text:gsub("%%", "%%%%")))
  if #machines > NAMED and used > 0 then
    more = (" (and so for the others of these %d%s)"):format(#machines, finding.fix
      and ", or all at once: arclua doctor --fix" or "")
  end
  return remedy .. more
end

-- ---- folded ----------------------------------------------------------------------------------

local function key_of(finding)
  return table.concat({ finding.check, finding.state, finding.message, finding.remedy or "" },
    "\0")
end

-- Findings that are alike, each with its machines: the worst first.
local function folded(results, wanted)
  local groups, by_key = {}, {}
  for _, it in ipairs(results) do
    for _, finding in ipairs(it.findings) do
      local key = key_of(finding)
      if wanted(finding) and not by_key[key] then
        by_key[key] = { finding = finding, machines = {}, details = {} }
        groups[#groups + 1] = by_key[key]
      end
      if by_key[key] then
        table.insert(by_key[key].machines, it.machine)
        table.insert(by_key[key].details, finding.detail or "")
      end
    end
  end
  for i, group in ipairs(groups) do
    group.at = i
  end
  table.sort(groups, function(a, b)
    local x, y = ORDER[a.finding.state], ORDER[b.finding.state]
    return x < y or x == y and a.at < b.at
  end)
  return groups
end

local function names_of(machines)
  local names = {}
  for i, machine in ipairs(machines) do
    names[i] = machine.name
  end
  local text = nodeset.fold(names)
  return #names > 1 and ("%s (%d)"):format(text, #names) or text
end

local function common(details)
  for _, detail in ipairs(details) do
    if detail ~= details[1] then
      return nil
    end
  end
  return details[1] ~= "" and details[1] or nil
end

local function line_of(group, paint)
  local finding = group.finding
  local detail = common(group.details)
  local text = ("%s %s: %s%s\n"):format(paint(COLOURS[finding.state],
    ("%-7s"):format(MARKS[finding.state])), paint("name", escape.text(finding.check)),
    escape.text(finding.message, true), detail and " (" .. escape.text(detail) .. ")" or "")
  if group.machines then
    text = text .. ("        %s\n"):format(escape.text(names_of(group.machines)))
  end
  local remedy = remedy_for(finding, group.machines or {})
  if not remedy then
    return text
  end
  local lines = escape.text(remedy):gsub("; or from here", "\n        or from here")
  return text .. "        " .. lines .. "\n"
end

local function is_worth(all)
  return function(finding)
    return (all or finding.state ~= "ok") and not (finding.because and not all)
  end
end

--- Findings that are alike in one paragraph, the worst first; those that are well only with all.
local function grouped(self, paint, all)
  local out, wanted = {}, is_worth(all or #self.results == 1)
  for _, finding in ipairs(self.hosts) do
    if wanted(finding) then
      out[#out + 1] = line_of({ finding = finding, details = { finding.detail or "" } }, paint)
    end
  end
  for _, group in ipairs(folded(self.results, wanted)) do
    out[#out + 1] = line_of(group, paint)
  end
  return table.concat(out)
end

-- ---- a table ---------------------------------------------------------------------------------

local function worst(it)
  local found
  for _, finding in ipairs(it.findings) do
    if not finding.because
      and (not found or ORDER[finding.state] < ORDER[found.state]) then
      found = finding
    end
  end
  return found
end

local function as_table(self)
  local rows = {}
  for i, it in ipairs(self.results) do
    local finding, state = worst(it), it:state()
    local well = state == "ok"
    rows[i] = { it.machine.name, it.machine.resource_group, state,
      not well and finding.check or "", not well and finding.message or "" }
  end
  return columns.format({ "NAME", "RESOURCE GROUP", "STATE", "CHECK", "FINDING" }, rows)
end

-- ---- JSON ------------------------------------------------------------------------------------

local KEYS = { "check", "state", "message", "detail", "because", "remedy" }

local function finding_json(finding, machine)
  local values = { remedy = remedy_for(finding, machine and { machine } or {}) }
  for _, key in ipairs(KEYS) do
    values[key] = values[key] or finding[key]
  end
  return json.ordered(KEYS, values)
end

local function list_json(findings, machine)
  local out = json.array {}
  for i, finding in ipairs(findings) do
    out[i] = finding_json(finding, machine)
  end
  return out
end

local function machine_json(it)
  return json.ordered({ "machine", "name", "state", "checks" }, { machine = it.machine.id,
    name = it.machine.name, state = it:state(), checks = list_json(it.findings, it.machine) })
end

local function as_json(self)
  local machines = json.array {}
  for i, it in ipairs(self.results) do
    machines[i] = machine_json(it)
  end
  return json.encode(json.ordered({ "checks", "machines", "summary", "seconds" }, {
    checks = list_json(self.hosts), machines = machines, summary = self:counts(),
    seconds = math.floor(self.seconds * 1000 + 0.5) / 1000 })) .. "\n"
end

local function as_jsonl(self)
  local lines = {}
  for i, it in ipairs(self.results) do
    lines[i] = json.encode(machine_json(it)) .. "\n"
  end
  return table.concat(lines)
end

-- ---- the report ------------------------------------------------------------------------------

--- How many machines are in which state: { ok, warning, failed, unknown }.
---@return table<string, integer>
function Report:counts()
  local counts = { ok = 0, warning = 0, failed = 0, unknown = 0 }
  for _, it in ipairs(self.results) do
    local state = it:state()
    counts[state] = counts[state] + 1
  end
  return counts
end

--- "3 ok, 1 with warnings, 12 failed, 1 not judged in 2.1 s".
---@return string
function Report:summary()
  local counts, parts = self:counts(), {}
  for _, kind in ipairs { { "ok", "ok" }, { "warning", "with warnings" }, { "failed", "failed" },
    { "unknown", "not judged" } } do
    if counts[kind[1]] > 0 or kind[1] == "ok" then
      parts[#parts + 1] = ("%d %s"):format(counts[kind[1]], kind[2])
    end
  end
  return ("%s in %.1f s"):format(table.concat(parts, ", "), self.seconds)
end

--- The exit status: 0; 4 when a machine, or a host on the way, could not be judged or reached; 5
--- when a check failed; 130 when interrupted.
---@return integer
function Report:exit_status()
  local counts, shared = self:counts(), {}
  for _, finding in ipairs(self.hosts) do
    shared[finding.state] = true
  end
  if self.why == "stopped" then
    return INTERRUPTED
  elseif counts.unknown > 0 or shared.unknown then
    return UNJUDGED
  end
  return (counts.failed > 0 or shared.failed) and FAILED or 0
end

local FORMATS = {}

function FORMATS.grouped(self, out, all)
  out:write(grouped(self, style.painter(style.wanted(out.is_terminal)), all))
end

function FORMATS.table(self, out)
  out:write(#self.results > 0 and as_table(self) or "")
end

function FORMATS.json(self, out)
  out:write(as_json(self))
end

function FORMATS.jsonl(self, out)
  out:write(as_jsonl(self))
end

function FORMATS.quiet() end

local function change_line(change)
  return ("%s: %s"):format(change.machine and change.machine.name or "doctor", change.err
    and "failed: " .. escape.text(errors.describe(change.err), true) or escape.text(change.text))
end

--- Prints it on standard output; what was changed, and the summary, on standard error.
---@param opts { output: string?, all: boolean? }?  output: grouped (default), table, json, jsonl
---   or quiet; all: also what is well
---@return nil
function Report:print(opts)
  opts = check.options(opts, { output = "string", all = "boolean" })
  local format = FORMATS[opts.output or "grouped"]
  if not format then
    error("option 'output': grouped, table, json, jsonl or quiet expected, got '" .. opts.output
      .. "'", 2)
  end
  format(self, output.standard(1), opts.all)
  for _, change in ipairs(self.changes) do
    output.standard(2):line(change_line(change))
  end
  output.standard(2):line(self:summary())
end

return { new = new }
