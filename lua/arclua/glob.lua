-- SPDX-License-Identifier: MIT
-- Globs over Azure names, compared without case: * ? [abc] [!a-z] {a,b}, and
-- numeric ranges as reports print them: web-[01-03,07]. The same over files, by case.
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

local function negation(body)
  if body:find "^[!^]" then
    return "^", body:sub(2)
  end
  return "", body
end

-- What the parts of a glob are in Lua's patterns, and in RE2 (Resource Graph's `matches regex`).
local LUA = { any = ".*", one = utf8.charpattern, class = function(body)
  local sign, rest = negation(body)
  return "[" .. sign .. rest:gsub("[%%%]%^]", "%%%0") .. "]"
end, literal = function(byte)
  return (byte:gsub("%p", "%%%0"))
end }

-- Of files' paths one part; ** passes slashes.
local FILES = { any = "[^/]*", deep = ".*", one = "[%z\1-\46\48-\127\xC2-\xFD][\x80-\xBF]*",
  class = LUA.class, literal = LUA.literal }

local RE2 = { any = ".*", one = ".", class = function(body)
  local sign, rest = negation(body)
  return "[" .. sign .. rest:gsub("[\\%]%[%^]", "\\%0") .. "]"
end, literal = function(byte)
  return (byte:gsub("%p", "\\%0"))
end }

-- One pattern without alternatives -> an anchored pattern of the dialect | nil, why.
local function translate(pattern, dialect)
  local out, i = { "^" }, 1
  while i <= #pattern do
    local byte = pattern:sub(i, i)
    if byte == "*" then
      local stars = pattern:match("^%*+", i)
      out[#out + 1] = #stars > 1 and dialect.deep or dialect.any
      i = i + #stars - 1
    elseif byte == "?" then
      out[#out + 1] = dialect.one
    elseif byte == "[" then
      local close = pattern:find("]", i + 2, true)
      if not close then
        return nil, "'[' has no ']'"
      end
      out[#out + 1] = dialect.class(pattern:sub(i + 1, close - 1))
      i = close
    else
      out[#out + 1] = dialect.literal(byte)
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

--- The names that a glob stands for, and the globs without alternatives that are left; in lower
--- case, unless by_case. Errors: config.
---@param pattern string
---@param by_case boolean?
---@return { names: string[], globs: string[] }|nil, arclua.Error?
function glob.parts(pattern, by_case)
  if pattern == "" then
    return refuse(pattern, "empty")
  end
  local all = {}
  if not expand(by_case and pattern or pattern:lower(), all) then
    return refuse(pattern, "stands for more than " .. LIMIT .. " names")
  end
  local parts = { names = {}, globs = {} }
  for _, part in ipairs(all) do
    local list = glob.is_pattern(part) and parts.globs or parts.names
    list[#list + 1] = part
  end
  return parts
end

--- One of glob.parts' globs as a regular expression of RE2.
---@return string
function glob.regex(one)
  return (translate(one, RE2))
end

--- A function that says whether a name matches. Errors: config.
---@param pattern string
---@param opts { files: boolean? }?  files: by case; * and ? match no slash, ** does
---@return (fun(name: string): boolean)|nil, arclua.Error?
function glob.compile(pattern, opts)
  local files = opts and opts.files
  local parts, err = glob.parts(pattern, files)
  if not parts then
    return nil, err
  end
  local exact, patterns = {}, {}
  for _, name in ipairs(parts.names) do
    exact[name] = true
  end
  for i, one in ipairs(parts.globs) do
    local translated, why = translate(one, files and FILES or LUA)
    if not translated then
      return refuse(pattern, why)
    end
    patterns[i] = translated
  end
  return function(name)
    name = files and name or name:lower()
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
