-- SPDX-License-Identifier: MIT
local columns = require "arclua.report.table"

describe("table", function()
  it("aligns, by characters, and ends lines clean", function()
    assert.equal("NAME  OS\nü     linux\nlong\n",
      columns.format({ "NAME", "OS" }, { { "ü", "linux" }, { "long" } }))
  end)

  it("is not fooled by control bytes", function()
    assert.equal("A\nx\\x1B[2J\n", columns.format({ "A" }, { { "x\27[2J" } }))
  end)

  local function lines(opts, rows)
    local out = {}
    columns.write(function(text)
      for line in text:gmatch "[^\n]+" do
        out[#out + 1] = line
      end
    end, { "NAME", "SYSTEM", "TAGS" }, #rows, function(i) return rows[i] end, opts)
    return out
  end

  local ROWS = { { "web-01", "Debian GNU/Linux 12 (bookworm)", "env=prod role=web" },
    { "東京-1", "x", "" } }

  it("counts wide glyphs as two", function()
    local list = lines({}, ROWS)
    assert.equal("NAME    SYSTEM                          TAGS", list[1])
    assert.equal("東京-1  x", list[3])
  end)

  it("fits the terminal: the widest columns become narrower, names last", function()
    local width = require "arclua.report.width"
    for room = 12, 70 do
      for _, line in ipairs(lines({ width = room }, ROWS)) do
        assert.is_true(width.of(line) <= math.max(room, 18), room .. ": " .. line)
      end
    end
    local list = lines({ width = 40 }, ROWS)
    assert.matches("^web%-01  Debian.*…  env=.*$", list[2])
    list = lines({ width = 19 }, ROWS)
    assert.matches("^web%-…  Debia…  env…$", list[2])
  end)

  it("paints what stands in a cell, not what pads it", function()
    local list = lines({ paint = function(k, text, row)
      return k == 1 and row and "<" .. text .. ">" or text
    end }, ROWS)
    assert.equal("<web-01>  Debian GNU/Linux 12 (bookworm)  env=prod role=web", list[2])
    assert.equal("NAME    SYSTEM                          TAGS", list[1])
  end)

  it("writes thousands in pieces", function()
    local pieces, rows = 0, 1000
    columns.write(function() pieces = pieces + 1 end, { "N" }, rows, function(i) return { i } end)
    assert.is_true(pieces > 4)
  end)
end)
