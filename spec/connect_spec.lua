-- SPDX-License-Identifier: MIT
-- From the options, the variables and ssh_config to a connection; primitives that tell what they
-- were given, and emulated machines.
local arc = require "arclua"
local clouds = require "arclua.clouds"
local connect = require "arclua.connect"
local core = require "arclua.core"
local emulated = require "emulated"
local fake = require "fake"
local fleet = require "arclua.fleet"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"

describe("connect", function()
  local dir
  setup(function() dir = assert(core.sys.mkdtemp "arclua-spec-") end)
  teardown(function() core.sys.remove(dir) end)

  -- What core.ssh.connect is given for a host, and where TCP goes.
  local function given(text, opts, host)
    assert(core.sys.write_file(dir .. "/config", text))
    local seen = {}
    local primitives = fake.core {
      tcp = { connect = function(name, port)
        seen.hostname, seen.port = name, port
        return {}
      end },
      ssh = { connect = function(_, options)
        seen.options = options
        return setmetatable({ new_key = function() end }, { __close = function() end })
      end },
    }
    opts = opts or {}
    opts.ssh_config = dir .. "/config"
    local context = connect.context(opts, { primitives = primitives })
    local session, err = connect.session(host or { host = "db" }, opts, {}, context)
    context:close()
    return session and seen, err
  end

  local function file(name)
    assert(core.sys.write_file(dir .. "/" .. name, "x"))
    return dir .. "/" .. name
  end

  it("takes what ssh_config says of a host", function()
    local key, cert = file "id_db_bob", file "cert.pub"
    local seen = assert(given(([[
Host db
  HostName %%h.example
  User bob
  Port 2200
  IdentityFile %s/id_%%n_%%r
  IdentityFile %s/absent
  CertificateFile %s
  IdentitiesOnly yes
  IdentityAgent none
  HostKeyAlias Db.Key
  UserKnownHostsFile %s/k1 ~/k2
  StrictHostKeyChecking yes
  HashKnownHosts yes
  ServerAliveInterval 2m
  PreferredAuthentications gssapi,password,publickey
]]):format(dir, dir, cert, dir)))
    assert.equal("db.example", seen.hostname)
    assert.equal(2200, seen.port)
    local o = seen.options
    assert.same({ "bob", "db.key", "yes", true, false, true },
      { o.user, o.alias, o.host_key_policy, o.identities_only, o.agent, o.hash_known_hosts })
    assert.equal(120, o.keepalive)
    assert.same({ key }, o.identities)
    assert.same({ cert }, o.certificates)
    assert.same({ "password", "publickey" }, o.methods)
    assert.same({ dir .. "/k1", core.sys.home() .. "/k2" }, o.known_hosts)
  end)

  it("lets options win, and keys of both count", function()
    local key = file "one"
    local seen = assert(given(("Host db\nUser bob\nPort 1\nIdentityFile %s\nIdentityAgent none\n"
      .. "StrictHostKeyChecking no\nUserKnownHostsFile /x\n"):format(key),
      { user = "ann", port = 5, identity = "/given", agent = true, host_key_policy = "yes",
        known_hosts = "/y" }))
    local o = seen.options
    assert.same({ "ann", 5, true, "yes" }, { o.user, seen.port, o.agent, o.host_key_policy })
    assert.same({ "/given", key }, o.identities)
    assert.same({ "/y" }, o.known_hosts)
  end)

  it("takes an address apart from what is asked for", function()
    local seen = assert(given("Host db\nPort 1\nUser x\n", { user = "ann" },
      { host = "db", port = 7, user = "cid" }))
    assert.same({ "cid", 7, "[db]:7" }, { seen.options.user, seen.port, seen.options.alias })
    assert.equal("ADDR", assert(given("Host db\nHostName ADDR\n")).hostname)
    assert.equal("addr", assert(given("Host db\nHostName ADDR\n")).options.alias)
  end)

  it("refuses what ssh_config has wrong", function()
    for text, why in pairs { ["Port x"] = "config:1", ["IdentityFile %C"] = "'%C' is not known",
        ["IdentityFile ${NO_SUCH_THING}"] = "NO_SUCH_THING is not set" } do
      local seen, err = given(text)
      assert.is_nil(seen)
      assert.equal("config", err.code)
      assert.matches(why, err.message, 1, true)
    end
  end)

  it("reads a destination for hosts alone", function()
    assert.same({ host = "h", user = "u", port = 2, name = "h" }, connect.host "u@h:2")
    assert.equal("config", select(2, connect.host "rg/web").code)
    assert.equal("config", select(2, connect.host "h:0").code)
  end)

  local function login(e)
    return assert(arc.login { cloud = e.cloud, config = "none",
      known_hosts = e.env.ARCLUA_KNOWN_HOSTS, subscription = e.env.AZURE_SUBSCRIPTION_ID,
      credential = assert(arc.credential.client_secret { cloud = assert(clouds.load(e.cloud)),
        tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
        client_secret = e.env.AZURE_CLIENT_SECRET }) })
  end

  -- Our own options that the emulator's machines want.
  local function write(e, text)
    assert(core.sys.write_file(dir .. "/machines", ("%s\nHost *\nIdentityAgent none\n"
      .. "UserKnownHostsFile %s\n"):format(text, e.env.ARCLUA_KNOWN_HOSTS)))
    return dir .. "/machines"
  end

  -- libssh takes host names only: what it is told of them is not the alias.
  emulated.spec("reaches machines whatever they and their groups are called", { machines = {
    { name = "a.b_c-d", group = "rg (test)_1." }, { name = ("x"):rep(54), group = ("g"):rep(90) },
    { name = "old", group = "RG_old", type = "Microsoft.ScVmm/virtualMachines" } } }, function(e)
    local az = login(e)
    local report = assert(fleet.new(assert(az:machines()), { ssh_config = "none",
      user = e.env.ARCLUA_USER, identity = e.env.ARCLUA_IDENTITY }):exec "true")
    for _, result in ipairs(report.results) do
      assert.is_nil(result.err, result.name .. ": " .. tostring(result.err))
    end
    assert.equal(3, #report.results)
    local judged = assert(az:doctor { names = { "a.b_c-d" } })
    assert.equal("ok", judged.results[1].by.sshd.state)
  end)

  emulated.spec("takes user and key of a machine from its alias, then its name",
    { machines = { { name = "web-01" }, { name = "web-02" } } }, function(e)
      local az = login(e)
      local one = assert(az:machine "web-01")
      local path = write(e, ("Host *.arc\nUser %s\nHost web-*\nUser never\nPort 9\n"
        .. "ProxyJump nowhere\nIdentityFile %s\n"):format(e.env.ARCLUA_USER,
        e.env.ARCLUA_IDENTITY))
      local session = assert(one:ssh { ssh_config = path })
      assert.equal("hi\n", assert(session:exec "echo hi").stdout)
      session:close()
      local alias = one:alias()
      local _, err = one:ssh { ssh_config = write(e, "Host " .. alias .. "\nPort 2222\n") }
      assert.matches("not 2222", err.message, 1, true)
      _, err = one:ssh { ssh_config = write(e, "Host " .. alias .. "\nProxyJump b\n") }
      assert.matches("reached through the relay", err.message, 1, true)
      assert.matches("machines:2", err.message, 1, true)
      _, err = one:ssh { jump = "bastion" }
      assert.matches("option '--jump'", err.message, 1, true)
      assert.equal("config", select(2, fleet.new({ one }, { jump = "b" }):exec "true").code)
    end)

  emulated.spec("passes a machine of Azure Arc on the way to a host",
    { machines = { { name = "gate-01" } } }, function(e)
      local lab = sshlab.new()
      local server = sshtcp.start(lab)
      local az = login(e)
      local gate = assert(az:machine "gate-01")
      local path = write(e, ("Host 127.0.0.1\nUser %s\nIdentityFile %s\nHost *.arc\nUser %s\n"
        .. "IdentityFile %s\nHost inside\nHostName 127.0.0.1\nPort %d\nUser %s\nIdentityFile %s\n"
        .. "ProxyJump %s\n"):format(lab.user, lab:path "id", e.env.ARCLUA_USER,
        e.env.ARCLUA_IDENTITY, server.port, lab.user, lab:path "id", gate:alias()))
      for _, hop in ipairs { gate:alias(), gate.resource_group .. "/gate-01", gate.id } do
        local report = assert(fleet.new({ { host = "127.0.0.1", port = server.port } },
          { azure = az, ssh_config = path, jump = hop }):exec "echo through")
        assert.equal("through\n", report.results[1].stdout, tostring(report.results[1].err))
      end
      local report = assert(fleet.new({ "inside" }, { azure = az, ssh_config = path,
        direct = true }):exec "echo through")
      assert.equal("through\n", report.results[1].stdout, tostring(report.results[1].err))
      report = assert(fleet.new({ "127.0.0.1:1" }, { azure = az, ssh_config = path, direct = true,
        jump = "rg-none/no-such", retries = 0 }):exec "true")
      assert.equal("jump", report.results[1].phase)
      assert.matches("jump host rg-none/no-such: no machine", report.results[1].err.message, 1,
        true)
      server:close()
      lab:close()
    end)

  emulated.spec("reaches a machine behind a jump host when ssh_config has its address",
    { machines = { { name = "web-01" } } }, function(e)
      local lab = sshlab.new()
      local a, b = sshtcp.start(lab), sshtcp.start(lab)
      local one = assert(login(e):machine "web-01")
      local path = write(e, ("Host *.arc\nHostName 127.0.0.1\nPort %d\nProxyJump 127.0.0.1:%d\n"
        .. "Host *\nUser %s\nIdentityFile %s\n"):format(b.port, a.port, lab.user, lab:path "id"))
      local report = assert(fleet.new({ one }, { ssh_config = path }):exec "echo through")
      assert.equal("through\n", report.results[1].stdout, tostring(report.results[1].err))
      assert.same({ 1, 1 }, { a.count, b.count })
      assert.matches(one:alias(), core.sys.read_file(e.env.ARCLUA_KNOWN_HOSTS), 1, true)
      a:close()
      b:close()
      lab:close()
    end)
end)
