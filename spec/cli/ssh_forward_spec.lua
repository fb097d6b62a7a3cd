-- SPDX-License-Identifier: MIT
-- Forwarding with arclua ssh, through its relay, with real clients.
local cli = require "cli"
local core = require "arclua.core"
local program = require "program"

local it_runs, run, shell = cli.it, cli.run, cli.shell

describe("arclua ssh forwarding", function()
  local dir, listener, server
  -- A peer on this host, which answers each connection with what it sent, in capitals.
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    listener = assert(core.tcp.listen("127.0.0.1", 0))
    server = core.spawn(function()
      while true do
        local stream = listener:accept()
        if not stream then
          return
        end
        core.spawn(function()
          local held <close> = stream
          for chunk in function() return held:read() end do
            held:write(chunk:upper())
          end
        end)
      end
    end)
  end)
  teardown(function()
    listener:close()
    server:await()
    core.sys.remove(dir)
  end)
  cli.with { { name = "web-01" }, { name = "web-02" } }

  local function target()
    return "localhost:" .. listener:port()
  end

  -- Starts a tunnel; fn runs when all its free ports are known, and gets them.
  local function tunnel(words, count, fn)
    local line = table.move(words, 1, #words, 3, { "ssh", "-N" })
    local err = dir .. "/err"
    local args = { "sh", "-c", 'exec 2>"$0"; exec "$@"', err, program.path, table.unpack(line) }
    local process <close> = assert(core.process.spawn { args = args, stdout = "null",
      env = cli.environment() })
    local ports = {}
    while #ports < count do
      assert(core.sleep(0.02))
      ports = {}
      for port in (core.sys.read_file(err) or ""):gmatch "listens on port (%d+)" do
        ports[#ports + 1] = math.tointeger(tonumber(port))
      end
    end
    fn(ports, process, function() return core.sys.read_file(err) end)
    process:kill "TERM"
    local ended = assert(process:wait())
    assert.equal(143, ended.status)
  end

  local function alive(id)
    local stat = core.sys.read_file("/proc/" .. id .. "/stat")
    return stat ~= nil and not stat:find "^%d+ %b() Z"
  end

  -- Kills the machines' sshds: groups that children of ours lead.
  local function cut()
    local pid = ("%d"):format(core.sys.pid())
    for id in core.sys.read_file("/proc/" .. pid .. "/task/" .. pid .. "/children"):gmatch "%d+" do
      if (core.sys.read_file("/proc/" .. id .. "/comm") or ""):find "^sshd" then
        local kill <close> = assert(core.process.spawn { args = { "kill", "-9", "--",
          "-" .. id } })
        kill:wait()
      end
    end
  end

  -- What comes back for a text through a port, or a socket's path.
  local function through(place, text)
    local stream, err
    if math.type(place) == "integer" then
      stream, err = core.tcp.connect("127.0.0.1", place)
    else
      stream, err = core.unix.connect(place)
    end
    assert(stream, err and err.message)
    local held <close> = stream
    if not held:write(text) then
      return nil
    end
    held:shutdown()
    local parts = {}
    for chunk in function() return held:read() end do
      parts[#parts + 1] = chunk
    end
    return table.concat(parts)
  end

  it_runs("-L, -R and sockets, many at once", function()
    local here, there = dir .. "/here", dir .. "/there"
    local away = assert(core.unix.listen(there))
    local answering = core.spawn(function()
      for _ = 1, 2 do
        local held <close> = assert(away:accept())
        held:write(("from a socket: " .. (held:read() or "")))
      end
    end)
    assert(core.sys.chmod(dir, 511))
    assert(core.sys.chmod(there, 511))
    tunnel({ "-L", "0:" .. target(), "-L", here .. ":" .. target(), "-L", "0:" .. there,
      "-R", "0:" .. target(), "-R", "0:" .. there, "web-01" }, 4, function(ports)
      assert.equal("LOCAL", through(ports[1], "local"))
      assert.equal("SOCKET", through(here, "socket"))
      assert.equal("from a socket: x", through(ports[2], "x"))
      assert.equal("REMOTE", through(ports[3], "remote"))
      assert.equal("from a socket: y", through(ports[4], "y"))
      local stat = core.sys.stat(here)
      assert.equal(384, stat.mode & 511) -- 0600
    end)
    answering:await()
    away:close()
    assert.is_nil(core.sys.stat(here))
  end)

  it_runs("50 connections at once, each 1 MB, their ends kept apart", function()
    local text = ("abcdefghijklmnop"):rep(65536)
    tunnel({ "-L", "0:" .. target(), "web-01" }, 1, function(ports)
      local tasks = {}
      for i = 1, 50 do
        tasks[i] = core.spawn(through, ports[1], text .. i)
      end
      for i, task in ipairs(tasks) do
        assert.is_true(task:await() == text:upper() .. i, "connection " .. i)
      end
    end)
  end)

  it_runs("-D for SOCKS 4, 4a and 5 of curl; -R alone for clients there", function()
    local http = assert(core.tcp.listen("127.0.0.1", 0))
    local serving = core.spawn(function()
      while true do
        local stream = http:accept()
        if not stream then
          return
        end
        local held <close> = stream
        held:read()
        held:write "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage"
      end
    end)
    tunnel({ "-D", "0", "-R", "0", "web-01" }, 2, function(ports)
      for _, port in ipairs(ports) do
        for _, kind in ipairs { "socks4", "socks4a", "socks5", "socks5h" } do
          assert.equal("page", shell(("curl -sS -m 10 -x %s://127.0.0.1:%d http://127.0.0.1:%d/")
            :format(kind, port, http:port())), kind)
        end
      end
      assert.matches("%(5%)\n$", shell(("curl -sS -m 10 -x socks5h://127.0.0.1:%d "
        .. "http://127.0.0.1:1/ 2>&1"):format(ports[1]))) -- connection refused
    end)
    http:close()
    serving:await()
  end)

  it_runs("tells of a target that refuses, and goes on", function()
    tunnel({ "-L", "0:127.0.0.1:1", "-L", "0:/nonexistent/socket", "-L", "0:" .. target(),
      "web-01" }, 3, function(ports, _, said)
      assert.equal("", through(ports[1], "x"))
      assert.equal("", through(ports[2], "x"))
      assert.equal("FINE", through(ports[3], "fine"))
      assert.matches("127.0.0.1:1: Connection refused", said(), 1, true)
      assert.matches("/nonexistent/socket", said(), 1, true)
    end)
  end)

  it_runs("a port in use: said, the rest goes on; ExitOnForwardFailure ends it", function()
    local taken = listener:port()
    local function words(...)
      return { "ssh", "-L", ("127.0.0.1:%d:localhost:1"):format(taken), ... }
    end
    local ended = run(words("web-01", "echo on"))
    assert.same({ 0, "on\n" }, { ended.status, ended.out })
    assert.matches("Address already in use", ended.err, 1, true)
    assert.matches("choose another port", ended.err, 1, true)
    ended = run(words("-o", "ExitOnForwardFailure=yes", "web-01", "echo on"))
    assert.same({ 255, "" }, { ended.status, ended.out })
    local free <close> = assert(core.tcp.listen("127.0.0.1", 0))
    local port = free:port()
    free:close()
    local again = ("%d:localhost:1"):format(port)
    ended = run { "ssh", "-o", "ExitOnForwardFailure=yes", "-R", again, "-R", again, "web-01",
      "echo on" }
    assert.same({ 255, "" }, { ended.status, ended.out })
    assert.matches("does not listen on localhost:" .. port, ended.err, 1, true)
  end)

  it_runs("a privileged port there is refused; so is one here for an ordinary user", function()
    local ended = run { "ssh", "-o", "ExitOnForwardFailure=yes", "-R", "80:localhost:1", "web-01",
      "true" }
    assert.equal(255, ended.status)
    assert.matches("below 1024", ended.err, 1, true)
    if core.sys.getuid() ~= 0 then
      ended = run { "ssh", "-o", "ExitOnForwardFailure=yes", "-L", "80:localhost:1", "web-01",
        "true" }
      assert.equal(255, ended.status)
      assert.matches("ports below 1024 need root", ended.err, 1, true)
    end
  end)

  it_runs("a socket's file that is in the way, unless StreamLocalBindUnlink", function()
    local path = dir .. "/stale"
    shell(("socat -u UNIX-LISTEN:%s,unlink-close=0 /dev/null & P=$!; sleep 0.3; kill -9 $P")
      :format(path))
    assert.is_truthy(core.sys.stat(path))
    local words = { "ssh", "-o", "ExitOnForwardFailure=yes", "-L", path .. ":localhost:1" }
    local ended = run(table.move({ "web-01", "true" }, 1, 2, #words + 1,
      table.move(words, 1, #words, 1, {})))
    assert.equal(255, ended.status)
    assert.matches("StreamLocalBindUnlink", ended.err, 1, true)
    ended = run(table.move({ "-o", "StreamLocalBindUnlink=yes", "web-01", "true" }, 1, 4,
      #words + 1, words))
    assert.equal(0, ended.status, ended.err)
  end)

  it_runs("-g and * listen on all addresses, localhost is the default", function()
    tunnel({ "-L", "0:" .. target(), "-L", "*:0:" .. target(), "web-01" }, 2, function(ports)
      local sockets = core.sys.read_file "/proc/net/tcp"
      assert.matches(("0100007F:%04X"):format(ports[1]), sockets, 1, true)
      assert.matches(("00000000:%04X"):format(ports[2]), sockets, 1, true)
    end)
    tunnel({ "-g", "-L", "0:" .. target(), "web-01" }, 1, function(ports)
      assert.matches(("00000000:%04X"):format(ports[1]), core.sys.read_file "/proc/net/tcp", 1,
        true)
    end)
  end)

  it_runs("-W leads stdin and stdout there", function()
    local ended = run({ "ssh", "-W", target(), "web-01" }, nil, { stdin = "through\n" })
    assert.same({ 0, "THROUGH\n" }, { ended.status, ended.out })
    ended = run({ "ssh", "-W", "localhost:1", "web-01" }, nil, { stdin = "x" })
    assert.equal(255, ended.status)
    assert.matches("Connection refused", ended.err, 1, true)
    ended = run { "ssh", "-W", "nonsense", "web-01" }
    assert.equal(255, ended.status)
    assert.matches("option '-W nonsense': HOST:PORT", ended.err, 1, true)
  end)

  it_runs("refuses a forwarding that it cannot read", function()
    for words, text in pairs {
      [{ "-L", "80000:a:1" }] = "option '-L 80000:a:1': [ADDRESS:]PORT:HOST:PORT",
      [{ "-L", "1" }] = "option '-L 1'", [{ "-D", "x" }] = "option '-D x': [ADDRESS:]PORT",
      [{ "-R", "/tmp/x:localhost:1" }] = "a socket's path on the machine cannot be listened on",
      [{ "-L", "name.example:1:a:1" }] = "cannot listen on name.example",
    } do
      local ended = run { "ssh", "-o", "ExitOnForwardFailure=yes", words[1], words[2], "web-01",
        "true" }
      assert.equal(255, ended.status)
      assert.matches(text, ended.err, 1, true)
    end
  end)

  it_runs("a shell's forwarded connections hold it until they end", function()
    local started = cli.start { "ssh", "-L", dir .. "/hold:" .. target(), "web-01",
      "echo up; sleep 1" }
    started:await_output "up"
    local stream <close> = assert(core.unix.connect(dir .. "/hold"))
    stream:write "a"
    assert.equal("A", stream:read())
    core.sleep(1.5)
    stream:write "b"
    assert.equal("B", stream:read())
    stream:close()
    local ended = started:wait()
    assert.equal(0, ended.status)
    assert.matches("waiting for forwarded connections to end", ended.err, 1, true)
  end)

  it_runs("--reconnect: a line that says so, and the same ports", function()
    tunnel({ "--reconnect", "-L", "0:" .. target(), "-R", "0:" .. target(), "web-02" }, 2,
      function(ports, _, said)
        assert.equal("ONE", through(ports[1], "one"))
        cut()
        while not said():find("connected again", 1, true) do
          assert(core.sleep(0.05))
        end
        assert.matches("web%-02: .*; connecting again in %d+ s\n", said())
        assert.equal("TWO", through(ports[1], "two"))
      end)
  end)

  it_runs("without --reconnect a lost tunnel ends with 255", function()
    local started = cli.start { "ssh", "-N", "web-02" }
    core.sleep(1)
    cut()
    local ended = started:wait()
    assert.equal(255, ended.status)
    assert.matches("^arclua: the connection ended", ended.err)
  end)

  it_runs("--while runs a program, whose status it gives, and whose port is in the environment",
    function()
      local ended = run({ "ssh", "-L", "0:" .. target(), "web-01", "--while", "sh", "-c",
        [[printf 'via %s\n' "$1" | socat -t5 - TCP:127.0.0.1:$ARCLUA_PORT; exit 9]], "sh", "a 'b" })
      assert.same({ 9, "VIA A 'B\n" }, { ended.status, ended.out })
      assert.equal(127, run({ "ssh", "web-01", "--while", "no-such-program" }).status)
      ended = run { "ssh", "web-01", "--while", "sh", "-c", "kill -TERM $$" }
      assert.equal(143, ended.status)
    end)

  it_runs("--while's program ends with the tunnel, and with us", function()
    local started = cli.start { "ssh", "web-02", "--while", "sh", "-c",
      "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.1; done" }
    started:await_output "up"
    cut()
    local ended = started:wait()
    assert.equal(255, ended.status)
    assert.equal("up\ntold\n", ended.out)
    started = cli.start { "ssh", "web-01", "--while", "sh", "-c", "echo $$; exec sleep 300" }
    started:await_output "\n"
    local id = started.out.seen:match "%d+"
    started.process:kill "KILL"
    started:wait()
    core.sleep(0.2)
    assert.is_false(alive(id))
  end)

  it_runs("--rdp opens a port for Remote Desktop, and starts a client if there is one", function()
    assert(core.sys.mkdir(dir .. "/bin"))
    assert(core.sys.write_file(dir .. "/bin/xfreerdp", "#!/bin/sh\necho client \"$@\"\n", 493))
    local ended = run({ "ssh", "--rdp", "web-01" }, { DISPLAY = ":0",
      PATH = dir .. "/bin:" .. os.getenv "PATH" })
    assert.equal(0, ended.status, ended.err)
    assert.matches("^client /v:localhost:%d+ /u:", ended.out)
    local started = cli.start({ "ssh", "--rdp", "web-01" }, { DISPLAY = false,
      WAYLAND_DISPLAY = false })
    core.sleep(1.5)
    started.process:kill "TERM"
    ended = started:wait()
    assert.equal(143, ended.status)
    assert.matches("Remote Desktop of web%-01 is at localhost:%d+; Ctrl%-C ends it", ended.err)
  end)

  it_runs("a tunnel ends with who started it, unless nohup says otherwise", function()
    local text = shell "$PROGRAM ssh -N web-01 >/dev/null & echo $!; sleep 2"
    local id = text:match "%d+"
    while alive(id) do
      assert(core.sleep(0.05))
    end
    text = shell "nohup $PROGRAM ssh -N web-01 >/dev/null & echo $!; sleep 2"
    id = text:match "%d+"
    core.sleep(0.5)
    assert.is_true(alive(id))
    shell("kill " .. id)
  end)

  it_runs("-f -N stays, with its forwardings, when its starter has gone", function()
    local path = dir .. "/stays"
    local text = shell(("$PROGRAM ssh -f -N -L %s:%s web-01; echo $?"):format(path, target()))
    assert.equal("0\n", text)
    assert.equal("STILL HERE", through(path, "still here"))
    shell(([[for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q '%s' &&
      [ "${p#/proc/}" != $$ ] && kill ${p#/proc/}; done]]):format(path))
    while core.sys.stat(path) do
      assert(core.sleep(0.05))
    end
  end)
end)
