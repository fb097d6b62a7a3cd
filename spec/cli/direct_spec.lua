-- SPDX-License-Identifier: MIT
-- arclua exec --direct: hosts without Azure, as a user runs it.
local core = require "arclua.core"
local harness = require "harness"
local json = require "arclua.json"
local program = require "program"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"

describe("arclua exec --direct", function()
  local lab, one, two
  setup(function()
    lab = sshlab.new()
    local sftp = { "Subsystem=sftp internal-sftp" }
    one, two = sshtcp.start(lab, sftp), sshtcp.start(lab, sftp)
    assert(core.sys.write_file(lab:path "config", ("Host one\nPort %d\nHost two\nPort %d\n"
      .. "ProxyJump one\nHost *\nHostName 127.0.0.1\nUser %s\nIdentityFile %s\n"
      .. "UserKnownHostsFile %s\n"):format(one.port, two.port, lab.user, lab:path "id",
      lab:path "known")))
  end)
  teardown(function()
    one:close()
    two:close()
    lab:close()
    assert.equal("", harness.leftovers())
  end)

  -- An environment that knows no Azure: a request to it would fail.
  local function run(args, env)
    local all = { ARCLUA_CONFIG = "none", ARCLUA_CLOUD = lab:path "no-cloud", LD_PRELOAD = false }
    for name, value in pairs(env or {}) do
      all[name] = value
    end
    local out
    core.timeout(harness.LIMIT, function()
      out = program.run(args, { env = all })
    end)
    return out
  end

  local function config() return lab:path "config" end

  it("runs on hosts of ssh_config, and signs in nowhere", function()
    local ended = run { "exec", "--direct", "-F", config(), "one", "two", "-o", "jsonl", "--",
      "echo hi" }
    assert.equal(0, ended.status, ended.err)
    local seen = {}
    for line in ended.out:gmatch "[^\n]+" do
      local value = assert(json.decode(line))
      seen[value.name] = value.machine .. " " .. value.stdout
    end
    assert.same({ one = ("one:%d hi\n"):format(one.port), two = ("two:%d hi\n"):format(two.port) },
      seen)
  end)

  it("copies to and from such hosts", function()
    assert(core.sys.write_file(lab:path "file", "text"))
    local ended = run { "copy", "--direct", "-F", config(), "-n", "one", "-n", "two",
      lab:path "file", ":" .. lab:path "{name}.copy" }
    assert.equal(0, ended.status, ended.err .. ended.out)
    assert.same({ "text", "text" }, { core.sys.read_file(lab:path "one.copy"),
      core.sys.read_file(lab:path "two.copy") })
    ended = run { "copy", "--direct", "-F", config(), "two:" .. lab:path "two.copy",
      lab:path "back" }
    assert.equal(0, ended.status, ended.err .. ended.out)
    assert.equal("text", core.sys.read_file(lab:path "back"))
  end)

  it("takes jump hosts and addresses", function()
    local before = one.count
    local ended = run { "exec", "--direct", "-F", "none", "-i", lab:path "id", "-l", lab.user,
      "--known-hosts", lab:path "k2", ("127.0.0.1:%d"):format(two.port), "--", "echo hi" }
    assert.equal(0, ended.status, ended.err)
    assert.equal(before, one.count)
    ended = run { "exec", "--direct", "-F", config(), "-J", "one", "--known-hosts", lab:path "k2",
      ("x@127.0.0.1:%d"):format(two.port), "-o", "jsonl", "--retries", "0", "--", "true" }
    assert.equal(4, ended.status)
    assert.equal("denied", assert(json.decode(ended.out)).state)
    assert.equal(before + 1, one.count)
  end)

  it("takes the variable ARCLUA_SSH_CONFIG, and an option over it", function()
    local line = { "exec", "--direct", "one", "--", "echo hi" }
    assert.equal(0, run(line, { ARCLUA_SSH_CONFIG = config() }).status)
    table.insert(line, 2, "-F")
    table.insert(line, 3, lab:path "absent")
    local ended = run(line, { ARCLUA_SSH_CONFIG = config() })
    assert.equal(1, ended.status)
    assert.matches("absent: No such file", ended.err, 1, true)
  end)

  it("keeps the policy of host keys", function()
    local line = { "exec", "--direct", "-F", config(), "--known-hosts", lab:path "empty",
      "--host-key-policy", "yes", "one", "--retries", "0", "-o", "jsonl", "--", "true" }
    local ended = run(line)
    assert.equal(4, ended.status)
    assert.equal("ssh.hostkey-unknown", assert(json.decode(ended.out)).error.reason)
    table.remove(line, 8)
    table.remove(line, 7)
    ended = run(line, { ARCLUA_HOST_KEY_POLICY = "accept-new" })
    assert.equal(0, ended.status, ended.err)
    ended = run({ "exec", "--direct", "--host-key-policy", "maybe", "one", "--", "true" })
    assert.equal(2, ended.status)
  end)

  for text, args in pairs {
    ["option '--direct' needs hosts"] = { "--direct", "--all" },
    ["option '--all' is for machines"] = { "--direct", "--all", "one" },
    ["option '--resource-group' is for machines"] = { "--direct", "-g", "x", "one" },
    ["option '--enable' is for machines"] = { "--direct", "--enable", "one" },
    ["option '--jump' is for hosts"] = { "-J", "one", "web-01" },
  } do
    it("refuses " .. table.concat(args, " "), function()
      local ended = run(table.move({ "--", "true" }, 1, 2, #args + 2,
        table.move(args, 1, #args, 2, { "exec" })))
      assert.equal(2, ended.status)
      assert.matches(text, ended.err, 1, true)
    end)
  end

  it("names a destination that is none", function()
    local ended = run { "exec", "--direct", "-F", "none", "a:0", "--", "true" }
    assert.equal(1, ended.status)
    assert.matches("'a:0': a port from 1 to 65535 expected", ended.err, 1, true)
  end)

  it("asks for a key's passphrase once, however many hosts want it", function()
    local key, script = lab:path "locked", lab:path "opens"
    assert(core.sys.write_file(key, core.sys.read_file(lab:path "id")))
    local ended <close> = assert(core.process.spawn { args = { "ssh-keygen", "-q", "-p", "-P", "",
      "-N", "open sesame", "-f", key } })
    assert.equal(0, ended:wait().status)
    assert(core.sys.write_file(script, ("#!/bin/sh\necho \"$1\" >>%s\necho open sesame\n"):format(
      lab:path "asked-key"), 448))
    local line = { "exec", "--direct", "-F", "none", "--known-hosts", lab:path "known", "-l",
      lab.user, "-i", key, "--retries", "0" }
    for _ = 1, 6 do
      line[#line + 1] = ("127.0.0.1:%d"):format(two.port)
    end
    table.move({ "--", "echo hi" }, 1, 2, #line + 1, line)
    local done = run(line, { SSH_ASKPASS = script, SSH_ASKPASS_REQUIRE = "force",
      SSH_AUTH_SOCK = false })
    assert.equal(0, done.status, done.err)
    assert.equal(("Enter passphrase for key '%s': \n"):format(key),
      core.sys.read_file(lab:path "asked-key"))
    done = run(line, { SSH_ASKPASS = false, SSH_ASKPASS_REQUIRE = "force", SSH_AUTH_SOCK = false,
      ARCLUA_LOG_LEVEL = "warn" })
    assert.equal(4, done.status)
    local _, times = done.err:gsub("is encrypted, and is left out", "")
    assert.equal(1, times)
    done = run(line, { SSH_ASKPASS = false, SSH_ASKPASS_REQUIRE = "force", SSH_AUTH_SOCK = false })
    assert.matches("left out: no passphrase was given for " .. key, done.err .. done.out, 1, true)
    assert.is_nil(done.err:find("is encrypted, and is left out", 1, true))
  end)

  it("says at level info that a host key is new, at warn that certificates do not count", function()
    local known = lab:path "known-ca"
    assert(core.sys.write_file(known, "@cert-authority * " .. lab.public .. "\n"))
    local line = { "exec", "--direct", "-F", "none", "--known-hosts", known, "-l", lab.user, "-i",
      lab:path "id", ("127.0.0.1:%d"):format(two.port), "--", "true" }
    local ended = run(line, { ARCLUA_LOG_LEVEL = "warn" })
    assert.equal(0, ended.status, ended.err)
    assert.matches("is new: ssh-ed25519 SHA256:", ended.err, 1, true)
    assert.matches(known .. ":1 names a certificate authority", ended.err, 1, true)
    assert.is_nil(run(line, { ARCLUA_LOG_LEVEL = "info" }).err:find("is new", 1, true))
    os.remove(known)
    assert.is_nil(run(line, { ARCLUA_LOG_LEVEL = "warn" }).err:find("is new", 1, true))
    os.remove(known)
    assert.matches("is new: ssh-ed25519 SHA256:", run(line, { ARCLUA_LOG_LEVEL = "info" }).err, 1,
      true)
  end)

  it("asks for a password once, and says when there is nobody to ask", function()
    local script = lab:path "askpass"
    assert(core.sys.write_file(script, ("#!/bin/sh\necho x >>%s\necho wrong\n"):format(
      lab:path "asked"), 448))
    local line = { "exec", "--direct", "-F", config(), "--ask-pass", "one", "two", "one", "--",
      "echo hi" }
    local ended = run(line, { SSH_ASKPASS = script, SSH_ASKPASS_REQUIRE = "force" })
    assert.equal(0, ended.status, ended.err)
    assert.equal("x\n", core.sys.read_file(lab:path "asked"))
    ended = run(line, { SSH_ASKPASS = false, SSH_ASKPASS_REQUIRE = "force" })
    assert.equal(1, ended.status)
    assert.matches("SSH_ASKPASS is not set", ended.err, 1, true)
  end)
end)
