-- SPDX-License-Identifier: MIT
-- Logging in: what is asked, what is sent, in which order.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local sys, both = core.sys, harness.both

describe("ssh authentication", function()
  local lab
  before_each(function() lab = sshlab.new() end)
  after_each(function() lab:close() end)

  local function keygen(name, passphrase, ...)
    os.remove(lab:path(name))
    os.remove(lab:path(name .. ".pub"))
    local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-q", "-N", passphrase,
      "-a", "1", "-t", "ed25519", "-f", lab:path(name), ... }, stdin = "null",
      stdout = "null", stderr = "null", env = { LD_PRELOAD = false } })
    assert.equal(0, assert(p:wait()).status)
    return sys.read_file(lab:path(name .. ".pub"))
  end

  -- A prompt function that gives these answers in order, and what it was asked.
  local function answers(...)
    local left, asked = { ... }, {}
    return function(question)
      core.sleep(0.01) -- it may wait
      asked[#asked + 1] = question
      local text = table.remove(left, 1)
      return text and core.secret(text)
    end, asked
  end

  local function login(changes, settings)
    local session, sshd = lab:connect(changes, settings)
    if not session then
      return sshd.reason, sshd
    end
    assert.equal("ok", assert(session:exec("true")).state)
    session:close()
    while core.stats().lingers > 0 do
      core.sleep(0.01)
    end
    sshd:close()
    return "in"
  end

  for _, form in ipairs { "RFC4716", "PEM", "PKCS8" } do
    both("asks for the passphrase of a key, again when it is wrong: " .. form, function()
      local public = keygen("locked", "right", "-t", "ecdsa", "-m", form)
      assert(sys.write_file(lab:path "authorized", public))
      local prompt, asked = answers("wrong", "right")
      assert.equal("in", login { identities = { lab:path "locked" }, prompt = prompt })
      assert.equal(2, #asked)
      assert.equal("passphrase", asked[1].kind)
      assert.equal(lab:path "locked", asked[1].path)
      assert.is_false(asked[1].echo)
      assert.same({ 1, 2 }, { asked[1].attempt, asked[2].attempt })
    end)
  end

  both("a passphrase is not asked for a key that the server would refuse", function()
    keygen("locked", "right")
    local prompt, asked = answers("right")
    assert.equal("in", login { identities = { lab:path "locked", lab:path "id" },
      prompt = prompt })
    assert.equal(0, #asked)
  end)

  both("a passphrase that is declined, or wrong three times", function()
    assert(sys.write_file(lab:path "authorized", keygen("locked", "right")))
    assert.equal("ssh.bad-key", (login { identities = { lab:path "locked" },
      prompt = answers(), methods = { "publickey" } }))
    local prompt, asked = answers("a", "b", "c", "right")
    assert.equal("ssh.bad-key", (login { identities = { lab:path "locked" }, prompt = prompt,
      methods = { "publickey" } }))
    assert.equal(3, #asked)
  end)

  both("a refused login says which key was left out for want of a passphrase", function()
    assert(sys.write_file(lab:path "authorized", keygen("locked", "right")))
    for _, prompt in ipairs { false, function() end } do
      local reason, err = login { identities = { lab:path "locked", lab:path "id" },
        prompt = prompt or nil }
      assert.equal("ssh.auth-refused", reason)
      assert.matches("left out: [^;]*" .. lab:path "locked":gsub("%p", "%%%0"), err.message)
      assert.equal("ssh.bad-key", err.cause.reason)
    end
  end)

  both("a prompt that fails fails the login", function()
    assert(sys.write_file(lab:path "authorized", keygen("locked", "right")))
    local sshd = lab:start()
    local ok, err = pcall(core.ssh.connect, sshd:stream(),
      lab:options { identities = { lab:path "locked" }, prompt = function() error("oh") end })
    assert.is_false(ok)
    assert.matches("oh", tostring(err))
    sshd:close()
  end)

  both("a key that is given costs one request, without a probe", function()
    local sshd = lab:start({ "LogLevel=DEBUG2" }, lab:path "log")
    local session = assert(core.ssh.connect(sshd:stream(), lab:options()))
    session:close()
    while core.stats().lingers > 0 do
      core.sleep(0.01)
    end
    sshd:close()
    local _, requests = sys.read_file(lab:path "log"):gsub("userauth%-request for user", "")
    assert.equal(1, requests)
  end)

  both("two keys, both wanted", function()
    assert(sys.write_file(lab:path "authorized", lab.public .. "\n" .. keygen("second", "")))
    local settings = { "AuthenticationMethods=publickey,publickey" }
    assert.equal("in", login({ identities = { lab:path "id", lab:path "second" } }, settings))
    local reason, err = login({}, settings)
    assert.equal("ssh.auth-refused", reason)
    assert.matches("in part", err.message)
  end)

  if not sshlab.has_ordinary() then
    pending("passwords need an ordinary user")
    return
  end

  both("by a password, given or asked for", function()
    lab:password("open sesame")
    assert.equal("in", login { identities = {}, password = core.secret "open sesame" })
    local prompt, asked = answers("no", "open sesame")
    assert.equal("in", login { identities = {}, prompt = prompt })
    assert.equal("password", asked[2].kind)
    assert.equal(lab.user .. "@lab.arc's password: ", asked[2].text)
  end)

  both("a password that is refused is not sent again", function()
    lab:password("open sesame")
    local reason, err = login { identities = {}, password = core.secret "no" }
    assert.equal("ssh.auth-refused", reason)
    assert.matches("tried: the password", err.message)
    local prompt, asked = answers("a", "b", "c", "open sesame")
    assert.equal("ssh.auth-refused", (login { identities = {}, prompt = prompt }))
    assert.equal(3, #asked)
  end)

  both("a key, then a password", function()
    lab:password("open sesame")
    local settings = { "AuthenticationMethods=publickey,password" }
    assert.equal("in", login({ password = core.secret "open sesame" }, settings))
    assert.equal("in", login({ prompt = answers("open sesame") }, settings))
    local reason, err = login({}, settings)
    assert.equal("ssh.auth-refused", reason)
    assert.matches("wants more: password", err.message)
  end)

  both("a password, then a key that was refused before its turn", function()
    lab:password("open sesame")
    assert.equal("in", login({ password = core.secret "open sesame" },
      { "AuthenticationMethods=password,publickey" }))
  end)

  if sshlab.has_pam() then
    both("keyboard-interactive, given or asked for", function()
      lab:pam("open sesame")
      assert.equal("in", login { identities = {}, methods = { "keyboard-interactive" },
        password = core.secret "open sesame" })
      local prompt, asked = answers("no", "open sesame")
      assert.equal("in", login { identities = {}, prompt = prompt,
        methods = { "keyboard-interactive" } })
      assert.equal(2, #asked)
      assert.equal("keyboard-interactive", asked[1].kind)
      assert.equal("Password: ", asked[1].text)
      assert.is_false(asked[1].echo)
    end)

    both("keyboard-interactive with a second factor that is echoed", function()
      lab:pam("open sesame", { "123456" })
      local prompt, asked = answers("open sesame", "123456")
      assert.equal("in", login { identities = {}, prompt = prompt })
      assert.same({ false, true }, { asked[1].echo, asked[2].echo })
      prompt, asked = answers("123456")
      assert.equal("in", login { identities = {}, prompt = prompt,
        methods = { "keyboard-interactive" }, password = core.secret "open sesame" })
      assert.equal(1, #asked) -- the password answers the first question
    end)

    both("a second factor that nobody can give", function()
      lab:pam("open sesame", { "123456" })
      local reason, err = login { identities = {}, methods = { "keyboard-interactive" },
        password = core.secret "open sesame" }
      assert.equal("ssh.auth-refused", reason)
      assert.matches('nobody answered "Password: "', err.message, 1, true)
      assert.equal("ssh.auth-refused", (login { identities = {},
        methods = { "keyboard-interactive" }, prompt = answers("open sesame") }))
    end)

    for _, steps in ipairs { "publickey,keyboard-interactive", "keyboard-interactive,publickey",
        "publickey,keyboard-interactive:pam", "publickey,password keyboard-interactive",
        "password,keyboard-interactive publickey,keyboard-interactive" } do
      both("in several steps: " .. steps, function()
        lab:pam("open sesame")
        local settings = { "AuthenticationMethods=" .. steps }
        assert.equal("in", login({ prompt = answers("open sesame", "open sesame") }, settings))
      end)
    end

    both("a key, then questions that are answered wrong", function()
      lab:pam("open sesame")
      local reason, err = login({ prompt = answers("a", "b", "c", "open sesame") },
        { "AuthenticationMethods=publickey,keyboard-interactive" })
      assert.equal("ssh.auth-refused", reason)
      assert.matches("accepted in part, but sshd wants more: keyboard%-interactive", err.message)
    end)
  else
    pending("keyboard-interactive needs libpam-wrapper")
  end

  both("the time of the login stands still while it asks", function()
    lab:password("open sesame")
    assert.equal("in", login { identities = {}, timeout = 2, prompt = function()
      core.sleep(2.5)
      return core.secret "open sesame"
    end })
  end)

  both("tells the server's notice, printable", function()
    assert(sys.write_file(lab:path "notice", "Be \27[31mgood\n"))
    local settings = { "Banner=" .. lab:path "notice" }
    lab:with(function(session)
      assert.equal("Be \\x1b[31mgood\n", session:issue())
    end, nil, settings)
    local _, err = login({ identities = { (function()
      keygen("other", "")
      return lab:path "other"
    end)() } }, settings)
    assert.matches("the server says: Be \\x1b", err.message, 1, true)
  end)
end)
