-- SPDX-License-Identifier: MIT
-- Logging in with Entra, on machines of the emulator that trust its authority only.
local azure = require "arclua.azure"
local core = require "arclua.core"
local credential = require "arclua.credential"
local emulated = require "emulated"
local fleet = require "arclua.fleet"
local json = require "arclua.json"
local program = require "program"

local with = emulated.spec
local ONLY = { machines = { { name = "web-01", login = "entra" }, { name = "web-02",
  login = "entra" } } }

-- A sign-in of the application, or with this credential.
local function sign_in(e, given)
  return assert(azure.login { cloud = e.cloud, config = {}, known_hosts = e.env.ARCLUA_KNOWN_HOSTS,
    subscription = e.state.subscriptions[1].id,
    credential = given or credential.client_secret { cloud = assert(require("arclua.clouds")
      .load(e.cloud)), tenant = e.state.tenant, client_id = e.state.client_id,
      client_secret = core.secret(e.state.client_secret) } })
end

-- Says yes to every code that is asked for.
local function approve(e)
  return function(device)
    assert(core.http.request { method = "POST", url = e.env.ARCLUA_EMULATOR_SIGNIN,
      ca = e.state.cloud.ca, body = ("code=%s&answer=approve"):format(device.user_code) })
  end
end

local function id(az, opts)
  opts = opts or {}
  opts.entra, opts.ssh_config = true, "none"
  local list = assert(az:machines {})
  local report, err = fleet.new(list, opts):exec "id -un; echo $ARC_MACHINE"
  return report, err
end

local function outputs(report)
  local out = {}
  for _, result in ipairs(report.results) do
    out[#out + 1] = result.state == "ok" and result.stdout:gsub("\n", " ")
      or (result.err.reason or result.err.code)
  end
  return out
end

describe("with Entra", function()
  with("an application logs in on all machines with one certificate", ONLY, function(e)
    local az = sign_in(e)
    local report = assert(id(az))
    local name = e.state.object_id
    assert.same({ name .. " web-01 ", name .. " web-02 " }, outputs(report))
    assert.equal(1, #e.log:find { event = "certificate" })
    -- The next run of this sign-in has it still.
    assert(id(az))
    assert.equal(1, #e.log:find { event = "certificate" })
    local cert, info = assert(az:ssh_certificate())
    assert.equal(name, info.user)
    assert.equal(name .. "@" .. e.state.tenant, cert:key_id())
    assert.equal(e.state.tenant, cert:extensions()["tid@sshservice.azure.net"])
  end)

  with("a person logs in by the name in lower case", ONLY, function(e)
    e.state.users.interval = 1
    local az = sign_in(e, credential.device_code { cloud = assert(require("arclua.clouds")
      .load(e.cloud)), prompt = approve(e) })
    local report = assert(id(az))
    assert.same({ "user@arclua.test web-01 ", "user@arclua.test web-02 " }, outputs(report))
    assert.equal("User@arclua.test", assert(az:ssh_certificate()):principals()[1])
    -- The refresh token that came with the sign-in was enough: one code.
    assert.equal(1, #e.log:find { event = "device-code" })
  end)

  with("a session is one of the certificate's user, or of whom -l names", ONLY, function(e)
    local machine = assert(sign_in(e):machine "web-01")
    local session <close> = assert(machine:ssh { entra = true, ssh_config = "none" })
    assert.equal(e.state.object_id, session:exec("id -un").stdout:match "%S+")
    local other, err = machine:ssh { entra = true, user = "user@arclua.test",
      ssh_config = "none" }
    assert.is_nil(other)
    assert.equal("ssh.auth-refused", err.reason)
    assert.truthy(err.remedy:find("AADSSHLoginForLinux", 1, true))
    assert.truthy(err.remedy:find("Virtual Machine User Login", 1, true))
  end)

  with("other keys and passwords are not mixed in", ONLY, function(e)
    local machine = assert(sign_in(e):machine "web-01")
    for name, value in pairs { identity = "/x", password = core.secret "p", ask_pass = true,
      passphrase = core.secret "p" } do
      local session, err = machine:ssh { entra = true, ssh_config = "none", [name] = value }
      assert.is_nil(session)
      assert.equal("config", err.code)
      assert.truthy(err.message:find(name, 1, true))
    end
  end)

  with("a machine that takes keys only refuses the certificate, and the other way round",
    { machines = { { name = "a", login = "key" }, { name = "b", login = "entra" },
      { name = "c" } } }, function(e)
      local name = e.state.object_id
      assert.same({ "ssh.auth-refused", name .. " b ", name .. " c " }, outputs(assert(id(
        sign_in(e)))))
      local ended = program.run({ "exec", "--all", "-o", "jsonl", "--", "true" }, { env = e.env })
      local states = {}
      for line in ended.out:gmatch "[^\n]+" do
        local result = json.decode(line)
        states[result.name] = result.state
      end
      assert.same({ a = "ok", b = "denied", c = "ok" }, states)
    end)

  with("a certificate that has expired is not used", ONLY, function(e)
    e:fault { at = "certificate", kind = "expired" }
    local report, err = id(sign_in(e))
    assert.is_nil(report)
    assert.equal("entra.certificate-time", err.reason)
    assert.same({}, e:sessions "web-01")
  end)

  -- Our clock is behind: to us the certificate is still good.
  with("sshd refuses one that has expired, too", ONLY, function(e)
    local key = assert(core.crypto.ssh_key(2048))
    local function login(behind)
      local _, body = emulated.post(e, { token_type = "ssh-cert", key_id = key:id(),
        req_cnf = key:jwk(), scope = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0/.default" })
      emulated.later(-behind)
      local cert = assert(core.crypto.ssh_certificate(body.access_token, key))
      emulated.later(0)
      local session, err = core.ssh.connect(assert(emulated.connect(e, "web-01")), {
        user = e.state.object_id, alias = "web-01", known_hosts = { e.env.ARCLUA_KNOWN_HOSTS },
        identities = {}, agent = false, certificate = cert })
      if session then
        session:close()
      end
      return session and "in" or err.reason
    end
    assert.equal("in", login(0))
    e:fault { at = "certificate", kind = "expired" }
    assert.equal("ssh.auth-refused", login(600))
  end)

  with("sshd refuses one of another authority", ONLY, function(e)
    e:fault { at = "certificate", kind = "foreign" }
    assert.same({ "ssh.auth-refused", "ssh.auth-refused" }, outputs(assert(id(sign_in(e)))))
    assert.same({}, e:sessions "web-01")
  end)

  with("a short certificate is asked for anew", ONLY, function(e)
    e:fault { at = "certificate", kind = "short-lived", lifetime = 600, times = 1 }
    local az = sign_in(e)
    local first = assert(az:ssh_certificate())
    core.skew(400)
    local second = assert(az:ssh_certificate())
    core.skew(0)
    assert.not_equal(first, second)
    assert.equal(2, #e.log:find { event = "certificate" })
  end)

  with("a directory that knows the older name only is asked by that", ONLY, function(e)
    e:fault { at = "entra", kind = "answer", status = 400, error = "invalid_resource",
      number = 500011, path = "/token$", times = 1, after = 1 }
    assert.same({ e.state.object_id .. " web-01 ", e.state.object_id .. " web-02 " },
      outputs(assert(id(sign_in(e)))))
  end)

  with("one refusal for all machines, before any is dialled", ONLY, function(e)
    e:fault { at = "entra", kind = "answer", status = 400, error = "interaction_required",
      number = 50076, path = "/token$", after = 1 }
    local report, err = id(sign_in(e))
    assert.is_nil(report)
    assert.equal("entra.interaction-required", err.reason)
    assert.truthy(err.message:find("multi-factor", 1, true))
    assert.equal(0, #e.log:find { event = "connect" })
  end)

  with("Windows machines are told apart", { machines = 1, windows = 1 }, function(e)
    local report = assert(id(sign_in(e)))
    assert.same({ e.state.object_id .. " web-01 ", "machine.no-entra-login" }, outputs(report))
    assert.equal("failed", report.results[2].state)
    local list = assert(sign_in(e):machines { os = "windows" })
    report = assert(fleet.new(list, { entra = true, ssh_config = "none" }):exec "id")
    assert.same({ "machine.no-entra-login" }, outputs(report))
    local session, err = list[1]:ssh { entra = true, ssh_config = "none" }
    assert.is_nil(session)
    assert.equal("machine.no-entra-login", err.reason)
    assert.truthy(err.remedy:find("local user", 1, true))
  end)
end)
