-- SPDX-License-Identifier: MIT
-- A look at an SSH server without a login.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both = harness.both

describe("ssh.probe", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  local function look(file)
    local sshd <close> = lab:start()
    local seen, err = core.ssh.probe(sshd:stream(), { alias = "lab", known_hosts = file })
    return seen, err
  end

  local function known_hosts(text)
    local path = lab:path "probe_known"
    assert(core.sys.write_file(path, text))
    return path
  end

  local function host_key()
    return (assert(core.sys.read_file(lab:path "host.pub")):match "^(%S+ %S+)")
  end

  both("shows version and host key, and notes nothing down", function()
    local path = known_hosts ""
    local seen = assert(look(path))
    assert.matches("^SSH%-2%.0%-OpenSSH", seen.banner)
    assert.equal("ssh-ed25519", seen.type)
    assert.matches("^SHA256:[%w+/]+$", seen.fingerprint)
    assert.equal("new", seen.known)
    assert.equal("", assert(core.sys.read_file(path)))
  end)

  both("says whether the key is known, changed or revoked", function()
    assert.equal("known", assert(look(known_hosts("lab " .. host_key() .. "\n"))).known)
    assert.equal("revoked",
      assert(look(known_hosts("@revoked lab " .. host_key() .. "\n"))).known)
    local other = assert(core.ssh.keygen(lab:path "other"))
    assert.equal("changed", assert(look(known_hosts("lab " .. other .. "\n"))).known)
    os.remove(lab:path "other")
    os.remove(lab:path "other.pub")
  end)

  both("fails where nothing speaks SSH", function()
    local a, b = core.pair()
    b:write "HTTP/1.1 400 Bad Request\r\n\r\n"
    b:shutdown()
    local seen, err = core.ssh.probe(a, { alias = "lab", timeout = 5 })
    assert.is_nil(seen)
    assert.equal("ssh.protocol", err.reason)
    b:close()
  end)

  both("is over after its time", function()
    local a, b = core.pair()
    local seen, err = core.ssh.probe(a, { alias = "lab", timeout = 0.1 })
    assert.is_nil(seen)
    assert.equal("ssh.no-banner", err.reason)
    b:close()
  end)

  both("can be cancelled", function()
    local a, b = core.pair()
    local task = core.spawn(core.ssh.probe, a, { alias = "lab" })
    core.sleep(0.01)
    task:cancel()
    local seen, err = task:await()
    assert.is_nil(seen)
    assert.equal("cancelled", err.code)
    b:close()
  end)

  it("refuses options that it does not know", function()
    local a, b = core.pair()
    assert.has_error(function() core.ssh.probe(a, { user = "x", alias = "y" }) end)
    assert.has_error(function() core.ssh.probe(a, {}) end)
    a:close()
    b:close()
  end)
end)
