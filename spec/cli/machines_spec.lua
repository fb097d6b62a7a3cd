-- SPDX-License-Identifier: MIT
-- arclua machines, show and completion, against the emulator.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, lines, run = cli.it, cli.lines, cli.run

local VMWARE = "Microsoft.ConnectedVMwarevSphere"
local EXTENSION = { name = "AADSSHLogin", publisher = "Microsoft.Azure.ActiveDirectory",
  type = "AADSSHLoginForLinux", version = "1.0.1", state = "Failed", message = "no \27[31mroom" }

describe("arclua", function()
  cli.with {
    { name = "web-01", tags = { role = "web", note = "it's | 'x'\n" } },
    { name = "web.02_a", tags = { Role = "web" }, agent_version = "1.29.02270.1291" },
    { name = "db-01", group = "rg (lab).v1", extensions = { EXTENSION } },
    { name = "twin", group = "rg-a" }, { name = "twin", group = "rg-b", status = "Expired" },
    { name = "vm-01", kind = "VMware", os = "windows", status = "Disconnected" },
    { name = "old-01", type = VMWARE .. "/virtualMachines" },
    { name = "old-02", type = "Microsoft.ScVmm/virtualMachines" },
  }

  before_each(function()
    core.sys.remove(cli.e.env.ARCLUA_STATE .. "/cache")
    cli.e:clear()
  end)

  -- Requests to ARM since the log had so many.
  local function asked(from)
    local out = {}
    local list = cli.e.log:find { event = "arm" }
    for i = from + 1, #list do
      out[#out + 1] = list[i].method .. " " .. list[i].path:lower():match "([^/]*/[^/]*)$"
    end
    return table.concat(out, ", ")
  end

  local function mark()
    return #cli.e.log:find { event = "arm" }
  end

  local function names(...)
    local ended = run { "machines", "-o", "names", ... }
    return (ended.out:gsub("\n", " ")), ended
  end

  describe("machines", function()
    it_runs("asks Resource Graph once, for all types", function()
      local from = mark()
      assert.equal("db-01 old-01 old-02 rg-a/twin rg-b/twin vm-01 web-01 web.02_a ", names())
      assert.equal("GET /subscriptions, POST microsoft.resourcegraph/resources", asked(from))
    end)

    it_runs("keeps the order of fields, and tells kinds", function()
      local ended = run { "machines", "vm-01", "-o", "jsonl" }
      assert.matches('"tags":{},"kind":"VMware","fqdn":"vm%-01.arc.localhost","vm_id":"%x',
        ended.out)
      local old = json.decode(run({ "machines", "old-01", "-o", "jsonl" }).out)
      assert.same({ VMWARE .. "/virtualMachines", "Connected", "linux", "1.66.03412.2214" },
        { old.type, old.status, old.os, old.agent_version })
      assert.same({}, json.decode(run({ "machines", "-o", "json", "old-0[3]" }).out))
    end)

    it_runs("selects by tags whatever stands in them", function()
      assert.equal("web-01 web.02_a ", names("--tag", "ROLE=web"))
      assert.equal("web-01 ", names("--tag", "note=it's | 'x'\n"))
      local none, ended = names("--tag", "note=' or true // \\")
      assert.equal("", none)
      assert.equal(1, ended.status)
    end)

    it_runs("selects by groups, systems, states, and what is left out", function()
      assert.equal("db-01 ", names("-g", "RG (lab).v*"))
      assert.equal("vm-01 ", names("--os", "windows", "--status", "disconnected"))
      assert.equal("rg-a/twin rg-b/twin web-01 ", names("twin*", "web-*", "-x", "*_a"))
      assert.equal("web-01 ", names("RG-PROD/web-01"))
      assert.equal("twin ", names("--status", "expired"))
    end)

    it_runs("colours what is amiss, and fits the terminal", function()
      local plain = cli.shell [["$PROGRAM" machines]]
      assert.is_nil(plain:find "\27")
      local shown = cli.shell
        [[script -qec 'stty cols 80; "$PROGRAM" machines' /dev/null </dev/null]]
      assert.matches("\27[31mExpired\27[0m", shown, 1, true)
      assert.matches("\27[32mConnected\27[0m", shown, 1, true)
      for _, line in ipairs(lines((shown:gsub("\27%[%d*m", ""):gsub("\r", "")))) do
        assert.is_true(utf8.len(line) <= 80, line)
      end
      local coloured = run { "machines", "--color", "always" }
      assert.matches("\27[31mDisconnected\27[0m", coloured.out, 1, true)
    end)

    it_runs("looks full names up in ARM, and says which is gone", function()
      local from = mark()
      local sub = cli.e.state.subscriptions[1].id
      assert.equal("web-01 ", names(sub .. "/rg-prod/web-01"))
      assert.equal("GET machines/web-01", asked(from))
      local ended = run { "machines", sub .. "/rg-prod/nope" }
      assert.equal(1, ended.status)
      assert.matches("nope", ended.err, 1, true)
    end)

    it_runs("lists where Resource Graph is denied, and says so at info", function()
      for _, fault in ipairs {
        { status = 403, code = "AuthorizationFailed" },
        { status = 404, code = "InvalidResourceType" },
        { status = 409, code = "MissingSubscriptionRegistration" },
      } do
        fault.at, fault.kind, fault.path = "arm", "answer", "resourcegraph"
        cli.e:fault(fault)
        local ended = run { "machines", "-o", "names", "--os", "linux", "-x", "twin" }
        assert.equal("db-01\nweb-01\nweb.02_a\n", ended.out)
        assert.equal("", ended.err)
        ended = run { "--log-level", "info", "machines", "-o", "names", "web-01" }
        assert.equal("web-01\n", ended.out)
        assert.matches("info: Resource Graph: .*listing the machines of each", ended.err)
        cli.e:clear()
      end
    end)

    it_runs("knows subscriptions by ID or name, and none that is not there", function()
      local all = names()
      assert.equal(all, names("--subscription", cli.e.state.subscriptions[1].name:upper()))
      assert.equal(all, names("--subscription", cli.e.state.subscriptions[1].id:upper()))
      local there, not_there = cli.e.state.subscriptions[1].id,
        "a5c1e000-0000-4000-8000-00000000dead"
      for _, args in ipairs { { "--subscription", not_there },
        { "--subscription", there, "--subscription", not_there }, { "--subscription", "dead" } } do
        local none, ended = names(table.unpack(args))
        assert.equal("", none)
        assert.equal(1, ended.status)
        assert.matches("sees no subscription '[%x%-]*dead'", ended.err)
      end
    end)
  end)

  describe("--query", function()
    it_runs("takes machines, and what belongs to them, by their ids", function()
      assert.equal("web.02_a ", names("--query", "Resources | where parse_version(tostring("
        .. "properties.agentVersion)) < parse_version('1.31') and name startswith 'web' "
        .. "| project id"))
      assert.equal("db-01 ", names("--query", "Resources | where type =~ "
        .. "'microsoft.hybridcompute/machines/extensions' | project id"))
      assert.equal("old-01 ", names("--query", "Resources | where name startswith 'old' "
        .. "| project id", "-x", "*-02"))
      local none, ended = names("--query", "Resources | where name == 'x' | project id")
      assert.equal("", none)
      assert.equal(1, ended.status)
      assert.matches("no machine matches", ended.err, 1, true)
    end)

    for text, query in pairs {
      ["'wher' on line [1,13]"] = "Resources | wher name",
      ["without the column id"] = "Resources | project name",
      ["'/subscriptions/a5c1e000-0000-4000-8000-000000000001' is no resource's ID"]
        = "ResourceContainers | take 1",
      ["resourceGroups/rg-prod' is no resource's ID"]
        = "ResourceContainers | where name =~ 'rg-prod'",
    } do
      it_runs("says: " .. text, function()
        local ended = run { "machines", "--query", query }
        assert.equal(1, ended.status)
        assert.equal("", ended.out)
        assert.matches("option '--query': ", ended.err, 1, true)
        assert.matches(text, ended.err, 1, true)
      end)
    end

    it_runs("cannot do without Resource Graph", function()
      cli.e:fault { at = "arm", kind = "answer", status = 403, code = "AuthorizationFailed",
        path = "resourcegraph" }
      local ended = run { "machines", "--query", "Resources" }
      assert.equal(1, ended.status)
      assert.matches("option '--query': AuthorizationFailed", ended.err, 1, true)
    end)
  end)

  describe("what is no Arc machine", function()
    local function id(provider, rest)
      return ("/subscriptions/s/resourceGroups/g/providers/%s/x%s"):format(provider, rest or "")
    end

    for text, given in pairs {
      ["use `az ssh vm`"] = id "Microsoft.Compute/virtualMachines",
      ["of type Microsoft.Storage/storageAccounts"] = id "Microsoft.Storage/storageAccounts",
    } do
      it_runs("is refused: " .. text, function()
        for _, args in ipairs { { "machines", given }, { "show", given }, { "exec", given, "--",
          "true" }, { "machines", "--ids", "-" } } do
          local ended = run(args, nil, { stdin = given .. "\n" })
          assert.equal(1, ended.status)
          assert.matches(text, ended.err, 1, true)
        end
      end)
    end

    it_runs("belongs to one: an extension, a private cloud's instance", function()
      local machine = cli.e:machine("vm-01").id
      for _, rest in ipairs { "/providers/" .. VMWARE .. "/virtualMachineInstances/default",
        "/extensions/a", "/" } do
        assert.equal("vm-01 ", names(machine .. rest))
      end
    end)

    for _, name in ipairs { "a server", "größe", "東京-1", "a'b", "x.y" } do
      it_runs("named " .. name .. " is said to be nothing", function()
        local ended = run { "machines", name }
        assert.equal(1, ended.status)
        assert.matches(name, ended.err, 1, true)
      end)
    end
  end)

  describe("show", function()
    it_runs("tells of a machine, its extensions, its private cloud", function()
      local ended = run { "show", "db-01" }
      assert.equal(0, ended.status, ended.err)
      assert.matches("\nstatus +Connected\nsince .*\nsystem +Debian.*\naddresses +127%.10",
        ended.out)
      assert.matches("\nextensions +Microsoft.Azure.ActiveDirectory/AADSSHLoginForLinux 1.0.1 "
        .. "Failed: no \\x1B", ended.out)
      ended = run { "show", "vm-01" }
      assert.matches("\npower +poweredOff\n", ended.out)
      local raw = assert(json.decode(run({ "show", "vm-01", "-o", "json" }).out))
      assert.equal("vm-01", raw.properties.displayName)
      assert.equal("default", raw.instance.name)
      assert.matches('"errorDetails":[]', run({ "show", "db-01", "-o", "json" }).out, 1, true)
    end)

    it_runs("asks for a name once in minutes, and again when it has gone", function()
      local from = mark()
      assert.equal(0, run({ "show", "web-01" }).status)
      assert.equal("GET /subscriptions, POST microsoft.resourcegraph/resources, "
        .. "GET machines/web-01", asked(from))
      from = mark()
      assert.equal(0, run({ "show", "web-01" }).status)
      assert.equal("GET machines/web-01", asked(from))
      from = mark()
      assert.equal(0, run({ "--refresh", "show", "web-01" }).status)
      assert.matches("resourcegraph", asked(from), 1, true)

      local machine = cli.e:machine "web-01"
      local key = machine.id:lower()
      cli.e.state.by_id[key] = nil
      table.remove(cli.e.state.machines, 1)
      local ended = run { "show", "web-01" }
      cli.e.state.by_id[key] = machine
      table.insert(cli.e.state.machines, 1, machine)
      assert.equal(1, ended.status)
      assert.matches("no machine is named web-01", ended.err, 1, true)
    end)

    it_runs("lists the candidates of a name found twice", function()
      for _ = 1, 2 do -- known now, and still not guessed
        local ended = run { "show", "twin" }
        assert.equal(1, ended.status)
        assert.matches("2 machines are named twin", ended.err, 1, true)
        assert.matches("/rg%-a/twin\n.*/rg%-b/twin\n", ended.err)
        run { "machines" }
      end
      assert.matches("\nstatus +Expired\n", run({ "show", "rg-b/twin" }).out)
    end)

    it_runs("says what it cannot show", function()
      local ended = run { "show", "web-*" }
      assert.equal(1, ended.status)
      assert.matches("not a pattern", ended.err, 1, true)
      assert.equal(2, run({ "show" }).status)
      assert.equal(2, run({ "show", "a", "b" }).status)
      ended = run { "show", "rg-prod/nope" }
      assert.equal(1, ended.status)
      assert.matches("no machine is named rg-prod/nope", ended.err, 1, true)
    end)
  end)

  describe("completion", function()
    -- What may follow, and the status.
    local function after(...)
      local ended = run { "completion", "candidates", "--", ... }
      assert.equal("", ended.err)
      return (ended.out:gsub("\t[^\n]*", ""):gsub("\n", " ")), ended.status
    end

    it_runs("proposes names that were listed, asking nobody", function()
      assert.equal("", (after("show", "")))
      run { "machines" }
      local from = mark()
      assert.equal("web-01 web.02_a ", (after("show", "WEB")))
      assert.equal("db-01 ", (after("exec", "--os", "linux", "web-01", "db")))
      assert.equal("vm-01 ", (after("--log-level", "info", "exec", "-x", "vm")))
      assert.equal("", asked(from))
    end)

    it_runs("proposes commands, options and their values", function()
      assert.equal("machines ", (after("mac")))
      assert.equal("machines ", (after("--color", "never", "mac")))
      assert.equal("machines ", (after("help", "mac")))
      assert.equal("bash ", (after("completion", "b")))
      assert.equal("linux windows ", (after("machines", "--os", "")))
      assert.equal("linux ", (after("machines", "--os", "=", "l")))
      assert.equal("--os=linux ", (after("machines", "--os=l")))
      assert.equal("always ", (after("--color", "al")))
      assert.matches("--query --ids", (after("machines", "--")), 1, true)
      assert.matches("--all-subscriptions", (after("machines", "--all")), 1, true)
      assert.equal("emulator ", (after("emu")))
    end)

    it("knows the options of every command", function()
      local without = { run = true, repl = true, version = true, help = true }
      for _, name in ipairs(require("arclua.cli").COMMANDS) do
        if not without[name] then
          assert.is_function(require("arclua.cli." .. name).parser,
            ("arclua.cli.%s: completion reads its field parser"):format(name))
        end
      end
    end)

    it_runs("leaves files to the shell", function()
      for _, words in ipairs { { "run", "" }, { "machines", "--ids", "" }, { "--config", "" },
        { "exec", "a", "--", "" } } do
        local text, status = after(table.unpack(words))
        assert.equal("", text)
        assert.equal(1, status)
      end
    end)

    it_runs("works in bash", function()
      run { "machines" }
      assert.equal("web-01 web.02_a\n", cli.shell [[bash --norc -c 'arclua() { "$PROGRAM" "$@"; }
        source <(arclua completion bash); COMP_WORDS=("$PROGRAM" show web); COMP_CWORD=2; _arclua
        echo "${COMPREPLY[@]}"']])
      assert.matches("^complete %-F _arclua arclua\n$", cli.shell [[bash --norc -c '
        source <("$PROGRAM" completion bash); complete -p arclua']])
    end)

    it_runs("has a script for each shell that is known", function()
      for _, shell in ipairs { "bash", "zsh", "fish" } do
        local ended = run { "completion", shell }
        assert.equal(0, ended.status)
        assert.matches("completion candidates -- ", ended.out, 1, true)
      end
      local ended = run { "completion", "csh" }
      assert.equal(2, ended.status)
      assert.matches("'csh'", ended.err, 1, true)
      assert.equal(2, run({ "completion" }).status)
    end)
  end)
end)
