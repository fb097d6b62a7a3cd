-- SPDX-License-Identifier: MIT
-- Percent-encoding: text in addresses and forms.
local percent = {}

--- All but RFC 3986's unreserved characters as %XX.
---@param text string
---@return string
function percent.encode(text)
  return (text:gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

return percent
