-- SPDX-License-Identifier: MIT
-- Resource Graph's query for a selection. It narrows: what comes back is selected from once more,
-- so a condition may be left out, but must never lose a machine. Texts go in as literals only.
local glob = require "arclua.glob"
local json = require "arclua.json"

local kql = {}

-- More values than this are compared here instead of in the query.
local MOST = 500
local MOST_PATTERNS = 20

local NAMED = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ["'"] = "\\'" }

--- A text as Kusto's literal, in single quotes.
---@param text string
---@return string
function kql.quote(text)
  return "'" .. json.clean(text):gsub("[%c\\']", function(byte)
    return NAMED[byte] or ("\\u%04X"):format(byte:byte())
  end) .. "'"
end

local function quoted(list)
  local out = {}
  for i, text in ipairs(list) do
    out[i] = kql.quote(text)
  end
  return "(" .. table.concat(out, ",") .. ")"
end

-- Those that are there, joined and in parentheses; nil when there is none.
local function join(list, word)
  if #list == 0 then
    return nil
  end
  return #list == 1 and list[1] or "(" .. table.concat(list, " " .. word .. " ") .. ")"
end

-- One glob without alternatives.
local function one_glob(column, pattern)
  local start = pattern:match "^([%w_.-]+)%*$"
  if start then
    return ("%s startswith %s"):format(column, kql.quote(start))
  end
  return ("%s matches regex %s"):format(column, kql.quote("(?i)" .. glob.regex(pattern)))
end

--- Whether a column matches one of some globs; nil when that cannot be said in a query, or is so
--- of every text.
---@param column string
---@param patterns string[]
---@return string|nil
function kql.globs(column, patterns)
  local names, conditions = {}, {}
  for _, pattern in ipairs(patterns) do
    local parts = glob.parts(pattern)
    if not parts or pattern:find "[\128-\255]" then
      return nil
    end
    table.move(parts.names, 1, #parts.names, #names + 1, names)
    for _, one in ipairs(parts.globs) do
      if one:find "^%*+$" then
        return nil
      end
      conditions[#conditions + 1] = one_glob(column, one)
    end
  end
  if #names > MOST or #conditions > MOST_PATTERNS then
    return nil
  elseif #names > 0 then
    table.insert(conditions, 1, ("%s in~ %s"):format(column, quoted(names)))
  end
  return join(conditions, "or")
end

--- Whether the ID is one of a list; nil when they are too many.
---@return string|nil
function kql.ids(list)
  return #list <= MOST and ("id in~ %s"):format(quoted(list)) or nil
end

-- Keys of tags are compared without case, as Azure has them: in a copy in lower case.
local function tags(list)
  local conditions = {}
  for _, tag in ipairs(list) do
    local member = ("lowtags[%s]"):format(kql.quote(tag[1]))
    conditions[#conditions + 1] = tag[2]
      and ("tostring(%s) =~ %s"):format(member, kql.quote(tag[2]))
      or ("isnotnull(%s)"):format(member)
  end
  return join(conditions, "or")
end

-- A full or partial name: NAME, RG/NAME, SUBSCRIPTION/RG/NAME.
local function name(parts)
  local conditions = {}
  for i, column in ipairs { "name", "resourceGroup", "subscriptionId" } do
    local part = parts[#parts + 1 - i]
    conditions[#conditions + 1] = part and kql.globs(column, { part })
  end
  return join(conditions, "and")
end

-- The names that are looked for; nil: any.
local function names(list)
  local conditions, exact = {}, {}
  for _, one in ipairs(list) do
    if one.exact and #one.parts == 1 then
      exact[#exact + 1] = one.parts[1]
    elseif not one.id then
      local condition = name(one.parts)
      if not condition then
        return nil
      end
      conditions[#conditions + 1] = condition
    end
  end
  if #exact > MOST or #conditions > MOST_PATTERNS then
    return nil
  elseif #exact > 0 then
    conditions[#conditions + 1] = ("name in~ %s"):format(quoted(exact))
  end
  return join(conditions, "or")
end

-- Whether a plain name is among them: whether it is there at all must show, whatever else is asked.
local function any_exact(list)
  for _, one in ipairs(list) do
    if one.exact and not one.id then
      return true
    end
  end
  return false
end

local function excluded(patterns)
  local condition = #patterns > 0 and kql.globs("name", patterns)
  return condition and ("not(%s)"):format(condition)
end

--- The conditions of a selection, each a text.
---@param selection arclua.Selection
---@return string[]
function kql.conditions(selection)
  local out = { names(selection.names) }
  if any_exact(selection.names) then
    return out
  end
  local source = selection.source
  local function add(condition)
    out[#out + 1] = condition or nil
  end
  add(kql.globs("resourceGroup", source.resource_group))
  add(excluded(source.exclude))
  add(tags(source.tags))
  -- A machine whose system is not told by osType is judged here.
  add(source.os and ("osType in~ (%s,'')"):format(kql.quote(source.os)))
  add(source.status and ("status =~ %s"):format(kql.quote(source.status)))
  return out
end

-- Our names of properties, and where the first generation of private clouds' machines has them.
local ELSEWHERE = { { "status", "guestAgentProfile.status" }, { "osType", "osProfile.osType" },
  { "agentVersion", "guestAgentProfile.agentVersion" },
  { "lastStatusChange", "guestAgentProfile.lastStatusChange" },
  { "osName", "osProfile.osName" } }
local PROPERTIES = { "osSku", "machineFqdn", "vmId" }

local function extended()
  local first, second = {}, {}
  for i, pair in ipairs(ELSEWHERE) do
    local column = pair[1]
    first[i] = ("%s=tostring(properties.%s)"):format(column, column)
    second[i] = ("%s=iff(isempty(%s),tostring(properties.%s),%s)"):format(column, column, pair[2],
      column)
  end
  return ("| extend %s\n| extend %s\n"):format(table.concat(first, ","),
    table.concat(second, ","))
end

local function projected()
  local columns = { "id", "name", "kind", "location", "tags" }
  for _, pair in ipairs(ELSEWHERE) do
    columns[#columns + 1] = pair[1]
  end
  for _, name_ in ipairs(PROPERTIES) do
    columns[#columns + 1] = ("%s=tostring(properties.%s)"):format(name_, name_)
  end
  return ("| project %s\n| order by id asc"):format(table.concat(columns, ","))
end

--- The query for machines under all of the conditions.
---@param types string[]      resource types
---@param conditions string[]
---@return string
function kql.machines(types, conditions)
  local text = ("Resources\n| where type in~ %s\n%s"):format(quoted(types), extended())
  local all = table.concat(conditions, "\n  and ")
  if all:find("lowtags[", 1, true) then
    text = text .. "| extend lowtags=todynamic(tolower(tostring(tags)))\n"
  end
  return text .. (all ~= "" and "| where " .. all .. "\n" or "") .. projected()
end

return kql
