-- SPDX-License-Identifier: MIT
-- PowerShell's text in pieces: where strings, blocks and brackets end.
local pieces = {}

local CLOSING = { ["("] = ")", ["{"] = "}", ["["] = "]" }

-- Behind the 'string', in which '' stands for one.
local function behind_quoted(text, i)
  local _, stop = text:find("^'[^']*'", i)
  while stop and text:sub(stop + 1, stop + 1) == "'" do
    _, stop = text:find("^'[^']*'", stop + 1)
  end
  return (stop or #text) + 1
end

-- Behind what begins at i - 1 and ends with `last`.
local function behind_last(text, i, last, step)
  while i <= #text and text:sub(i, i) ~= last do
    i = step(text, i)
  end
  return i + 1
end

local function in_string(text, i)
  return i + (text:sub(i, i) == "`" and 2 or 1)
end

--- Behind the string, block or bracket that begins at i.
function pieces.behind(text, i)
  local c = text:sub(i, i)
  if c == "'" then
    return behind_quoted(text, i)
  elseif c == '"' then
    return behind_last(text, i + 1, '"', in_string)
  elseif CLOSING[c] then
    return behind_last(text, i + 1, CLOSING[c], pieces.behind)
  end
  return i + (c == "`" and 2 or 1)
end

--- Cuts text where a byte of the set stands outside strings and brackets.
function pieces.cut(text, set)
  local out, from, i = {}, 1, 1
  while i <= #text do
    if text:find(set, i) == i then
      out[#out + 1] = text:sub(from, i - 1)
      from, i = i + 1, i + 1
    else
      i = pieces.behind(text, i)
    end
  end
  out[#out + 1] = text:sub(from)
  return out
end

return pieces
