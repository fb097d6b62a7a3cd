-- SPDX-License-Identifier: MIT
-- How an outcome is said in words.
local escape = require "arclua.report.escape"

local words = {}

-- What became of the command of a machine that was cancelled while at work.
local CANCELLED = { confirmed = ": the command was ended",
  unconfirmed = ": whether the command has ended is unconfirmed",
  ["not-started"] = ": before the command was sent" }

-- What a cancel met.
local function cancelled(result)
  return result.copy and ": the copy was stopped" or CANCELLED[result.ended]
end

--- A text without a machine's ID ("..." in its place), so that it is the same for machines that
--- fared alike.
---@param text string
---@param id string?
---@return string
function words.alike(text, id)
  local from, to = text:lower():find(id and id:lower() or "\0", 1, true)
  while from do
    text = text:sub(1, from - 1) .. "..." .. text:sub(to + 1)
    from, to = text:lower():find(id:lower(), from, true)
  end
  return text
end

-- What its error says.
local function said(result, alike)
  local text = result.err.message or result.err.code
  return escape.text(alike and words.alike(text, result.machine and result.machine.id) or text,
    true)
end

--- Why a machine failed, in a few words: "exit 1", "killed by TERM", "unreachable: ...".
---@param result arclua.Result
---@param alike boolean?  said of many: without the machine's ID
---@return string
function words.outcome(result, alike)
  if result.state == "failed" and result.status and result.status ~= 0 then
    return "exit " .. result.status
  elseif result.state == "failed" and result.signal then
    return "killed by " .. escape.text(result.signal)
  end
  local text = result.state
  if result.state == "cancelled" and not (result.err and result.err.reason) then
    return text .. cancelled(result)
  elseif result.err then
    text = text .. ": " .. said(result, alike)
  end
  if result.ended == "unconfirmed" then
    text = text .. " (whether the command has ended is unconfirmed)"
  end
  return text
end

--- The same in one or two words, for a summary.
---@param result arclua.Result
---@return string
function words.brief(result)
  if result.state == "failed" and (result.status or result.signal) then
    return words.outcome(result)
  end
  return result.state
end

--- What to do about it, nil when nothing is known.
---@return string|nil
function words.remedy(result)
  -- A command that says no has said why itself; what was never run has not.
  local has_run = result.state == "failed" and (result.status or result.signal)
  local remedy = not has_run and result.err and result.err.remedy
  return remedy and escape.text(remedy) or nil
end

--- How much of the output is missing, nil when nothing is.
---@return string|nil
function words.truncated(result)
  if result.truncated < 0 then
    return "[Run Command keeps the last 4 KB of output: what came before may be missing]"
  elseif result.truncated > 0 then
    return ("[%d bytes of output left out]"):format(result.truncated)
  end
  return nil
end

return words
