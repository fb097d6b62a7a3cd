-- SPDX-License-Identifier: MIT
-- arclua doctor, enable, disable, and exec --via run-command, as a user runs them.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, lines, run, shell = cli.it, cli.lines, cli.run, cli.shell

local function decode(text)
  return assert(json.decode(text))
end

describe("arclua doctor", function()
  cli.with {
    { name = "web-01" }, { name = "web-02" },
    { name = "bad-01", group = "rg-bad", defects = { "sshd-down" } },
    { name = "bad-02", group = "rg-bad", defects = { "sshd-down" } },
    { name = "odd-01", group = "rg-odd", agent_version = "odd" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
    { name = "fix-01", group = "rg-fix", setup = "none" },
    { name = "off-01", group = "rg-off", defects = { "disconnected" } },
  }

  it_runs("folds machines that fared alike, with the remedy, status 5", function()
    local ended = run { "doctor", "-g", "rg-bad" }
    assert.equal(5, ended.status, ended.err)
    assert.matches("^failed  sshd: nothing listens on port 22 of the machine\n"
      .. "        bad%-%[01%-02%] %(2%)\n        on the machine: sudo systemctl", ended.out)
    assert.matches("^0 ok, 2 failed in [%d.]+ s\n$", ended.err)
  end)

  it_runs("says nothing where all is well, status 0; and all of it with -v", function()
    local ended = run { "doctor", "web-*" }
    assert.equal(0, ended.status, ended.err)
    assert.equal("", ended.out)
    ended = run { "doctor", "web-*", "-v" }
    assert.matches("ok      endpoint: the connectivity endpoint is there\n        web-[01-02] (2)",
      ended.out, 1, true)
    assert.matches("ok      clock:", ended.out, 1, true)
  end)

  it_runs("has status 4 where a machine could not be judged", function()
    local ended = run { "doctor", "odd-01", "bad-01" }
    assert.equal(4, ended.status)
    assert.matches("1 failed, 1 not judged", ended.err, 1, true)
  end)

  it_runs("gives stable JSON", function()
    local ended = run { "doctor", "bad-01", "web-01", "-o", "json" }
    assert.equal(5, ended.status)
    local value = decode(ended.out)
    assert.matches('^{"checks":%[{"check":"entra%-host","state":"ok","message":"[^"]+",'
      .. '"detail":null,"because":null,"remedy":null}', ended.out)
    assert.equal("bad-01", value.machines[1].name)
    assert.equal("failed", value.machines[1].state)
    assert.same({ ok = 1, warning = 0, failed = 1, unknown = 0 }, value.summary)
    local checks = {}
    for _, finding in ipairs(value.machines[1].checks) do
      checks[finding.check] = finding
    end
    assert.equal("failed", checks.sshd.state)
    assert.equal(2, #lines(run({ "doctor", "bad-01", "web-01", "-o", "jsonl" }).out))
  end)

  it_runs("gives a table", function()
    local list = lines(run({ "doctor", "bare-01", "off-01", "web-01", "-o", "table" }).out)
    assert.equal(4, #list)
    assert.matches("^NAME +RESOURCE GROUP +STATE +CHECK +FINDING$", list[1])
    assert.matches("^bare%-01 +rg%-bare +failed +endpoint +there is no", list[2])
    assert.matches("^off%-01 +rg%-off +failed +status +the agent is disc", list[3])
    assert.matches("^web%-01 +rg%-prod +ok$", list[4])
    assert.equal("", run({ "doctor", "web-01", "-o", "quiet" }).out)
  end)

  it_runs("mends nothing in a pipe without --yes, and says what it would", function()
    local ended = run { "doctor", "bare-01", "--fix" }
    assert.equal(5, ended.status)
    assert.matches("would create the connectivity endpoint and the SSH service configuration on "
      .. "1 machine (bare-01); --yes agrees to it", ended.err, 1, true)
    assert.is_nil(cli.e:machine "bare-01".endpoint)
  end)

  it_runs("mends with --fix --yes", function()
    local ended = run { "doctor", "fix-01", "--fix", "--yes" }
    assert.equal(0, ended.status, ended.err)
    assert.matches("fix-01: endpoint created\nfix-01: SSH let through to port 22", ended.err, 1,
      true)
    assert.is_not_nil(cli.e:machine "fix-01".services.ssh)
  end)

  it_runs("asks at a terminal", function()
    local text = shell [[printf 'n\n' | script -qec "$PROGRAM doctor bare-01 --fix" /dev/null]]
    assert.matches("create the connectivity endpoint and the SSH service configuration on 1 "
      .. "machine (bare-01)? [y/N]", text, 1, true)
    assert.is_nil(cli.e:machine "bare-01".endpoint)
  end)

  it_runs("refuses what makes no sense, status 2", function()
    assert.equal(2, run({ "doctor", "--yes" }).status)
    assert.equal(2, run({ "doctor", "-o", "yaml" }).status)
    assert.equal(2, run({ "doctor", "--bogus" }).status)
    assert.equal(1, run({ "doctor", "nobody" }).status)
  end)

  it_runs("ends in an orderly way at a signal", function()
    local fault = cli.e:fault { at = "relay", kind = "black-hole", machine = "web-02" }
    local child = cli.start { "doctor", "web-0*", "-o", "table" }
    local before = cli.e.log:count { event = "credentials" }
    while cli.e.log:count { event = "credentials" } < before + 2 do
      core.sleep(0.02)
    end
    child.process:kill "INT"
    local ended = child:wait()
    cli.e:clear(fault)
    assert.equal(130, ended.status)
    assert.equal(3, #lines(ended.out))
  end)
end)

describe("arclua enable, disable", function()
  cli.with {
    { name = "bare-01", setup = "none" }, { name = "bare-02", setup = "none" },
    { name = "web-01" }, { name = "away-01", setup = "none", status = "Disconnected" },
  }

  it_runs("shows the plan with --dry-run", function()
    local ended = run { "enable", "bare-*", "--dry-run" }
    assert.equal(0, ended.status, ended.err)
    assert.equal("create the connectivity endpoint: bare-[01-02] (2)\n"
      .. "let SSH through to port 22: bare-[01-02] (2)\n", ended.out)
    assert.is_nil(cli.e:machine "bare-01".endpoint)
  end)

  it_runs("sets up, shows the plan first, and a table of what changed", function()
    local ended = run { "enable", "bare-01", "away-01", "web-01" }
    assert.equal(0, ended.status, ended.err)
    assert.matches("^create the connectivity endpoint: away%-01,bare%-01 %(2%)\n", ended.err)
    local list = lines(ended.out)
    assert.matches("^away%-01 +rg%-prod +changed +endpoint created; SSH let through to port 22$",
      list[2])
    assert.matches("^web%-01 +rg%-prod +unchanged$", list[4])
    ended = run { "enable", "bare-01", "-o", "jsonl" }
    assert.equal("unchanged", decode(ended.out).state)
    assert.same({}, decode(ended.out).changes)
  end)

  it_runs("warns before a port is changed for all users", function()
    local ended = run { "enable", "web-01", "--port", "2222" }
    assert.equal(5, ended.status)
    assert.matches("--port 2222 --replace", ended.err, 1, true)
    ended = run { "enable", "web-01", "--port", "2222", "--replace", "--no-wait" }
    assert.equal(0, ended.status, ended.err)
    assert.matches("warning: the SSH port is one for all users of a machine: on 1 machine",
      ended.err, 1, true)
    assert.equal(2222, cli.e:machine "web-01".services.ssh.port)
    assert.equal(0, run({ "enable", "web-01", "--port", "22", "--replace" }).status)
  end)

  it_runs("asks at a terminal, and takes no for an answer", function()
    local text = shell [[printf 'n\n' | script -qec "$PROGRAM enable bare-02" /dev/null]]
    assert.matches("Go on? [y/N]", text, 1, true)
    assert.is_nil(cli.e:machine "bare-02".endpoint)
  end)

  it_runs("gives a role to whoever is signed in", function()
    local args = { "enable", "web-01", "--assign-role", "Reader", "--to", "me" }
    assert.equal(0, run(args).status)
    assert.matches("unchanged", run(args).out, 1, true)
    assert.equal(0, run({ "disable", "web-01", "--keep-ssh", "--remove-role", "Reader", "--from",
      "me", "--dry-run" }).status)
  end)

  it_runs("takes back", function()
    local ended = run { "disable", "web-01" }
    assert.equal(0, ended.status, ended.err)
    assert.matches("SSH service configuration removed; endpoint removed", ended.out, 1, true)
    assert.is_nil(cli.e:machine "web-01".endpoint)
    assert.matches("1 unchanged", run({ "disable", "web-01" }).err, 1, true)
  end)

  it_runs("refuses what makes no sense, status 2", function()
    for _, args in ipairs { { "enable" }, { "disable" }, { "enable", "web-01", "--replace" },
      { "enable", "web-01", "--assign-role", "Reader" }, { "enable", "web-01", "--to", "me" },
      { "enable", "web-01", "--assign-role", "Reader", "--to", "bob" },
      { "disable", "web-01", "--keep-ssh" }, { "disable", "web-01", "--from", "me" },
      { "enable", "web-01", "--port", "0" }, { "enable", "web-01", "-o", "live" } } do
      local ended = run(args)
      assert.equal(2, ended.status, table.concat(args, " "))
      assert.matches("try: arclua help ", ended.err, 1, true)
    end
    assert.matches("az ad user show", run({ "enable", "web-01", "--assign-role", "Reader", "--to",
      "bob" }).err, 1, true)
  end)
end)

describe("arclua exec --via run-command", function()
  cli.with { { name = "web-01" }, { name = "web-02" }, { name = "off-01", group = "rg-off",
    status = "Disconnected" } }

  local function via(...)
    return run { "exec", "--via", "run-command", "--as-root", ... }
  end

  it_runs("has the selection, the output and the statuses of exec", function()
    local ended = via("web-*", "--", "echo", "a  b")
    assert.equal(0, ended.status, ended.err)
    assert.equal("---------------\nweb-[01-02] (2)\n---------------\na  b\n", ended.out)
    assert.matches("warning: every Reader of these machines can see the script", ended.err, 1, true)
    ended = via("web-01", "off-01", "-o", "jsonl", "--env", "A=x y", "--", 'echo "$A"; exit 3')
    assert.equal(4, ended.status)
    local first = decode(lines(ended.out)[1])
    local by_name = { [first.name] = first }
    local second = decode(lines(ended.out)[2])
    by_name[second.name] = second
    assert.equal("failed", by_name["web-01"].state)
    assert.equal(3, by_name["web-01"].status)
    assert.equal("x y\n", by_name["web-01"].stdout)
    assert.equal("confirmed", by_name["web-01"].ended)
    assert.equal("machine.disconnected", by_name["off-01"].error.reason)
    assert.same({}, cli.e:sessions "web-01")
    assert.is_nil(next(cli.e:machine "web-01".run_commands))
  end)

  it_runs("says that output may be missing", function()
    local ended = via("web-01", "--", "seq 1 5000")
    assert.matches("[Run Command keeps the last 4 KB of output", ended.out, 1, true)
    assert.equal(-1, decode(via("web-01", "-o", "jsonl", "--", "seq 1 5000").out).truncated)
  end)

  it_runs("is never chosen by itself, and refuses by name what it cannot honour", function()
    for _, case in ipairs { { "run", "--via", "run-command" }, { "sudo", "--as-root" },
      { "--sudo", "--via", "run-command", "--as-root", "--sudo" },
      { "--user", "--via", "run-command", "--as-root", "-l", "ops" },
      { "--stdin", "--via", "run-command", "--as-root", "--stdin", "/dev/null" },
      { "--port", "--via", "run-command", "--as-root", "--port", "22" },
      { "--direct", "--via", "run-command", "--as-root", "--direct" } } do
      local args = { "exec", "web-01" }
      table.move(case, 2, #case, #args + 1, args)
      args[#args + 1], args[#args + 2] = "--", "true"
      local ended = run(args)
      assert.equal(2, ended.status, table.concat(args, " "))
      assert.matches(case[1], ended.err, 1, true)
    end
    assert.equal(2, run({ "exec", "web-01", "--via", "pigeon", "--", "true" }).status)
  end)

  it_runs("ends and removes what runs at a signal", function()
    local child = cli.start { "exec", "web-02", "--via", "run-command", "--as-root", "--",
      "echo $$ > pid; sleep 60" }
    local home = cli.e:home "web-02"
    repeat
      core.sleep(0.02)
      local pid = core.sys.read_file(home .. "/pid")
    until pid and pid ~= ""
    child.process:kill "INT"
    local ended = child:wait()
    assert.equal(130, ended.status)
    assert.matches("cancelled: the command was ended", ended.out .. ended.err, 1, true)
    assert.is_nil(next(cli.e:machine "web-02".run_commands))
    local pid = core.sys.read_file(home .. "/pid"):match "%d+"
    while core.sys.stat("/proc/" .. pid) do
      core.sleep(0.02)
    end
  end)
end)
