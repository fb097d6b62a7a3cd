-- SPDX-License-Identifier: MIT
local errors = require "arclua.errors"
local live = require "arclua.report.live"

local function sink()
  return { text = "", write = function(self, text)
    self.text = self.text .. text
  end }
end

local function setup()
  local out, err = sink(), sink()
  local function target(to)
    return { to = to, style = function(_, text) return text end,
      clean = function(text) return text end }
  end
  return live.new { stdout = target(out), stderr = target(err) }, out, err
end

local WEB, DB = { name = "web%1", id = "/1" }, { name = "db", id = "/2" }

local function ok(machine)
  return { machine = machine, name = machine.name, state = "ok" }
end

describe("live", function()
  it("puts names before lines, also those that come in pieces", function()
    local it_, out = setup()
    it_:chunk(WEB, "stdout", "a\nb")
    it_:chunk(DB, "stdout", "x\n")
    it_:chunk(WEB, "stdout", "c\n\n")
    assert.equal("web%1: a\ndb: x\nweb%1: bc\nweb%1: \n", out.text)
  end)

  it("ends an unfinished line when the machine is done", function()
    local it_, out = setup()
    it_:chunk(WEB, "stdout", "a")
    it_:chunk(WEB, "stdout", "b")
    it_:result(ok(WEB))
    it_:result(ok(WEB))
    assert.equal("web%1: ab\n", out.text)
  end)

  it("keeps streams apart", function()
    local it_, out, err = setup()
    it_:chunk(WEB, "stdout", "o")
    it_:chunk(WEB, "stderr", "e\n")
    it_:result(ok(WEB))
    assert.equal("web%1: o\n", out.text)
    assert.equal("web%1: e\n", err.text)
  end)

  it("prints a line without an end in pieces", function()
    local it_, out = setup()
    for _ = 1, 100 do
      it_:chunk(DB, "stdout", ("x"):rep(10000))
    end
    it_:result(ok(DB))
    local _, x = out.text:gsub("x", "")
    assert.equal(1000000, x)
    local _, lines = out.text:gsub("db: ", "")
    assert.is_true(lines > 10 and lines < 20)
  end)

  local function failed(machine, fields)
    local result = { machine = machine, name = machine.name, stdout = "", stderr = "",
      truncated = 0, attempts = 1, ended = "not-started" }
    for name, value in pairs(fields) do
      result[name] = value
    end
    return result
  end

  it("says how a machine failed", function()
    local it_, _, err = setup()
    it_:result(failed(DB, { state = "failed", status = 3, ended = "confirmed" }))
    it_:result(failed(WEB, { state = "unreachable", stdout = "kept elsewhere",
      err = errors.new { reason = "relay.no-listener", message = "m\27[2J", remedy = "do" } }))
    assert.equal("db: exit 3\nweb%1: unreachable: m\\x1B[2J\n  do\n", err.text)
    it_:finish()
    assert.equal("db: exit 3\nweb%1: unreachable: m\\x1B[2J\n  do\n", err.text)
  end)

  it("folds at the end what the end of the run stopped", function()
    local it_, out, err = setup()
    local untried = errors.new { reason = "fleet.stopped", message = "not tried" }
    local cancelled = errors.new { code = "cancelled", message = "cancelled" }
    for i = 1, 9 do
      it_:result(failed({ name = "web-0" .. i }, { state = "cancelled", err = untried,
        attempts = 0 }))
    end
    it_:chunk(DB, "stdout", "half")
    it_:result(failed(DB, { state = "cancelled", err = cancelled, ended = "confirmed" }))
    assert.equal("", err.text)
    it_:finish()
    assert.equal("db: half\n", out.text)
    assert.equal("web-[01-09] (9): cancelled: not tried\n  " .. untried.remedy
      .. "\ndb: cancelled: the command was ended\n", err.text)
  end)

  it("says of a copy that it was stopped: there was no command", function()
    local it_, _, err = setup()
    it_:result(failed(DB, { state = "cancelled", ended = "confirmed", copy = {},
      err = errors.new { code = "cancelled", message = "cancelled" } }))
    it_:finish()
    assert.equal("db: cancelled: the copy was stopped\n", err.text)
  end)

  it("makes names harmless", function()
    local it_, out = setup()
    it_:chunk({ name = "a\27[2J" }, "stdout", "x\n")
    assert.equal("a\\x1B[2J: x\n", out.text)
  end)

  it("treats each output by what it is", function()
    local function target(to, mark)
      return { to = to, style = function(_, text) return mark .. text end,
        clean = function(text) return (text:gsub("x", mark)) end }
    end
    local out, err = sink(), sink()
    local it_ = live.new { stdout = target(out, "1"), stderr = target(err, "2") }
    it_:chunk(DB, "stdout", "x\n")
    it_:chunk(DB, "stderr", "x\n")
    it_:result(failed(DB, { state = "failed", status = 3 }))
    assert.equal("1db: 1\n", out.text)
    assert.equal("2db: 2\n2db: 2exit 3\n", err.text)
  end)
end)
