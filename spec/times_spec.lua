-- SPDX-License-Identifier: MIT
local times = require "arclua.times"

describe("times", function()
  it("of HTTP's headers", function()
    assert.equal(1795645502, times.http "Wed, 25 Nov 2026 22:25:02 GMT")
    assert.equal(951782400, times.http "Tue, 29 Feb 2000 00:00:00 GMT")
    assert.equal(0, times.http "Thu, 01 Jan 1970 00:00:00 GMT")
    for _, text in ipairs { "", "yesterday", "Wed, 25 Foo 2026 22:25:02 GMT",
      "Wednesday, 25-Nov-26 22:25:02 GMT" } do
      assert.is_nil(times.http(text), text)
    end
    assert.is_nil(times.http(nil))
  end)

  it("of JSON", function()
    assert.equal(1795645502, times.rfc3339 "2026-11-25T22:25:02Z")
    assert.is_true(math.abs(1795645502.1234567 - times.rfc3339 "2026-11-25T22:25:02.1234567Z")
      < 1e-6)
    assert.equal(1795645502, times.rfc3339 "2026-11-25T22:25:02.0000000+00:00")
    assert.equal(1795645502, times.rfc3339 "2026-11-26T00:25:02+02:00")
    assert.equal(1795645502, times.rfc3339 "2026-11-25T17:25:02-05:00")
    for _, text in ipairs { "", "2026-11-25", "2026-11-25T22:25:02", "2026-11-25 22:25:02Z",
      "2026-11-25T22:25:02+2" } do
      assert.is_nil(times.rfc3339(text), text)
    end
    assert.is_nil(times.rfc3339(nil))
    assert.is_nil(times.rfc3339(5))
  end)

  it("says a time to people", function()
    assert.equal("2026-11-22 18:16:05 UTC", times.readable "2026-11-22T18:16:05.5596866Z")
    assert.equal("2026-11-22 18:16:05 UTC", times.readable "2026-11-22T18:16:05Z")
    assert.equal("soon", times.readable "soon")
  end)
end)
