-- SPDX-License-Identifier: MIT
-- Logging in by an agent, also one that is broken or mute.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local sys, both = core.sys, harness.both

describe("ssh agent", function()
  local lab, agent, socket

  local function run(args, env)
    env = env or {}
    env.LD_PRELOAD = false
    local p <close> = assert(core.process.spawn { args = args, env = env, stdout = "null",
      stderr = "null" })
    return assert(p:wait()).status
  end

  local function add(...)
    assert.equal(0, run({ "ssh-add", ... }, { SSH_AUTH_SOCK = socket }))
  end

  local function login(changes, settings)
    local opts = { identities = {}, agent = socket }
    for key, value in pairs(changes or {}) do
      opts[key] = value
    end
    return lab:connect(opts, settings)
  end

  local function logs_in(changes, settings)
    local session, sshd = login(changes, settings)
    assert(session, tostring(sshd))
    assert.equal("ok", assert(session:exec("true")).state)
    session:close()
    sshd:close()
  end

  local function reason(changes)
    local session, err = login(changes)
    assert.is_nil(session)
    return err.reason, err
  end

  before_each(function()
    lab = sshlab.new()
    socket = lab:path "agent"
    agent = lab:agent { args = { "ssh-agent", "-D", "-a", socket }, stdout = "null" }
  end)
  after_each(function()
    agent:close()
    lab:close()
  end)

  local function spec(name, fn)
    it(name, function()
      core.spawn(core.timeout, harness.LIMIT, fn):await()
      agent:close()
      assert.equal("", harness.leftovers())
    end)
  end

  spec("that holds the key", function()
    add(lab:path "id")
    logs_in()
    logs_in { identities = { lab:path "absent" } }
  end)

  for _, kind in ipairs { "rsa", "ecdsa" } do
    spec("with a key of type " .. kind, function()
      assert.equal(0, run { "ssh-keygen", "-q", "-t", kind, "-N", "", "-f", lab:path "k" })
      assert(sys.write_file(lab:path "authorized", sys.read_file(lab:path "k.pub")))
      add(lab:path "k")
      logs_in()
    end)
  end

  spec("with several keys, the last of them right", function()
    for i = 1, 3 do
      assert(core.ssh.keygen(lab:path("k" .. i)))
      add(lab:path("k" .. i))
    end
    assert.equal("ssh.auth-refused", (reason()))
    add(lab:path "id")
    logs_in()
  end)

  spec("with two keys, both wanted", function()
    assert(core.ssh.keygen(lab:path "second"))
    assert(sys.write_file(lab:path "authorized",
      lab.public .. "\n" .. sys.read_file(lab:path "second.pub")))
    local settings = { "AuthenticationMethods=publickey,publickey" }
    add(lab:path "id")
    local session, err = login(nil, settings)
    assert.is_nil(session)
    assert.equal("ssh.auth-refused", err.reason)
    assert.matches("in part", err.message)
    add(lab:path "second")
    logs_in(nil, settings)
  end)

  spec("with more keys than sshd hears: those of identity files come first", function()
    for i = 1, 8 do
      assert(core.ssh.keygen(lab:path("k" .. i)))
      add(lab:path("k" .. i))
    end
    add(lab:path "id")
    assert.equal("ssh.too-many-keys", (reason()))
    assert(sys.write_file(lab:path "only.pub", lab.public .. "\n", 420))
    logs_in { identities = { lab:path "only.pub" } }
    logs_in { identities = { lab:path "only" } }
    logs_in { identities = { lab:path "only.pub" }, identities_only = true }
    assert.equal("ssh.auth-refused",
      (reason { identities = { lab:path "k1.pub" }, identities_only = true }))
  end)

  spec("with a certificate that lies elsewhere", function()
    assert(core.ssh.keygen(lab:path "ca"))
    add(lab:path "id")
    assert.equal(0, run { "ssh-keygen", "-q", "-s", lab:path "ca", "-I", "x", "-n", lab.user,
      lab:path "id.pub" })
    assert(os.rename(lab:path "id-cert.pub", lab:path "cert"))
    assert(sys.write_file(lab:path "authorized", ""))
    local settings = { "TrustedUserCAKeys=" .. lab:path "ca.pub" }
    logs_in({ certificates = { lab:path "cert" } }, settings)
    logs_in({ identities = { lab:path "id" }, certificates = { lab:path "cert" } }, settings)
  end)

  spec("with a certificate", function()
    assert(core.ssh.keygen(lab:path "ca"))
    assert.equal(0, run { "ssh-keygen", "-q", "-s", lab:path "ca", "-I", "x", "-n", lab.user,
      lab:path "id.pub" })
    assert(sys.write_file(lab:path "authorized", ""))
    add(lab:path "id")
    logs_in(nil, { "TrustedUserCAKeys=" .. lab:path "ca.pub" })
  end)

  spec("is asked after the files", function()
    assert(core.ssh.keygen(lab:path "other"))
    add(lab:path "id")
    logs_in { identities = { lab:path "other" } }
  end)

  spec("for many sessions at once", function()
    add(lab:path "id")
    local tasks = {}
    for i = 1, 6 do
      tasks[i] = core.spawn(logs_in)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
  end)

  spec("that is empty", function()
    assert.equal("ssh.no-identity", (reason()))
  end)

  spec("that is absent", function()
    assert.equal("ssh.agent-failed", (reason { agent = lab:path "nowhere" }))
    assert.equal("ssh.agent-failed", (reason { agent = ("x"):rep(500) }))
  end)

  spec("whose key must be confirmed and is not", function()
    add("-c", lab:path "id")
    assert.equal("ssh.agent-failed", (reason()))
  end)

  spec("that is mute", function()
    add(lab:path "id")
    agent:kill("STOP")
    local other = core.spawn(function()
      lab:with(function(session)
        assert.equal("ok", assert(session:exec("sleep 0.1")).state)
      end)
    end)
    local why, err = reason { timeout = 0.4 }
    assert.equal("ssh.agent-failed", why)
    assert.equal("auth", err.phase)
    other:await()
    agent:kill("CONT")
    logs_in()
  end)

  spec("that is mute when the state is closed", function()
    add(lab:path "id")
    agent:kill("STOP")
    assert(sys.write_file(lab:path "child.lua", [[
      local core = require "arclua.core"
      local lab = setmetatable({ dir = ..., user = core.sys.user() }, require "sshlab")
      local sshd = lab:start()
      core.spawn(core.ssh.connect, sshd:stream(), lab:options { identities = {},
        agent = lab:path "agent" })
      core.sleep(0.5)]]))
    local child <close> = assert(core.process.spawn { stderr = "inherit",
      args = { "lua5.4", lab:path "child.lua", lab.dir } })
    assert.same({ status = 0 }, child:wait()) -- a leak is told by the status
    agent:kill("CONT")
  end)

  spec("that is mute for several, one of them cancelled", function()
    add(lab:path "id")
    agent:kill("STOP")
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = core.spawn(login, { timeout = 0.5 })
    end
    core.sleep(0.2)
    tasks[2]:cancel()
    local _, err = tasks[2]:await()
    assert.equal("cancelled", err.code)
    for _, i in ipairs { 1, 3, 4 } do
      _, err = tasks[i]:await()
      assert.equal("ssh.agent-failed", err.reason)
    end
    agent:kill("CONT")
  end)

  spec("whose session is lost meanwhile", function()
    add(lab:path "id")
    agent:kill("STOP")
    local sshd = lab:start()
    local task = core.spawn(core.ssh.connect, sshd:stream(),
      lab:options { identities = {}, agent = socket, timeout = 1 })
    core.sleep(0.2)
    sshd:kill("KILL")
    core.sleep(0.05)
    agent:kill("CONT")
    local session = task:await()
    assert.is_nil(session)
    sshd:close()
  end)
end)

both("no agent in the environment is no error", function()
  local lab = sshlab.new()
  if not os.getenv("SSH_AUTH_SOCK") then
    lab:with(function(session)
      assert.equal("ok", assert(session:exec("true")).state)
    end, { agent = true })
  end
  lab:close()
end)
