-- SPDX-License-Identifier: MIT
-- What the doctor prints, over findings that are made up.
local json = require "arclua.json"
local output = require "arclua.output"
local patients = require "arclua.doctor.patient"
local reports = require "arclua.doctor.report"

-- A machine with findings: { check, state, message, remedy?, more fields }.
local function patient(name, list)
  local it = patients.new({}, { id = "/subscriptions/s/resourceGroups/rg/providers/"
    .. "Microsoft.HybridCompute/machines/" .. name, name = name, resource_group = "rg" })
  for _, one in ipairs(list) do
    it:add { check = one[1], state = one[2], message = one[3], remedy = one[4],
      because = one.because, detail = one.detail, fix = one.fix }
  end
  return it
end

local function report(results, more)
  local spec = { results = results, hosts = {}, changes = {}, seconds = 1.25 }
  for key, value in pairs(more or {}) do
    spec[key] = value
  end
  return reports.new(spec)
end

-- What is printed: on standard output, on standard error.
local function printed(it, opts)
  local seen = { "", "" }
  local real = output.standard
  output.standard = function(fd)
    return { is_terminal = false, write = function(_, text) seen[fd] = seen[fd] .. text end,
      line = function(_, text) seen[fd] = seen[fd] .. text .. "\n" end }
  end
  local ok, err = pcall(it.print, it, opts)
  output.standard = real
  assert(ok, err)
  return seen[1], seen[2]
end

local WELL = { "status", "ok", "the agent is connected" }

describe("the doctor's report", function()
  it("folds what is alike, the worst first, and leaves out what is explained", function()
    local out, err = printed(report {
      patient("web-01", { WELL, { "sshd", "failed", "nothing listens", "fix {machine}" } }),
      patient("web-02", { WELL, { "sshd", "failed", "nothing listens", "fix {machine}" } }),
      patient("db", { WELL, { "ports", "warning", "a list" }, { "sshd", "unknown", "not judged",
        because = "status" } }),
    })
    assert.equal("failed  sshd: nothing listens\n        web-[01-02] (2)\n"
      .. "        fix rg/web-01 rg/web-02\nwarning ports: a list\n        db\n", out)
    assert.equal("0 ok, 1 with warnings, 2 failed in 1.2 s\n", err)
  end)

  it("names many machines in a remedy only so far", function()
    local list = {}
    for i = 1, 12 do
      list[i] = patient(("m%02d"):format(i), { { "e", "failed", "no", "x {machine} y",
        fix = "setup" } })
    end
    local out = printed(report(list))
    assert.matches("x rg/m01 rg/m02 .- rg/m08 y %(and so for the others of these 12, or all at "
      .. "once: arclua doctor %-%-fix%)", out)
  end)

  it("quotes names for the shell, and percent signs stay", function()
    local it = patient("odd", { { "e", "failed", "no", "x {machine} 5%" } })
    it.machine.resource_group = "rg (a)'%1"
    assert.matches("x 'rg (a)'\\''%1/odd' 5%", (printed(report { it })), 1, true)
  end)

  it("tells details that are all the same, and those of one machine", function()
    local one = patient("a", { { "v", "ok", "new", detail = "1.66" } })
    local two = patient("b", { { "v", "ok", "new", detail = "1.66" } })
    assert.matches("v: new %(1.66%)", (printed(report { one, two }, { all = true })))
    two.findings[1].detail = "1.70"
    assert.matches("v: new\n", (printed(report { one, two }, { all = true })))
    assert.matches("v: new %(1.66%)", (printed(report { one })))
  end)

  it("makes text of Azure's harmless", function()
    local out = printed(report { patient("a", { { "v", "failed", "bad \27[31m text" } }) })
    assert.not_matches("\27", out, 1, true)
  end)

  it("gives exit statuses: 5 failed, 4 not judged, 130 stopped", function()
    local failed = patient("a", { { "x", "failed", "m" } })
    local unknown = patient("b", { { "x", "unknown", "m" } })
    local explained = patient("c", { { "x", "unknown", "m", because = "y" } })
    local warned = patient("d", { { "x", "warning", "m" } })
    assert.equal(0, report({ explained, warned }):exit_status())
    assert.equal(5, report({ failed, explained }):exit_status())
    assert.equal(4, report({ failed, unknown }):exit_status())
    assert.equal(130, report({ failed }, { why = "stopped" }):exit_status())
    assert.equal(5, report({ warned }, { hosts = { { check = "clock", state = "failed",
      message = "m" } } }):exit_status())
  end)

  it("gives JSON with all members, and a table with the worst", function()
    local it = report({ patient("a", { WELL, { "x", "failed", "m", "r {machine}" } }) },
      { hosts = { { check = "clock", state = "ok", message = "right" } } })
    local value = assert(json.decode((printed(it, { output = "json" }))))
    assert.equal("clock", value.checks[1].check)
    assert.equal("r rg/a", value.machines[1].checks[2].remedy)
    assert.equal(1, value.summary.failed)
    assert.matches("a +rg +failed +x +m\n", (printed(it, { output = "table" })))
    assert.equal("", (printed(it, { output = "quiet" })))
    assert.has_error(function() it:print { output = "yaml" } end)
  end)

  it("tells what was changed", function()
    local it = report({ patient("a", { WELL }) }, { changes = { { text = "endpoint created",
      machine = { name = "a" } }, { text = "x", err = "boom" } } })
    local _, err = printed(it)
    assert.matches("^a: endpoint created\ndoctor: failed: boom\n1 ok in 1.2 s\n$", err)
  end)
end)

describe("a finding of an error", function()
  it("folds though it names the machine", function()
    local it = patient("a", {})
    it:unknown("x", { message = "no " .. it.machine.id:upper() .. "/e or " .. it.machine.id,
      remedy = "r" })
    assert.equal("no .../e or ...", it.by.x.message)
    assert.equal("unknown", it:state())
  end)
end)
