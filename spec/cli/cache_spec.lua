-- SPDX-License-Identifier: MIT
-- Kept relay credentials, as commands use them: what is asked of ARM is in the emulator's log.
local cli = require "cli"
local core = require "arclua.core"
local emulated = require "emulated"

local it_runs = cli.it

describe("kept relay credentials", function()
  cli.with { { name = "web-01" }, { name = "web-02" } }

  local marked

  before_each(function()
    cli.e:machine("web-01").ssh_port, cli.e:machine("web-01").services.ssh.port = 22, 22
    core.sys.remove(cli.e.env.ARCLUA_STATE)
    cli.e:clear()
    marked = cli.e.log.last
  end)

  -- Requests to ARM since the last look: "POST listcredentials, GET ssh".
  local function asked()
    local out = {}
    for i = marked + 1, cli.e.log.last do
      local entry = cli.e.log[i]
      if entry and entry.event == "arm" then
        out[#out + 1] = entry.method .. " " .. entry.path:lower():match "[^/]+$"
      end
    end
    marked = cli.e.log.last
    return table.concat(out, ", ")
  end

  local COLD = "POST listcredentials, GET ssh"

  -- `arclua proxy` to a machine by its ID, which asks ARM for nothing else.
  local function connect(args, env, name)
    local words = { "proxy", cli.e:machine(name or "web-01").id }
    for _, word in ipairs(args or {}) do
      table.insert(words, 1, word)
    end
    local ended = cli.run(words, env, { stdin = "no SSH client\n" })
    assert.equal(0, ended.status, ended.err)
    assert.equal("", ended.err)
    return asked()
  end

  local function listen_on(port)
    local machine = cli.e:machine "web-01"
    machine.ssh_port, machine.services.ssh.port = port, port
  end

  local function files()
    return core.sys.list(cli.e.env.ARCLUA_STATE .. "/cache/relay") or {}
  end

  it_runs("cost a second command no request to ARM, not even for the port", function()
    listen_on(2222)
    assert.equal(COLD, connect())
    assert.equal("", connect())
    assert.equal(COLD, connect(nil, nil, "web-02"))
    assert.equal(2, #files())
    local calls = cli.e.log:find { event = "connect", machine = "web-01" }
    assert.equal(calls[#calls].port, calls[#calls - 1].port)
  end)

  it_runs("are below XDG_CACHE_HOME when ARCLUA_STATE is not set", function()
    local home = assert(core.sys.mkdtemp "arclua-spec")
    local env = { ARCLUA_STATE = false, XDG_CACHE_HOME = home }
    assert.equal(COLD, connect(nil, env))
    assert.equal("", connect(nil, env))
    assert.equal(1, #core.sys.list(home .. "/arclua/relay"))
    assert.equal(0, cli.run({ "account", "clear-cache" }, env).status)
    assert.is_nil(core.sys.stat(home .. "/arclua"))
    core.sys.remove(home)
  end)

  it_runs("are left alone by --no-cache and ARCLUA_NO_CACHE", function()
    assert.equal(COLD, connect { "--no-cache" })
    assert.equal(COLD, connect(nil, { ARCLUA_NO_CACHE = "1" }))
    assert.equal(0, cli.run({ "--no-cache", "machines" }).status)
    assert.is_nil(core.sys.stat(cli.e.env.ARCLUA_STATE .. "/cache"))
    marked = cli.e.log.last
    assert.equal(COLD, connect())
    assert.equal(COLD, connect { "--no-cache" })
  end)

  it_runs("end with account clear-cache, and with logout", function()
    assert.equal(COLD, connect())
    assert.equal(0, cli.run({ "account", "clear-cache" }).status)
    assert.equal(0, #files())
    assert.equal(COLD, connect())
    assert.equal(0, cli.run({ "logout", "--all" }).status)
    assert.equal(0, #files())
    for _, words in ipairs { { "clear-cache", "x" }, { "clear-cache", "-o", "json" },
      { "clear" } } do
      assert.equal(2, cli.run({ "account", table.unpack(words) }).status)
    end
  end)

  it_runs("are not written for a token that was given", function()
    local env = { AZURE_ACCESS_TOKEN = emulated.token(cli.e) }
    marked = cli.e.log.last
    assert.equal(COLD, connect(nil, env))
    assert.equal(COLD, connect(nil, env))
    assert.equal(0, #files())
  end)

  it_runs("are renewed when the relay refuses them", function()
    for _, kind in ipairs { "unauthorized", "expired", "forbidden" } do
      core.sys.remove(cli.e.env.ARCLUA_STATE)
      assert.equal(COLD, connect())
      cli.e:fault { at = "relay", kind = kind, times = 1 }
      assert.equal("POST listcredentials", connect(), kind)
      assert.equal("", connect(), kind)
    end
  end)

  it_runs("are dropped when the relay goes on refusing", function()
    assert.equal(COLD, connect())
    local fault = cli.e:fault { at = "relay", kind = "unauthorized" }
    assert.equal(255, cli.run({ "proxy", cli.e:machine("web-01").id }).status)
    cli.e:clear(fault)
    assert.equal(0, #files())
  end)

  it_runs("lead to the new port when another was configured meanwhile", function()
    assert.equal(COLD, connect())
    listen_on(2222)
    assert.equal(COLD, connect())
    assert.equal("", connect())
  end)

  it_runs("serve exec, too", function()
    local function exec()
      local ended = cli.run({ "exec", "--all", "--", "true" })
      assert.equal(0, ended.status, ended.err)
      return select(2, asked():gsub("listcredentials", ""))
    end
    assert.equal(2, exec())
    assert.equal(0, exec())
  end)

  it_runs("say that SSH was taken back, and set it up again with consent", function()
    local machine = cli.e:machine "web-01"
    local words = { "exec", "--port", "22", machine.id, "--", "true" }
    assert.equal(0, cli.run(words).status)
    assert.equal(0, cli.run({ "disable", machine.id }).status)
    local ended = cli.run(words)
    assert.equal(4, ended.status)
    assert.matches("unreachable: SSH was never set up", ended.out .. ended.err, 1, true)
    assert.equal(0, cli.run({ "enable", machine.id }).status)
    assert.equal(0, cli.run(words).status)
    assert.equal(0, cli.run({ "disable", machine.id }).status)
    table.insert(words, 2, "--enable")
    ended = cli.run(words)
    assert.equal(0, ended.status, ended.err)
  end)
end)
