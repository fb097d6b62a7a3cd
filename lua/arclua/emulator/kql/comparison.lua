-- SPDX-License-Identifier: MIT
-- What Kusto compares with.
local values = require "arclua.emulator.kql.values"

local comparison = {}

local compare = values.compare

--- Of two values. Null is equal to nothing, and unlike everything.
comparison.VALUES = {
  ["=="] = function(a, b) return compare(a, b) == 0 end,
  ["!="] = function(a, b) return compare(a, b) ~= 0 end,
  ["<"] = function(a, b) return compare(a, b) == -1 end,
  [">"] = function(a, b) return compare(a, b) == 1 end,
  ["<="] = function(a, b) return (compare(a, b) or 1) <= 0 end,
  [">="] = function(a, b) return (compare(a, b) or -1) >= 0 end,
}

--- Whether part stands in whole between other than letters and digits.
function comparison.has(whole, part)
  local from = 1
  while true do
    local first, last = whole:find(part, from, true)
    if not first then
      return false
    end
    local begins = first == 1 or not whole:find("^%w", first - 1)
    if begins and not whole:find("^%w", last + 1) then
      return true
    end
    from = first + 1
  end
end

--- Of texts, without case: both are in lower case.
comparison.TEXTS = {
  ["=~"] = function(got, wanted) return got == wanted end,
  contains = function(got, wanted) return got:find(wanted, 1, true) ~= nil end,
  startswith = function(got, wanted) return got:sub(1, #wanted) == wanted end,
  endswith = function(got, wanted) return wanted == "" or got:sub(-#wanted) == wanted end,
  has = comparison.has,
}

--- Operators that are the contrary of one of these.
comparison.NEGATED = { ["!~"] = "=~", ["!contains"] = "contains",
  ["!startswith"] = "startswith", ["!endswith"] = "endswith", ["!has"] = "has" }

return comparison
