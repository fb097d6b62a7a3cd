-- SPDX-License-Identifier: MIT
-- Columns for people.
local escape = require "arclua.report.escape"
local width = require "arclua.report.width"

local columns = {}

local GAP = 2
local LEAST = 4 -- columns that a cell keeps when all does not fit
local CHUNK = 200 -- lines written at once

-- The widest of the columns from first on that may become narrower, or nil.
local function widest(widths, least, first)
  local found
  for k = first, #widths do
    if widths[k] > least[k] and (not found or widths[k] >= widths[found]) then
      found = k
    end
  end
  return found
end

-- Makes the widest columns narrower until all fit; the first one, a name, only when the others
-- are as narrow as they may be.
local function fit(widths, titles, opts)
  local total, least = GAP * (#widths - 1), {}
  for k, one in ipairs(widths) do
    total = total + one
    least[k] = math.max(LEAST, width.of(titles[k]), opts.least and opts.least[k] or 0)
  end
  while total > (opts.width or math.huge) do
    local k = widest(widths, least, 2) or widest(widths, least, 1)
    if not k then
      return
    end
    widths[k] = widths[k] - 1
    total = total - 1
  end
end

local function cells_of(row, count)
  local cells = {}
  for k = 1, count do
    cells[k] = escape.text(row[k] or "")
  end
  return cells
end

-- One line; paint(k, padded text, row) may colour a cell.
local function line_of(cells, widths, paint, row)
  for k, cell in ipairs(cells) do
    local taken = width.of(cell)
    if taken > widths[k] then
      cell = width.fit(cell, widths[k])
      taken = width.of(cell)
    end
    local shown = paint and paint(k, cell, row) or cell
    cells[k] = k < #cells and shown .. (" "):rep(widths[k] - taken + GAP) or shown
  end
  local line = table.concat(cells)
  return line:find " $" and (line:gsub(" +$", "")) or line
end

---@class arclua.TableOptions
---@field width integer?  columns of the terminal; nil: no line is cut
---@field least table<integer, integer>?  columns that a cell keeps when all does not fit
---@field paint (fun(column: integer, text: string, row: any[]?): string)?  row: nil for titles

--- Writes rows under titles, aligned, each line without trailing blanks. Rows are made twice, once
--- for their widths, so that thousands need no memory.
---@param write fun(text: string)
---@param titles string[]
---@param count integer
---@param row fun(i: integer): any[]
---@param opts arclua.TableOptions?
function columns.write(write, titles, count, row, opts)
  opts = opts or {}
  local widths, lines = {}, {}
  for k, title in ipairs(titles) do
    widths[k] = width.of(title)
  end
  for i = 1, count do
    for k, cell in ipairs(cells_of(row(i), #titles)) do
      widths[k] = math.max(widths[k], width.of(cell))
    end
  end
  fit(widths, titles, opts)
  lines[1] = line_of(cells_of(titles, #titles), widths, opts.paint)
  for i = 1, count do
    local entry = row(i)
    lines[#lines + 1] = line_of(cells_of(entry, #titles), widths, opts.paint, entry)
    if #lines == CHUNK then
      write(table.concat(lines, "\n") .. "\n")
      lines = {}
    end
  end
  write(#lines > 0 and table.concat(lines, "\n") .. "\n" or "")
end

--- The same as one text.
---@param titles string[]
---@param rows string[][]
---@return string
function columns.format(titles, rows)
  local parts = {}
  columns.write(function(text)
    parts[#parts + 1] = text
  end, titles, #rows, function(i)
    return rows[i]
  end)
  return table.concat(parts)
end

return columns
