-- SPDX-License-Identifier: MIT
-- Identical answers once, under the names of the machines that gave them (as clush -b).
local escape = require "arclua.report.escape"
local nodeset = require "arclua.report.nodeset"
local words = require "arclua.report.words"

local fold = {}

local RULE = ("-"):rep(15)

-- How it ended, without the figures of this one machine.
local function outcome_of(result)
  if result.state == "ok" then
    return ""
  end
  return result.err and result.err.alike and result.state .. "\0" .. result.err.alike
    or words.outcome(result, true)
end

local function key_of(result)
  return table.concat({ result.stdout, result.stderr, outcome_of(result),
    tostring(result.truncated) }, "\0")
end

---@class arclua.FoldedGroup
---@field names string[]
---@field result arclua.Result  one of them: all answered alike

--- Groups of results that are alike: the largest first, then by name.
---@param results arclua.Result[]
---@return arclua.FoldedGroup[]
function fold.groups(results)
  local groups, by_key = {}, {}
  for _, result in ipairs(results) do
    local key = key_of(result)
    local group = by_key[key]
    if not group then
      group = { names = {}, result = result }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    group.names[#group.names + 1] = result.name
  end
  for _, group in ipairs(groups) do
    table.sort(group.names)
  end
  table.sort(groups, function(a, b)
    local a_ok, b_ok = a.result.state == "ok", b.result.state == "ok"
    if a_ok ~= b_ok then
      return a_ok
    elseif #a.names ~= #b.names then
      return #a.names > #b.names
    end
    return a.names[1] < b.names[1]
  end)
  return groups
end

local function with_newline(text)
  return (text == "" or text:sub(-1) == "\n") and text or text .. "\n"
end

--- Whether the group's machines gave any output.
---@param group arclua.FoldedGroup
---@return boolean
function fold.has_output(group)
  local result = group.result
  return result.stdout ~= "" or result.stderr ~= "" or result.truncated ~= 0
end

local function title(group)
  local names = escape.text(nodeset.fold(group.names))
  return #group.names > 1 and ("%s (%d)"):format(names, #group.names) or names
end

--- The end of a group that did not succeed in one line, and what to do about it in another:
--- "web-[01-24] (24): unreachable: ...".
---@param group arclua.FoldedGroup
---@param style fun(name: string, text: string): string
---@return string
function fold.line(group, style)
  local remedy = words.remedy(group.result)
  return ("%s %s%s\n"):format(style("name", title(group) .. ":"),
    style("bad", words.outcome(group.result, #group.names > 1)), remedy and "\n  " .. remedy or "")
end

--- The text of one group. style(name, text) colours; clean(text) makes output harmless.
---@param group arclua.FoldedGroup
---@param how { style: fun(name: string, text: string): string, clean: fun(text: string): string }
---@return string
function fold.text(group, how)
  local result, out = group.result, {}
  out[1] = ("%s\n%s\n%s\n"):format(RULE, how.style("name", title(group)), RULE)
  out[2] = with_newline(how.clean(result.stdout))
  if result.stderr ~= "" then
    out[#out + 1] = how.style("faint", "stderr:") .. "\n" .. with_newline(how.clean(result.stderr))
  end
  local truncated = words.truncated(result)
  if truncated then
    out[#out + 1] = how.style("faint", truncated) .. "\n"
  end
  if result.state ~= "ok" then
    out[#out + 1] = how.style("bad", words.outcome(result, #group.names > 1)) .. "\n"
    local remedy = words.remedy(result)
    out[#out + 1] = remedy and "  " .. remedy .. "\n" or ""
  end
  return table.concat(out)
end

return fold
