-- SPDX-License-Identifier: MIT
local errors = require "arclua.errors"
local fold = require "arclua.report.fold"

local PLAIN = { style = function(_, text) return text end, clean = function(text) return text end }

local function result(name, fields)
  local r = { name = name, state = "ok", status = 0, stdout = "", stderr = "", truncated = 0,
    ended = "confirmed" }
  for key, value in pairs(fields) do
    r[key] = value
  end
  return r
end

local function print_all(results)
  local out = {}
  for _, group in ipairs(fold.groups(results)) do
    out[#out + 1] = fold.text(group, PLAIN)
  end
  return table.concat(out)
end

describe("fold", function()
  it("prints identical answers once, failures last", function()
    local text = print_all {
      result("web-02", { state = "failed", status = 1, stderr = "no\n" }),
      result("web-01", { stdout = "hello" }), result("web-03", { stdout = "hello" }),
      result("db", { stdout = "other\n" }),
    }
    assert.equal([[
---------------
web-[01,03] (2)
---------------
hello
---------------
db
---------------
other
---------------
web-02
---------------
stderr:
no
exit 1
]], text)
  end)

  it("keeps answers apart that differ in status, stderr or reason", function()
    assert.equal(4, #fold.groups {
      result("a", {}), result("b", { stderr = "x" }), result("c", { state = "failed", status = 2 }),
      result("d", { state = "unreachable", ended = "not-started",
        err = errors.new { reason = "relay.no-listener", message = "m" } }),
    })
  end)

  it("keeps equal answers of different status apart", function()
    local groups = fold.groups { result("a", { stdout = "x", state = "failed", status = 1 }),
      result("b", { stdout = "x", state = "failed", status = 2 }), result("c", { stdout = "x" }),
      result("d", { stdout = "x", state = "failed", signal = "TERM" }),
      result("e", { stdout = "x", state = "cancelled" }),
      result("f", { stdout = "x", state = "cancelled", ended = "unconfirmed" }) }
    assert.equal(6, #groups)
  end)

  it("says in a line how machines without output ended", function()
    local err = errors.new { reason = "fleet.stopped", message = "not tried" }
    local group = fold.groups { result("web-01", { state = "cancelled", err = err }),
      result("web-02", { state = "cancelled", err = err }) }[1]
    assert.is_false(fold.has_output(group))
    assert.equal("web-[01-02] (2): cancelled: not tried\n  " .. err.remedy .. "\n",
      fold.line(group, PLAIN.style))
  end)

  it("says what was left out, and what to do", function()
    local text = print_all { result("a", { truncated = 7, stdout = "x\n", state = "timeout",
      ended = "unconfirmed", err = errors.new { reason = "fleet.deadline", message = "late" } }) }
    assert.truthy(text:find("7 bytes", 1, true))
    assert.truthy(text:find("timeout: late", 1, true))
    assert.truthy(text:find("unconfirmed", 1, true))
    assert.truthy(text:find("--deadline", 1, true))
  end)

  it("folds what names the machine's ID only", function()
    local function denied(name)
      local id = "/subscriptions/s/machines/" .. name
      return result(name, { state = "denied", ended = "not-started", machine = { id = id },
        err = errors.new { code = "denied", message = "not over '" .. id:upper() .. "', " .. id } })
    end
    local groups = fold.groups { denied "a1", denied "a2" }
    assert.equal(1, #groups)
    assert.equal("a[1-2] (2): denied: not over '...', ...\n", fold.line(groups[1], PLAIN.style))
    groups = fold.groups { denied "a1" }
    assert.equal("a1: denied: not over '/SUBSCRIPTIONS/S/MACHINES/A1', /subscriptions/s/machines/a1"
      .. "\n", fold.line(groups[1], PLAIN.style))
  end)
end)
