-- SPDX-License-Identifier: MIT
-- What people use over OpenSSH, with the configuration that arclua ssh-config writes: rsync, git,
-- an editor's way of calling ssh, a subsystem, Ansible.
local core = require "arclua.core"
local emulated = require "emulated"
local peers = require "peers"
local program = require "program"

local SIZE = 3 * 1024 * 1024 + 5

-- Runs fn(run, dir) with the configuration in dir.path/arc; run(words, stdin) as peers.run.
local function with_config(e, fn)
  local dir <close> = peers.directory()
  local env = { SSH_AUTH_SOCK = false, HOME = dir.path, GIT_CONFIG_GLOBAL = "/dev/null",
    GIT_SSH_COMMAND = "ssh -F " .. dir.path .. "/arc", ANSIBLE_LOCAL_TEMP = dir.path,
    ANSIBLE_SSH_ARGS = "-F " .. dir.path .. "/arc", ANSIBLE_NOCOLOR = "1", LC_ALL = "C.UTF-8" }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  local function run(words, stdin)
    return peers.run(words, env, stdin)
  end
  assert.equal(0, (run { program.path, "ssh-config", "--all", "--host-key-policy", "accept-new",
    "-f", dir.path .. "/arc" }))
  return fn(run, dir)
end

describe("ssh-config", function()
  emulated.spec("serves rsync, both ways, and what has not changed stays", { machines = 1 },
    function(e)
      with_config(e, function(run, dir)
        local _, sum = dir.random("up", SIZE)
        local ssh = "ssh -F " .. dir.path .. "/arc"
        local there = "rg-prod-web-01:spec-tree/"
        assert.equal(0, (run { "rsync", "-a", "-e", ssh, dir.path .. "/up", there }))
        local status, said = run { "rsync", "-a", "--stats", "-e", ssh, dir.path .. "/up", there }
        assert.equal(0, status)
        assert.matches("files transferred: 0", said, 1, true)
        assert.equal(0, (run { "rsync", "-a", "-e", ssh, there .. "up", dir.path .. "/down" }))
        assert.equal(sum, peers.sum(dir.path .. "/down"))
      end)
    end)

  emulated.spec("serves git: clone and push", { machines = 1 }, function(e)
    with_config(e, function(run, dir)
      local ssh = { "ssh", "-F", dir.path .. "/arc", "rg-prod-web-01" }
      assert.equal(0, (run { ssh[1], ssh[2], ssh[3], ssh[4], "git init -q --bare repo" }))
      local work = dir.path .. "/work"
      assert.equal(0, (run { "git", "clone", "-q", "rg-prod-web-01:repo", work }))
      assert(core.sys.write_file(work .. "/file", "content\n"))
      assert.equal(0, (run { "git", "-C", work, "add", "file" }))
      assert.equal(0, (run { "git", "-C", work, "-c", "user.name=spec", "-c",
        "user.email=spec@example.com", "commit", "-qm", "one" }))
      assert.equal(0, (run { "git", "-C", work, "push", "-q", "origin", "HEAD:refs/heads/main" }))
      local status, out = run { ssh[1], ssh[2], ssh[3], ssh[4], "git -C repo show main:file" }
      assert.equal(0, status)
      assert.equal("content\n", out)
    end)
  end)

  emulated.spec("serves an editor: a script on stdin of a shell, with a SOCKS port",
    { machines = 1 }, function(e)
      with_config(e, function(run, dir)
        local probe <close> = assert(core.tcp.listen("127.0.0.1", 0))
        local port = ("%d"):format(probe:port())
        probe:close()
        local status, out = run({ "ssh", "-F", dir.path .. "/arc", "-T", "-D", port, "-o",
          "ConnectTimeout=15", "rg-prod-web-01", "sh" }, "echo \"$ARC_MACHINE\"; exit 3\n")
        assert.equal(3, status)
        assert.equal("web-01\n", out)
      end)
    end)

  emulated.spec("serves a subsystem, as PowerShell remoting asks for one", { machines = 1 },
    function(e)
      with_config(e, function(run, dir)
        local child <close> = assert(core.process.spawn { stdin = "pipe", env = e.env,
          args = { "ssh", "-F", dir.path .. "/arc", "-s", "rg-prod-web-01", "sftp" } })
        local input <close> = child:stdin()
        local out <close> = child:stdout()
        assert(input:write "\0\0\0\5\1\0\0\0\3") -- SSH_FXP_INIT, version 3
        assert.equal("\2\0\0\0\3", out:read():sub(5, 9))
        input:shutdown()
        assert.equal(0, child:wait().status)
        assert.not_equal(0, (run { "ssh", "-F", dir.path .. "/arc", "-s", "rg-prod-web-01",
          "no-such-subsystem" }))
      end)
    end)
end)

describe("arclua machines -o ansible", function()
  emulated.spec("is an inventory for Ansible", { machines = {
      { name = "web-01", tags = { role = "web" } }, { name = "web-02", tags = { role = "web" } },
      { name = "db-01", group = "rg-db", tags = { note = "{{ lookup('pipe', 'echo run') }}" } },
    } }, function(e)
      with_config(e, function(run, dir)
        local script = dir.path .. "/arc.sh"
        assert(core.sys.write_file(script, ("#!/bin/sh\nexec %s machines -o ansible\n")
          :format(program.path), 448))
        -- ssh makes the stderr that it shares with others non-blocking; Ansible wants its own.
        local function ansible(...)
          return run { "sh", "-c", 'exec "$@" 2>&1', "sh", "ansible", "-i", script, "-e",
            "ansible_ssh_extra_args='-o UserKnownHostsFile=" .. e.env.ARCLUA_KNOWN_HOSTS
              .. " -o StrictHostKeyChecking=accept-new'", ... }
        end
        local status, out = ansible("tag_role_web", "-m", "ping")
        assert.equal(0, status, out)
        assert.matches('web%-01 | SUCCESS.*"pong"', out)
        assert.matches("web-02 | SUCCESS", out, 1, true)
        assert.is_nil(out:find("db-01", 1, true))
        status, out = ansible("rg_rg_db", "-m", "debug", "-a", "var=arc_tags")
        assert.equal(0, status, out)
        assert.matches("{{ lookup('pipe', 'echo run') }}", out, 1, true)
      end)
    end)
end)
