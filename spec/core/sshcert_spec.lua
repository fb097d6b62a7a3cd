-- SPDX-License-Identifier: MIT
-- RSA keys for SSH, and OpenSSH certificates: against ssh-keygen.
local core = require "arclua.core"
local json = require "arclua.json"
local sshlab = require "sshlab"
local ssh_ca = require "arclua.emulator.ssh_ca"
local both = require("harness").both

local sys, crypto = core.sys, core.crypto

local dir = assert(sys.mkdtemp "arclua-cert")
local function at(name)
  return dir .. "/" .. name
end

local function run(...)
  local process <close> = assert(core.process.spawn { args = { ... }, stdin = "null",
    stderr = "null", env = { LD_PRELOAD = false, TZ = "UTC" } })
  local stream, text = process:stdout(), ""
  for chunk in function() return stream:read() end do
    text = text .. chunk
  end
  stream:close()
  return assert(process:wait()).status, text
end

-- What the parts of a certificate are by default; changes are laid over them.
local function plan(key, changes)
  local jwk = json.decode(key:jwk())
  local n = crypto.unbase64(jwk.n)
  local out = { e = crypto.unbase64(jwk.e), n = n:byte() >= 128 and "\0" .. n or n,
    key_id = "oid@tid", principals = { "User@contoso.test" },
    valid_after = math.floor(core.time()) - 300, valid_before = math.floor(core.time()) + 3600,
    extensions = "" }
  for name, value in pairs(changes or {}) do
    out[name] = value
  end
  return out
end

local key, ca -- made once: they cost time
local function keys()
  key = key or assert(crypto.ssh_key())
  ca = ca or assert(crypto.ssh_key(2048))
  return key, ca
end

describe("an RSA key for SSH", function()

  both("is one of 3072 bits that OpenSSH and OpenSSL take", function()
    keys()
    os.remove(at "id")
    os.remove(at "id.pub")
    assert.is_true(key:is_private())
    assert.is_true(core.ssh.write_pair(at "id", key:pem(), key:public "me"))
    assert.equal(384, sys.stat(at "id").mode & 511)
    assert.equal(key:public "me" .. "\n", sys.read_file(at "id.pub"))
    assert.equal(0, (run("openssl", "rsa", "-in", at "id", "-check", "-noout")))
    local _, public = run("ssh-keygen", "-y", "-f", at "id")
    assert.equal(key:public(), public:match "^%S+ %S+")
    local _, text = run("ssh-keygen", "-l", "-f", at "id.pub")
    assert.truthy(text:find "^3072 ")
    -- A file that exists is not touched.
    local ok, err = core.ssh.write_pair(at "id", key:pem(), key:public())
    assert.is_nil(ok)
    assert.equal("io", err.code)
    assert.truthy(err.message:find(at "id", 1, true))
  end)

  -- The modulus has its highest bit set, so SSH writes it behind a zero and a JWK does not.
  both("as a JWK has minimal numbers without padding", function()
    keys()
    local jwk = json.decode(key:jwk())
    local n = crypto.unbase64(jwk.n)
    assert.same({ "RSA", "AQAB", key:id() }, { jwk.kty, jwk.e, jwk.kid })
    assert.equal(384, #n)
    assert.is_true(n:byte() >= 128)
    assert.equal(512, #jwk.n)
    assert.is_nil(jwk.n:find "[+/=]")
    assert.equal(crypto.hex(crypto.sha256(jwk.n .. jwk.e)), key:id())
    local blob = crypto.unbase64(key:public():match " (%S+)")
    assert.equal(string.pack(">s4s4s4", "ssh-rsa", "\1\0\1", "\0" .. n), blob)
    assert.equal(key:id(), assert(crypto.ssh_public_key(key:public())):id())
  end)

  both("of a file must be RSA, and long enough", function()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at "ed")
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", at "short")
    for name, wanted in pairs { ed = "ssh-keygen -t rsa", short = "2048 bits" } do
      local it_, err = crypto.ssh_public_key(sys.read_file(at(name .. ".pub")), "F")
      assert.is_nil(it_)
      assert.same({ "config", "ssh.bad-key" }, { err.code, err.reason })
      assert.truthy(err.message:find(wanted, 1, true), err.message)
      assert.truthy(err.message:find("F: ", 1, true))
    end
    for _, line in ipairs { "", "ssh-rsa", "ssh-rsa ????", "ssh-rsa AAAA", "ssh-rsa "
      .. crypto.base64(string.pack(">s4s4s4", "ssh-dss", "\3", ("x"):rep(256))),
      key:public():sub(1, -9) } do
      assert.is_nil((crypto.ssh_public_key(line)))
    end
  end)

  both("that nobody waits for any more is forgotten", function()
    local made, err = core.timeout(0, crypto.ssh_key)
    assert.is_nil(made)
    assert.equal("timeout", err.code)
    local task = core.spawn(crypto.ssh_key, 2048)
    core.sleep(0)
    task:cancel()
    made, err = task:await()
    assert.is_nil(made)
    assert.equal("cancelled", err.code)
  end)

  it("is refused sizes that are none, and use after close", function()
    for _, bits in ipairs { 0, 1024, 2047, 3073, 16384 } do
      assert.has_error(function() crypto.ssh_key(bits) end)
    end
    local public = assert(crypto.ssh_public_key(key:public()))
    assert.is_false(public:is_private())
    assert.has_error(function() public:pem() end)
    assert.has_error(function() public:sign "x" end)
    public:close()
    public:close()
    assert.has_error(function() public:id() end)
    assert.has_error(function() key:public "a\nb" end)
  end)
end)

describe("an OpenSSH certificate", function()
  teardown(function() sys.remove(dir) end)

  local function certificate(changes)
    keys()
    return ssh_ca.sign(ca, plan(key, changes))
  end

  both("is read as ssh-keygen reads it", function()
    keys()
    assert(sys.write_file(at "c.pub", key:public() .. "\n"))
    assert(core.ssh.write_pair(at "ca", ca:pem(), ca:public()))
    assert.equal(0, (run("ssh-keygen", "-q", "-s", at "ca", "-t", "rsa-sha2-256", "-I", "oid@tid",
      "-n", "User@contoso.test,second", "-V", "20260101000000Z:20360101000000Z", "-z",
      "18446744073709551615", "-O", "extension:oid@sshservice.azure.net=some id", "-O",
      "force-command=uptime", at "c.pub")))
    local line = sys.read_file(at "c-cert.pub")
    local cert = assert(crypto.ssh_certificate(line, key))
    assert.same({ "ssh-rsa-cert-v01@openssh.com", "user" }, { cert:type() })
    assert.equal("oid@tid", cert:key_id())
    assert.equal("18446744073709551615", cert:serial())
    assert.same({ "User@contoso.test", "second" }, cert:principals())
    assert.same({ 1767225600, 2082758400 }, { cert:validity() })
    assert.same({ ["permit-X11-forwarding"] = "", ["permit-agent-forwarding"] = "",
      ["permit-port-forwarding"] = "", ["permit-pty"] = "", ["permit-user-rc"] = "",
      ["oid@sshservice.azure.net"] = "some id" }, cert:extensions())
    assert.same({ ["force-command"] = "uptime" }, cert:critical_options())
    assert.equal(line:match "^%S+ %S+", cert:line())
    assert.equal(cert:line() .. " hi", cert:line "hi")
    os.remove(at "ca")
    os.remove(at "ca.pub")
  end)

  both("for a login is a user's, of this key, valid, with a name", function()
    local now = math.floor(core.time())
    assert(crypto.ssh_certificate(certificate(), key))
    local other = assert(crypto.ssh_key(2048))
    for _, case in ipairs {
      { {}, other, "entra.bad-certificate", "another key" },
      { { principals = {} }, key, "entra.bad-certificate", "names no user" },
      { { principals = { "" } }, key, "entra.bad-certificate", "names no user" },
      { { valid_before = now - 1 }, key, "entra.certificate-time", "is valid from" },
      { { valid_before = now }, key, "entra.certificate-time", "is valid from" },
      { { valid_after = now + 60 }, key, "entra.certificate-time", "is valid from" },
    } do
      local it_, err = crypto.ssh_certificate(certificate(case[1]), case[2])
      assert.is_nil(it_)
      assert.equal(case[3], err.reason)
      assert.truthy(err.message:find(case[4], 1, true), err.message)
    end
    -- Without a key it is only read.
    assert(crypto.ssh_certificate(certificate { valid_before = 1 }))
    assert(crypto.ssh_certificate(certificate { valid_after = 0, valid_before = -1 }, key))
  end)

  both("that is broken is refused, wherever it is cut", function()
    local blob = crypto.unbase64(certificate())
    for n = 0, #blob - 1, 7 do
      local it_, err = crypto.ssh_certificate(crypto.base64(blob:sub(1, n)))
      assert.is_nil(it_)
      assert.equal("protocol", err.code)
    end
    for _, text in ipairs { "", "?", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
      "ssh-rsa-cert-v01@openssh.com", crypto.base64(blob .. "x"),
      certificate { principals = { "a\0b" } },
      certificate { principals = { "\27[31m" } }, certificate { key_id = "\n" },
      certificate { principals = { "\255" } }, certificate { extensions = "\0\0\0\1x" },
      certificate { extensions = "\0\0\0\9x" } } do
      assert.is_nil((crypto.ssh_certificate(text)))
    end
    local many = {}
    for i = 1, 257 do
      many[i] = "u" .. i
    end
    assert.is_nil((crypto.ssh_certificate(certificate { principals = many })))
    many[257] = nil
    assert.equal(256, #assert(crypto.ssh_certificate(certificate { principals = many }))
      :principals())
  end)

  both("logs in with its key, which is in no file", function()
    local lab = sshlab.new()
    keys()
    assert(sys.write_file(lab:path "ca.pub", ca:public() .. "\n", 420))
    local settings = { "TrustedUserCAKeys=" .. lab:path "ca.pub",
      "AuthorizedPrincipalsFile=" .. lab:path "principals" }
    assert(sys.write_file(lab:path "principals", "User@contoso.test\n", 420))
    local cert = assert(crypto.ssh_certificate(certificate(), key))
    local stranger = assert(crypto.ssh_key(2048))
    local foreign = assert(crypto.ssh_certificate(ssh_ca.sign(stranger, plan(key)), key))
    local function login(certificate_)
      local session, sshd = lab:connect({ identities = {}, certificate = certificate_ }, settings)
      if not session then
        return sshd.reason
      end
      assert.equal("ok", assert(session:exec "true").state)
      session:close()
      while core.stats().lingers > 0 do
        core.sleep(0.01)
      end
      sshd:close()
      return "in"
    end
    assert.equal("in", login(cert))
    assert.equal("in", login(cert)) -- the parsed key serves again
    assert.equal("ssh.auth-refused", login(foreign))
    assert(sys.write_file(lab:path "principals", "other@contoso.test\n", 420))
    assert.equal("ssh.auth-refused", login(cert))
    lab:close()
  end)

  it("is misused with an error that names the option", function()
    keys()
    local a, b = core.pair()
    local bare = assert(crypto.ssh_certificate(certificate()))
    local public = assert(crypto.ssh_public_key(key:public()))
    local half = assert(crypto.ssh_certificate(certificate(), public))
    local closed = assert(crypto.ssh_certificate(certificate(), key))
    closed:close()
    for _, wrong in ipairs { bare, half, closed, "text", 1 } do
      assert.has_error(function()
        core.ssh.connect(a, { user = "u", alias = "a", certificate = wrong })
      end, "option 'certificate': a certificate with its private key expected")
    end
    assert.has_error(function() closed:line() end)
    assert.has_error(function() bare:line "a\nb" end)
    a:close()
    b:close()
  end)
end)
