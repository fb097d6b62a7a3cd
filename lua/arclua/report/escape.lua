-- SPDX-License-Identifier: MIT
-- Hostile text: what a terminal would obey is spelt \xNN.
local escape = {}

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("\\x%02X"):format(byte:byte())
  end))
end

-- Bytes that are no valid UTF-8, spelt out; C1 controls (U+0080 to U+009F) too.
local function clean_high(text)
  if not text:find "[\128-\255]" then
    return text
  end
  local out, from = {}, 1
  while from <= #text do
    local _, bad = utf8.len(text, from)
    local good = text:sub(from, (bad or #text + 1) - 1)
    out[#out + 1] = good:gsub("\xC2[\x80-\x9F]", hex)
    if not bad then
      break
    end
    out[#out + 1] = hex(text:sub(bad, bad))
    from = bad + 1
  end
  return table.concat(out)
end

local function clean_plain(text)
  return clean_high((text:gsub("[%z\1-\8\11-\31\127]", hex)))
end

--- Output of a command for a terminal: tab, newline and colour stay; CR before LF goes.
---@param text string
---@return string
function escape.output(text)
  text = text:gsub("\r\n", "\n")
  if not text:find "[%c\127-\255]" then
    return text
  end
  local out, from = {}, 1
  while true do
    local first, last = text:find("\27%[[%d;]*m", from)
    out[#out + 1] = clean_plain(text:sub(from, (first or #text + 1) - 1))
    if not first then
      return table.concat(out)
    end
    out[#out + 1] = text:sub(first, last)
    from = last + 1
  end
end

--- Text from ARM, the relay or sshd, and names: no colour either. Newlines stay when asked.
---@param text string
---@param lines boolean?
---@return string
function escape.text(text, lines)
  text = tostring(text)
  if not text:find "[%c\127-\255]" then
    return text
  end
  text = clean_plain(text)
  if not lines then
    text = text:gsub("[\t\n]", hex)
  end
  return text
end

--- Whether a line switched colour on and may have left it on.
---@return boolean
function escape.has_colour(text)
  return text:find("\27%[[%d;]*m") ~= nil
end

return escape
