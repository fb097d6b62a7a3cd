-- SPDX-License-Identifier: MIT
-- Entra's certificate in the SSH agent: one for each account, as long as it is good.
local agent_key = require "arclua.openssh.agent_key"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local json = require "arclua.json"
local sshlab = require "sshlab"
local ssh_ca = require "arclua.emulator.ssh_ca"
local both = require("harness").both

local AT = "@sshservice.azure.net"

local key, ca
local function certificate(oid, seconds)
  key = key or assert(core.crypto.ssh_key(2048))
  ca = ca or assert(core.crypto.ssh_key(2048))
  local jwk, now = json.decode(key:jwk()), math.floor(core.time())
  local says = string.pack(">s4s4s4s4", "oid" .. AT, string.pack(">s4", oid), "tid" .. AT,
    string.pack(">s4", "T"))
  local text = ssh_ca.sign(ca, { e = core.crypto.unbase64(jwk.e),
    n = "\0" .. core.crypto.unbase64(jwk.n), key_id = "id", principals = { "me" },
    valid_after = now - 300, valid_before = now + seconds, extensions = says })
  return assert(core.crypto.ssh_certificate(text, key))
end

-- A sign-in of this account; counts the certificates that were asked for.
local function sign_in(oid, seconds)
  local self = { asked = 0 }
  function self.token()
    return oid and core.secret("e30." .. core.crypto.base64url(json.encode { oid = oid, tid = "T" })
      .. ".x") or core.secret "opaque"
  end
  function self.ssh_certificate()
    self.asked = self.asked + 1
    if seconds == 0 then
      return errors.fail { reason = "cred.no-certificate", message = "none" }
    end
    local cert = certificate(oid or "O", seconds or 3600)
    return cert, { user = "me", expires_on = select(2, cert:validity()) }
  end
  return self
end

local function provide(azure, path, primitives)
  local real = os.getenv
  -- luacheck: globals os.getenv
  os.getenv = function(name) return name == "SSH_AUTH_SOCK" and path or nil end
  local out = table.pack(pcall(agent_key.provide, primitives or core, azure))
  os.getenv = real
  assert(out[1], out[2])
  return table.unpack(out, 2, out.n)
end

describe("a certificate for the agent", function()
  local lab

  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  -- A spec with an agent.
  local function agent(name, fn)
    both(name, function()
      os.remove(lab:path "agent")
      local running <close> = lab:agent { args = { "ssh-agent", "-D", "-a", lab:path "agent" },
        stdin = "null", stdout = "null", stderr = "null" }
      local probe = core.ssh.agent(lab:path "agent") -- the socket is there before it listens
      while not probe do
        core.sleep(0.005)
        probe = core.ssh.agent(lab:path "agent")
      end
      probe:close()
      fn()
      running:kill "TERM"
    end)
  end

  local function listed()
    local process <close> = assert(core.process.spawn { args = { "ssh-add", "-L" }, stderr = "null",
      env = { SSH_AUTH_SOCK = lab:path "agent", LD_PRELOAD = false } })
    local stream, n = process:stdout(), 0
    for chunk in function() return stream:read() end do
      n = n + select(2, chunk:gsub("ssh%-rsa%-cert%-v01@openssh%.com %S+ arclua\n", ""))
    end
    stream:close()
    process:wait()
    return n
  end

  agent("is given once for each account, and opens a login", function()
    local first = sign_in "A"
    assert.is_true(provide(first, lab:path "agent"))
    assert.is_true(provide(first, lab:path "agent"))
    assert.equal(1, first.asked)
    assert.equal(1, listed())
    assert.is_true(provide(sign_in "B", lab:path "agent"))
    assert.equal(2, listed())
    assert(core.sys.write_file(lab:path "ca.pub", ca:public() .. "\n", 420))
    assert(core.sys.write_file(lab:path "principals", "me\n", 420))
    lab:with(function(session)
      assert.equal("ok", session:exec("true").state)
    end, { identities = {}, agent = lab:path "agent" }, { "TrustedUserCAKeys=" .. lab:path "ca.pub",
      "AuthorizedPrincipalsFile=" .. lab:path "principals" })
  end)

  agent("is given anew in its last minutes, and where nobody knows whose it is", function()
    local short = sign_in("C", 200)
    assert.is_true(provide(short, lab:path "agent"))
    assert.is_true(provide(short, lab:path "agent"))
    assert.equal(2, short.asked)
    local unknown = sign_in(nil)
    assert.is_true(provide(unknown, lab:path "agent"))
    assert.is_true(provide(unknown, lab:path "agent"))
    assert.equal(2, unknown.asked)
  end)

  agent("is not given when there is none, or no agent", function()
    local ok, err = provide(sign_in("A", 0), lab:path "agent")
    assert.is_nil(ok)
    assert.equal("cred.no-certificate", err.reason)
    ok, err = provide(sign_in "A", nil)
    assert.is_nil(ok)
    assert.equal("ssh.agent-failed", err.reason)
    assert.truthy(err.remedy:find("arclua cert", 1, true))
    for _, path in ipairs { lab:path "nothing", ("x"):rep(200) } do
      ok, err = provide(sign_in "A", path)
      assert.is_nil(ok)
      assert.equal("ssh.agent-failed", err.reason)
    end
  end)

  both("is kept from an agent that is none", function()
    local empty = string.pack(">I4BI4", 5, 12, 0)
    for _, case in ipairs {
      { "", "closed the connection" }, { "\0\0", "closed the connection" },
      { "\0\0\0\0", "broke its protocol" }, { "\255\255\255\255", "broke its protocol" },
      { "\0\0\0\1\5", "did not tell its keys" },
      { string.pack(">I4BI4", 5, 12, 1), "did not tell its keys" },
      { string.pack(">I4BI4s4", 9, 12, 1, ""), "did not tell its keys" },
      { empty .. "\0\0\0\1\5", "took no certificate" }, { empty, "closed the connection" },
    } do
      local mine, its = core.pair()
      local primitives = fake.core { ssh = setmetatable({ agent = function() return mine end },
        { __index = core.ssh }) }
      local task = core.spawn(function()
        its:read()
        its:write(case[1])
        its:shutdown()
        while its:read() do end -- luacheck: ignore 542
        its:close()
      end)
      local ok, err = provide(sign_in "A", "x", primitives)
      assert.is_nil(ok)
      assert.equal("ssh.agent-failed", err.reason)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
      task:await()
    end
  end)

  it("is misused with an error", function()
    local public = core.crypto.ssh_public_key(key:public())
    local bare = assert(core.crypto.ssh_certificate(certificate("A", 60):line(), public))
    assert.has_error(function() core.ssh.agent_message(bare, "c", 1) end)
    assert.has_error(function() core.ssh.agent_message(certificate("A", 60), "c", 0) end)
    assert.has_error(function() core.ssh.agent_message("x", "c", 1) end)
  end)
end)
