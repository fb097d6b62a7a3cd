-- SPDX-License-Identifier: MIT
-- Keys of FIDO devices, which an agent holds.
local core = require "arclua.core"
local fido = require "fido_agent"
local harness = require "harness"
local sshlab = require "sshlab"

local sys = core.sys

describe("ssh keys of a FIDO device", function()
  local lab, agent, socket

  before_each(function()
    lab = sshlab.new()
    socket = lab:path "agent"
    agent = lab:agent { session = true, stderr = "inherit", args = { "socat",
      "UNIX-LISTEN:" .. socket .. ",fork",
      "EXEC:lua5.4 spec/support/fido_agent.lua " .. lab.dir } }
  end)
  after_each(function()
    agent:close()
    lab:close()
  end)

  local function logs_in(changes, settings)
    local opts = { identities = {}, agent = socket }
    for key, value in pairs(changes or {}) do
      opts[key] = value
    end
    local session, sshd = lab:connect(opts, settings)
    if not session then
      return sshd.reason, sshd
    end
    assert.equal("ok", assert(session:exec("true")).state)
    session:close()
    sshd:close()
    return "in"
  end

  local function spec(name, fn)
    it(name, function()
      core.spawn(core.timeout, harness.LIMIT, fn):await()
      agent:close()
      assert.equal("", harness.leftovers())
    end)
  end

  local function certify(name)
    assert(core.ssh.keygen(lab:path "ca"))
    local p <close> = assert(core.process.spawn { env = { LD_PRELOAD = false }, stderr = "null",
      args = { "ssh-keygen", "-q", "-s", lab:path "ca", "-I", "x", "-n", lab.user,
        lab:path(name .. ".pub") } })
    assert.equal(0, assert(p:wait()).status)
    return { "TrustedUserCAKeys=" .. lab:path "ca.pub" }
  end

  for _, kind in ipairs { "sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256" } do
    spec(kind, function()
      assert(sys.write_file(lab:path "authorized",
        fido.make(lab.dir, "device", kind .. "@openssh.com") .. "\n"))
      fido.hold(lab.dir, "device")
      assert.equal("in", logs_in())
      assert.equal("in", logs_in { identities = { lab:path "device.pub" }, identities_only = true })
    end)

    spec(kind .. " with a certificate", function()
      fido.make(lab.dir, "device", kind .. "@openssh.com")
      fido.hold(lab.dir, "device")
      assert(sys.write_file(lab:path "authorized", ""))
      local settings = certify("device")
      assert.equal("in", logs_in({ identities = { lab:path "device.pub" } }, settings))
      assert.equal("in", logs_in({ certificates = { lab:path "device-cert.pub" } }, settings))
      assert.equal("ssh.auth-refused", (logs_in(nil, settings)))
    end)
  end

  spec("after others", function()
    for i = 1, 3 do
      fido.make(lab.dir, "k" .. i, "sk-ssh-ed25519@openssh.com")
      fido.hold(lab.dir, "k" .. i)
    end
    assert.equal("ssh.auth-refused", (logs_in()))
    assert(sys.write_file(lab:path "authorized", sys.read_file(lab:path "k3.pub")))
    assert.equal("in", logs_in())
  end)

  spec("that was not touched", function()
    assert(sys.write_file(lab:path "authorized",
      fido.make(lab.dir, "device", "sk-ssh-ed25519@openssh.com") .. "\n"))
    fido.hold(lab.dir, "device", 0)
    assert.equal("ssh.auth-refused", (logs_in()))
  end)
end)
