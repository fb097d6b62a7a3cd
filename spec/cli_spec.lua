-- SPDX-License-Identifier: MIT
-- The program against the emulator, as a user runs it.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local harness = require "harness"
local json = require "arclua.json"
local program = require "program"

local e

-- Runs the program with the emulator's environment; changes are laid over it (false removes).
local function run(args, changes, opts)
  local env = { ARCLUA_LOG_LEVEL = false, ARCLUA_CONFIG = "none" }
  for _, source in ipairs { e.env, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  opts = opts or {}
  opts.env = env
  return program.run(args, opts)
end

local function lines(text)
  local out = {}
  for line in text:gmatch "[^\n]+" do
    out[#out + 1] = line
  end
  return out
end

local function it_runs(name, fn)
  it(name, function()
    core.timeout(harness.LIMIT, fn)
  end)
end

describe("arclua", function()
  setup(function()
    e = assert(emulator.start { page_size = 2, machines = {
      { name = "web-01", tags = { role = "web" } }, { name = "web-02", tags = { role = "web" } },
      { name = "db-01", group = "rg-db", tags = { role = "db" } },
      { name = "win-01", os = "windows", group = "rg-win" },
      { name = "off-01", group = "rg-off", status = "Disconnected" },
      { name = "bare-01", group = "rg-bare", setup = "none" },
    } })
  end)

  teardown(function()
    e:stop()
    assert.equal("", harness.leftovers())
  end)

  describe("machines", function()
    it_runs("lists all, over pages, as a table", function()
      local ended = run { "machines" }
      assert.equal(0, ended.status, ended.err)
      assert.equal(7, #lines(ended.out))
      assert.matches("^NAME +RESOURCE GROUP", ended.out)
    end)

    it_runs("gives stable JSON lines", function()
      local ended = run { "machines", "--tag", "role=web", "-o", "jsonl" }
      local list = lines(ended.out)
      assert.equal(2, #list)
      assert.matches('^{"id":"[^"]+","name":"web%-01","resource_group":"rg%-prod","subscription":',
        list[1])
      assert.equal("web", assert(json.decode(list[1])).tags.role)
      assert.equal(2, #assert(json.decode(run({ "machines", "web-*", "-o", "json" }).out)))
    end)

    for what, case in pairs {
      ["names"] = { 2, "web-01", "db-01" }, ["a glob"] = { 3, "*b-*" },
      ["a group"] = { 1, "-g", "RG-D*" }, ["a name option"] = { 2, "-n", "web*" },
      ["an OS"] = { 1, "--os", "windows" }, ["a status"] = { 1, "--status", "disconnected" },
      ["what is excluded"] = { 3, "-x", "*b-*" }, ["the first"] = { 2, "--all", "--first", "2" },
      ["kinds together"] = { 1, "--tag", "role", "-g", "rg-db" },
    } do
      it_runs("selects by " .. what, function()
        local args = { "machines", "-o", "jsonl" }
        table.move(case, 2, #case, #args + 1, args)
        local ended = run(args)
        assert.equal(case[1], #lines(ended.out), ended.err)
      end)
    end

    it_runs("selects by IDs from standard input", function()
      local ended = run({ "machines", "--ids", "-", "-o", "jsonl" }, nil,
        { stdin = "# mine\n" .. e:machine("db-01").id .. "\n\n" })
      assert.equal(1, #lines(ended.out), ended.err)
    end)

    it_runs("says that nothing matches, status 1", function()
      local ended = run { "machines", "--tag", "role=nothing" }
      assert.equal(1, ended.status)
      assert.matches("no machine matches", ended.err, 1, true)
      ended = run { "machines", "nope" }
      assert.equal(1, ended.status)
      assert.matches("nope", ended.err, 1, true)
    end)
  end)

  describe("exec", function()
    it_runs("folds identical output in a pipe", function()
      local ended = run { "exec", "web-*", "db-01", "--", "echo", "a  b" }
      assert.equal(0, ended.status, ended.err)
      assert.equal("---------------\ndb-01,web-[01-02] (3)\n---------------\na  b\n", ended.out)
      assert.matches("^3 ok in [%d.]+ s\n$", ended.err)
    end)

    it_runs("prints lines behind names with -o live", function()
      local ended = run { "exec", "web-01", "-o", "live", "--", "echo out; echo err >&2; printf x" }
      assert.equal("web-01: out\nweb-01: x\n", ended.out)
      assert.matches("web-01: err\n", ended.err, 1, true)
    end)

    it_runs("prints records with -o jsonl, in the documented order", function()
      local ended = run { "exec", "web-01", "-o", "jsonl", "--", "printf 'a\\n'; exit 3" }
      assert.equal(5, ended.status)
      assert.matches('^{"machine":"/subscriptions/.-","name":"web%-01","state":"failed",'
        .. '"status":3,"signal":null,"stdout":"a\\n","stderr":"","truncated":0,"error":{.-},'
        .. '"phase":"exec","attempts":1,"started":"%d+%-.-Z","seconds":[%d.]+,'
        .. '"ended":"confirmed"}\n$', ended.out)
    end)

    it_runs("keeps NUL bytes and what is not UTF-8", function()
      local ended = run { "exec", "web-01", "-o", "jsonl", "--", [[printf 'a\0\377b']] }
      local value = assert(json.decode(ended.out))
      assert.equal("a\0\xFFb", core.crypto.unbase64(value.stdout_base64))
    end)

    it_runs("gives the largest remote status with -S", function()
      assert.equal(42, run({ "exec", "web-01", "-S", "--", "exit 42" }).status)
    end)

    it_runs("ends a command that takes too long, status 3", function()
      local ended = run { "exec", "web-01", "--timeout", "300ms", "-o", "jsonl", "--", "sleep 20" }
      assert.equal(3, ended.status)
      local value = assert(json.decode(ended.out))
      assert.equal("timeout", value.state)
      assert.equal("confirmed", value.ended)
    end)

    it_runs("keeps the deadline for all", function()
      local ended = run { "exec", "web-*", "-P", "1", "--deadline", "500ms", "-o", "jsonl", "--",
        "sleep 20" }
      assert.equal(3, ended.status)
      for _, line in ipairs(lines(ended.out)) do
        assert.equal("fleet.deadline", assert(json.decode(line)).error.reason)
      end
      assert.equal(2, #lines(ended.out))
    end)

    it_runs("does not dial what is disconnected, says since when, status 4", function()
      local ended = run { "exec", "off-01", "-o", "jsonl", "--", "true" }
      assert.equal(4, ended.status)
      local value = assert(json.decode(ended.out))
      assert.equal("unreachable", value.state)
      assert.equal("machine.disconnected", value.error.reason)
      ended = run { "exec", "off-01", "web-01", "--skip-disconnected", "--", "true" }
      assert.equal(0, ended.status)
      assert.matches("1 disconnected left out", ended.err, 1, true)
    end)

    it_runs("fails a Windows machine by name for a POSIX-only option", function()
      local ended = run { "exec", "win-01", "--env", "A=1", "-o", "jsonl", "--", "true" }
      assert.equal(5, ended.status)
      local value = assert(json.decode(ended.out))
      assert.equal("machine.posix-only", value.error.reason)
      assert.equal("not-started", value.ended)
      assert.same({}, e:sessions "win-01")
    end)

    it_runs("sets SSH up only with --enable", function()
      local ended = run { "exec", "bare-01", "-o", "jsonl", "--", "true" }
      assert.equal(4, ended.status)
      assert.equal("arm.setup-needed", assert(json.decode(ended.out)).error.reason)
      ended = run { "exec", "bare-01", "--enable", "--", "echo up" }
      assert.equal(0, ended.status, ended.err)
    end)

    it_runs("gives a file to every command", function()
      local path = os.tmpname()
      assert(core.sys.write_file(path, "line 1\nline 2\n"))
      local ended = run { "exec", "web-01", "--stdin", path, "-o", "live", "--", "cat -n" }
      assert.matches("2\tline 2\n", ended.out, 1, true)
      os.remove(path)
    end)

    it_runs("caps what it keeps and says so", function()
      local ended = run { "exec", "web-01", "-o", "jsonl", "--", "head -c 3000000 /dev/zero" }
      local value = assert(json.decode(ended.out))
      assert.equal(0, ended.status, ended.err)
      assert.is_true(#value.stdout <= 1024 * 1024)
      assert.equal(3000000, #value.stdout + value.truncated)
    end)

    -- The program's own peak of memory, in KiB, after a run of the command line in words.
    local function peak(words)
      local ended = run({ "-e", [[
        require("arclua.cli").main { [0] = "arclua", table.unpack(arg) }
        io.stderr:write(io.open("/proc/self/status"):read "a") ]],
        table.unpack(words) }, nil, { discard = true })
      return assert(tonumber(ended.err:match "VmHWM:%s*(%d+)"), ended.err)
    end

    it_runs("holds little of 100 MB, whatever it prints", function()
      if os.getenv "ASAN_OPTIONS" then
        return -- it keeps what was freed
      end
      for _, mode in ipairs { "live", "jsonl", "grouped", "quiet" } do
        assert.is_true(peak { "exec", "web-01", "-o", mode, "--",
          "head -c 100000000 /dev/zero | tr '\\0' x" } < 64 * 1024, mode)
      end
    end)

    -- Runs a shell line in which $PROGRAM is the program: what it prints.
    local function shell(line)
      local env = { PROGRAM = program.path, LD_PRELOAD = false, ARCLUA_CONFIG = "none" }
      for name, value in pairs(e.env) do
        env[name] = value
      end
      local process <close> = assert(core.process.spawn { env = env, stderr = "null",
        args = { "sh", "-c", line } })
      local stream, text = process:stdout(), ""
      for chunk in function() return stream:read() end do
        text = text .. chunk
      end
      process:wait()
      return text
    end

    it_runs("goes on when the reader of its output has gone", function()
      local path = os.tmpname()
      local out = shell(([[("$PROGRAM" exec 'web-*' -o live -- 'seq 1 9999' 2>%s; echo $? >> %s)
        | head -1]]):gsub("\n *", " "):format(path, path))
      assert.matches("^web%-0%d: 1\n$", out)
      assert.matches("^2 ok in [%d.]+ s\n0\n$", (core.sys.read_file(path)))
      os.remove(path)
    end)

    it_runs("goes on with a full disk, says so once and ends with 1", function()
      for _, mode in ipairs { "live", "jsonl", "grouped" } do
        local out = shell(([["$PROGRAM" exec 'web-*' -o %s -- 'seq 1 9' 2>&1 >/dev/full
          echo $?]]):format(mode))
        assert.matches("^arclua: standard output: [^\n]+\n2 ok in [%d.]+ s\n1\n$", out)
      end
      assert.equal("1\n", shell [["$PROGRAM" machines >/dev/full; echo $?]])
      assert.equal("1\n", shell [["$PROGRAM" help >/dev/full; echo $?]])
    end)

    it_runs("runs with closed standard descriptors", function()
      local out = shell [["$PROGRAM" exec web-01 -- true 2>&1 >&- <&-; echo $?]]
      assert.matches("^1 ok in [%d.]+ s\n0\n$", out)
      out = shell [["$PROGRAM" exec web-01 -o live -- echo hi 2>&- <&-; echo $?]]
      assert.equal("web-01: hi\n0\n", out)
    end)

    it_runs("leaves standard input alone", function()
      local out = shell [[echo mine | ("$PROGRAM" exec web-01 -o live -- 'cat; echo end'; cat)]]
      assert.equal("web-01: end\nmine\n", out)
    end)

    it_runs("has a result for every machine after Ctrl-C, status 130", function()
      local env = {}
      for name, value in pairs(e.env) do
        env[name] = value
      end
      local running = program.start({ "exec", "web-*", "-P", "1", "-o", "jsonl", "--",
        "touch started; sleep 20" }, { env = env })
      while not core.sys.stat(assert(e:home "web-01") .. "/started") do
        core.sleep(0.02)
      end
      running.process:kill "INT"
      local ended = running:wait()
      assert.equal(130, ended.status)
      local list = lines(ended.out)
      assert.equal(2, #list, ended.err)
      assert.equal("cancelled", assert(json.decode(list[1])).state)
      assert.equal("confirmed", assert(json.decode(list[1])).ended)
      assert.equal("fleet.stopped", assert(json.decode(list[2])).error.reason)
    end)

    it_runs("wants a selector or --all, with three examples", function()
      local ended = run { "exec", "--", "true" }
      assert.equal(2, ended.status)
      local _, examples = ended.err:gsub("\n  arclua exec ", "")
      assert.equal(3, examples)
    end)
  end)

  describe("a wrong line", function()
    for text, case in pairs {
      ["'--bogus'"] = { "exec", "web-01", "--bogus", "--", "true" },
      ["'--parallel'"] = { "exec", "web-01", "-P", "0", "--", "true" },
      ["'--timeout'"] = { "exec", "web-01", "--timeout", "soon", "--", "true" },
      ["'--output'"] = { "exec", "web-01", "-o", "xml", "--", "true" },
      ["'--os'"] = { "machines", "--os", "mac" },
      ["'--log-level'"] = { "--log-level", "loud", "machines" },
      ["'--color'"] = { "machines", "--color", "pink" },
      ["'--env'"] = { "exec", "web-01", "--env", "1=2", "--", "true" },
      ["'--replace'"] = { "exec", "web-01", "--replace", "--", "true" },
      ["no command"] = { "exec", "web-01" },
      ["'frobnicate'"] = { "frobnicate" },
      ["'--frob'"] = { "--frob", "machines" },
      ["--cloud"] = { "--cloud" },
    } do
      it_runs("with " .. text .. " ends with 2 and names it", function()
        local ended = run(case)
        assert.equal(2, ended.status)
        assert.matches(text, ended.err, 1, true)
        assert.equal("", ended.out)
      end)
    end
  end)

  describe("settings", function()
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
      e:fault { at = "arm", kind = "answer", status = 429, retry_after = 0, times = 1,
        code = "SubscriptionRequestsThrottled" }
      local ended = configured("log_level = info\n", { "machines" })
      assert.matches("arclua: info: ", ended.err, 1, true)
      e:fault { at = "arm", kind = "answer", status = 429, retry_after = 0, times = 1,
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

  describe("a wrong set-up", function()
    local function fails(changes, text, args)
      local ended = run(args or { "machines" }, changes)
      assert.equal(1, ended.status)
      assert.matches(text, ended.err, 1, true)
    end

    it_runs("without credentials lists what was looked for", function()
      local ended = run({ "machines" }, { AZURE_TENANT_ID = false, AZURE_CLIENT_ID = false,
        AZURE_CLIENT_SECRET = false })
      assert.equal(1, ended.status)
      assert.matches("access token: AZURE_ACCESS_TOKEN is not set", ended.err, 1, true)
      assert.matches("client secret: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET are not",
        ended.err, 1, true)
      assert.matches("Azure CLI: ", ended.err, 1, true)
    end)

    it_runs("with a wrong secret says so", function()
      fails({ AZURE_CLIENT_SECRET = "wrong" }, "AADSTS7000215")
    end)

    it_runs("with an expired or foreign token says so", function()
      fails({ AZURE_ACCESS_TOKEN = "x.y.z" }, "token")
    end)

    it_runs("with another cloud's authority keeps the secret", function()
      fails({ AZURE_AUTHORITY_HOST = "https://login.microsoftonline.com",
        ARCLUA_CLOUD = (function()
          local cloud = assert(json.decode(assert(core.sys.read_file(e.cloud))))
          cloud.credential, cloud.name = nil, "other"
          local path = e.dir .. "/client/other.json"
          assert(core.sys.write_file(path, json.encode(cloud)))
          return path
        end)() }, "--trust-cloud")
    end)

    it_runs("with an absent cloud file, configuration or unknown subscription", function()
      fails({ ARCLUA_CLOUD = "/nonexistent.json" }, "--cloud")
      fails({}, "--config", { "--config", "/nonexistent", "machines" })
      fails({}, "SubscriptionNotFound", { "--subscription", "00000000-0000-0000-0000-00000000dead",
        "machines" })
    end)
  end)

  describe("scripts", function()
    it_runs("fleet.lua runs, folds, saves and passes its status on", function()
      local path = os.tmpname()
      local ended = run({ "run", "scripts/fleet.lua", "-g", "rg-prod", "--", "uname -s; exit 3" },
        { FLEET_RESULTS = path })
      assert.equal(5, ended.status)
      assert.matches("web-[01-02] (2)", ended.out, 1, true)
      assert.equal(2, #lines(assert(core.sys.read_file(path))))
      os.remove(path)
    end)

    it_runs("fleet.lua explains itself", function()
      local ended = run { "run", "scripts/fleet.lua", "-h" }
      assert.equal(0, ended.status)
      assert.matches("--parallel", ended.out, 1, true)
      ended = run { "run", "scripts/fleet.lua", "--nope", "--", "x" }
      assert.equal(2, ended.status)
      assert.matches("'--nope'", ended.err, 1, true)
      assert.is_nil(ended.err:find("traceback", 1, true))
      assert.equal(2, run({ "run", "scripts/fleet.lua" }).status)
    end)

    it_runs("inventory.lua counts and writes CSV", function()
      local path = os.tmpname()
      local ended = run { "run", "scripts/inventory.lua", "--", path }
      assert.equal(0, ended.status, ended.err)
      assert.matches("6 machines", ended.out, 1, true)
      assert.equal(7, #lines(assert(core.sys.read_file(path))))
      os.remove(path)
    end)

    it_runs("take the program's global options", function()
      local ended = run { "--subscription", "00000000-0000-0000-0000-00000000dead", "-e", [[
        local az, err = require "arclua".login()
        local list, why = az:machines {}
        print(list, why.status) ]] }
      assert.equal("nil\t404\n", ended.out)
    end)
  end)

  describe("repl", function()
    it_runs("evaluates lines, waits, goes on after errors", function()
      local ended = run({ "repl" }, nil, { stdin = "1 + 1\n=2 * 3\nlocal x = 'a'\n"
        .. "for i = 1, 2 do\nprint(i) end\nerror 'oops'\narc.sleep(0.01)\nx y\n'end'" })
      assert.equal('2\n6\n1\n2\ntrue\n"end"\n', ended.out)
      assert.matches("oops", ended.err, 1, true)
      assert.equal(0, ended.status)
    end)
  end)

  describe("help", function()
    it_runs("lists commands and options", function()
      local ended = run { "help" }
      assert.equal(0, ended.status)
      assert.matches("exec", ended.out, 1, true)
      assert.matches("ARCLUA_CLOUD", ended.out, 1, true)
      assert.equal(0, run({ "help", "exec" }).status)
      assert.equal(0, run({ "exec", "-h" }).status)
      assert.equal(2, run({ "help", "frob" }).status)
      assert.matches("^arclua [%d.]+ %(Lua 5.4%)\n$", run({ "--version" }).out)
    end)
  end)
end)
