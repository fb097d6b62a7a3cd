-- SPDX-License-Identifier: MIT
-- arclua cert: what it writes, what OpenSSH makes of it.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"
local program = require "program"

local it_runs = cli.it

describe("cert", function()
  cli.with { { name = "web-01", login = "entra" } }

  local dir
  before_each(function() dir = assert(core.sys.mkdtemp "arclua-cert") end)
  after_each(function() core.sys.remove(dir) end)

  local function at(name)
    return dir .. "/" .. name
  end

  local function keygen(name, ...)
    local process <close> = assert(core.process.spawn { env = { LD_PRELOAD = false },
      args = { "ssh-keygen", "-q", "-N", "", "-f", at(name), ... }, stdout = "null" })
    assert.equal(0, process:wait().status)
  end

  -- OpenSSH's own client, by the proxy: what `id -un` prints there. changes: to the environment.
  local function ssh(options, user, words, changes)
    local env = { HOME = dir }
    for name, value in pairs(changes or {}) do
      env[name] = value
    end
    local args = { "ssh", "-F", "none", "-l", user, "-o", "BatchMode=yes", "-o",
      "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" .. at "known", "-o", "ProxyCommand="
        .. program.path .. " proxy " .. (words or "") .. " %h" }
    table.move(options, 1, #options, #args + 1, args)
    table.move({ "web-01", "id -un" }, 1, 2, #args + 1, args)
    local process <close> = assert(core.process.spawn { stderr = "file:" .. at "err", args = args,
      env = cli.environment(env) })
    local stream, text = process:stdout(), ""
    for chunk in function() return stream:read() end do
      text = text .. chunk
    end
    return process:wait().status, text
  end

  local function by_key(name, user)
    return ssh({ "-i", at(name), "-o", "IdentitiesOnly=yes" }, user)
  end

  it_runs("renews only what ends soon, in silence", function()
    local args = { "cert", "--renew", "--file", at "entra-cert.pub" }
    local function renew()
      local ended = cli.run(args)
      assert.equal(0, ended.status, ended.err)
      assert.equal("", ended.out)
      return core.sys.read_file(at "entra-cert.pub")
    end
    local first = renew()
    assert.equal(first, renew())
    assert(core.sys.write_file(at "entra-cert.pub", "damaged\n"))
    local second = renew()
    assert.not_equal(first, second)
    local fault = cli.e:fault { at = "certificate", kind = "short-lived",
      lifetime = 200 }
    assert(core.sys.remove(at "entra-cert.pub"))
    local short = renew()
    cli.e:clear(fault)
    assert.not_equal(short, renew())
    table.insert(args, "-ojson")
    assert.equal(2, cli.run(args).status)
  end)

  it_runs("makes a key beside the certificate, and ssh logs in with it", function()
    local user = cli.e.state.object_id
    local ended = cli.run { "cert", "--file", at "entra-cert.pub" }
    assert.equal(0, ended.status, ended.err)
    assert.truthy(ended.out:find(at "entra-cert.pub" .. ": " .. user .. ", until ", 1, true))
    assert.truthy(ended.out:find(("ssh -i %s -l %s HOST"):format(at "entra", user), 1, true))
    assert.truthy(ended.out:find("new private key", 1, true))
    for name, mode in pairs { ["entra"] = 384, ["entra.pub"] = 420, ["entra-cert.pub"] = 384 } do
      assert.equal(mode, core.sys.stat(at(name)).mode & 511, name)
    end
    local line = core.sys.read_file(at "entra-cert.pub")
    assert.truthy(line:find "^ssh%-rsa%-cert%-v01@openssh%.com %S+\n$")
    local status, name = by_key("entra", user)
    assert.same({ 0, user .. "\n" }, { status, name })
  end)

  it_runs("renews the certificate of a key that is there", function()
    assert.equal(0, cli.run({ "cert", "-f", at "entra-cert.pub" }).status)
    local key, first = core.sys.read_file(at "entra"), core.sys.read_file(at "entra-cert.pub")
    local ended = cli.run { "cert", "-f", at "entra-cert.pub" }
    assert.equal(0, ended.status, ended.err)
    assert.is_nil(ended.out:find("new private key", 1, true))
    assert.equal(key, core.sys.read_file(at "entra"))
    assert.not_equal(first, core.sys.read_file(at "entra-cert.pub"))
    os.remove(at "entra.pub")
    ended = cli.run { "cert", "-f", at "entra-cert.pub" }
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("ssh-keygen -y", 1, true), ended.err)
    assert.equal(key, core.sys.read_file(at "entra"))
  end)

  it_runs("certifies a key of the user's", function()
    keygen("mine", "-t", "rsa", "-b", "2048")
    local ended = cli.run { "cert", "--public-key", at "mine.pub", "-o", "json" }
    assert.equal(0, ended.status, ended.err)
    local told = json.decode(ended.out)
    assert.same({ at "mine-cert.pub", at "mine", cli.e.state.object_id }, { told.file,
      told.private_key, told.user })
    assert.same({ cli.e.state.object_id }, told.principals)
    assert.truthy(told.valid_before:find "^%d+%-%d%d%-%d%dT")
    assert.equal(0, (by_key("mine", told.user)))
    ended = cli.run { "cert", "-p", at "mine.pub", "-f", at "elsewhere" }
    assert.equal(0, ended.status, ended.err)
    assert(core.sys.stat(at "elsewhere"))
  end)

  it_runs("is given to the SSH agent by proxy --entra, once", function()
    local user, before = cli.e.state.object_id, #cli.e.log:find { event = "certificate" }
    local agent <close> = assert(core.process.spawn { args = { "ssh-agent", "-D", "-a",
      at "agent" }, stdout = "null", stderr = "null", env = { LD_PRELOAD = false } })
    while not core.sys.stat(at "agent") do
      core.sleep(0.005)
    end
    for _ = 1, 2 do
      local status, name = ssh({}, user, "--entra", { SSH_AUTH_SOCK = at "agent" })
      assert.same({ 0, user .. "\n" }, { status, name }, core.sys.read_file(at "err"))
    end
    assert.equal(before + 1, #cli.e.log:find { event = "certificate" })
    agent:kill "TERM"
    local status = ssh({}, user, "--entra", { SSH_AUTH_SOCK = false })
    assert.equal(255, status)
    assert.truthy(core.sys.read_file(at "err"):find("SSH_AUTH_SOCK names none", 1, true))
  end)

  it_runs("puts id_rsa beside a file of another name, as az does", function()
    local ended = cli.run { "cert", "-f", at "my.cert" }
    assert.equal(0, ended.status, ended.err)
    local names = core.sys.list(dir)
    table.sort(names)
    assert.same({ "id_rsa", "id_rsa.pub", "my.cert" }, names)
  end)

  it_runs("says what is wrong, and writes nothing", function()
    keygen("ed", "-t", "ed25519")
    keygen("ok", "-t", "rsa", "-b", "2048")
    for _, case in ipairs {
      { 2, "name the file", "cert" },
      { 2, "text or json", "cert", "-f", at "x-cert.pub", "-o", "xml" },
      { 2, "is empty", "cert", "-f", "" },
      { 1, "ssh-keygen -t rsa", "cert", "-p", at "ed.pub" },
      { 1, "public key", "cert", "-p", at "none.pub" },
      { 1, "not a public key", "cert", "-p", at "garbage.pub" },
      { 1, "own file", "cert", "-p", at "ok.pub", "-f", at "ok.pub" },
      { 1, "own file", "cert", "-p", at "ok.pub", "-f", at "ok" },
      { 1, "No such file", "cert", "-f", at "no/such/x-cert.pub" },
    } do
      assert(core.sys.write_file(at "garbage.pub", "ssh-rsa AAAA\n"))
      local ended = cli.run { table.unpack(case, 3) }
      assert.equal(case[1], ended.status, ended.err)
      assert.truthy(ended.err:find(case[2], 1, true), ended.err)
      assert.equal("", ended.out)
    end
    local names = core.sys.list(dir)
    table.sort(names)
    assert.same({ "ed", "ed.pub", "garbage.pub", "ok", "ok.pub" }, names)
    local ended = cli.run({ "cert", "-f", at "x-cert.pub" }, { AZURE_CLIENT_SECRET = "wrong" })
    assert.equal(1, ended.status)
    assert.is_nil((core.sys.stat(at "x")))
  end)
end)
