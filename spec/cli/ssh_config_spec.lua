-- SPDX-License-Identifier: MIT
-- arclua ssh-config, and the real OpenSSH with what it writes.
local cli = require "cli"
local core = require "arclua.core"

local it_runs, run, shell = cli.it, cli.run, cli.shell

describe("arclua ssh-config", function()
  cli.with {
    { name = "web-01" }, { name = "db-01", group = "rg-db" },
    { name = "entra-01", group = "rg-entra", login = "entra" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
  }

  local home
  before_each(function()
    home = assert(core.sys.mkdtemp "arclua-spec-")
  end)
  after_each(function()
    core.sys.remove(home)
  end)

  local function at_home(args)
    return run(args, { HOME = home })
  end

  local function alias(name, group)
    return ("%s.%s.%s.arclua-emulator.arc"):format(name, group,
      cli.e:machine(name).id:match "^/subscriptions/([^/]+)/")
  end

  local function ssh(words)
    return shell(("exec 2>&1; ssh -F '%s/arc' -o BatchMode=yes %s; echo $?"):format(home, words))
  end

  local function ssh_by_alias()
    return ssh(alias("web-01", "rg-prod") .. " 'echo $ARC_MACHINE'")
  end

  it_runs("prints stanzas, which ssh, scp and sftp use", function()
    local ended = at_home { "ssh-config", "--all", "--host-key-policy", "accept-new", "-f",
      home .. "/arc" }
    assert.equal(0, ended.status, ended.err)
    assert.equal("", ended.out)
    assert.matches("4 machines in ", ended.err, 1, true)
    assert.matches("put this at the top of ~/.ssh/config: Include " .. home, ended.err, 1, true)
    assert.matches("db-01\n7\n", ssh "rg-db-db-01 'echo $ARC_MACHINE; exit 7'", 1, true)
    assert.matches("web-01\n0\n", ssh_by_alias(), 1, true)
    assert.equal("same\n", shell(([[
      cd %s; head -c 100000 /dev/urandom >up; set -- -F arc -o BatchMode=yes -q
      scp "$@" up rg-prod-web-01:spec-file
      echo "get spec-file down" | sftp "$@" -b - rg-prod-web-01 >/dev/null
      cmp up down && echo same]]):format(home)))
  end)

  it_runs("prints one stanza for all", function()
    local ended = at_home { "ssh-config", "--wildcard", "--host-key-policy", "accept-new" }
    assert.equal(0, ended.status, ended.err)
    assert.equal("", ended.err)
    assert.matches("^Host %*%.arc\n", ended.out)
    assert(core.sys.write_file(home .. "/arc", ended.out))
    assert.matches("web-01\n0\n", ssh_by_alias(), 1, true)
  end)

  it_runs("renews a certificate of Entra's when ssh is called", function()
    local ended = at_home { "ssh-config", "entra-01", "--entra", "--host-key-policy", "accept-new",
      "-f", home .. "/arc" }
    assert.equal(0, ended.status, ended.err)
    local user, file = cli.e.state.object_id, home .. "/arc-entra-cert.pub"
    local first = core.sys.read_file(file)
    assert.matches(user .. "\n0\n", ssh "rg-entra-entra-01 'id -un'", 1, true)
    assert.equal(first, core.sys.read_file(file)) -- good for long: left alone
    assert(core.sys.remove(file))
    assert.matches(user .. "\n0\n", ssh(alias("entra-01", "rg-entra") .. " 'id -un'"), 1, true)
    assert.not_equal(first, core.sys.read_file(file))
  end)

  it_runs("--static: credentials in files, which need no sign-in, and whose end is told", function()
    local ended = at_home { "ssh-config", "web-01", "bare-01", "--static", "--host-key-policy",
      "accept-new", "-f", home .. "/arc" }
    assert.equal(4, ended.status, ended.err)
    assert.matches("bare-01 is left out: SSH was never set up", ended.err, 1, true)
    assert.matches("are good until %d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", ended.err)
    assert.matches("1 machine in ", ended.err, 1, true)
    local dir = home .. "/arc.relay-info"
    assert.equal(448, core.sys.stat(dir).mode & 511)
    local files = core.sys.list(dir)
    assert.same({ alias("web-01", "rg-prod") .. "-relay_info" }, files)
    assert.equal(384, core.sys.stat(dir .. "/" .. files[1]).mode & 511)
    -- As the official clients write it.
    local text = core.crypto.unbase64(core.sys.read_file(dir .. "/" .. files[1]))
    assert.matches('^{"relay": {"namespaceName": ".*"expiresOn": %d+, "serviceConf.*"}}$', text)
    local said = shell(("exec 2>&1; unset AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID;"
      .. " ssh -F '%s/arc' -o BatchMode=yes rg-prod-web-01 'echo $ARC_MACHINE'; echo $?"):format(
        home))
    assert.matches("web-01\n0\n", said, 1, true)
  end)

  it_runs("lets ~/.ssh/config include the file, once", function()
    for i = 1, 2 do
      local ended = at_home { "ssh-config", "web-01", "-f", "~/.ssh-arc", "--include" }
      assert.equal(0, ended.status, ended.err)
      assert.equal(i == 1, ended.err:find("includes it now", 1, true) ~= nil)
      assert.equal(("Include %s/.ssh-arc\n"):format(home),
        core.sys.read_file(home .. "/.ssh/config"))
    end
    assert(core.sys.write_file(home .. "/.ssh/config", "Host x\nUser y\n"))
    assert.equal(0, at_home({ "ssh-config", "web-01", "-f", "~/.ssh-arc", "--include" }).status)
    assert.equal(("Include %s/.ssh-arc\n\nHost x\nUser y\n"):format(home),
      core.sys.read_file(home .. "/.ssh/config"))
  end)

  it_runs("replaces its own block and nothing else", function()
    local path = home .. "/config"
    assert(core.sys.write_file(path, "Host mine\n  Port 1\n"))
    assert.equal(0, at_home({ "ssh-config", "web-01", "-f", path }).status)
    assert.equal(0, at_home({ "ssh-config", "db-01", "-f", path }).status)
    local text = core.sys.read_file(path)
    assert.matches("^Host mine\n  Port 1\n", text)
    assert.matches("Host rg-db-db-01", text, 1, true)
    assert.is_nil(text:find("web-01", 1, true))
  end)

  it_runs("refuses a link, a folder that is not there, what it may not write: status 1", function()
    shell(("ln -s real %s/link"):format(home))
    for name, why in pairs { link = "symbolic link", ["no/config"] = "no folder" } do
      local ended = at_home { "ssh-config", "web-01", "-f", home .. "/" .. name }
      assert.equal(1, ended.status)
      assert.matches("option '--file': ", ended.err, 1, true)
      assert.matches(why, ended.err, 1, true)
    end
    local ended = at_home { "ssh-config", "web-01", "-f", "/proc/config-of-arclua" }
    assert.equal(1, ended.status)
    assert.matches("/proc/", ended.err, 1, true)
  end)

  it_runs("refuses lines that contradict themselves, status 2", function()
    for text, args in pairs { ["no machines selected"] = {},
        ["'--include' needs --file"] = { "a", "--include" },
        ["'--entra' needs --file"] = { "a", "--entra" },
        ["'--static' needs --file"] = { "a", "--static" },
        ["its own user"] = { "a", "--entra", "-f", "x", "-l", "y" },
        ["about all machines"] = { "--wildcard", "a" },
        ["--host or --static"] = { "--wildcard", "--host", "{name}" },
        ["{name} expected"] = { "a", "--host", "x" },
        ["from 1 to 65535"] = { "a", "--port", "0" } } do
      local ended = at_home { "ssh-config", table.unpack(args) }
      assert.equal(2, ended.status)
      assert.matches(text, ended.err, 1, true)
    end
    assert.equal(1, at_home({ "ssh-config", "no-*" }).status)
  end)

  it_runs("refuses a user that no ssh_config can name, status 1", function()
    local ended = at_home { "ssh-config", "web-01", "--user", "100%" }
    assert.equal(1, ended.status)
    assert.matches("User: '100%': ", ended.err, 1, true)
  end)
end)
