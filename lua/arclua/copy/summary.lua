-- SPDX-License-Identifier: MIT
-- The outcome of a copy in words.
local errors = require "arclua.errors"

local summary = {}

local UNITS = { "kB", "MB", "GB", "TB", "PB" }

--- "1.5 MB": thousands, as networks and disks are sold.
---@return string
function summary.size(bytes)
  if bytes < 1000 then
    return bytes .. " B"
  end
  local value, unit = bytes / 1000, 1
  while value >= 999.5 and unit < #UNITS do
    value, unit = value / 1000, unit + 1
  end
  return (value < 9.95 and "%.1f %s" or "%.0f %s"):format(value, UNITS[unit])
end

local function plural(n, word)
  return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
end

--- What was copied: a line.
---@param outcome arclua.CopyOutcome
---@return string
function summary.stdout(outcome)
  local text = ("%s, %s"):format(plural(outcome.files, "file"), summary.size(outcome.bytes))
  if outcome.same > 0 then
    text = text .. (", %d already there"):format(outcome.same)
  end
  return text .. "\n"
end

-- On one line, whatever a file is called.
local function line(text)
  return (text:gsub("[\n\t]", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end)) .. "\n"
end

--- What was not, and why: a line each.
---@return string
function summary.stderr(outcome)
  local out = {}
  for i, failure in ipairs(outcome.failures) do
    local message = failure.err.message
    out[i] = line(message:find(failure.path, 1, true) and message
      or failure.path .. ": " .. message)
  end
  if outcome.failed > #out then
    out[#out + 1] = ("and %d more\n"):format(outcome.failed - #out)
  end
  for _, note in ipairs(outcome.notes) do
    out[#out + 1] = line(note)
  end
  return table.concat(out)
end

--- The error of a copy with failures.
---@return arclua.Error
function summary.error(outcome)
  local all = outcome.failed + outcome.files + outcome.same
  return errors.new { reason = "copy.failed", op = "copy", cause = outcome.failures[1].err,
    message = ("%d of %s not copied"):format(outcome.failed,
      all == 1 and "1 file was" or all .. " files were") }
end

return summary
