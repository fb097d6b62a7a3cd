-- SPDX-License-Identifier: MIT
local errors = require "arclua.errors"
local json = require "arclua.json"
local record = require "arclua.fleet.record"

local MACHINE = { id = "/ID", name = "web-01" }

local function answer(fields)
  local it = { state = "ok", status = 0, stdout = "", stderr = "", truncated = 0, seconds = 1,
    ended = "confirmed" }
  for key, value in pairs(fields) do
    it[key] = value
  end
  return it
end

describe("record", function()
  it("is one line, its members in the documented order", function()
    local result = record.of(MACHINE, answer { stdout = "a\n" },
      { attempts = 1, started = 1767225600, seconds = 0.25 })
    assert.equal('{"machine":"/ID","name":"web-01","state":"ok","status":0,"signal":null,'
      .. '"stdout":"a\\n","stderr":"","truncated":0,"error":null,"phase":"exec","attempts":1,'
      .. '"started":"2026-01-01T00:00:00Z","seconds":0.25,"ended":"confirmed"}',
      record.encode(result))
  end)

  it("adds base64 only for what is not UTF-8", function()
    local line = record.encode(record.of(MACHINE, answer { stdout = "a\xFF\0" }, {}))
    local value = assert(json.decode(line))
    assert.equal("Yf8A", value.stdout_base64)
    assert.equal("a\u{FFFD}\0", value.stdout)
    line = record.encode(record.of(MACHINE, answer {}, {}))
    assert.is_nil(assert(json.decode(line)).stdout_base64)
  end)

  it("holds the error's four members", function()
    local err = errors.new { reason = "relay.no-listener", message = "m", status = 404 }
    local line = record.encode(record.not_run(MACHINE, err, { phase = "relay" }))
    local value = assert(json.decode(line))
    assert.same({ code = "unavailable", reason = "relay.no-listener", message = "m",
      remedy = err.remedy }, value.error)
    assert.equal("relay", value.phase)
    assert.is_nil(value.status)
    assert.equal("not-started", value.ended)
  end)

  for code, state in pairs { auth = "denied", denied = "denied", hostkey = "denied",
    cancelled = "cancelled", unavailable = "unreachable", timeout = "unreachable",
    dns = "unreachable", tls = "unreachable" } do
    it(("calls a connection that failed by %s %s"):format(code, state), function()
      assert.equal(state, record.not_run(MACHINE,
        errors.new { code = code, message = "m" }).state)
    end)
  end

  it("knows machines that were never tried", function()
    local result = record.untried(MACHINE, "stopped")
    assert.equal("cancelled", result.state)
    assert.equal("fleet.stopped", result.err.reason)
    result = record.untried(MACHINE, "deadline")
    assert.equal("timeout", result.state)
    assert.equal("fleet.deadline", result.err.reason)
  end)

  it("names a direct host by address", function()
    local line = record.encode(record.untried({ name = "db", host = "10.0.0.5", port = 2222 },
      "stopped"))
    assert.truthy(line:find('"machine":"10.0.0.5:2222","name":"db"', 1, true))
  end)
end)
