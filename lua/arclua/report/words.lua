-- SPDX-License-Identifier: MIT
-- How an outcome is said in words.
local escape = require "arclua.report.escape"

local words = {}

--- Why a machine failed, in a few words: "exit 1", "killed by TERM", "unreachable: ...".
---@param result arclua.Result
---@return string
function words.outcome(result)
  if result.state == "failed" and result.status and result.status ~= 0 then
    return "exit " .. result.status
  elseif result.state == "failed" and result.signal then
    return "killed by " .. escape.text(result.signal)
  end
  local text = result.state
  if result.err then
    text = text .. ": " .. escape.text(result.err.message or result.err.code, true)
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
  local remedy = result.err and result.err.remedy
  return remedy and escape.text(remedy) or nil
end

--- How much of the output is missing, nil when nothing is.
---@return string|nil
function words.truncated(result)
  if result.truncated > 0 then
    return ("[%d bytes of output left out]"):format(result.truncated)
  end
  return nil
end

return words
