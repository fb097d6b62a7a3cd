-- SPDX-License-Identifier: MIT
-- What variables and the configuration file say takes effect, in this order.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, run = cli.it, cli.run

describe("settings", function()
  cli.with { { name = "web-01" } }

  local function configured(text, args, changes)
    local path = os.tmpname()
    assert(core.sys.write_file(path, text))
    local env = { ARCLUA_CONFIG = path }
    for name, value in pairs(changes or {}) do
      env[name] = value
    end
    local ended = run(args, env)
    os.remove(path)
    return ended
  end

  local SLEEP = { "exec", "web-01", "--", "sleep 20" }

  it_runs("of the file take effect", function()
    local ended = configured("timeout = 300ms\noutput = jsonl\nparallel = 1\nretries = 0\n",
      SLEEP)
    assert.equal(3, ended.status, ended.err)
    assert.equal("timeout", assert(json.decode(ended.out)).state)
    ended = configured("deadline = 300ms\noutput = jsonl\n", SLEEP)
    assert.equal("fleet.deadline", assert(json.decode(ended.out)).error.reason)
  end)

  it_runs("of a variable win over the file, an option over both", function()
    local args = { "exec", "web-01", "--", "echo hi" }
    local ended = configured("output = quiet\n", args, { ARCLUA_OUTPUT = "jsonl" })
    assert.equal("hi\n", assert(json.decode(ended.out)).stdout)
    ended = configured("output = quiet\n", { "exec", "web-01", "-o", "live", "--", "echo hi" },
      { ARCLUA_OUTPUT = "jsonl" })
    assert.equal("web-01: hi\n", ended.out)
    ended = configured("output = quiet\n", { "exec", "web-01", "-b", "--", "echo hi" })
    assert.matches("^%-+\nweb%-01\n", ended.out)
  end)

  it_runs("reach a script's fleet and report", function()
    local ended = configured("timeout = 300ms\ncolor = always\n", { "-e", [[
      local az = require "arclua".login()
      local report = require "arclua".fleet(az:machines { names = "web-01" }):exec "sleep 20"
      print(report.results[1].state)
      report:print() ]] })
    assert.matches("^timeout\n", ended.out)
    assert.matches("\27[", ended.out .. ended.err, 1, true)
  end)

  it_runs("of the log and of colour count wherever they stand", function()
    cli.e:fault { at = "arm", kind = "answer", status = 429, retry_after = 0, times = 1,
      code = "SubscriptionRequestsThrottled" }
    local ended = configured("log_level = info\n", { "machines" })
    assert.matches("arclua: info: ", ended.err, 1, true)
    cli.e:fault { at = "arm", kind = "answer", status = 429, retry_after = 0, times = 1,
      code = "SubscriptionRequestsThrottled" }
    ended = configured("log_level = error\n", { "machines", "--log-level", "info" })
    assert.matches("arclua: info: ", ended.err, 1, true)
    ended = configured("color = always\n", { "exec", "web-01", "--", "echo hi" })
    assert.matches("\27[1mweb-01", ended.out, 1, true)
  end)

  for name, value in pairs { PARALLEL = "0", TIMEOUT = "soon", CONNECT_TIMEOUT = "x",
    DEADLINE = "-", RETRIES = "2.5", OUTPUT = "xml" } do
    it_runs("of ARCLUA_" .. name .. " are refused by name", function()
      local ended = run({ "exec", "web-01", "--", "true" }, { ["ARCLUA_" .. name] = value })
      assert.equal(1, ended.status)
      assert.matches("variable ARCLUA_" .. name .. ": ", ended.err, 1, true)
    end)
  end
end)
