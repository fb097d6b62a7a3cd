-- SPDX-License-Identifier: MIT
-- Leak canaries on the outside: what the program prints and logs at trace, the errors it gives, the
-- files it leaves, the arguments and the environment of the programs it starts.
local canary = require "canary"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local credential = require "arclua.credential"
local emulated = require "emulated"
local errors = require "arclua.errors"
local program = require "program"
local witness = require "witness"

local NOBODY = { AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false, AZURE_TENANT_ID = false }

-- A directory that is everything a program may write to, and its variables.
local function home(e, changes)
  local dir = assert(core.sys.mkdtemp "arclua-leaks-")
  assert(core.sys.mkdir(dir .. "/tmp", 448))
  local env = { HOME = dir, TMPDIR = dir .. "/tmp", XDG_CONFIG_HOME = dir, XDG_CACHE_HOME = dir,
    LD_PRELOAD = false, ARCLUA_CONFIG = "none", ARCLUA_LOG_LEVEL = "trace" }
  for _, source in ipairs { e.env, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  env.ARCLUA_STATE = dir .. "/state"
  env.ARCLUA_KNOWN_HOSTS = dir .. "/known_hosts"
  return dir, env
end

-- Relay credentials are kept for the next command: each in a file that is the user's alone.
local function check_kept_credentials(dir)
  for _, name in ipairs(core.sys.list(dir) or {}) do
    assert.equal(384, core.sys.stat(dir .. "/" .. name).mode & 511)
    assert(core.sys.remove(dir .. "/" .. name))
  end
end

-- Runs the program to its end; nothing of the secrets is on the outside. kept: the file that is
-- there to hold them.
local function run(e, secrets, args, changes, kept)
  local dir, env = home(e, changes)
  local ended = program.run(args, { env = env })
  local needles = canary.needles(secrets)
  assert.truthy(#needles > 0)
  assert.same({}, canary.find(ended.out .. ended.err, needles), ended.out .. ended.err)
  if kept then
    assert.truthy(#canary.find(core.sys.read_file(dir .. kept, 1 << 20) or "", needles) > 0)
    assert.equal(384, core.sys.stat(dir .. kept).mode & 511)
    core.sys.remove(dir .. kept)
  end
  check_kept_credentials(dir .. "/state/cache/relay")
  assert.same({}, canary.files(dir, needles))
  core.sys.remove(dir)
  return ended
end

local function spec(name, fn, opts)
  emulated.spec(name, opts or { machines = 1 }, function(e)
    witness.hear(function(secrets)
      e.state.client_secret = canary.new "client-secret"
      e.env.AZURE_CLIENT_SECRET = e.state.client_secret
      secrets["client secret"] = e.state.client_secret
      fn(e, secrets)
    end)
  end)
end

describe("what the program shows and leaves", function()
  spec("of a command", function(e, secrets)
    local ended = run(e, secrets, { "exec", "--all", "--", "true" })
    assert.equal(0, ended.status, ended.err)
  end)

  spec("of a refusal by the relay, and another try", function(e, secrets)
    e:fault { at = "relay", kind = "expired", times = 1 }
    assert.equal(0, run(e, secrets, { "exec", "--all", "--", "true" }).status)
    e:fault { at = "relay", kind = "unauthorized" }
    assert.equal(4, run(e, secrets, { "exec", "--all", "--retries", "0", "--", "true" }).status)
  end)

  spec("of a wrong secret, and one that Entra repeats", function(e, secrets)
    local wrong = { AZURE_CLIENT_SECRET = canary.new "wrong" }
    secrets.wrong = wrong.AZURE_CLIENT_SECRET
    local ended = run(e, secrets, { "machines" }, wrong)
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("7000215", 1, true), ended.err)
    e:fault { at = "entra", kind = "answer", status = 401, error = "invalid_client",
      number = 7000215, message = "not " .. secrets.wrong .. " please" }
    ended = run(e, secrets, { "machines" }, wrong)
    assert.truthy(ended.err:find("not **********", 1, true), ended.err)
  end)

  spec("of a token that ARM repeats", function(e, secrets)
    e:fault { at = "arm", kind = "answer", status = 403, code = "AuthorizationFailed",
      message = "no: " .. emulated.token(e) }
    local ended = run(e, secrets, { "machines" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("no: **********", 1, true), ended.err)
  end)

  spec("of an application's sign-in: its file alone", function(e, secrets)
    local ended = run(e, secrets, { "login", "--service-principal", "--tenant",
      e.env.AZURE_TENANT_ID, "--client-id", e.env.AZURE_CLIENT_ID }, nil, "/state/tokens.json")
    assert.equal(0, ended.status, ended.err)
  end)

  spec("of a person's sign-in: its file alone", function(e, secrets)
    e.state.users.interval = 1
    local answering = core.spawn(function()
      local _, device
      repeat
        core.sleep(0.01)
        _, device = next(e.state.users.devices)
      until device
      device.answer = "approve"
    end)
    local ended = run(e, secrets, { "login", "--device" }, NOBODY, "/state/tokens.json")
    assert.equal(0, ended.status, ended.err)
    answering:await()
  end)

  spec("of a certificate with the wrong password", function(e, secrets)
    secrets.password = canary.new "certificate"
    local ended = run(e, secrets, { "machines" }, { AZURE_CLIENT_SECRET = false,
      AZURE_CLIENT_CERTIFICATE_PASSWORD = secrets.password,
      AZURE_CLIENT_CERTIFICATE_PATH = e.env.ARCLUA_IDENTITY })
    assert.equal(1, ended.status)
  end, { machines = 1, sign_in = "certificate" })

  spec("of a proxy that does not answer", function(e, secrets)
    secrets["proxy password"] = canary.new "proxy"
    local ended = run(e, secrets, { "machines" }, { NO_PROXY = false, no_proxy = false,
      HTTPS_PROXY = "http://user:" .. secrets["proxy password"]:gsub("[^%w]", function(c)
        return ("%%%02X"):format(c:byte())
      end) .. "@127.0.0.1:1" })
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("127.0.0.1:1", 1, true), ended.err)
  end, { machines = 1, domain = "arc.test" })
end)

-- A program that writes down how it was started, then does line.
local function spy(dir, name, line)
  local path = dir .. "/" .. name
  assert(core.sys.write_file(path, ("#!/bin/sh\n"
    .. "cat /proc/$$/cmdline /proc/$$/environ >'%s.new'\n"
    .. "mv '%s.new' '%s.seen'\n%s\n"):format(path, path, path, line), 448))
  return path
end

describe("a program that is started", function()
  local function check(e, secrets, args, changes, names, interrupt)
    local dir = assert(core.sys.mkdtemp "arclua-spy-")
    for name, line in pairs(names) do
      spy(dir, name, line)
    end
    local env = { PATH = dir .. ":" .. os.getenv "PATH" }
    for name, value in pairs(changes) do
      env[name] = type(value) == "string" and value:gsub("^SPY/", dir .. "/") or value
    end
    local _, all = home(e, env)
    local started = program.start(args, { env = all })
    if interrupt then
      repeat
        core.sleep(0.01)
      until core.sys.stat(dir .. "/" .. next(names) .. ".seen")
      started.process:kill "INT"
    end
    started:wait()
    core.sys.remove(all.HOME)
    local needles = canary.needles(secrets)
    for name in pairs(names) do
      local seen = core.sys.read_file(dir .. "/" .. name .. ".seen", 1 << 20)
      assert.truthy(seen and #seen > 100, name .. " was not started")
      assert.same({}, canary.find(seen, needles), name)
    end
    core.sys.remove(dir)
  end

  -- All secrets of a sign-in of ours, and of the platform.
  local function secret_variables(secrets, platform)
    local env = {}
    for _, name in ipairs { "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD",
      "AZURE_ACCESS_TOKEN", "AZURE_PASSWORD", "SSHPROXY_RELAY_INFO" } do
      env[name] = canary.new(name)
      secrets[name] = env[name]
    end
    for _, name in ipairs(platform and { "IDENTITY_HEADER", "MSI_SECRET",
      "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_ACCESSTOKEN" } or {}) do
      env[name] = canary.new(name)
      secrets[name] = env[name]
    end
    return env
  end

  spec("az and azd get none of our own", function(e, secrets)
    local env = secret_variables(secrets)
    check(e, secrets, { "--credential", "az", "machines" }, env, { az = "exit 1" })
    check(e, secrets, { "--credential", "azd", "machines" }, env, { azd = "exit 1" })
  end)

  spec("an askpass gets none at all", function(e, secrets)
    local env = secret_variables(secrets, true)
    env.AZURE_CLIENT_SECRET, env.AZURE_ACCESS_TOKEN = e.state.client_secret, false
    env.SSH_ASKPASS, env.SSH_ASKPASS_REQUIRE = "SPY/askpass", "force"
    check(e, secrets, { "exec", "--all", "--ask-pass", "--", "true" }, env,
      { askpass = "echo wrong" })
  end)

  spec("a browser gets none at all", function(e, secrets)
    local env = secret_variables(secrets, true)
    env.AZURE_CLIENT_ID, env.BROWSER = false, "SPY/browser"
    check(e, secrets, { "login", "--browser" }, env, { browser = "exit 0" }, true)
  end)
end)

describe("an error", function()
  -- All that an error says, and what it comes of.
  local function dump(err)
    local parts = { tostring(err), errors.describe(err), errors.detail(err) }
    while err do
      for _, name in ipairs { "code", "reason", "message", "remedy", "op", "phase", "retryable",
        "retry_after", "status", "tracking_id" } do
        parts[#parts + 1] = tostring(err[name])
      end
      err = err.cause
    end
    return table.concat(parts, "\n")
  end

  local function refused(e, secrets, made, scope)
    local cloud = assert(clouds.load(e.cloud))
    local secret, err = made:token(scope or cloud.scope)
    assert.is_nil(secret)
    assert.same({}, canary.find(dump(err), canary.needles(secrets)), dump(err))
    return err
  end

  spec("repeats no secret that the service repeats", function(e, secrets)
    local cloud = assert(clouds.load(e.cloud))
    e:fault { at = "entra", kind = "answer", status = 400, error = "invalid_request",
      number = 90014, message = secrets["client secret"] .. " is what was sent" }
    local err = refused(e, secrets, assert(credential.client_secret { cloud = cloud,
      tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
      client_secret = core.secret(secrets["client secret"]) }))
    assert.truthy(err.message:find("is what was sent", 1, true))
  end)

  spec("of az has no token in it", function(e, secrets)
    local dir = assert(core.sys.mkdtemp "arclua-spy-")
    secrets.token = emulated.token(e):match "%.(.*)$"
    spy(dir, "az", "echo 'WARNING: " .. emulated.token(e) .. "' >&2; exit 3")
    local secret, err = core.token.command { args = { dir .. "/az" } }
    assert.is_nil(secret)
    assert.same({}, canary.find(dump(err), canary.needles(secrets)), dump(err))
    core.sys.remove(dir)
  end)
end)
