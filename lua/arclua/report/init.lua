-- SPDX-License-Identifier: MIT
-- The report of a run: results, printing, saving, the exit status.
local check = require "arclua.check"
local duration = require "arclua.duration"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local fold = require "arclua.report.fold"
local output = require "arclua.output"
local record = require "arclua.fleet.record"
local style = require "arclua.report.style"
local words = require "arclua.report.words"

local Report = {}
Report.__index = Report
Report.__name = "arclua.report"

---@class arclua.Report
---@field results arclua.Result[]      one a machine, in the order of the machines
---@field seconds number               the whole run
---@field left_out integer             machines that skip_disconnected left out
---@field why "deadline"|"stopped"|nil  why the run ended early

local report = {}

-- Names told in the summary line.
local NAMED = 5

-- Which exit status a state stands for, and which of several wins (6 = stopped by a rule).
local STATUS = { unreachable = 4, denied = 4, unknown = 4, cancelled = 4, timeout = 3,
  failed = 5 }
local ORDER = { 6, 4, 3, 5 }
local INTERRUPTED = 130
local NO_STATUS = 255

---@param spec { results: arclua.Result[], why: string?, seconds: number, left_out: integer? }
---@return arclua.Report
function report.new(spec)
  return setmetatable({ results = spec.results, why = spec.why, seconds = spec.seconds,
    left_out = spec.left_out or 0 }, Report)
end

--- Iterates over the results whose state is not "ok": for result in report:failed() do.
---@return fun(): arclua.Result?
function Report:failed()
  local i = 0
  return function()
    repeat
      i = i + 1
    until not self.results[i] or self.results[i].state ~= "ok"
    return self.results[i]
  end
end

--- Whether every machine succeeded.
---@return boolean
function Report:ok()
  return self:failed()() == nil
end

local function largest(results)
  local max = 0
  for _, result in ipairs(results) do
    if result.status then
      max = math.max(max, result.status)
    elseif result.state ~= "ok" then
      max = NO_STATUS
    end
  end
  return math.min(max, NO_STATUS)
end

--- The exit status: 0, or the first of 6, 4, 3, 5 that applies; 130 when interrupted.
---@param opts { max_status: boolean? }?  the largest remote status instead (255: without one)
---@return integer
function Report:exit_status(opts)
  opts = check.options(opts, { max_status = "boolean" })
  if self.why == "stopped" then
    return INTERRUPTED
  elseif opts.max_status then
    return largest(self.results)
  end
  local seen = {}
  for _, result in ipairs(self.results) do
    seen[STATUS[result.state] or 0] = true
  end
  for _, status in ipairs(ORDER) do
    if seen[status] then
      return status
    end
  end
  return 0
end

-- "web-03: exit 1, web-04: unreachable"
local function who(failed)
  local list = {}
  for i, result in ipairs(failed) do
    if i > NAMED then
      list[i] = ("and %d more"):format(#failed - NAMED)
      break
    end
    list[i] = escape.text(result.name) .. ": " .. words.brief(result)
  end
  return table.concat(list, ", ")
end

-- How many are ok, were ended by a cancel and were never tried; and those that failed.
local function count(results)
  local n, failed = { ok = 0, cancelled = 0, untried = 0 }, {}
  for _, result in ipairs(results) do
    local kind = record.is_untried(result) and "untried" or result.state
    if n[kind] then
      n[kind] = n[kind] + 1
    else
      failed[#failed + 1] = result
    end
  end
  return n, failed
end

--- One line: "18 ok, 2 failed (web-03: exit 1, ...), 7 not tried in 2.1 s; interrupted".
---@return string
function Report:summary()
  local n, failed = count(self.results)
  local parts = { ("%d ok"):format(n.ok) }
  if #failed > 0 then
    parts[2] = ("%d failed (%s)"):format(#failed, who(failed))
  end
  for _, more in ipairs { { n.cancelled, "%d cancelled" }, { n.untried, "%d not tried" },
    { self.left_out, "%d disconnected left out" } } do
    if more[1] > 0 then
      parts[#parts + 1] = more[2]:format(more[1])
    end
  end
  local text = table.concat(parts, ", ") .. " in " .. duration.format(self.seconds)
  if self.why then
    text = text .. (self.why == "deadline" and "; the deadline passed" or "; interrupted")
  end
  return text
end

---@class arclua.PrintOptions
---@field output "grouped"|"jsonl"|"json"|"quiet"|nil   default grouped
---@field color "auto"|"always"|"never"|nil
---@field raw boolean?      control bytes go to a terminal as they are
---@field summary boolean?  the summary line on stderr; default true

local PRINT = { output = "string", color = "string", raw = "boolean", summary = "boolean" }

local printers = {}

function printers.grouped(self, opts, out)
  local err = output.standard(2)
  local how = { style = style.painter(style.wanted(out.is_terminal, opts.color)),
    clean = style.cleaner(out.is_terminal, opts.raw) }
  local paint = style.painter(style.wanted(err.is_terminal, opts.color))
  local silent = {}
  for _, group in ipairs(fold.groups(self.results)) do
    if fold.has_output(group) then
      out:write(fold.text(group, how))
    elseif group.result.state ~= "ok" then
      silent[#silent + 1] = group
    end
  end
  for _, group in ipairs(silent) do
    err:write(fold.line(group, paint))
  end
end

function printers.jsonl(self, _, out)
  for _, result in ipairs(self.results) do
    out:line(record.encode(result))
  end
end

function printers.json(self, _, out)
  out:write "["
  for i, result in ipairs(self.results) do
    out:write((i > 1 and ",\n " or "") .. record.encode(result))
  end
  out:write "]\n"
end

function printers.quiet() end

--- Prints the results on stdout, identical answers folded, and the summary on stderr.
--- Works after an interruption too.
--- Raises: an unknown option or output.
---@param opts arclua.PrintOptions?
function Report:print(opts)
  opts = check.options(opts, PRINT)
  local print_all = printers[opts.output or "grouped"]
  if not print_all then
    error("option 'output': grouped, jsonl, json or quiet expected, got " .. opts.output, 2)
  end
  print_all(self, opts, output.standard(1))
  if opts.summary ~= false and opts.output ~= "quiet" then
    output.standard(2):line(self:summary())
  end
end

Report.__tostring = Report.summary

--- Writes the results as JSON lines, one a machine; an existing file is replaced.
--- Errors: io.
---@param path string
---@return true|nil, arclua.Error?
function Report:save(path)
  local file, why = io.open(path, "w")
  if file then
    local ok = true
    for _, result in ipairs(self.results) do
      ok, why = file:write(record.encode(result), "\n")
      if not ok then
        break
      end
    end
    local closed, late = file:close()
    if ok and closed then
      return true
    end
    why = why or late
  end
  return errors.fail { code = "io", op = "report.save", message = tostring(why) }
end

return report
