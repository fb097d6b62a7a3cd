-- SPDX-License-Identifier: MIT
local record = require "arclua.fleet.record"
local reports = require "arclua.report"

local function report(states, why)
  local results = {}
  for i, state in ipairs(states) do
    results[i] = { name = "m" .. i, state = state, status = tonumber(states[state]),
      stdout = "", stderr = "", truncated = 0, attempts = 1, ended = "confirmed" }
    if state == "ok" then
      results[i].status = 0
    end
  end
  return reports.new { results = results, seconds = 2.1, why = why }
end

describe("report", function()
  for status, states in pairs {
    [0] = { "ok", "ok", "skipped" }, [5] = { "ok", "failed" }, [3] = { "failed", "timeout" },
    [4] = { "failed", "timeout", "unreachable" },
  } do
    it("exits with " .. status, function()
      assert.equal(status, report(states):exit_status())
    end)
  end

  it("counts denied, unknown and cancelled as not reached", function()
    for _, state in ipairs { "denied", "unknown", "cancelled" } do
      assert.equal(4, report({ state }):exit_status())
    end
  end)

  it("gives the largest remote status when asked", function()
    local states = { "ok", "failed", failed = 7 }
    assert.equal(7, report(states):exit_status { max_status = true })
    assert.equal(255, report { "unreachable" }:exit_status { max_status = true })
    assert.equal(0, report({ "ok" }):exit_status { max_status = true })
  end)

  it("says interrupted", function()
    assert.equal(130, report({ "ok" }, "stopped"):exit_status())
    assert.truthy(report({ "ok" }, "stopped"):summary():find("interrupted", 1, true))
  end)

  it("sums up in a line", function()
    local states = { "ok", "failed", "unreachable", failed = 1 }
    assert.equal("1 ok, 2 failed (m2: exit 1, m3: unreachable) in 2.1 s", report(states):summary())
    assert.equal("2 ok in 2.1 s", report({ "ok", "ok" }):summary())
  end)

  it("tells what was done from what was not", function()
    local it_ = report({ "ok", "failed", "cancelled", "cancelled", "cancelled", failed = 2 },
      "stopped")
    for i = 4, 5 do
      it_.results[i] = record.untried({ name = "m" .. i }, "stopped")
    end
    assert.equal("1 ok, 1 failed (m2: exit 2), 1 cancelled, 2 not tried in 2.1 s; interrupted",
      it_:summary())
  end)

  it("names five and counts the rest", function()
    local states = {}
    for i = 1, 8 do
      states[i] = "denied"
    end
    assert.truthy(report(states):summary():find("and 3 more", 1, true))
  end)

  it("iterates over what failed", function()
    local names = {}
    for result in report({ "ok", "failed", "ok", "denied" }):failed() do
      names[#names + 1] = result.name
    end
    assert.same({ "m2", "m4" }, names)
    assert.is_false(report({ "failed" }):ok())
    assert.is_true(report({ "ok" }):ok())
  end)

  it("says why it cannot save", function()
    local ok, err = report({ "ok" }):save "/nonexistent/dir/file"
    assert.is_nil(ok)
    assert.equal("io", err.code)
  end)
end)
