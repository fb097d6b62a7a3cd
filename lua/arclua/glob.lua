-- SPDX-License-Identifier: MIT
-- Globs over Azure names, compared without case: * ? [abc] [!a-z] {a,b}, and
-- numeric ranges as reports print them: web-[01-03,07].
local errors = require "arclua.errors"

local glob = {}

-- More alternatives than any real pattern has.
local LIMIT = 10000

local function refuse(pattern, why)
  return errors.fail { code = "config", message = ("glob '%s': %s"):format(pattern, why) }
end

-- "01-03,07" -> { "01", "02", "03", "07" }; nil when it is a plain byte class.
local function numbers(body)
  if not body:find "^[%d,-]+$" or not (body:find "," or body:find "%d%d%-"
      or body:find "%-%d%d") then
    return nil
  end
  local list = {}
  for part in body:gmatch "[^,]+" do
    local first, last = part:match "^(%d+)%-(%d+)$"
    if first then
      local low, high = tonumber(first), tonumber(last)
      if high < low then
        return nil
      end
      for n = low, math.min(high, low + LIMIT) do
        list[#list + 1] = ("%0" .. #first .. "d"):format(n)
      end
    elseif part:find "^%d+$" then
      list[#list + 1] = part
    else
      return nil
    end
  end
  return list
end

-- The first group that stands for alternatives: its bounds and them.
local function alternatives(pattern)
  local open, body, close = pattern:match "(){([^{}]*)()}"
  if open then
    local list = {}
    for part in (body .. ","):gmatch "([^,]*)," do
      list[#list + 1] = part
    end
    return open, close, list
  end
  for from, inner, to in pattern:gmatch "()%[([^%]]+)()%]" do
    local list = numbers(inner)
    if list then
      return from, to, list
    end
  end
  return nil
end

local function expand(pattern, out)
  local first, last, list = alternatives(pattern)
  if not first then
    out[#out + 1] = pattern
    return #out <= LIMIT
  end
  for _, part in ipairs(list) do
    if not expand(pattern:sub(1, first - 1) .. part .. pattern:sub(last + 1), out) then
      return false
    end
  end
  return true
end

local function class(body)
  local negated = body:find "^[!^]" and "^" or ""
  if negated ~= "" then
    body = body:sub(2)
  end
  return "[" .. negated .. body:gsub("[%%%]%^]", "%%%0") .. "]"
end

-- One pattern without alternatives -> an anchored Lua pattern | nil, why.
local function translate(pattern)
  local out, i = { "^" }, 1
  while i <= #pattern do
    local byte = pattern:sub(i, i)
    if byte == "*" then
      if out[#out] ~= ".*" then
        out[#out + 1] = ".*"
      end
    elseif byte == "?" then
      out[#out + 1] = "."
    elseif byte == "[" then
      local close = pattern:find("]", i + 2, true)
      if not close then
        return nil, "'[' has no ']'"
      end
      out[#out + 1] = class(pattern:sub(i + 1, close - 1))
      i = close
    else
      out[#out + 1] = (byte:gsub("%p", "%%%0"))
    end
    i = i + 1
  end
  out[#out + 1] = "$"
  return table.concat(out)
end

--- Whether text holds anything but plain bytes.
---@return boolean
function glob.is_pattern(text)
  return text:find "[*?%[{]" ~= nil
end

--- A function that says whether a name matches. Errors: config.
---@param pattern string
---@return (fun(name: string): boolean)|nil, arclua.Error?
function glob.compile(pattern)
  if pattern == "" then
    return refuse(pattern, "empty")
  end
  local parts = {}
  if not expand(pattern:lower(), parts) then
    return refuse(pattern, "stands for more than " .. LIMIT .. " names")
  end
  local exact, patterns = {}, {}
  for _, part in ipairs(parts) do
    if glob.is_pattern(part) then
      local translated, why = translate(part)
      if not translated then
        return refuse(pattern, why)
      end
      patterns[#patterns + 1] = translated
    else
      exact[part] = true
    end
  end
  return function(name)
    name = name:lower()
    if exact[name] then
      return true
    end
    for _, translated in ipairs(patterns) do
      if name:find(translated) then
        return true
      end
    end
    return false
  end
end

return glob
