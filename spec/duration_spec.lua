-- SPDX-License-Identifier: MIT
local duration = require "arclua.duration"

describe("duration", function()
  for text, seconds in pairs { ["30"] = 30, ["30s"] = 30, ["2m"] = 120, ["1h30m"] = 5400,
    ["500ms"] = 0.5, ["0.5"] = 0.5, ["1.5h"] = 5400, ["1d"] = 86400 } do
    it("reads " .. text, function()
      assert.equal(seconds, duration.parse(text))
    end)
  end

  for _, text in ipairs { "", "x", "-1", "0", "0s", "10 s", "1y", "0x10", "1e3", "inf", "nan",
    "s", "5m3" } do
    it("refuses '" .. text .. "'", function()
      local value, err = duration.parse(text)
      assert.is_nil(value)
      assert.equal("config", err.code)
    end)
  end

  it("writes for people", function()
    assert.equal("0.4 s", duration.format(0.41))
    assert.equal("12 s", duration.format(12.2))
    assert.equal("3 min 5 s", duration.format(185))
    assert.equal("2 h 10 min", duration.format(7800))
  end)
end)
