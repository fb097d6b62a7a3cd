-- SPDX-License-Identifier: MIT
-- The program against the emulator, as a user runs it.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, lines, run = cli.it, cli.lines, cli.run

describe("arclua", function()
  cli.with {
    { name = "web-01", tags = { role = "web" } }, { name = "web-02", tags = { role = "web" } },
    { name = "db-01", group = "rg-db", tags = { role = "db" } },
    { name = "win-01", os = "windows", group = "rg-win" },
    { name = "off-01", group = "rg-off", status = "Disconnected" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
  }

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
        { stdin = "# mine\n" .. cli.e:machine("db-01").id .. "\n\n" })
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

  describe("a wrong set-up", function()
    local function fails(changes, text, args)
      local ended = run(args or { "machines" }, changes)
      assert.equal(1, ended.status)
      assert.matches(text, ended.err, 1, true)
    end

    it_runs("without credentials lists what was looked for", function()
      local ended = run({ "machines" }, { AZURE_TENANT_ID = false, AZURE_CLIENT_ID = false,
        AZURE_CLIENT_SECRET = false, AZURE_POD_IDENTITY_AUTHORITY_HOST = "http://127.0.0.1:1" })
      assert.equal(1, ended.status)
      assert.matches("access token: AZURE_ACCESS_TOKEN is not set", ended.err, 1, true)
      for _, line in ipairs { "client certificate: ", "workload identity: ",
        "managed identity: this is no Azure virtual machine", "Azure CLI: ",
        "Azure Developer CLI: " } do
        assert.truthy(ended.err:find(line, 1, true), line)
      end
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
          local cloud = assert(json.decode(assert(core.sys.read_file(cli.e.cloud))))
          cloud.credential, cloud.name = nil, "other"
          local path = cli.e.dir .. "/client/other.json"
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

    it_runs("extensions.lua lists what is installed, failures last", function()
      local machine = cli.e:machine "web-01"
      machine.extensions = {
        { name = "a", publisher = "P", type = "Bad", version = "1.0", state = "Failed" },
        { name = "b", publisher = "P", type = "Good", version = "1.1", state = "Succeeded" } }
      local ended = run { "run", "scripts/extensions.lua", "-g", "rg-prod" }
      machine.extensions = {}
      assert.equal(5, ended.status, ended.err)
      assert.equal("web-01: P/Good 1.1 Succeeded\nweb-01: P/Bad 1.0 Failed\n", ended.out)
    end)

    it_runs("take the program's global options", function()
      local ended = run { "--subscription", "00000000-0000-0000-0000-00000000dead", "-e", [[
        local az, err = require "arclua".login()
        local list, why = az:machines {}
        print(list, why.code) ]] }
      assert.equal("nil\tnotfound\n", ended.out)
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
      assert.matches("\n  %-g, %-%-resource%-group GLOB +In ", run({ "exec", "-h" }).out)
      assert.equal(2, run({ "exec", "--user", "", "web-01", "--", "true" }).status)
      for _, name in ipairs(require("arclua.cli").COMMANDS) do
        local of_one = run { "help", name }
        assert.equal(0, of_one.status, name)
        assert.matches("^Usage: arclua ", of_one.out)
      end
      assert.equal(2, run({ "help", "frob" }).status)
      assert.matches("^arclua [%d.]+ %(Lua 5.4%)\n$", run({ "--version" }).out)
    end)
  end)
end)
