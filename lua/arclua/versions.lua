-- SPDX-License-Identifier: MIT
-- Versions as tuples of numbers: 1.4 < 1.31 < 1.66.03412.2214 < 2.0.
local versions = {}

--- The numbers of a version; nil when it is none.
---@param text string?
---@return integer[]|nil
function versions.parse(text)
  if type(text) ~= "string" or not text:find "^%d+%.%d[%d%.]*$" or text:find "%.%." then
    return nil
  end
  local out = {}
  for digits in text:gmatch "%d+" do
    out[#out + 1] = math.tointeger(tonumber(digits))
    if #digits > 15 then
      return nil
    end
  end
  return out
end

--- Whether a is older than b; nil when either is no version.
---@param a string?
---@param b string
---@return boolean|nil
function versions.less(a, b)
  local left, right = versions.parse(a), versions.parse(b)
  if not left or not right then
    return nil
  end
  for i = 1, math.max(#left, #right) do
    local x, y = left[i] or 0, right[i] or 0
    if x ~= y then
      return x < y
    end
  end
  return false
end

return versions
