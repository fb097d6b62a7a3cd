-- SPDX-License-Identifier: MIT
-- arclua ssh without a terminal: commands, pipes, exit statuses, its options.
local cli = require "cli"
local core = require "arclua.core"

local it_runs, run, shell = cli.it, cli.run, cli.shell

describe("arclua ssh", function()
  cli.with { { name = "web-01", group = "rg-prod", ssh_port = 22 }, { name = "web-02" },
    { name = "win-01", os = "windows", group = "rg-win" },
    { name = "off-01", group = "rg-off", status = "Disconnected" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
    { name = "entra-01", group = "rg-entra", login = "entra" } }

  local dir
  setup(function() dir = assert(core.sys.mkdtemp "arclua-spec-") end)
  teardown(function() core.sys.remove(dir) end)

  local function ssh(words, opts, changes)
    return run({ "ssh", table.unpack(words) }, changes, opts)
  end

  -- The program's output when it goes well.
  local function out(words, opts, changes)
    local ended = ssh(words, opts, changes)
    assert.equal(0, ended.status, ended.err)
    return ended.out
  end

  -- Fails as ssh does, and says so.
  local function fails(words, text, opts, changes)
    local ended = ssh(words, opts, changes)
    assert.equal(255, ended.status)
    assert.is_truthy(ended.err:find(text, 1, true), ended.err)
    assert.equal("", ended.out)
  end

  it_runs("runs a command: its words with blanks between, as ssh does", function()
    assert.equal("a b $HOME\n", out { "web-01", "echo", "a   b", "'$HOME'" })
    local ended = ssh { "web-01", "echo out; echo err >&2; exit 42" }
    assert.same({ 42, "out\n", "err\n" }, { ended.status, ended.out, ended.err })
  end)

  it_runs("255 when a signal ends the command", function()
    local ended = ssh { "web-01", "kill -TERM $$" }
    assert.equal(255, ended.status)
    assert.equal("arclua: the command was ended by SIGTERM\n", ended.err)
  end)

  it_runs("passes stdin and its end, byte for byte", function()
    local all = {}
    for i = 0, 255 do
      all[i + 1] = string.char(i)
    end
    local text = table.concat(all):rep(4096) -- 1 MB
    assert.equal(text, out({ "web-01", "cat" }, { stdin = text }))
    assert.equal("1048576\n", out({ "web-01", "wc -c" }, { stdin = text }))
    assert.equal("", out({ "-n", "web-01", "cat" }, { stdin = text }))
  end)

  it_runs("a shell without a terminal reads its lines from stdin", function()
    local ended = ssh({ "web-01" }, { stdin = "echo $((6 * 7)); tty; exit 3\n" })
    assert.same({ 3, "42\nnot a tty\n" }, { ended.status, ended.out })
    assert.matches("no terminal is asked for", ended.err, 1, true)
    assert.equal("", ssh({ "-q", "web-01" }, { stdin = "true\n" }).err)
    assert.matches("/dev/pts/", out({ "-tt", "web-01", "tty" }, { stdin = "" }))
  end)

  it_runs("ends the command when nobody reads its output any more", function()
    assert.equal("y\ny\n", shell "$PROGRAM ssh web-01 yes | head -2")
    assert.equal("0\n", shell "$PROGRAM ssh web-01 'pgrep -c -x yes || :' | tail -1")
  end)

  it_runs("ends a command that runs when it is ended itself", function()
    local started = cli.start({ "ssh", "web-01", "echo $$; exec sleep 300" }, nil, {})
    started:await_output "\n"
    local id = started.out.seen:match "%d+"
    started.process:kill "TERM"
    assert.equal(143, started:wait().status)
    assert.equal("gone\n", out { "web-01", "kill -0 " .. id .. " 2>/dev/null || echo gone" })
  end)

  it_runs("takes options on both sides of the machine, none after the command", function()
    assert.equal("-l -n\n", out { "-T", "web-01", "-q", "echo", "-l", "-n" })
    assert.equal("-T\n", out { "web-01", "--", "echo", "-T" })
    assert.equal("hi\n", out { "--", "web-01", "echo", "hi" })
  end)

  it_runs("finds a machine by all its names, and by az's options", function()
    local id = cli.e:machine("web-01").id
    for _, name in ipairs { "web-01", "rg-prod/web-01", id, "ssh://web-01" } do
      assert.equal("web-01\n", out { name, "echo $ARC_MACHINE" })
    end
    assert.equal("web-01\n", out { "--name", "web-01", "--resource-group", "rg-prod",
      "--local-user", cli.e.env.ARCLUA_USER, "--resource-type", "Microsoft.HybridCompute/machines",
      "--private-key-file", cli.e.env.ARCLUA_IDENTITY, "--", "-q", "echo $ARC_MACHINE" })
    fails({ "--resource-type", "Microsoft.ScVmm/virtualMachines", "web-01", "true" },
      "option '--resource-type': web-01 is a Microsoft.HybridCompute/machines")
    fails({ "nosuch", "true" }, "no machine is named nosuch")
    fails({ id .. "x", "true" }, "web-01x")
  end)

  it_runs("says who it is: USER@, -l, -o User; the first counts", function()
    local user = cli.e.env.ARCLUA_USER
    for _, words in ipairs { { user .. "@web-01" }, { "-l", user, "nobody-else@web-01" },
      { "-o", "User=" .. user, "web-01" } } do
      words[#words + 1] = "true"
      out(words, nil, { ARCLUA_USER = "wrong" })
    end
    fails({ "wrong@web-01", "true" }, "wrong")
  end)

  it_runs("--entra logs in with a certificate, as whom it names", function()
    assert.equal(cli.e.state.object_id .. "\n", out { "--entra", "entra-01", "id -un" })
    fails({ "entra-01", "true" }, "sshd accepts: publickey")
    fails({ "--entra", "-i", "/x", "entra-01", "true" }, "'--entra' and '-i' exclude each other")
    fails({ "--entra", "win-01", "ver" }, "Entra's SSH certificates are for Linux")
  end)

  it_runs("sends variables that SendEnv and SetEnv name", function()
    local config = dir .. "/config"
    assert(core.sys.write_file(config, "Host *\n  SendEnv LC_B LC_D\n  SendEnv LC_A -LC_B\n"))
    local changes = { LC_A = "from here", LC_B = "not", LANG = "C.UTF-8" }
    assert.equal("from here--C\n", out({ "-F", config, "-o", "SetEnv=LC_C=C", "web-01",
      "echo $LC_A-$LC_B-$LC_C" }, nil, changes))
    assert.equal("-C.UTF-8\n", out({ "-o", "SendEnv=LANG", "web-01", "echo $LC_A-$LANG" }, nil,
      changes))
    fails({ "-o", "SetEnv=X", "web-01", "true" }, "SetEnv: NAME=VALUE expected, got 'X'")
  end)

  it_runs("runs RemoteCommand, but not beside another", function()
    local set = "RemoteCommand=echo \"it's  me\""
    assert.equal("it's  me\n", out { "-o", set, "web-01" })
    fails({ "-o", set, "web-01", "true" }, "RemoteCommand gives another")
  end)

  it_runs("a subsystem", function()
    local answer = shell [[(printf '\0\0\0\5\1\0\0\0\3'; sleep 1) | $PROGRAM ssh -s web-01 sftp]]
    assert.equal("\2\0\0\0\3", answer:sub(5, 9)) -- SSH_FXP_VERSION
    fails({ "-s", "web-01" }, "a subsystem needs its name")
    fails({ "-s", "web-01", "nothing" }, "the SSH server has no subsystem 'nothing'")
  end)

  it_runs("lends the agent on demand alone", function()
    local agent = assert(core.process.spawn { stdout = "null", session = true,
      env = { LD_PRELOAD = false },
      args = { "ssh-agent", "-D", "-a", dir .. "/agent" } })
    while not core.sys.stat(dir .. "/agent") do
      core.sleep(0.01)
    end
    local changes = { SSH_AUTH_SOCK = dir .. "/agent", LD_PRELOAD = false }
    local add <close> = assert(core.process.spawn { stderr = "null", env = changes,
      args = { "ssh-add", cli.e.env.ARCLUA_IDENTITY } })
    assert.equal(0, add:wait().status)
    local ask = "ssh-add -l || echo none"
    assert.matches("ED25519", out({ "-A", "web-01", ask }, nil, changes), 1, true)
    assert.matches("ED25519", out({ "-o", "ForwardAgent=" .. dir .. "/agent", "web-01", ask }),
      1, true)
    assert.equal("none\n", out({ "web-01", ask }, nil, changes))
    assert.equal("none\n", out({ "-A", "-a", "-o", "ForwardAgent=no", "web-01",
      "-o", "ForwardAgent=$NOT_SET", ask }, nil, {}))
    agent:close()
  end)

  it_runs("a machine with another port than asked, with none, not connected", function()
    fails({ "-p", "2222", "web-01", "true" }, "web-01 lets SSH through to port 22, not 2222")
    fails({ "-p", "0", "web-01", "true" },
      "option '-p': a number from 1 to 65535 expected, got '0'")
    fails({ "bare-01", "true" }, "SSH was never set up")
    fails({ "off-01", "true" }, "agent disconnected since")
    assert.equal("ready\n", out { "--enable", "bare-01", "echo ready" })
  end)

  it_runs("-v tells, -E puts that into a file", function()
    local ended = ssh { "-v", "-E", dir .. "/log", "web-01", "true" }
    assert.same({ 0, "" }, { ended.status, ended.err })
    assert.is_truthy(core.sys.stat(dir .. "/log"))
    assert.equal("arclua " .. core.version .. "\n", out { "-V" })
    assert.matches("^Usage: arclua ssh", out { "--help" })
    assert.matches("^Usage: arclua ssh", out { "-h" })
  end)

  it_runs("refuses what it cannot do, with status 255", function()
    for words, text in pairs {
      [{}] = "[USER@]MACHINE is missing",
      [{ "-Z", "web-01" }] = "unknown option '-Z'",
      [{ "--no-such", "web-01" }] = "unknown option '--no-such'",
      [{ "--direct=1", "web-01" }] = "option '--direct' takes no value",
      [{ "web-01", "-L" }] = "option '-L' needs a value",
      [{ "-X", "web-01" }] = "option '-X': X11 is not forwarded",
      [{ "-M", "web-01" }] = "connections are not shared",
      [{ "-o", "Foo=bar", "web-01" }] = "option '-o Foo=bar': unknown keyword",
      [{ "-o", "Ciphers=aes128-ctr", "web-01" }] = "ciphers is not supported",
      [{ "-o", "RequestTTY=maybe", "web-01" }] = "no, yes, force or auto expected, got 'maybe'",
      [{ "-o", "nonsense", "web-01" }] = "option '-o nonsense'",
      [{ "-N", "web-01", "true" }] = "no command runs with -N",
      [{ "-f", "web-01" }] = "to go to the background (-f) it needs a command",
      [{ "--reconnect", "web-01" }] = "option '--reconnect' needs a tunnel",
      [{ "-N", "web-01", "--while" }] = "option '--while' needs a command",
      [{ "--replace", "web-01" }] = "option '--replace' needs --enable and -p",
      [{ "-g", "--resource-group", "a", "b/c" }] = "exclude each other",
      [{ "@web-01" }] = "[USER@]MACHINE expected, got '@web-01'",
      [{ "-J", "hop", "web-01", "true" }] = "reached through the relay",
    } do
      fails(words, text)
    end
    assert.equal("", ssh({ "-o", "ControlMaster=auto", "-4C", "-o", "LogLevel=ERROR", "web-01",
      "true" }).err)
  end)

  it_runs("a Windows machine's commands", function()
    assert.equal("hi\r\n", out { "win-01", "echo hi" })
    assert.equal(4, ssh({ "win-01", "exit 4" }).status)
  end)

  it_runs("says in one line why the connection was lost", function()
    local ended = ssh { "web-01", "kill -9 $PPID; sleep 5" }
    assert.equal(255, ended.status)
    assert.matches("^arclua: [^\n]+\n  [^\n]+\n$", ended.err)
  end)

  it_runs("goes to the background with -f when it is connected", function()
    local text = shell "$PROGRAM ssh -f web-01 'sleep 1; echo >late' >/dev/null; echo now"
    assert.equal("now\n", text)
    assert.is_nil(core.sys.stat(cli.e:home "web-01" .. "/late"))
    while not core.sys.stat(cli.e:home "web-01" .. "/late") do
      assert(core.sleep(0.05))
    end
  end)

end)
