-- SPDX-License-Identifier: MIT
-- arclua ssh --direct: hosts without Azure, and jump hosts.
local core = require "arclua.core"
local harness = require "harness"
local program = require "program"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"

describe("arclua ssh --direct", function()
  local lab, one, two
  setup(function()
    lab = sshlab.new()
    one, two = sshtcp.start(lab), sshtcp.start(lab)
    assert(core.sys.write_file(lab:path "config", ([[
Host one
Port %d
Host two
Port %d
ProxyJump one
RemoteCommand echo configured
Host *
HostName 127.0.0.1
User %s
IdentityFile %s
UserKnownHostsFile %s
]]):format(one.port, two.port, lab.user, lab:path "id", lab:path "known")))
  end)
  teardown(function()
    one:close()
    two:close()
    lab:close()
    assert.equal("", harness.leftovers())
  end)

  local function ssh(words, opts)
    local all = { env = { ARCLUA_CONFIG = "none", ARCLUA_CLOUD = lab:path "no-cloud",
      LD_PRELOAD = false } }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    local ended
    core.timeout(harness.LIMIT, function()
      ended = program.run({ "ssh", "--direct", "-F", lab:path "config",
        table.unpack(words) }, all)
    end)
    return ended
  end

  it("reaches hosts of ssh_config, through their jump hosts", function()
    local before = one.count
    local ended = ssh { "two" }
    assert.same({ 0, "configured\n" }, { ended.status, ended.out }, ended.err)
    assert.equal(before + 1, one.count)
  end)

  it("takes -J, -p and addresses; -o comes before the file, but not for jump hosts", function()
    local before = one.count
    local ended = ssh({ "-J", "one", "-p", tostring(two.port), "-o", "RemoteCommand=none",
      "-o", "Port=1", "127.0.0.1", "cat" }, { stdin = "through" })
    assert.same({ 0, "through" }, { ended.status, ended.out }, ended.err)
    assert.equal(before + 1, one.count)
    ended = ssh { ("127.0.0.1:%d"):format(one.port), "exit 3" }
    assert.equal(3, ended.status)
  end)

  it("-o StrictHostKeyChecking and UserKnownHostsFile count", function()
    local known = lab:path "other"
    local ended = ssh { "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" .. known,
      "one", "true" }
    assert.equal(255, ended.status)
    assert.matches("is not in known_hosts", ended.err, 1, true)
    ended = ssh { "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" .. known,
      "one", "true" }
    assert.equal(0, ended.status, ended.err)
    assert.is_truthy(core.sys.stat(known))
  end)

  it("forwards", function()
    local ended = ssh({ "-W", ("127.0.0.1:%d"):format(two.port), "one" }, { stdin = "x\n" })
    assert.matches("^SSH%-2%.0%-", ended.out)
  end)

  it("says what is wrong", function()
    for words, text in pairs { [{ "127.0.0.1:1", "true" }] = "Connection refused",
      [{ "a/b", "true" }] = "'a/b' is an Arc machine", [{ "-l", "x y", "one", "true" }] = "x y" } do
      local ended = ssh(words)
      assert.equal(255, ended.status)
      assert.matches(text, ended.err, 1, true)
    end
  end)
end)
