-- SPDX-License-Identifier: MIT
-- arclua proxy and sshProxy, below the real OpenSSH.
local cli = require "cli"
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local program = require "program"

local it_runs, run, shell = cli.it, cli.run, cli.shell

-- ssh, scp and sftp as functions of the shell: PROXY is the ProxyCommand.
local OPENSSH = [[
exec 2>&1
set -- -F none -o "UserKnownHostsFile=$ARCLUA_KNOWN_HOSTS" -o StrictHostKeyChecking=accept-new \
  -o LogLevel=ERROR -o BatchMode=yes -i "$ARCLUA_IDENTITY" -o "User=$ARCLUA_USER" \
  -o "ProxyCommand=$PROXY"
]]

local function openssh(text, proxy)
  return shell(("PROXY=\"%s\"\n"):format(proxy or "$PROGRAM proxy %h") .. OPENSSH .. text)
end

local function credentials(name)
  local _, body = emulated.credentials(cli.e, name)
  return body
end

describe("arclua proxy", function()
  cli.with {
    { name = "web-01" }, { name = "bare-01", group = "rg-bare", setup = "none" },
  }

  it_runs("carries OpenSSH's sessions and their exit status", function()
    assert.equal("hi\n7\n", openssh [[ssh "$@" web-01 'echo hi; exit 7'; echo $?]])
  end)

  it_runs("carries bytes untouched, both ways, and the end of input", function()
    local text = openssh [[
      file=$(mktemp); head -c 5000000 /dev/urandom >$file
      ssh "$@" web-01 cat <$file | cmp - $file && echo same; rm $file]]
    assert.equal("same\n", text)
  end)

  it_runs("carries scp and sftp", function()
    local text = openssh [[
      dir=$(mktemp -d); head -c 300000 /dev/urandom >$dir/up
      scp "$@" -q $dir/up web-01:spec-file; echo $?
      echo "get spec-file $dir/down" | sftp "$@" -q -b - web-01 >$dir/log; echo $?
      cmp $dir/up $dir/down && echo same; rm -r $dir]]
    assert.equal("0\n0\nsame\n", text)
  end)

  it_runs("knows a machine by its ID, its path and its alias", function()
    local id = cli.e:machine("web-01").id
    local subscription, group = id:match "^/subscriptions/([^/]+)/resourceGroups/([^/]+)/"
    for _, name in ipairs { id, group .. "/web-01", subscription .. "/" .. group .. "/web-01",
        ("web-01.%s.%s.arclua-emulator.arc"):format(group, subscription) } do
      local ended = run({ "proxy", name }, nil, { stdin = "no SSH client\n" })
      assert.equal(0, ended.status, ended.err)
      assert.equal("", ended.err)
      assert.matches("^SSH%-2%.0%-OpenSSH", ended.out)
    end
  end)

  it_runs("serves OpenSSH below an alias", function()
    local subscription = cli.e:machine("web-01").id:match "^/subscriptions/([^/]+)/"
    local group = cli.e:machine("web-01").id:match "/resourceGroups/([^/]+)/"
    local text = openssh(("ssh \"$@\" web-01.%s.%s.arclua-emulator.arc 'echo $ARC_MACHINE'"
      .. "; echo $?"):format(group, subscription))
    assert.equal("web-01\n0\n", text)
    assert.matches(("web-01.%s.%s.arclua-emulator.arc "):format(group, subscription),
      core.sys.read_file(cli.e.env.ARCLUA_KNOWN_HOSTS), 1, true)
  end)

  it_runs("says on stderr why it could not, status 255", function()
    local gone = cli.e:machine("web-01").id:gsub("web%-01$", "gone")
    for name, text in pairs { ["no-such"] = "no machine is named no-such",
        [gone] = "gone", [("a.b.%s.usgov.arc"):format(("0"):rep(8) .. ("-0000"):rep(3) .. "-"
          .. ("0"):rep(12))] = "is of the cloud 'usgov'", ["web-*"] = "not a pattern",
        ["bare-01"] = "SSH was never set up" } do
      local ended = run { "proxy", name }
      assert.equal(255, ended.status)
      assert.equal("", ended.out)
      assert.matches(text, ended.err, 1, true)
    end
  end)

  it_runs("leaves its aliases to all commands", function()
    local id = cli.e:machine("web-01").id
    local subscription, group = id:match "^/subscriptions/([^/]+)/resourceGroups/([^/]+)/"
    local name = ("web-01.%s.%s.arclua-emulator.arc"):format(group, subscription)
    assert.equal(0, run({ "exec", name, "--", "true" }).status)
    local ended = run { "exec", (name:gsub("arclua%-emulator", "china")), "--", "true" }
    assert.equal(1, ended.status)
    assert.matches("is of the cloud 'china', and this sign-in is to", ended.err, 1, true)
  end)

  it_runs("sets up by consent", function()
    local ended = run({ "proxy", "--enable", "bare-01" }, nil, { stdin = "no SSH client\n" })
    assert.equal(0, ended.status, ended.err)
    assert.matches("^SSH%-2", ended.out)
  end)

  for word, text in pairs { ["0"] = "argument 'PORT'", ["65536"] = "argument 'PORT'",
      ["ssh"] = "argument 'PORT'", ["--port=70000"] = "option '--port'" } do
    it_runs("refuses the port " .. word, function()
      local ended = run { "proxy", "web-01", word }
      assert.equal(2, ended.status)
      assert.equal("", ended.out)
      assert.matches(text .. ": a number from 1 to 65535 expected", ended.err, 1, true)
    end)
  end

  it_runs("refuses lines that contradict themselves", function()
    for _, args in ipairs { { "proxy" }, { "proxy", "a", "22", "--port", "22" },
        { "proxy", "a", "--relay-info", "f", "--entra" },
        { "proxy", "a", "--relay-info", "f", "--enable" },
        { "proxy", "a", "--replace" } } do
      assert.equal(2, run(args).status)
    end
  end)

  it_runs("refuses a port that the machine does not let through", function()
    local ended = run { "proxy", "web-01", "2222" }
    assert.equal(255, ended.status)
    assert.matches("lets SSH through to port 22, not 2222", ended.err, 1, true)
  end)

  for name, status in pairs { TERM = 143, INT = 130, HUP = 129 } do
    it_runs("leaves quietly at SIG" .. name, function()
      local process <close> = assert(core.process.spawn { stdin = "pipe",
        env = cli.environment(), args = { program.path, "proxy", "web-01" }, stderr = "pipe" })
      local out <close> = process:stdout()
      local err <close> = process:stderr()
      local input = process:stdin()
      assert.matches("^SSH", out:read())
      process:kill(name)
      assert.equal(status, process:wait().status)
      assert.is_nil(err:read())
      input:close()
    end)
  end
end)

describe("sshProxy", function()
  cli.with { { name = "web-01" } }

  local dir
  local function proxy() return dir .. "/sshProxy_linux_amd64_1_3_026973" end
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    local target = program.path:find "^/" and program.path
      or shell("printf %s \"$PWD\"") .. "/" .. program.path
    shell(("ln -s %s %s"):format(target, proxy()))
  end)
  teardown(function()
    core.sys.remove(dir)
  end)

  -- Runs it with words; info goes into the variable.
  local function start(words, info, input)
    local process <close> = assert(core.process.spawn { stdin = input and "pipe" or "null",
      env = cli.environment { SSHPROXY_RELAY_INFO = info or false }, stderr = "pipe",
      args = { proxy(), table.unpack(words) } })
    if input then
      local to <close> = process:stdin()
      to:write(input)
    end
    local out <close> = process:stdout()
    local err <close> = process:stderr()
    local function drain(stream)
      local text = ""
      for chunk in function() return stream:read() end do
        text = text .. chunk
      end
      return text
    end
    local said = core.spawn(drain, err)
    return { out = drain(out), err = said:await(), status = process:wait().status }
  end

  it_runs("takes the relay information of az from the variable", function()
    local info = core.crypto.base64(json.encode(credentials "web-01"))
    local ended = start({ "-p", "22" }, info, "no SSH client\n")
    assert.equal(0, ended.status, ended.err)
    assert.matches("^SSH%-2", ended.out)
    assert.equal("hi\n", shell(("export SSHPROXY_RELAY_INFO=%s; PROXY=%s\n"):format(info, proxy())
      .. OPENSSH .. [[ssh "$@" web-01 'echo hi']]))
  end)

  it_runs("takes it out of its environment", function()
    local info = core.crypto.base64(json.encode(credentials "web-01"))
    local process <close> = assert(core.process.spawn { stdin = "pipe", args = { proxy() },
      env = cli.environment { SSHPROXY_RELAY_INFO = info } })
    local out <close> = process:stdout()
    local input = process:stdin()
    assert.matches("^SSH", out:read())
    local file = assert(io.open(("/proc/%d/environ"):format(process:pid()), "rb"))
    assert.is_nil(file:read("a"):find(info, 1, true))
    file:close()
    input:close()
    assert.equal(0, process:wait().status)
  end)

  it_runs("takes it from a file, with a line's end", function()
    local path = dir .. "/relay-info"
    assert(core.sys.write_file(path, core.crypto.base64(json.encode(credentials "web-01")) .. "\n"))
    local ended = start({ "-r", path }, nil, "no SSH client\n")
    assert.equal(0, ended.status, ended.err)
    assert.matches("^SSH%-2", ended.out)
  end)

  for _, member in ipairs { "namespaceName", "namespaceNameSuffix", "hybridConnectionName",
      "accessKey" } do
    it_runs("refuses relay information without " .. member, function()
      local value = credentials "web-01"
      value.relay[member] = nil
      local ended = start({}, core.crypto.base64(json.encode(value)))
      assert.equal(255, ended.status)
      assert.equal("", ended.out)
      local line = assert(json.decode(ended.err))
      assert.equal("fatal", line.level)
      assert.matches(member, line.msg, 1, true)
    end)
  end

  it_runs("refuses hostile relay information by name (#28)", function()
    local path = dir .. "/hostile"
    for member, value in pairs { namespaceName = "a.b@evil", namespaceNameSuffix = "x/..:1",
      hybridConnectionName = "../a?b#\27[2J", accessKey = "a\r\nX: y",
      serviceConfigurationToken = ("x"):rep(20000) } do
      local changed = credentials "web-01"
      changed.relay[member] = value
      assert(core.sys.write_file(path, json.encode(changed)))
      local ended = start { "-r", path }
      assert.equal(255, ended.status)
      assert.equal("", ended.out)
      assert.is_true(#ended.err < 1000)
      assert.matches(member, assert(json.decode(ended.err)).msg, 1, true)
    end
    assert(core.sys.write_file(path, ("x"):rep(1 << 20)))
    local ended = start { "-r", path }
    assert.equal(255, ended.status)
    assert.matches("more than 65536 bytes", assert(json.decode(ended.err)).msg, 1, true)
  end)

  it_runs("says in lines of JSON what else is wrong", function()
    for _, case in ipairs { { 2, "option '-p': a number from 1 to 65535", "-p", "0" },
        { 2, "option '-r' needs a value", "-r" }, { 2, "unknown argument 'x'", "x" },
        { 255, "neither option '-r' nor the variable" },
        { 255, "No such file", "-r", dir .. "/none" } } do
      local ended = start({ table.unpack(case, 3) })
      assert.equal(case[1], ended.status)
      assert.matches(case[2], assert(json.decode(ended.err)).msg, 1, true)
    end
  end)

  it_runs("gives the relay's own words, which az looks for", function()
    local value = credentials "web-01"
    value.relay.hybridConnectionName = value.relay.hybridConnectionName .. "x"
    local ended = start({}, core.crypto.base64(json.encode(value)))
    assert.equal(255, ended.status)
    assert.matches("sshproxy: error connecting to the address: 40%d ",
      assert(json.decode(ended.err)).msg)
  end)
end)
