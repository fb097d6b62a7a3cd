-- SPDX-License-Identifier: MIT
-- The small pieces of OpenSSH's configuration language: words of a line, patterns.
local words = {}

local NOT = ("!"):byte()

local ESCAPED = { ["'"] = true, ['"'] = true, ["\\"] = true }

-- One word from position i on: the word, the position after it | nil, why.
local function word_at(text, i)
  local out, quote = {}, nil
  while i <= #text do
    local c, following = text:sub(i, i), text:sub(i + 1, i + 1)
    if c == "\\" and (ESCAPED[following] or not quote and following == " ") then
      out[#out + 1] = following
      i = i + 1
    elseif not quote and c:find "[ \t]" then
      break
    elseif c == quote then
      quote = nil
    elseif not quote and c:find "[\"']" then
      quote = c
    else
      out[#out + 1] = c
    end
    i = i + 1
  end
  if quote then
    return nil, "a quote is not closed"
  end
  return table.concat(out), i
end

--- The words of a line's rest; # at the begin of a word ends it. nil, why for an open quote.
---@param text string
---@return string[]|nil, string?
function words.split(text)
  local list, i = {}, 1
  while true do
    i = text:find("[^ \t]", i)
    if not i or text:sub(i, i) == "#" then
      return list
    end
    local word, after = word_at(text, i)
    if not word then
      return nil, after
    end
    list[#list + 1] = word
    i = after
  end
end

--- A line's keyword in lower case and the rest; nil when it is blank or a comment.
---@return string? keyword, string? rest
function words.keyword(line)
  local text = line:gsub("[%s\f]+$", "")
  local keyword, rest = text:match '^%s*"([^"]+)"%s*=?%s*(.*)$'
  if not keyword then
    keyword, rest = text:match "^%s*([^%s=#\"][^%s=\"]*)%s*=?%s*(.*)$"
  end
  return keyword and keyword:lower(), rest
end

-- A pattern taken apart: nearly all of them differ from nearly all names before their first
-- wildcard.
local function compile(text)
  local negated = text:byte() == NOT
  local body = negated and text:sub(2) or text
  local wild = body:find "[*?]"
  return { body = body, negated = negated, wild = wild, prefix = wild and body:sub(1, wild - 1) }
end

-- In time len(text) * len(pattern) at most.
local function matches(text, compiled)
  local pattern, wild = compiled.body, compiled.wild
  if not wild then
    return text == pattern
  elseif wild > 1 and text:sub(1, wild - 1) ~= compiled.prefix then
    return false
  end
  local t, p, star, mark = wild, wild, nil, nil
  while t <= #text do
    local c = pattern:sub(p, p)
    if c == "*" then
      star, mark, p = p, t, p + 1
    elseif c == "?" or c ~= "" and c == text:sub(t, t) then
      t, p = t + 1, p + 1
    elseif star then
      mark = mark + 1
      t, p = mark, star + 1
    else
      return false
    end
  end
  return pattern:find("^%**$", p) ~= nil
end

--- Whether text matches a pattern of * and ?.
---@return boolean
function words.match(text, pattern)
  return matches(text, { body = pattern, wild = pattern:find "[*?]",
    prefix = pattern:match "^[^*?]*" })
end

--- Patterns for match_any.
---@param list string[]
function words.compile(list)
  local patterns = {}
  for i, text in ipairs(list) do
    patterns[i] = compile(text)
  end
  return patterns
end

--- The first of compiled patterns that matches, nil when none does, or a negated one.
---@return string?
function words.match_any(text, patterns)
  local found
  for _, pattern in ipairs(patterns) do
    if matches(text, pattern) then
      if pattern.negated then
        return nil
      end
      found = found or pattern.body
    end
  end
  return found
end

--- Match's way: patterns with commas between.
---@return boolean
function words.match_list(text, list)
  local patterns = {}
  for pattern in list:gmatch "[^,]+" do
    patterns[#patterns + 1] = compile(pattern)
  end
  return words.match_any(text, patterns) ~= nil
end

return words
