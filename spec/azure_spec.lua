-- SPDX-License-Identifier: MIT
-- The public module as scripts use it, against the emulator.
local arc = require "arclua"
local core = require "arclua.core"
local clouds = require "arclua.clouds"
local emulated = require "emulated"
local harness = require "harness"
local json = require "arclua.json"

local both = harness.both

local function sign_in(e, more)
  local opts = { cloud = e.cloud, config = "none", known_hosts = e.env.ARCLUA_KNOWN_HOSTS,
    credential = assert(arc.credential.client_secret { cloud = assert(clouds.load(e.cloud)),
      tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
      client_secret = e.env.AZURE_CLIENT_SECRET }) }
  for key, value in pairs(more or {}) do
    opts[key] = value
  end
  return assert(arc.login(opts))
end

local function ssh(e)
  return { user = e.env.ARCLUA_USER, identity = e.env.ARCLUA_IDENTITY, agent = false }
end

describe("arc.login", function()
  both("that fails leaves no secret behind, but a credential that was given", function()
    local credential = require "arclua.credential"
    local before = credential.by_name
    local closed = 0
    local refused = { token = function() return nil, { code = "auth" } end,
      close = function() closed = closed + 1 end }
    credential.by_name = function() return refused end
    local az, err = arc.login { cloud = "public", config = "none", credential = "env" }
    credential.by_name = before
    assert.is_nil(az)
    assert.equal("auth", err.code)
    assert.equal(1, closed)
    assert.is_nil((arc.login { cloud = "public", config = "none", credential = refused }))
    assert.equal(1, closed)
  end)

  both("finds machines and opens sessions that run many commands", function()
    emulated.with({ machines = { { name = "web-01" }, { name = "db-01", group = "rg-db" } } },
      function(e)
        local az = sign_in(e)
        assert.equal(2, #assert(az:machines {}))
        local machine = assert(az:machine "rg-db/db-01")
        assert.equal("db-01.rg-db." .. machine.subscription .. ".arclua-emulator.arc",
          machine:alias())
        local session <close> = assert(machine:ssh(ssh(e)))
        for i = 1, 3 do
          assert.equal(i .. "\n", assert(session:exec("echo " .. i)).stdout)
        end
      end)
  end)

  both("says what tells of a machine that ARM does not", function()
    emulated.with({ machines = { { name = "old", type = "Microsoft.ScVmm/virtualMachines" } } },
      function(e)
        local details, err = assert(sign_in(e):machine "old"):details()
        assert.is_nil(details)
        assert.equal("config", err.code)
        assert.matches("arclua machines -o json NAME", err.remedy, 1, true)
      end)
  end)

  both("gives machines to a fleet by name", function()
    emulated.with({ machines = 4 }, function(e)
      local opts = ssh(e)
      opts.azure = sign_in(e)
      local report = assert(arc.fleet({ "web-*" }, opts):exec { "echo", "$HOME" })
      assert.equal("$HOME\n", report.results[1].stdout)
      assert.is_true(report:ok())
      local none, err = arc.fleet({ "nope" }, opts):exec "true"
      assert.is_nil(none)
      assert.equal("notfound", err.code)
    end)
  end)

  both("sees one subscription, or asks which of several", function()
    emulated.with({ machines = { { name = "a" }, { name = "b", subscription = 2 } },
      subscriptions = 2 }, function(e)
      local list, err = sign_in(e):machines {}
      assert.is_nil(list)
      assert.equal("config", err.code)
      assert.equal(2, #assert(sign_in(e, { all_subscriptions = true }):machines {}))
      local second = e.state.subscriptions[2].id
      local az = sign_in(e, { subscription = second })
      assert.equal("b", assert(az:machines {})[1].name)
      assert.equal(2, #assert(az:visible_subscriptions()))
    end)
  end)

  it("sees no subscription at all", function()
    core.spawn(emulated.with, { machines = {}, subscriptions = 0 }, function(e)
      for _, more in ipairs { {}, { all_subscriptions = true } } do
        local list, err = sign_in(e, more):machines {}
        assert.is_nil(list)
        assert.equal("denied", err.code)
        assert.matches("no subscription", err.message, 1, true)
      end
    end):await()
  end)

  both("asks Resource Graph anything", function()
    emulated.with({ machines = 1200, page_size = 1000, alike = 1200 }, function(e)
      local az = sign_in(e)
      assert.equal(1200, #assert(az:query "Resources | project id | order by id asc"))
      assert.same({ { n = 1200 } }, az:query "Resources | summarize n=count()")
      local rows, err = az:query "Resources | project name"
      assert.is_nil(rows)
      assert.equal("limit", err.code)
      rows, err = az:query "Resources | wher name"
      assert.is_nil(rows)
      assert.equal("arm.bad-request", err.reason)
      assert.matches("'wher' on line [1,13]", err.message, 1, true)
      local ids = {}
      for i, machine in ipairs(assert(az:machines {})) do
        ids[i] = machine.id
      end
      assert.equal(1200, #assert(az:machines { ids = ids,
        query = "Resources | project id | order by id asc" }))
      assert.equal(300, #assert(az:machines { ids = table.move(ids, 1, 300, 1, {}) }))
      local details = assert(assert(az:machine "web-01"):details())
      assert.equal("web-01.arc.localhost", details.properties.machineFqdn)
    end)
  end)

  both("lets scripts ask ARM anything", function()
    emulated.with({ machines = 3, page_size = 2 }, function(e)
      local az = sign_in(e)
      local path = "/subscriptions/" .. e.state.subscriptions[1].id
        .. "/providers/Microsoft.HybridCompute/machines"
      assert.equal(3, #assert(az.arm:list { path = path, api_version = "2025-01-13" }))
      assert.has_error(function() az.arm:request { path = path } end)
    end)
  end)

  it("raises on unknown options", function()
    assert.has_error(function() arc.login { clowd = "x" } end)
    assert.has_error(function() arc.login { subscription = 5 } end)
  end)

  it("says which configuration is wrong", function()
    local az, err = arc.login { config = "/nonexistent" }
    assert.is_nil(az)
    assert.equal("notfound", err.code)
    az, err = arc.login { config = "none", cloud = "mars" }
    assert.is_nil(az)
    assert.equal("config", err.code)
    az, err = arc.login { config = "none", cloud = "public", credential = "frob" }
    assert.is_nil(az)
    assert.equal("config", err.code)
  end)
end)

describe("arc.cli.parse", function()
  it("gives selector, fleet and command", function()
    local line = assert(arc.cli.parse({ "web-*", "-g", "rg", "-P", "5", "--timeout", "2m", "-l",
      "ops", "--env", "A=b=c", "--", "uptime", "--all" }, { select = true, fleet = true }))
    assert.same({ "uptime", "--all" }, line.command)
    assert.same({ "web-*" }, line.selector.names)
    assert.equal(5, line.fleet.parallel)
    assert.equal(120, line.fleet.timeout)
    assert.same({ A = "b=c" }, line.fleet.env)
  end)

  it("has no selector when nothing was selected, no command without --", function()
    local line = assert(arc.cli.parse({}, { select = true }))
    assert.is_nil(line.selector)
    assert.is_nil(line.command)
  end)

  it("tells usage errors and help by exit status", function()
    local line, err = arc.cli.parse({ "--frob" }, {})
    assert.is_nil(line)
    assert.equal(2, err.exit_status)
    line, err = arc.cli.parse({ "-h" }, { select = true })
    assert.is_nil(line)
    assert.equal(0, err.exit_status)
    assert.truthy(err.message:find("--tag", 1, true))
  end)
end)

describe("require arclua", function()
  it("loads nothing big, and its parts when they are used", function()
    assert.equal("[]", arc.json.encode(json.array()))
    assert.is_nil(arc.nonsense)
    assert.is_function(arc.map)
  end)
end)
