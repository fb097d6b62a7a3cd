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
  return live.new { out = out, err = err, style = function(_, text) return text end,
    clean = function(text) return text end }, out, err
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

  it("says how a machine failed", function()
    local it_, _, err = setup()
    it_:result { machine = DB, name = "db", state = "failed", status = 3, ended = "confirmed" }
    it_:result { machine = WEB, name = "web", state = "unreachable", ended = "not-started",
      err = errors.new { reason = "relay.no-listener", message = "m\27[2J", remedy = "do" } }
    assert.equal("db: exit 3\nweb: unreachable: m\\x1B[2J\n  do\n", err.text)
  end)
end)
