-- SPDX-License-Identifier: MIT
-- arclua exec --entra, on machines of the emulator that trust its authority only.
local accounts = require "arclua.accounts"
local core = require "arclua.core"
local emulated = require "emulated"
local program = require "program"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"

local with = emulated.spec
local ONLY = { machines = { { name = "web-01", login = "entra" }, { name = "web-02",
  login = "entra" } } }

-- Says yes to every code that is asked for.
local function approve(e)
  return function(device)
    assert(core.http.request { method = "POST", url = e.env.ARCLUA_EMULATOR_SIGNIN,
      ca = e.state.cloud.ca, body = ("code=%s&answer=approve"):format(device.user_code) })
  end
end

local function run(e, args, changes)
  local env = {}
  for _, source in ipairs { e.env, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return program.run(args, { env = env })
end

describe("arclua exec --entra", function()
  with("logs in as the application of the environment", ONLY, function(e)
    local ended = run(e, { "exec", "--entra", "--all", "--", "id" })
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("(" .. e.state.object_id .. ")", 1, true), ended.out)
    ended = run(e, { "exec", "--entra", "-i", "/x", "--all", "--", "id" })
    assert.equal(2, ended.status)
    ended = run(e, { "exec", "--all", "--", "id" }) -- by the key that the emulator hands out
    assert.equal(4, ended.status)
  end)

  for kind, status in pairs { expired = 1, foreign = 4 } do
    with("does not log in with a certificate that is " .. kind, ONLY, function(e)
      e:fault { at = "certificate", kind = kind }
      local ended = run(e, { "exec", "--entra", "--all", "--", "id" })
      assert.equal(status, ended.status, ended.err)
      assert.equal("", ended.out)
      assert.same({}, e:sessions "web-01")
    end)
  end

  with("logs in on hosts that are reached directly, too", { machines = 1 }, function(e)
    local lab = sshlab.new()
    assert(core.sys.write_file(lab:path "principals", e.state.object_id .. "\n", 420))
    local server = sshtcp.start(lab, { "TrustedUserCAKeys=" .. e.state.ssh_ca.path,
      "AuthorizedPrincipalsFile=" .. lab:path "principals" })
    local host = "127.0.0.1:" .. server.port
    local ended = run(e, { "exec", "--direct", "--entra", "-l", lab.user, host, "--", "echo in" })
    local other = run(e, { "exec", "--direct", "--entra", "-l", lab.user .. "x", host, "--",
      "echo in" })
    server:close()
    lab:close()
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("in", 1, true))
    assert.equal(4, other.status)
  end)

  with("says what to do about a Windows machine", { machines = 1, windows = 1 }, function(e)
    local ended = run(e, { "exec", "--entra", "win-01", "--", "id" })
    assert.equal(5, ended.status)
    local text = ended.out .. ended.err
    assert.truthy(text:find("win-01 is a Windows machine: Entra's SSH certificates are for Linux\n"
      .. "  log in to Windows machines with a local user", 1, true), text)
  end)

  local STORED = { AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false, AZURE_TENANT_ID = false }

  local function store(e)
    e.state.users.interval = 1
    assert(accounts.sign_in { cloud = e.cloud, store = e.env.ARCLUA_STATE, prompt = approve(e) })
  end

  with("logs in as the person of arclua login", ONLY, function(e)
    store(e)
    local ended = run(e, { "exec", "--entra", "--all", "--", "id -un" }, STORED)
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find("user@arclua.test", 1, true), ended.out)
  end)

  with("asks the person for what a policy of these logins wants", ONLY, function(e)
    store(e)
    local devices = e.state.users.devices
    local function fault()
      return e:fault { at = "entra", kind = "answer", status = 400,
        error = "interaction_required", number = 50076, path = "/token$", times = 1, after = 1 }
    end
    local set = fault()
    local ended = run(e, { "exec", "--entra", "--all", "--", "id -un" }, STORED)
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("at a terminal", 1, true), ended.err)
    e:clear(set)
    fault()
    -- At a terminal.
    local env = { PROGRAM = program.path, LD_PRELOAD = false }
    for _, source in ipairs { e.env, STORED } do
      for name, value in pairs(source) do
        env[name] = value
      end
    end
    local process <close> = assert(core.process.spawn { stderr = "null", env = env,
      args = { "script", "-qec", "$PROGRAM exec --entra web-01 -- id -un", "/dev/null" } })
    while not next(devices) do
      assert(core.sleep(0.01))
    end
    local _, device = next(devices)
    approve(e)(device)
    local pipe <close> = process:stdout()
    local shown = ""
    for chunk in function() return pipe:read() end do
      shown = shown .. chunk
    end
    assert.equal(0, process:wait().status, shown)
    assert.truthy(shown:find(device.user_code, 1, true))
    assert.truthy(shown:find("user@arclua.test", 1, true), shown)
    -- What came with it was stored: nobody is asked again.
    ended = run(e, { "exec", "--entra", "--all", "--", "id -un" }, STORED)
    assert.equal(0, ended.status, ended.err)
  end)

  for _, way in ipairs { "certificate", "workload", "cloud-shell" } do
    with("logs in by " .. way, { machines = ONLY.machines, sign_in = way }, function(e)
      local ended = run(e, { "exec", "--entra", "--all", "--", "id -un" })
      assert.equal(0, ended.status, ended.err)
      assert.truthy(ended.out:find(way == "cloud-shell" and "user@arclua.test"
        or e.state.object_id, 1, true), ended.out)
    end)
  end

  -- An `az` that is arclua itself, signed in as the application; with or without its extension.
  local AZ = [[#!/bin/sh
export AZURE_CLIENT_SECRET=%s
case "$1 $2" in
"account get-access-token") exec "%s" token -o json --credential environment ;;
"ssh cert") %s
  exec "%s" cert --public-key "$4" --file "$6" --credential environment ;;
esac
]]
  local NO_EXTENSION = "echo \"ERROR: 'ssh' is misspelled or not recognized by the system.\" >&2; "
    .. "exit 2"

  with("logs in as whom the Azure CLI knows, where it has its extension", ONLY, function(e)
    local dir = e.env.ARCLUA_STATE .. "-bin"
    assert(core.sys.mkdir(dir, 448))
    local env = { PATH = dir .. ":" .. os.getenv "PATH", AZURE_CLIENT_SECRET = false }
    local function with_az(extension)
      assert(core.sys.write_file(dir .. "/az", AZ:format(e.env.AZURE_CLIENT_SECRET, program.path,
        extension, program.path), 448))
      return run(e, { "exec", "--credential", "azure_cli", "--entra", "--all", "--", "id -un" },
        env)
    end
    local ended = with_az ":"
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find(e.state.object_id, 1, true))
    assert.equal(1, #e.log:find { event = "certificate" })
    ended = with_az(NO_EXTENSION)
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no extension ssh", 1, true), ended.err)
    assert.truthy(ended.err:find("run `arclua login`", 1, true))
  end)

  for _, way in ipairs { "imds", "app-service" } do
    with("is refused to a managed identity: " .. way, { machines = ONLY.machines,
      sign_in = way }, function(e)
        local ended = run(e, { "exec", "--entra", "--all", "--", "id -un" })
        assert.equal(1, ended.status)
        assert.truthy(ended.err:find("managed identities no SSH certificates", 1, true), ended.err)
        assert.truthy(ended.err:find("arclua login", 1, true))
        assert.equal(0, #e.log:find { event = "certificate" })
      end)
  end
end)
