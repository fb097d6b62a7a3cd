-- SPDX-License-Identifier: MIT
-- Kusto's words: tokens with their places. Failures are raised as tables, see lexer.fail.
local lexer = {}

-- Longer ones first.
local SYMBOLS = { "==", "!=", "=~", "!~", "<=", ">=", "|", "(", ")", "[", "]", ",", ".", "=", "<",
  ">", "+", "-", "*", "/", "%", ";", ":", "{", "}" }

local SPANS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

local ESCAPES = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v",
  ["0"] = "\0" }

local Failure = { __name = "arclua.emulator.kql" }

--- Raises: what is wrong with the query at a token. code: Resource Graph's.
function lexer.fail(token, why, code)
  error(setmetatable({ token = token, why = why, code = code or "ParserFailure" }, Failure), 0)
end

--- Whether it is what lexer.fail raises.
function lexer.is_failure(value)
  return getmetatable(value) == Failure
end

local function unescape(body, token)
  local out = body:gsub("\\(.)(%x?%x?%x?%x?)", function(byte, digits)
    if byte == "u" and #digits == 4 then
      return utf8.char(tonumber(digits, 16))
    elseif byte == "x" and #digits >= 2 then
      return utf8.char(tonumber(digits:sub(1, 2), 16)) .. digits:sub(3)
    elseif ESCAPES[byte] then
      return ESCAPES[byte] .. digits
    elseif byte:find "[\\'\"]" then
      return byte .. digits
    end
    lexer.fail(token, ("'\\%s' is no escape"):format(byte))
  end)
  return out
end

local function escaped_end(text, at, quote)
  local i = at + 1
  while i <= #text do
    local byte = text:sub(i, i)
    if byte == quote then
      return i
    elseif byte == "\n" then
      return nil
    end
    i = i + (byte == "\\" and 2 or 1)
  end
end

local function verbatim_end(text, at, quote)
  local i = at + 1
  while true do
    i = text:find(quote, i, true)
    if not i or text:sub(i + 1, i + 1) ~= quote then
      return i
    end
    i = i + 2
  end
end

-- 'a\'b', "a", @'a''b'
local function read_string(text, at, token)
  local verbatim, quote = text:match("^(@?)(['\"])", at)
  if not quote then
    return nil
  end
  local first = at + #verbatim
  local last = (verbatim == "@" and verbatim_end or escaped_end)(text, first, quote)
  if not last then
    lexer.fail(token, "the string has no end")
  end
  local body = text:sub(first + 1, last - 1)
  token.kind = "string"
  token.value = verbatim == "@" and body:gsub(quote .. quote, quote) or unescape(body, token)
  return last
end

local function read_number(text, at, token)
  local digits = text:match("^%d+%.?%d*", at)
  if not digits then
    return nil
  end
  local unit = text:match("^(%a+)", at + #digits)
  if unit and SPANS[unit] then
    token.kind, token.value = "timespan", tonumber(digits) * SPANS[unit]
    return at + #digits + #unit - 1
  elseif digits:find "%.$" then -- 1..2 is none of ours: leave the dot
    digits = digits:sub(1, -2)
  end
  token.kind, token.value = "number", math.tointeger(tonumber(digits)) or tonumber(digits)
  return at + #digits - 1
end

-- Names, and operators that are words: in~ !in~ !contains
local function read_word(text, at, token)
  local word = text:match("^!?[%a_$][%w_]*", at)
  if not word then
    return nil
  elseif (word == "in" or word == "!in" or word == "has_any") and text:sub(at + #word, at + #word)
    == "~" then
    word = word .. "~"
  end
  token.kind, token.value = "word", word
  return at + #word - 1
end

local function read_symbol(text, at, token)
  for _, symbol in ipairs(SYMBOLS) do
    if text:sub(at, at + #symbol - 1) == symbol then
      token.kind, token.value = "symbol", symbol
      return at + #symbol - 1
    end
  end
end

local function read(text, at, token)
  local last = read_string(text, at, token) or read_number(text, at, token)
    or read_word(text, at, token) or read_symbol(text, at, token)
  if not last then
    token.text = text:match("^" .. utf8.charpattern, at) or text:sub(at, at)
    lexer.fail(token, "no token begins so")
  end
  token.text = text:sub(at, last)
  return last + 1
end

--- The tokens of a text: { kind, value, text, line, column, at }, the last one of kind "end".
---@param text string
---@return table[]
function lexer.tokens(text)
  local list, at, line, line_start = {}, 1, 1, 1
  while true do
    local from, to = text:find("^%s+", at)
    if not from then
      from, to = text:find("^//[^\n]*", at)
    end
    local token = { line = line, column = at - line_start + 1, at = at, text = text:sub(at, at) }
    if from then
      for place in text:sub(from, to):gmatch "()\n" do
        line, line_start = line + 1, from + place
      end
      at = to + 1
    elseif at > #text then
      token.kind, token.text = "end", "<EOF>"
      list[#list + 1] = token
      return list
    else
      at = read(text, at, token)
      list[#list + 1] = token
    end
  end
end

return lexer
