-- SPDX-License-Identifier: MIT
-- Small texts of HTTP: percent-encoding, forms, queries, dates.
local percent = require "arclua.percent"

local text = {}

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
  "Dec" }

--- %XX undone; plus = true: also "+" as a blank (forms).
function text.decode(s, plus)
  if plus then
    s = s:gsub("%+", " ")
  end
  return (s:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- All but RFC 3986's unreserved characters as %XX.
text.encode = percent.encode

--- "a=1&b=2" as a table; the first of equal names wins. keep_case = false: names in lower case.
function text.pairs(s, plus, keep_case)
  local out = {}
  for part in s:gmatch "[^&]+" do
    local name, value = part:match "^([^=]*)=(.*)$"
    name = text.decode(name or part, plus)
    name = keep_case and name or name:lower()
    if out[name] == nil then
      out[name] = text.decode(value or "", plus)
    end
  end
  return out
end

--- The date of an HTTP header.
function text.http_date(seconds)
  local t = os.date("!*t", math.floor(seconds))
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month],
    t.year, t.hour, t.min, t.sec)
end

--- Printable ASCII of at most n bytes: what may go into a reason phrase.
function text.plain(s, n)
  return (s:gsub("[^\32-\126]", "?"):sub(1, n))
end

--- A value in single quotes for sh.
function text.quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

return text
