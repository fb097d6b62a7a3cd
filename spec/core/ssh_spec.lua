-- SPDX-License-Identifier: MIT
-- Logging in: keys, host keys, peers that misbehave.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local sys, both = core.sys, harness.both

local function refused(lab, changes, settings)
  local session, err = lab:connect(changes, settings)
  assert.is_nil(session)
  return err
end

local function run(...)
  local p <close> = assert(core.process.spawn { args = { ... }, stderr = "null", stdout = "null",
    env = { LD_PRELOAD = false } })
  assert.equal(0, assert(p:wait()).status)
end

local function logs_in(lab, changes, settings)
  lab:with(function(session)
    assert.equal("ok", assert(session:exec("true")).state)
  end, changes, settings)
end

describe("ssh login", function()
  local lab
  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  both("by a key file", function()
    lab:with(function(session)
      assert.matches("^SSH%-2%.0%-OpenSSH", session:banner())
      local r = assert(session:exec("echo hello"))
      assert.equal("ok", r.state)
      assert.equal("hello\n", r.stdout)
    end)
  end)

  both("an unknown key is refused", function()
    assert(core.ssh.keygen(lab:path "other"))
    local err = refused(lab, { identities = { lab:path "other" } })
    assert.equal("ssh.auth-refused", err.reason)
    assert.equal("auth", err.phase)
  end)

  both("tries the identities in order", function()
    assert(core.ssh.keygen(lab:path "other"))
    logs_in(lab, { identities = { lab:path "other", lab:path "id" } })
  end)

  both("without any key", function()
    local err = refused(lab, { identities = {} })
    assert.equal("ssh.no-identity", err.reason)
  end)

  both("a key that is absent, no key, or open to others", function()
    assert.equal("ssh.bad-key", refused(lab, { identities = { lab:path "absent" } }).reason)
    assert(sys.write_file(lab:path "noise", "noise\n"))
    assert.equal("ssh.bad-key", refused(lab, { identities = { lab:path "noise" } }).reason)
    assert(sys.chmod(lab:path "id", 420))
    assert.equal("ssh.bad-key", refused(lab).reason)
  end)

  for _, kind in ipairs { "ed25519", "ecdsa", "rsa" } do
    both("by a key of type " .. kind, function()
      run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", lab:path "key")
      assert(sys.write_file(lab:path "authorized", sys.read_file(lab:path "key.pub")))
      logs_in(lab, { identities = { lab:path "key" } })
      os.remove(lab:path "key")
    end)
  end

  for _, form in ipairs { "OpenSSH", "PEM" } do
    both("by an encrypted key, " .. form, function()
      local args = { "ssh-keygen", "-q", "-t", "ecdsa", "-N", "secret", "-f", lab:path "locked" }
      if form == "PEM" then
        table.move({ "-m", "PEM" }, 1, 2, #args + 1, args)
      end
      run(table.unpack(args))
      assert(sys.write_file(lab:path "authorized", sys.read_file(lab:path "locked.pub")))
      local ids = { lab:path "locked" }
      assert.equal("ssh.bad-key", refused(lab, { identities = ids }).reason)
      assert.equal("ssh.bad-key",
        refused(lab, { identities = ids, passphrase = core.secret "wrong" }).reason)
      logs_in(lab, { identities = ids, passphrase = core.secret "secret" })
      assert.equal("ssh.bad-key", refused(lab, { identities = ids }).reason)
      os.remove(lab:path "locked")
    end)
  end

  both("by a certificate", function()
    for _, kind in ipairs { "ed25519", "rsa" } do
      assert(core.ssh.keygen(lab:path("ca" .. kind)))
      run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", lab:path(kind))
      run("ssh-keygen", "-q", "-s", lab:path("ca" .. kind), "-I", "x", "-n", lab.user,
        lab:path(kind .. ".pub"))
      assert(sys.write_file(lab:path "authorized", ""))
      logs_in(lab, { identities = { lab:path(kind) } },
        { "TrustedUserCAKeys=" .. lab:path("ca" .. kind .. ".pub") })
      for _, suffix in ipairs { "", ".pub", "-cert.pub" } do
        os.remove(lab:path(kind .. suffix))
      end
      os.remove(lab:path("ca" .. kind))
      os.remove(lab:path("ca" .. kind .. ".pub"))
    end
  end)

  both("too many keys", function()
    local ids = {}
    for i = 1, 4 do
      ids[i] = lab:path("k" .. i)
      os.remove(ids[i])
      os.remove(ids[i] .. ".pub")
      assert(core.ssh.keygen(ids[i]))
    end
    local err = refused(lab, { identities = ids }, { "MaxAuthTries=2" })
    assert.equal("ssh.too-many-keys", err.reason)
  end)

  both("a second factor is asked for", function()
    local err = refused(lab, nil, { "AuthenticationMethods=publickey,password" })
    assert.equal("ssh.auth-refused", err.reason)
  end)

  both("no common key exchange", function()
    local err = refused(lab, nil, { "KexAlgorithms=diffie-hellman-group1-sha1" })
    assert.equal("ssh.kex", err.reason)
  end)

  both("several at once", function()
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = core.spawn(logs_in, lab)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
  end)

  it("refuses what it does not know", function()
    local a, b = core.pair()
    assert.has_error(function() core.ssh.connect(a, lab:options { colour = 1 }) end)
    assert.has_error(function() core.ssh.connect(a, lab:options { host_key_policy = "maybe" }) end)
    assert.has_error(function() core.ssh.connect(a, lab:options { os = "beos" }) end)
    assert.has_error(function() core.ssh.connect(a, lab:options { identities = "id" }) end)
    assert.has_error(function() core.ssh.connect(a, lab:options { identities = { 1 } }) end)
    assert.has_error(function() core.ssh.connect(a, lab:options { agent = 1 }) end)
    assert.has_error(function() core.ssh.connect(a, { user = "x" }) end)
    a:close()
    b:close()
    assert.equal("", harness.leftovers())
  end)
end)

describe("ssh peer", function()
  local lab
  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  both("that is silent (#60 sshd_hangs)", function()
    local a, b = core.pair()
    local session, err = core.ssh.connect(a, lab:options { timeout = 0.05 })
    assert.is_nil(session)
    assert.equal("ssh.no-banner", err.reason)
    assert.equal("timeout", err.code)
    assert.equal("banner", err.phase)
    b:close()
  end)

  both("that is silent after its banner", function()
    local a, b = core.pair()
    assert(b:write("SSH-2.0-mute\r\n"))
    local session, err = core.ssh.connect(a, lab:options { timeout = 0.05 })
    assert.is_nil(session)
    assert.equal("timeout", err.code)
    assert.equal("kex", err.phase)
    b:close()
  end)

  both("that closes at once", function()
    local a, b = core.pair()
    b:close()
    local session, err = core.ssh.connect(a, lab:options())
    assert.is_nil(session)
    assert.equal("ssh.closed", err.reason)
  end)

  both("that closes after its banner", function()
    local a, b = core.pair()
    assert(b:write("SSH-2.0-brief\r\n"))
    b:close()
    local session, err = core.ssh.connect(a, lab:options())
    assert.is_nil(session)
    assert.equal("ssh.closed", err.reason)
  end)

  for what, text in pairs { line = ("x"):rep(1000), lines = ("noise\n"):rep(20000),
      packet = "SSH-2.0-odd\r\n" .. ("\255"):rep(5000),
      answer = "HTTP/1.1 400 Bad Request\r\n\r\n" } do
    both("that talks garbage: " .. what, function()
      local a, b = core.pair()
      local writer = core.spawn(function()
        b:write(text)
        b:shutdown()
        while b:read() do end
        b:close()
      end)
      local session, err = core.ssh.connect(a, lab:options())
      assert.is_nil(session)
      assert.equal("ssh.protocol", err.reason)
      writer:await()
    end)
  end

  both("whose connection is reset", function()
    local a, b = core.pair()
    local task = core.spawn(function() return core.ssh.connect(a, lab:options()) end)
    core.sleep(0.01)
    b:abort()
    local session, err = task:await()
    assert.is_nil(session)
    assert.equal("closed", err.code)
  end)

  both("a login that is cancelled", function()
    local a, b = core.pair()
    local task = core.spawn(function() return core.ssh.connect(a, lab:options()) end)
    core.sleep(0.01)
    task:cancel()
    local session, err = task:await()
    assert.is_nil(session)
    assert.equal("cancelled", err.code)
    b:close()
  end)

  both("a login that is cancelled on its way", function()
    for ms = 0, 60, 6 do
      local sshd = lab:start()
      local session, err = core.timeout(ms / 1000, core.ssh.connect, sshd:stream(), lab:options())
      if session then
        session:close()
      else
        assert.equal("timeout", err.code)
      end
      sshd:close()
    end
  end)
end)

describe("ssh.keygen", function()
  it("makes a pair that ssh-keygen reads, and touches no file", function()
    local lab = sshlab.new()
    local line = assert(core.ssh.keygen(lab:path "new", "a comment"))
    assert.matches("^ssh%-ed25519 %S+ a comment$", line)
    assert.equal(line .. "\n", sys.read_file(lab:path "new.pub"))
    assert.equal(384, sys.stat(lab:path "new").mode & 511)
    run("ssh-keygen", "-y", "-f", lab:path "new")
    local again, err = core.ssh.keygen(lab:path "new", "")
    assert.is_nil(again)
    assert.is_string(err.code)
    os.remove(lab:path "new")
    assert.is_nil(core.ssh.keygen(lab:path "new", ""))
    assert.is_nil(sys.stat(lab:path "new"))
    assert.is_nil(core.ssh.keygen(lab:path "no/such/place"))
    assert.has_error(function() core.ssh.keygen(lab:path "x", "two\nlines") end)
    lab:close()
    assert.equal("", harness.leftovers())
  end)
end)
