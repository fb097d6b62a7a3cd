-- SPDX-License-Identifier: MIT
-- Hosts that are reached directly and through jump hosts: real sshds, on loopback.
local connect = require "arclua.connect"
local core = require "arclua.core"
local fleet = require "arclua.fleet"
local harness = require "harness"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"

local ends = harness.ends

describe("jump hosts", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- Options whose ssh_config names user and key for all, and says more.
  local function options(more, changes)
    assert(core.sys.write_file(lab:path "config", ("%s\nHost *\nUser %s\nIdentityFile %s\n"
      .. "IdentityAgent none\nUserKnownHostsFile %s\n"):format(more or "", lab.user,
      lab:path "id", lab:path "known")))
    local opts = { ssh_config = lab:path "config" }
    for name, value in pairs(changes or {}) do
      opts[name] = value
    end
    return opts
  end

  -- Runs fn with so many listening servers.
  local function with(n, fn, settings)
    local servers = {}
    for i = 1, n do
      servers[i] = sshtcp.start(lab, settings)
    end
    local ok, err = pcall(fn, table.unpack(servers))
    for _, server in ipairs(servers) do
      server:close()
    end
    if not ok then
      error(err, 0)
    end
  end

  local function dest(server)
    return "127.0.0.1:" .. server.port
  end

  local function exec(list, opts, command)
    opts.direct = true
    return assert(fleet.new(list, opts):exec(command or "echo hi")).results
  end

  ends("are not needed: a host by its name in ssh_config", function()
    with(1, function(server)
      local opts = options(("Host db\nHostName 127.0.0.1\nPort %d\n"):format(server.port))
      local result = exec({ "db" }, opts)[1]
      assert.equal("ok", result.state, tostring(result.err))
      assert.equal("hi\n", result.stdout)
      assert.equal("db", result.name)
      assert.matches(("[127.0.0.1]:%d"):format(server.port),
        core.sys.read_file(lab:path "known"), 1, true)
    end)
  end)

  ends("are passed in their order, each with its own host key", function()
    with(3, function(a, b, c)
      local opts = options(("Host first\nHostName 127.0.0.1\nPort %d\n"
        .. "HostKeyAlias one.key\n"):format(a.port))
      opts.jump = { "first", dest(b) }
      local result = exec({ dest(c) }, opts, "echo $SSH_CONNECTION")[1]
      assert.equal("ok", result.state, tostring(result.err))
      assert.same({ 1, 1, 1 }, { a.count, b.count, c.count })
      local known = core.sys.read_file(lab:path "known")
      assert.matches("one.key ", known, 1, true)
      assert.matches(("[127.0.0.1]:%d "):format(b.port), known, 1, true)
      assert.matches(("[127.0.0.1]:%d "):format(c.port), known, 1, true)
    end)
  end)

  ends("are found in ssh_config, also those of a jump host itself", function()
    with(3, function(a, b, c)
      local opts = options(("Host web\nHostName 127.0.0.1\nPort %d\nProxyJump inner\nHost inner\n"
        .. "HostName 127.0.0.1\nPort %d\nProxyJump 127.0.0.1:%d\n"):format(c.port, b.port, a.port))
      assert.equal("ok", exec({ "web" }, opts)[1].state)
      assert.same({ 1, 1, 1 }, { a.count, b.count, c.count })
      opts = options(("Host web\nHostName 127.0.0.1\nPort %d\nProxyJump inner\n"):format(c.port))
      opts.jump = { "none" }
      assert.equal("ok", exec({ "web" }, opts)[1].state)
      assert.same({ 1, 1, 2 }, { a.count, b.count, c.count })
    end)
  end)

  ends("serve many targets over one session", function()
    with(2, function(a, b)
      local list = {}
      for i = 1, 12 do
        list[i] = dest(b)
      end
      local results = exec(list, options(nil, { jump = dest(a), parallel = 12 }))
      for _, result in ipairs(results) do
        assert.equal("ok", result.state, tostring(result.err))
      end
      assert.same({ 1, 12 }, { a.count, b.count })
    end, { "MaxSessions=1" })
  end)

  ends("are connected anew when they have died", function()
    with(2, function(a, b)
      local opts = options(nil, { jump = dest(a) })
      local context = connect.context(opts)
      local function go()
        local session = assert(connect.session({ host = "127.0.0.1", port = b.port }, opts, {},
          context))
        assert.equal("hi\n", assert(session:exec "echo hi").stdout)
        session:close()
      end
      go()
      go()
      assert.equal(1, a.count)
      a:cut()
      go()
      assert.equal(2, a.count)
      context:close()
    end)
  end)

  ends("that fail are named, phase jump; tried once for all", function()
    with(1, function(b)
      local listener = assert(core.tcp.listen("127.0.0.1", 0))
      local port = listener:port()
      listener:close()
      local list = { dest(b), dest(b), dest(b) }
      local results = exec(list, options(nil, { jump = "x@127.0.0.1:" .. port, retries = 0 }))
      for _, result in ipairs(results) do
        assert.equal("unreachable", result.state)
        assert.equal("jump", result.phase)
        assert.equal("jump", result.err.phase)
        assert.matches("jump host x@127.0.0.1:" .. port, result.err.message, 1, true)
      end
      results = exec(list, options(nil, { jump = "nobody-known@" .. dest(b), retries = 0 }))
      for _, result in ipairs(results) do
        assert.equal("unreachable", result.state)
        assert.matches("jump host nobody-known@", result.err.message, 1, true)
      end
      assert.equal(1, b.count)
    end)
  end)

  ends("that live say why a target cannot be reached", function()
    with(1, function(a)
      local listener = assert(core.tcp.listen("127.0.0.1", 0))
      local port = listener:port()
      listener:close()
      local result = exec({ "127.0.0.1:" .. port }, options(nil, { jump = dest(a),
        retries = 0 }))[1]
      assert.equal("unreachable", result.state)
      assert.equal("tcp", result.err.phase)
      assert.matches("from jump host " .. dest(a), result.err.message, 1, true)
    end)
  end)

  ends("in a circle are refused", function()
    local opts = options("Host a\nProxyJump b\nHost b\nProxyJump a\n")
    local result = exec({ "a" }, opts)[1]
    assert.equal("config", result.err.code)
    assert.matches("in a circle", result.err.message, 1, true)
  end)

  ends("outlive the call that made them, with a session made alone", function()
    with(2, function(a, b)
      local arc = require "arclua"
      local session = assert(arc.ssh({ host = "127.0.0.1", port = b.port },
        options(nil, { jump = dest(a) })))
      collectgarbage()
      assert.equal("hi\n", assert(session:exec "echo hi").stdout)
      session:close()
      session = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
    end)
  end)

  for text, why in pairs { ["a,,b"] = "jump host '':", ["a:0"] = "a port from 1",
      ["a:99999"] = "a port from 1", ["-oProxyCommand=x"] = "[USER@]HOST", ["@a"] = "[USER@]HOST",
      ["a,rg/web"] = "the first jump host", ["a b"] = "[USER@]HOST",
      [("a,"):rep(20) .. "a"] = "more than 16" } do
    ends("written wrong are refused: " .. text, function()
      local report, err = fleet.new({ "host" }, options(nil, { jump = text,
        direct = true })):exec "true"
      assert.is_nil(report)
      assert.equal("config", err.code)
      assert.matches(why, err.message, 1, true)
    end)
  end
end)

describe("destination", function()
  local destination = require "arclua.openssh.destination"
  local SUB = "00000000-0000-4000-8000-000000000001"

  it("tells hosts from machines", function()
    for text, wanted in pairs {
      ["web"] = { host = "web" }, ["ops@web:2200"] = { user = "ops", host = "web", port = 2200 },
      ["a@b@c"] = { user = "a@b", host = "c" }, ["[::1]:22"] = { host = "::1", port = 22 },
      ["fe80::1"] = { host = "fe80::1" }, ["[fe80::1]"] = { host = "fe80::1" },
      ["rg/web"] = { machine = "rg/web" }, ["x@s/rg/web:7"] = { user = "x", machine = "s/rg/web",
        port = 7 },
      ["web.rg." .. SUB .. ".arc"] = { machine = "web.rg." .. SUB .. ".arc" },
      ["web.rg.sub.arc"] = { host = "web.rg.sub.arc" },
    } do
      wanted.text = text
      assert.same(wanted, assert(destination.parse(text)))
    end
  end)
end)
