-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local harness = require "harness"
local program = require "program"

-- A spec in a task, bounded.
local function task(name, fn)
  it(name, function()
    core.spawn(core.timeout, harness.LIMIT, fn):await()
    assert.equal("", harness.leftovers())
  end)
end

-- Waits until the path is gone.
local function gone(path)
  while core.sys.stat(path) do
    assert(core.sleep(0.02))
  end
  return true
end

local function variable(out, name)
  return out:match("export " .. name .. "='([^']*)'\n")
end

describe("arclua emulator", function()
  task("runs a command with its variables and ends as it did", function()
    local ended = program.run { "emulator", "--machines", "1", "--", "sh", "-c",
      'cat "$ARCLUA_CLOUD"; echo; echo "$ARCLUA_CLOUD"; exit 7' }
    assert.equal(7, ended.status)
    assert.truthy(ended.out:find('"name":"arclua-emulator"', 1, true))
    assert.is_nil((core.sys.stat(ended.out:match "\n(/.*)\n$")))
    ended = program.run { "emulator", "--", "sh", "-c", "kill -KILL $$" }
    assert.equal(137, ended.status)
    ended = program.run { "emulator", "--", "/nonexistent/program" }
    assert.equal(127, ended.status)
  end)

  task("has an az on the path, on request", function()
    local ended = program.run { "emulator", "--machines", "1", "--sign-in", "azure-cli", "--az",
      "signed-in", "--", "sh", "-c", "az account show --query user.name -o tsv; '" .. program.path
        .. "' machines" }
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("user@arclua.test\n", 1, true), ended.out)
    assert.truthy(ended.out:find("web-01", 1, true), ended.out)
  end)

  for _, case in ipairs {
    { "--az", "sing" },
    { "--machines", "0" }, { "--machines", "x" }, { "--throttle", "often" }, { "--setup", "x" },
    { "--machine-agent", "x" }, { "--relay-host", "a b" }, { "--port", "70000" },
    { "--bogus" }, { "word" },
    { "--fault", "nonsense" }, { "--fault", "at=moon,kind=busy" }, { "--fault", "at=relay,x=1" },
    { "--fault", "at=relay,kind=busy,times=x" },
  } do
    task("takes no " .. table.concat(case, " "), function()
      local ended = program.run { "emulator", table.unpack(case) }
      assert.equal(2, ended.status)
      assert.matches("^arclua emulator: .*\ntry: arclua help emulator\n$", ended.err)
    end)
  end

  task("goes wrong as it is told", function()
    local ended = program.run { "emulator", "--machines", "2",
      "--fault", "at=sshd,kind=down,machine=web-01", "--", program.path, "exec", "--all", "-o",
      "jsonl", "--", "true" }
    assert.equal(4, ended.status)
    assert.truthy(ended.out:find('"reason":"relay.sshd-refused"', 1, true))
    assert.truthy(ended.out:find('"state":"ok"', 1, true))
  end)

  task("leaves its machines to listeners from outside", function()
    local ended = program.run { "emulator", "--machines", "2", "--machine-agent", "external",
      "--relay-host", "relay.localhost", "--", "sh", "-c", 'cat "$ARCLUA_EMULATOR_LISTENERS"' }
    assert.equal(0, ended.status)
    assert.equal(2, select(2, ended.out:gsub('"address":"wss:..relay.localhost:%d+/%$hc/', "")))
  end)

  task("explains itself", function()
    local ended = program.run { "emulator", "--help" }
    assert.equal(0, ended.status)
    assert.truthy(ended.out:find("--machines N", 1, true))
  end)

  for _, signal in ipairs { "TERM", "INT" } do
    task("prints what to export, and ends by " .. signal, function()
      local running = program.start { "emulator", "--machines", "1" }
      running:await_output "NO_PROXY"
      local cloud = variable(running.out.seen, "ARCLUA_CLOUD")
      assert.truthy(core.sys.stat(cloud))
      assert.truthy(variable(running.out.seen, "AZURE_CLIENT_SECRET"))
      running.process:kill(signal)
      local ended = running.wait()
      assert.truthy(ended.err:find("is ready on port", 1, true))
      assert.is_nil((core.sys.stat(cloud)))
    end)
  end

  task("leaves nothing when it is killed", function()
    local running = program.start { "emulator", "--machines", "1" }
    running:await_output "NO_PROXY"
    local cloud = variable(running.out.seen, "ARCLUA_CLOUD")
    running.process:kill "KILL"
    assert.equal("KILL", running.wait().signal)
    assert.is_true(gone(cloud:match "^(.*)/client/"))
  end)

  task("ends with who started it for one command", function()
    local shell = assert(core.process.spawn { env = { LD_PRELOAD = false }, args = { "sh", "-c",
      [["$1" emulator --machines 1 -- sh -c 'echo "$ARCLUA_CLOUD $$"; exec sleep 1000'; :]], "sh",
      program.path } })
    local out = shell:stdout()
    local cloud, pid = out:read():match "^(%S+) (%d+)\n$"
    shell:kill "KILL"
    shell:wait()
    shell:close()
    assert.is_true(gone(cloud:match "^(.*)/client/"))
    local stat = io.open("/proc/" .. pid .. "/stat")
    assert.truthy(not stat or stat:read("a"):find(") Z", 1, true))
    if stat then
      stat:close()
    end
    out:close()
  end)
end)
