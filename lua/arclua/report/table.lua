-- SPDX-License-Identifier: MIT
-- Columns for people.
local escape = require "arclua.report.escape"

local columns = {}

local function width(text)
  return utf8.len(text) or #text
end

--- Rows under titles, aligned, each line without trailing blanks.
---@param titles string[]
---@param rows string[][]
---@return string
function columns.format(titles, rows)
  local all, widths = { titles }, {}
  for i, row in ipairs(rows) do
    local cells = {}
    for k = 1, #titles do
      cells[k] = escape.text(row[k] or "")
    end
    all[i + 1] = cells
  end
  for _, row in ipairs(all) do
    for k, cell in ipairs(row) do
      widths[k] = math.max(widths[k] or 0, width(cell))
    end
  end
  local lines = {}
  for i, row in ipairs(all) do
    local cells = {}
    for k, cell in ipairs(row) do
      cells[k] = cell .. (" "):rep(widths[k] - width(cell))
    end
    lines[i] = table.concat(cells, "  "):gsub(" +$", "")
  end
  return table.concat(lines, "\n") .. "\n"
end

return columns
