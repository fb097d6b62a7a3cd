-- SPDX-License-Identifier: MIT
-- OpenSSH's own programs over a ProxyCommand: ours, and one on npm ws.
local core = require "arclua.core"
local emulated = require "emulated"
local peers = require "peers"
local program = require "program"

local SIZE = 5 * 1024 * 1024 + 17

local function environment(e)
  local env = { NODE_EXTRA_CA_CERTS = e.state.cloud.ca, SSH_AUTH_SOCK = false }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  return env
end

local WAYS = {
  ["arclua proxy"] = core.sys.self and program.path .. " proxy %h %p",
  ["npm ws as the sender"] = table.concat(peers.command("sender.mjs", "%h", "%p"), " "),
}

for name, command in pairs(WAYS) do
  describe(name, function()
    emulated.spec("carries ssh: output, exit status, stdin", { machines = 1 }, function(e)
      local ssh = peers.ssh_options(e, command)
      local status, out = peers.run(peers.join("ssh", ssh, "web-01",
        'cat; echo "$ARC_MACHINE"; exit 7'),
        environment(e), "from stdin\n")
      assert.equal(7, status)
      assert.equal("from stdin\nweb-01\n", out)
    end)

    emulated.spec("carries scp and sftp, up and down", { machines = 1 }, function(e)
      local dir <close> = peers.directory()
      local ssh = peers.ssh_options(e, command)
      local sent, sum = dir.random("up", SIZE)
      local status = peers.run(peers.join("scp", ssh, sent, "web-01:there"), environment(e))
      assert.equal(0, status)
      local back = dir.path .. "/down"
      status = peers.run(peers.join("sftp", ssh, "-b", "-", "web-01"), environment(e),
        "rename there renamed\nget renamed " .. back .. "\n")
      assert.equal(0, status)
      assert.equal(sum, peers.sum(back))
    end)

    emulated.spec("tells ssh that a machine's sshd is down", { machines = 1 }, function(e)
      e:fault { at = "sshd", kind = "down" }
      local ssh = peers.ssh_options(e, command)
      assert.equal(255, (peers.run(peers.join("ssh", ssh, "web-01", "true"), environment(e))))
    end)
  end)
end
