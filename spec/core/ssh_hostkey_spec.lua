-- SPDX-License-Identifier: MIT
-- known_hosts: what is trusted, what is noted down, what is refused.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local sys, both = core.sys, harness.both

describe("ssh host key", function()
  local lab, host_line

  before_each(function()
    lab = sshlab.new()
    host_line = sys.read_file(lab:path "host.pub"):match("^(%S+ %S+)")
  end)
  after_each(function() lab:close() end)

  local function known(...)
    assert(sys.write_file(lab:path "known", table.concat({ ... }, "\n") .. "\n"))
  end

  local function login(changes)
    local session, sshd = lab:connect(changes)
    if session then
      session:close()
      sshd:close()
      return "in"
    end
    return sshd.reason, sshd
  end

  local function other_key()
    os.remove(lab:path "other")
    os.remove(lab:path "other.pub")
    return assert(core.ssh.keygen(lab:path "other")):match("^(%S+ %S+)")
  end

  both("that is new is noted down once", function()
    os.remove(lab:path "known")
    assert.equal("in", login())
    assert.equal("in", login())
    assert.equal("lab.arc " .. host_line .. "\n", sys.read_file(lab:path "known"))
    assert.equal(384, sys.stat(lab:path "known").mode & 511)
  end)

  both("is noted in a directory that is made for it", function()
    local path = lab:path "new/known"
    sys.remove(lab:path "new")
    assert.equal("in", login { known_hosts = { path } })
    assert.equal(448, sys.stat(lab:path "new").mode & 511)
    assert.matches("^lab%.arc ", sys.read_file(path))
  end)

  both("goes on a line of its own", function()
    assert(sys.write_file(lab:path "known", "other.arc " .. other_key()))
    assert.equal("in", login())
    assert.matches("\nlab%.arc [^\n]+\n$", sys.read_file(lab:path "known"))
  end)

  both("that is known passes every policy, in any file", function()
    known("x.arc " .. other_key(), "lab.arc,b.arc " .. host_line .. " comment")
    for _, policy in ipairs { "accept-new", "yes", "no" } do
      assert.equal("in", login { host_key_policy = policy })
      assert.equal("in", login { host_key_policy = policy,
        known_hosts = { lab:path "none", lab:path "known" } })
    end
    assert.is_nil(sys.stat(lab:path "none"))
  end)

  both("that is unknown does not pass `yes`", function()
    known("x.arc " .. host_line)
    local reason, err = login { host_key_policy = "yes" }
    assert.equal("ssh.hostkey-unknown", reason)
    assert.equal("hostkey", err.phase)
    assert.matches("SHA256:", err.message)
    assert.equal("x.arc " .. host_line .. "\n", sys.read_file(lab:path "known"))
  end)

  both("that has changed is refused, but by `no`", function()
    local other = other_key()
    known("# comment", "lab.arc " .. other)
    for _, policy in ipairs { "accept-new", "yes" } do
      local reason, err = login { host_key_policy = policy }
      assert.equal("ssh.hostkey-changed", reason)
      assert.equal("hostkey", err.code)
      local _, prints = err.message:gsub("SHA256:[%w+/]+", "")
      assert.equal(2, prints)
      assert.truthy(err.message:find(lab:path "known" .. ":2", 1, true))
      assert.truthy(err.message:find(
        ("ssh-keygen -R 'lab.arc' -f '%s'"):format(lab:path "known"), 1, true))
    end
    assert.equal("in", login { host_key_policy = "no" })
  end)

  both("of another type than the known ones counts as changed", function()
    known("lab.arc ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB")
    assert.equal("ssh.hostkey-changed", (login()))
  end)

  both("of the known type is asked for", function()
    local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-q", "-t", "rsa", "-N",
      "", "-f", lab:path "rsa" }, env = { LD_PRELOAD = false }, stdout = "null", stdin = "null" })
    p:wait()
    known("lab.arc " .. sys.read_file(lab:path "rsa.pub"):match("^(%S+ %S+)"))
    local session, sshd = lab:connect(nil, { "HostKey=" .. lab:path "rsa" })
    assert(session, tostring(sshd))
    session:close()
    sshd:close()
    os.remove(lab:path "rsa")
    os.remove(lab:path "rsa.pub")
  end)

  both("that is revoked is refused by every policy", function()
    known("lab.arc " .. host_line, "@revoked * " .. host_line)
    for _, policy in ipairs { "accept-new", "yes", "no" } do
      assert.equal("ssh.hostkey-revoked", (login { host_key_policy = policy }))
    end
  end)

  both("of a host with a certificate authority is known by its plain key only", function()
    local line = "@cert-authority *.arc " .. other_key()
    known("# comment", line)
    local at = lab:path "known" .. ":2"
    local reason, err = login { host_key_policy = "yes" }
    assert.equal("ssh.hostkey-unknown", reason)
    assert.matches(at .. " names a certificate authority for it", err.message, 1, true)
    assert.matches("host certificates are not supported", err.message, 1, true)
    assert.matches("ssh-keyscan", err.remedy, 1, true)
    lab:with(function(session)
      local text, certified = session:new_key()
      assert.matches("is new: ssh-ed25519 SHA256:", text, 1, true)
      assert.matches(at .. " names", text, 1, true)
      assert.is_true(certified)
    end)
    assert.equal("in", login { host_key_policy = "yes" })
    known(line, "lab.arc " .. host_line)
    lab:with(function(session) assert.is_nil(session:new_key()) end)
    known(line, "lab.arc " .. other_key())
    assert.equal("ssh.hostkey-changed", (login()))
  end)

  both("with a certificate: the plain key is what is shown", function()
    assert(core.ssh.keygen(lab:path "ca"))
    local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-q", "-s", lab:path "ca",
      "-I", "host", "-h", "-n", "lab.arc", lab:path "host.pub" }, env = { LD_PRELOAD = false } })
    assert.equal(0, assert(p:wait()).status)
    known("@cert-authority * " .. sys.read_file(lab:path "ca.pub"):match("^(%S+ %S+)"))
    local session, sshd = lab:connect({ host_key_policy = "accept-new" },
      { "HostCertificate=" .. lab:path "host-cert.pub" })
    assert(session, tostring(sshd))
    assert.is_true(select(2, session:new_key()))
    session:close()
    sshd:close()
    assert.matches("\nlab.arc " .. host_line, sys.read_file(lab:path "known"), 1, true)
    os.remove(lab:path "ca")
    os.remove(lab:path "ca.pub")
  end)

  both("of an authority that is revoked", function()
    local ca = other_key()
    known("@cert-authority *.arc " .. ca, "@revoked * " .. ca)
    for _, policy in ipairs { "accept-new", "yes", "no" } do
      local reason, err = login { host_key_policy = policy }
      assert.equal("ssh.hostkey-revoked", reason)
      assert.matches("the certificate authority of lab.arc is revoked by " .. lab:path "known" ..
        ":2", err.message, 1, true)
    end
    known("@cert-authority *.arc " .. ca, "@revoked * " .. ca, "lab.arc " .. host_line)
    assert.equal("in", login { host_key_policy = "yes" })
    known("@cert-authority *.arc " .. ca, "@revoked * " .. host_line)
    assert.equal("ssh.hostkey-revoked", (login()))
  end)

  both("that is new says so, once", function()
    os.remove(lab:path "known")
    lab:with(function(session)
      local text, certified = session:new_key()
      assert.matches("^the host key of lab.arc is new: ssh%-ed25519 SHA256:%S+$", text)
      assert.is_false(certified)
    end)
    lab:with(function(session) assert.is_nil(session:new_key()) end)
  end)

  describe("and user's key of type", function()
    local dir -- the keys take long to make
    setup(function() dir = assert(sys.mkdtemp("arclua-keys-")) end)
    teardown(function() sys.remove(dir) end)

    for _, kind in ipairs { { "rsa", "3072" }, { "rsa", "4096" }, { "ecdsa", "384" },
        { "ecdsa", "521" } } do
      local name = table.concat(kind, "-")
      both(name, function()
        local path = dir .. "/" .. name
        if not sys.stat(path) then
          local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-q", "-t", kind[1],
            "-b", kind[2], "-N", "", "-f", path }, env = { LD_PRELOAD = false } })
          assert.equal(0, assert(p:wait()).status)
        end
        local line = sys.read_file(path .. ".pub"):match("^(%S+ %S+)")
        assert(sys.write_file(lab:path "authorized", line .. "\n"))
        os.remove(lab:path "known")
        lab.host = path
        assert.equal("in", login { identities = { path } })
        assert.equal("lab.arc " .. line .. "\n", sys.read_file(lab:path "known"))
        assert.equal("in", login { identities = { path }, host_key_policy = "yes" })
      end)
    end
  end)

  both("of a hashed name", function()
    known("lab.arc " .. host_line)
    local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-H", "-f",
      lab:path "known" }, env = { LD_PRELOAD = false }, stdout = "null", stderr = "null" })
    p:wait()
    assert.matches("^|1|", sys.read_file(lab:path "known"))
    assert.equal("in", login { host_key_policy = "yes" })
    assert.equal("ssh.hostkey-unknown", (login { host_key_policy = "yes", alias = "lab2.arc" }))
  end)

  both("that is new is noted with a hashed name, as the file's others or as asked", function()
    known("lab.arc " .. host_line)
    local p <close> = assert(core.process.spawn { args = { "ssh-keygen", "-H", "-f",
      lab:path "known" }, env = { LD_PRELOAD = false }, stdout = "null", stderr = "null" })
    p:wait()
    for alias, hash in pairs { ["as.file"] = "file", ["always"] = true, ["never"] = false } do
      local given = hash
      if hash == "file" then
        given = nil
      end
      assert.equal("in", login { alias = alias, hash_known_hosts = given })
      assert.equal("in", login { alias = alias, host_key_policy = "yes" })
    end
    local text = sys.read_file(lab:path "known")
    assert.is_nil(text:find("as.file", 1, true))
    assert.is_nil(text:find("always", 1, true))
    assert.truthy(text:find("\nnever " .. host_line, 1, true))
  end)

  for pattern, outcome in pairs {
    ["*.arc"] = "in", ["l?b.arc"] = "in", ["LAB.ARC"] = "in", ["a,*b.a*"] = "in", ["*"] = "in",
    ["!lab.arc,*"] = "ssh.hostkey-unknown", ["*,!*.arc"] = "ssh.hostkey-unknown",
    ["lab.ar"] = "ssh.hostkey-unknown", ["?lab.arc"] = "ssh.hostkey-unknown",
    ["|1|broken"] = "ssh.hostkey-unknown", ["|1|AAAA|BBBB"] = "ssh.hostkey-unknown",
    ["|2|x|y"] = "ssh.hostkey-unknown", ["@cert-authority *"] = "ssh.hostkey-unknown",
  } do
    both("by the pattern " .. pattern, function()
      known("", "short", "two words", pattern .. " " .. host_line)
      assert.equal(outcome, (login { host_key_policy = "yes" }))
    end)
  end

  both("the file is read again when it has changed", function()
    known("lab.arc " .. host_line)
    assert.equal("in", login { host_key_policy = "yes" })
    known("lab.arc " .. other_key())
    assert.equal("ssh.hostkey-changed", (login { host_key_policy = "yes" }))
  end)

  both("a symbolic link is not written through, the key still counts", function()
    local link, target = lab:path "link", lab:path "target"
    os.remove(link)
    assert(sys.write_file(target, ""))
    local p <close> = assert(core.process.spawn { args = { "ln", "-s", target, link },
      env = { LD_PRELOAD = false } })
    p:wait()
    assert.equal("in", login { known_hosts = { link } })
    assert.equal("", sys.read_file(target))
    assert.equal("in", login { known_hosts = { link } })
  end)

  both("many hosts", function()
    local lines, other = {}, other_key()
    for i = 1, 3000 do
      lines[i] = ("h%d.arc %s"):format(i, other)
    end
    lines[#lines + 1] = "lab.arc " .. host_line
    known(table.unpack(lines))
    assert.equal("in", login { host_key_policy = "yes" })
  end)
end)
