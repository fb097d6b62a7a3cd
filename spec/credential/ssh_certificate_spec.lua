-- SPDX-License-Identifier: MIT
-- Entra's SSH certificates: what is asked of whom, and how often.
local azure_cli = require "arclua.credential.azure_cli"
local azure_developer_cli = require "arclua.credential.azure_developer_cli"
local cached = require "arclua.credential.cached"
local core = require "arclua.core"
local credential = require "arclua.credential"
local errors = require "arclua.errors"
local fake = require "fake"
local json = require "arclua.json"
local ssh_ca = require "arclua.emulator.ssh_ca"
local ssh_certificate = require "arclua.credential.ssh_certificate"
local static = require "arclua.credential.static"
local both = require("harness").both

local APP = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0/.default"
local OLD = "https://pas.test/CheckMyAccess/Linux/.default"
local CLOUD = { ssh_scope = OLD }
local HOUR = 3600

local ca
local function certificate(key, changes)
  ca = ca or assert(core.crypto.ssh_key(2048))
  local jwk, now = json.decode(key:jwk()), math.floor(core.time())
  local plan = { e = core.crypto.unbase64(jwk.e), n = "\0" .. core.crypto.unbase64(jwk.n),
    key_id = "id", principals = { "Me@Contoso.TEST" }, valid_after = now - 300,
    valid_before = now + HOUR, extensions = "" }
  for name, value in pairs(changes or {}) do
    plan[name] = value
  end
  return ssh_ca.sign(ca, plan)
end

-- A source of certificates that counts; answers: what fetch says by scope instead.
local function counting(answers)
  local asked = {}
  return { name = "fake", asked = asked, fetch = function(_, scope, opts)
    asked[#asked + 1] = { scope = scope, key = opts.ssh_key }
    core.sleep(0)
    if answers and answers[scope] then
      return errors.fail(answers[scope])
    end
    local cert = assert(core.crypto.ssh_certificate(certificate(opts.ssh_key), opts.ssh_key))
    return cert, { expires_on = select(2, cert:validity()) }
  end }
end

local own -- a key for all but the specs that are about it: making one takes its time
local function manager(source, cloud)
  local made = ssh_certificate.new { credential = cached.new(source), cloud = cloud or CLOUD }
  own = own or assert(core.crypto.ssh_key(2048))
  made.key = own
  return made
end

local function at(seconds, fn)
  core.skew(seconds)
  local ok, err = pcall(fn)
  core.skew(0)
  if not ok then
    error(err, 0)
  end
end

describe("SSH certificates", function()
  both("are asked for once, with one key, by whoever comes", function()
    local source = counting()
    local it_ = ssh_certificate.new { credential = cached.new(source), cloud = CLOUD }
    local got, tasks = {}, {}
    for i = 1, 50 do
      tasks[i] = core.spawn(function()
        local cert, info = assert(it_:get())
        got[cert] = info.user
      end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.equal(1, #source.asked)
    assert.equal(APP, source.asked[1].scope)
    assert.is_true(source.asked[1].key:is_private())
    local cert, user = next(got)
    assert.equal("me@contoso.test", user)
    assert.is_nil(next(got, cert))
  end)

  both("are renewed 5 minutes before their end, with the same key", function()
    local source = counting()
    local it_ = manager(source)
    local first = assert(it_:get())
    at(HOUR - 310, function()
      assert.equal(first, (it_:get()))
    end)
    at(HOUR - 290, function()
      assert.not_equal(first, (assert(it_:get())))
    end)
    assert.equal(2, #source.asked)
    assert.equal(source.asked[1].key, source.asked[2].key)
  end)

  both("of another key are kept apart", function()
    local source = counting()
    local it_ = manager(source)
    local key = assert(core.crypto.ssh_key(2048))
    local mine, other = assert(it_:get()), assert(it_:get(key))
    assert.not_equal(mine, other)
    assert.equal(other, (it_:get(key)))
    assert.equal(2, #source.asked)
  end)

  both("are asked by the older scope where the new one is not known, then at once", function()
    local source = counting { [APP] = { reason = "entra.bad-scope", message = "500011" } }
    local it_ = manager(source)
    assert(it_:get())
    assert(it_:get(assert(core.crypto.ssh_key(2048))))
    local scopes = {}
    for i, ask in ipairs(source.asked) do
      scopes[i] = ask.scope
    end
    assert.same({ APP, OLD, OLD }, scopes)
  end)

  both("are not asked by the older scope after another refusal, or without one", function()
    local source = counting { [APP] = { reason = "entra.interaction-required", message = "MFA" } }
    local cert, err = manager(source):get()
    assert.is_nil(cert)
    assert.equal("entra.interaction-required", err.reason)
    assert.equal(1, #source.asked)
    source = counting { [APP] = { reason = "entra.bad-scope", message = "500011" } }
    cert, err = manager(source, {}):get()
    assert.is_nil(cert)
    assert.equal("entra.bad-scope", err.reason)
  end)

  both("outlive a caller that was cancelled", function()
    local source = counting()
    local it_ = ssh_certificate.new { credential = cached.new(source), cloud = CLOUD }
    local first = core.spawn(it_.get, it_)
    local second = core.spawn(it_.get, it_)
    core.sleep(0)
    first:cancel()
    local _, err = first:await()
    assert.equal("cancelled", err.code)
    assert(second:await())
    assert.equal(1, #source.asked)
  end)

  it("are not given by what cannot", function()
    local key = core.crypto.ssh_public_key("ssh-rsa " .. core.crypto.base64(
      string.pack(">s4s4s4", "ssh-rsa", "\1\0\1", "\0" .. ("\200"):rep(256))))
    for _, case in ipairs {
      { static.new { token = core.secret "t", expires_on = core.time() + 60 }, "access token" },
      { azure_developer_cli.new {}, "Azure Developer CLI" },
    } do
      local cert, err = case[1]:fetch(APP, { ssh_key = key })
      assert.is_nil(cert)
      assert.equal("cred.no-certificate", err.reason)
      assert.truthy(err.message:find(case[2], 1, true))
      assert.truthy(err.remedy:find("arclua login", 1, true))
    end
    local cert, err = ssh_certificate.new({ credential = fake.credential(), cloud = CLOUD }):get()
    assert.is_nil(cert)
    assert.equal("cred.no-certificate", err.reason)
  end)
end)

describe("a managed identity", function()
  local function refused(env)
    local real = os.getenv
    -- luacheck: globals os.getenv
    os.getenv = function(name) return env[name] end
    local made = credential.managed_identity { cloud = fake.CLOUD }
    os.getenv = real
    return core.spawn(function()
      return ssh_certificate.new({ credential = made, cloud = CLOUD }):get()
    end):await()
  end

  it("gets no certificate, and says what to do", function()
    for _, env in ipairs { { IDENTITY_ENDPOINT = "http://127.0.0.1:1", IDENTITY_HEADER = "h" }, {},
      { IDENTITY_ENDPOINT = "http://127.0.0.1:1", IMDS_ENDPOINT = "http://127.0.0.1:1" } } do
      local cert, err = refused(env)
      assert.is_nil(cert)
      assert.equal("cred.no-certificate", err.reason)
      assert.truthy(err.message:find("only persons and applications", 1, true))
      assert.truthy(err.remedy:find("arclua login", 1, true))
    end
  end)
end)

describe("by the Azure CLI", function()
  local dir, key

  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-az")
    core.spawn(function()
      key = assert(core.crypto.ssh_key(2048))
    end):await()
  end)
  teardown(function() core.sys.remove(dir) end)

  -- An `az` that runs these shell lines; FILE and KEY are what it is to write and to read.
  local function fetch(lines, spec)
    assert(core.sys.write_file(dir .. "/az", "#!/bin/sh\necho \"$*\" >" .. dir .. "/args\n"
      .. "KEY=$4 FILE=$6\n" .. lines .. "\n", 448))
    local primitives = fake.core { process = setmetatable({ spawn = function(opts)
      opts.args[1] = dir .. "/az"
      opts.env.LD_PRELOAD = false
      return core.process.spawn(opts)
    end }, { __index = core.process }) }
    return core.spawn(function()
      return azure_cli.new(spec or {}, primitives):fetch(APP, { ssh_key = key })
    end):await()
  end

  local function no_files_left()
    local args = core.sys.read_file(dir .. "/args")
    assert.is_nil(core.sys.stat(args:match "%-%-file (%S+)/[^/]+"))
  end

  it("it is got for a public key alone", function()
    assert(core.sys.write_file(dir .. "/cert", "ssh-rsa-cert-v01@openssh.com " .. certificate(key)))
    local cert, info = assert(fetch([[cp "$KEY" ]] .. dir .. [[/seen
cp ]] .. dir .. [[/cert "$FILE"; env >]] .. dir .. "/env"))
    assert.same({ "Me@Contoso.TEST" }, cert:principals())
    assert.equal(select(2, cert:validity()), info.expires_on)
    assert.equal(key:public "arclua" .. "\n", core.sys.read_file(dir .. "/seen"))
    local args = core.sys.read_file(dir .. "/args")
    assert.truthy(args:find("^ssh cert %-%-public%-key%-file /%S+/key.pub %-%-file "
      .. "/%S+/key%-cert.pub %-%-only%-show%-errors\n$"), args)
    assert.truthy(core.sys.read_file(dir .. "/env"):find(
      "AZURE_EXTENSION_USE_DYNAMIC_INSTALL=no", 1, true))
    no_files_left()
  end)

  for name, case in pairs {
    ["without the extension"] = { "echo \"ERROR: 'ssh' is misspelled or not recognized by the "
      .. "system.\" >&2; exit 2", "cred.no-certificate", "no extension ssh" },
    ["signed out"] = { "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
      "cred.az-failed", "Please run 'az login'" },
    ["as a managed identity"] = { "echo \"ERROR: VM SSH currently doesn't support managed "
      .. "identity.\" >&2; exit 1", "cred.no-certificate", "managed identity" },
    ["with a token in its words"] = { "echo 'ERROR: bad eyJhbGciOi.eyJzdWIi.c2ln here' >&2; exit 1",
      "cred.no-certificate", "bad <redacted> here" },
    ["without a word"] = { "exit 1", "cred.no-certificate", "it says nothing" },
    ["with much to say"] = { "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1",
      "cred.no-certificate", "xxx" },
    ["when it writes nothing"] = { "exit 0", "cred.no-certificate", "No such file" },
    ["when it writes something else"] = { "echo eyJhbGciOi.e30.c2ln >\"$FILE\"",
      "cred.no-certificate", "not an OpenSSH certificate" },
  } do
    it(name .. " says so in one line, and what to do", function()
      local cert, err = fetch(case[1])
      assert.is_nil(cert)
      assert.equal(case[2], err.reason)
      assert.truthy(err.message:find(case[3], 1, true), err.message)
      assert.is_nil(err.message:find "\n")
      assert.truthy(err.remedy:find("arclua login", 1, true))
      no_files_left()
    end)
  end

  it("of another tenant it is not used", function()
    local tid = string.pack(">s4s4", "tid@sshservice.azure.net", string.pack(">s4",
      "11111111-2222-3333-4444-555555555555"))
    assert(core.sys.write_file(dir .. "/cert", certificate(key, { extensions = tid })))
    local copy = "cp " .. dir .. "/cert \"$FILE\""
    assert(fetch(copy, { tenant = "contoso.com" }))
    assert(fetch(copy, { tenant = "11111111-2222-3333-4444-555555555555" }))
    local cert, err = fetch(copy, { tenant = "99999999-2222-3333-4444-555555555555" })
    assert.is_nil(cert)
    assert.truthy(err.message:find("11111111-2222", 1, true))
  end)

  it("that is not there is named", function()
    local primitives = fake.core { process = setmetatable({ spawn = function(opts)
      opts.args[1] = dir .. "/no-az"
      return core.process.spawn(opts)
    end }, { __index = core.process }) }
    local cert, err = core.spawn(function()
      return azure_cli.new({}, primitives):fetch(APP, { ssh_key = key })
    end):await()
    assert.is_nil(cert)
    assert.equal("cred.unavailable", err.reason)
  end)

  it("that hangs is ended", function()
    local cert, err = fake.fast(function()
      return fetch("sleep 1000 & sleep 1000")
    end)
    assert.is_nil(cert)
    assert.equal("timeout", err.code)
    no_files_left()
  end)
end)
