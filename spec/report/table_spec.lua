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
end)
