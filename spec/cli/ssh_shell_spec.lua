-- SPDX-License-Identifier: MIT
-- arclua ssh at a real terminal.
local cli = require "cli"
local core = require "arclua.core"
local program = require "program"
local terminal = require "terminal"

local it_runs = cli.it

describe("arclua ssh at a terminal", function()
  cli.with { { name = "web-01" }, { name = "web-02" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
    { name = "win-01", os = "windows", group = "rg-win" },
    { name = "win-02", os = "windows", group = "rg-win", shell = "powershell" } }

  local function open(words, opts)
    opts = opts or {}
    local changes = { TERM = "xterm-256color" }
    for name, value in pairs(opts.env or {}) do
      changes[name] = value
    end
    opts.env = cli.environment(changes)
    return terminal.open({ program.path, "ssh", table.unpack(words) }, opts)
  end

  -- Ends with this status, and the terminal is as it was.
  local function ends(t, status)
    local got, same = t:status()
    assert.equal(status, got, t:text())
    assert.is_true(same, "the terminal's settings have changed")
  end

  -- Runs fn(terminal) with a shell whose prompt is "READY:".
  -- A shell of our own that runs arclua as a job.
  local function jobs(fn)
    local t <close> = terminal.open({ "sh", "-i" }, { env = cli.environment { TERM = "xterm",
      PROGRAM = program.path } })
    t:type "PS1=LOC; PS1=${PS1}AL:\r"
    t:await "LOCAL:"
    fn(t)
  end

  -- Whether the terminal is a shell's: lines, echo, signals.
  local function usual(t)
    t:type "stty -a | grep -o -w -e '-*icanon' -e '-*echo' -e '-*isig' -e '-*opost' | tr '\\n' .\r"
    t:await "opost.isig.icanon.echo."
    t:await "LOCAL:"
  end

  local function shell(words, fn, opts)
    local t <close> = open(words, opts)
    t:await "$ "
    t:type "bind 'set enable-bracketed-paste off'; PS1=REA; PS1=${PS1}DY:\r"
    t:await "READY:"
    fn(t)
  end

  it_runs("a shell: echo, size, type, exit status", function()
    shell({ "web-01" }, function(t)
      t:type "echo sum $((40 + 2))\r"
      t:await "\r\nsum 42\r\n"
      t:type "stty size; echo $TERM; echo $ARC_MACHINE; tty\r"
      t:await "\r\n33 99\r\nxterm-256color\r\nweb-01\r\n/dev/pts/"
      t:type "exit 7\r"
      t:await "Connection to web-01 closed."
      ends(t, 7)
    end, { cols = 99, rows = 33 })
  end)

  it_runs("follows the window's size", function()
    shell({ "web-01" }, function(t)
      t:resize(101, 31)
      t:type "stty size\r"
      t:await "31 101\r\n"
      t:type "sh -c 'trap \"stty size\" WINCH; echo up; while :; do sleep .1; done'\r"
      t:await "\r\nup\r\n"
      t:resize(70, 20)
      t:await "20 70\r\n"
      t:type "\3"
      t:await "READY:"
      t:type "exit 0\r"
      ends(t, 0)
    end)
  end)

  for _, size in ipairs { { 1, 1 }, { 0, 0 } } do
    it_runs(("a terminal of %d x %d"):format(size[1], size[2]), function()
      local t <close> = open({ "-t", "web-01", "stty size; read x; echo got $x" },
        { cols = size[1], rows = size[2] })
      t:await(("%d %d\r\n"):format(size[2], size[1]))
      t:type "it\r"
      t:await "got it"
      ends(t, 0)
    end)
  end

  it_runs("passes every byte of a full-screen program on", function()
    local t <close> = open { "-t", "web-01", [[stty raw -echo
      printf '\033[?1049h\033[?25l\033[2J\033[5;10Hx'
      i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i + 1)); done
      head -c 3 | od -An -tx1; printf '\033[?25h\033[?1049l'; stty sane]] }
    local all = {}
    for i = 0, 255 do
      all[i + 1] = string.char(i)
    end
    t:await("\27[?1049h\27[?25l\27[2J\27[5;10Hx" .. table.concat(all))
    t:type "\3\26\255"
    t:await "03 1a ff"
    t:await "\27[?25h\27[?1049l"
    ends(t, 0)
  end)

  it_runs("Ctrl-C ends what runs there, not us", function()
    shell({ "web-01" }, function(t)
      t:type "sleep 100; echo never\r"
      core.sleep(0.2)
      t:type "\3"
      t:await "READY:"
      t:type "echo alive\r"
      t:await "\r\nalive"
      t:type "exit 0\r"
      ends(t, 0)
    end)
  end)

  it_runs("Ctrl-C is not behind megabytes of output", function()
    shell({ "web-01" }, function(t)
      t.counting = true
      t:type "yes\r"
      while (t.bytes or 0) < 200000 do
        core.sleep(0.01)
      end
      t.paused = core.cond() -- nobody reads: all there is between us fills up
      core.sleep(1)
      t:type "\3"
      core.sleep(0.3)
      local before, waiting = t.bytes, t.paused
      t.paused = nil
      waiting:broadcast()
      t.counting = false
      t:await "READY:"
      assert.is_true(t.bytes - before < 2500000, tostring(t.bytes - before))
      t:type "exit 0\r"
      ends(t, 0)
    end)
  end)

  it_runs("100 MB of output", function()
    local megabytes = os.getenv "ARCLUA_PRELOAD" and 10 or 100 -- the sanitizers are slow
    local t <close> = open { "-t", "web-01",
      ("stty -opost; head -c %d000000 /dev/zero"):format(megabytes) }
    t.counting = true
    ends(t, 0)
    while (t.bytes or 0) < megabytes * 1000000 do
      assert(core.sleep(0.01))
    end
    assert.is_true(t.bytes < megabytes * 1000000 + 100)
  end)

  it_runs("~. ends it, and so it does when the machine is silent", function()
    shell({ "web-01" }, function(t)
      t:type "sleep 100\r"
      t:type "~."
      t:await "Connection to web-01 closed."
      ends(t, 255)
    end)
  end)

  it_runs("~? and ~# tell, ~~ and what is no sequence go on", function()
    shell({ "web-01" }, function(t)
      t:type "\r~?"
      t:await "~^Z  - suspend arclua\r\n"
      t:type "~#"
      t:await "no forwarded connections\r\n"
      t:type "cat\r"
      t:await "cat\r\n"
      core.sleep(0.2)
      for typed, seen in pairs { ["~~a"] = "~a", ["~b"] = "~b", ["x~."] = "x~." } do
        t:type(typed .. "\r")
        t:await(("%s\r\n%s\r\n"):format(seen, seen))
      end
      t:type "\4exit 3\r"
      ends(t, 3)
    end)
  end)

  it_runs("-e chooses the escape character, or none", function()
    shell({ "-e", "^]", "web-01" }, function(t)
      t:type "\r\29."
      t:await "^].\r\nConnection to web-01 closed."
      ends(t, 255)
    end)
    shell({ "-e", "none", "web-01" }, function(t)
      t:type "\r~.\r"
      t:await "not found"
      t:type "exit 4\r"
      ends(t, 4)
    end)
  end)

  it_runs("is stopped by ~^Z, and goes on", function()
    jobs(function(t)
      t:type "$PROGRAM ssh web-01\r"
      t:await "~$ "
      t:type "PS1=REA; PS1=${PS1}DY:\r"
      t:await "READY:"
      t:type "\r~\26"
      t:await "~^Z [suspend]"
      t:await "LOCAL:"
      usual(t)
      t:resize(66, 22)
      t:type "fg\r"
      core.sleep(0.3)
      t:type "stty size\r"
      t:await "22 66\r\n"
      t:type "exit 9\r"
      t:await "closed."
      t:await "LOCAL:"
      t:type "echo was $?; exit\r"
      t:await "was 9"
      ends(t, 0)
    end)
  end)

  it_runs("is stopped by a SIGTSTP from elsewhere, and goes on", function()
    jobs(function(t)
      t:type "sh -c 'echo $$ >arclua; exec $PROGRAM ssh web-01'\r"
      t:await "~$ "
      local kill <close> = assert(core.process.spawn { args = { "kill", "-TSTP",
        t:await_file "arclua" } })
      kill:wait()
      t:await "LOCAL:"
      usual(t)
      t:type "fg\r"
      core.sleep(0.3)
      t:type "echo $((1 + 1))back\r"
      t:await "2back"
      t:type "exit 0\r"
      t:await "closed."
      t:await "LOCAL:"
      t:type "exit\r"
      ends(t, 0)
    end)
  end)

  for signal, status in pairs { TERM = 143, HUP = 129, INT = 130, QUIT = 131, ABRT = 134 } do
    it_runs("puts the terminal back when it gets SIG" .. signal, function()
      shell({ "web-01" }, function(t)
        t:kill(signal)
        ends(t, status)
      end)
    end)
  end

  it_runs("puts the terminal back when the peer is killed", function()
    shell({ "web-01" }, function(t)
      t:type "kill -9 $PPID\r"
      t:await "arclua: "
      ends(t, 255)
    end)
  end)

  it_runs("switches off what a program that was cut off had switched on", function()
    for _, ending in ipairs { "kill -9 $PPID\r", "sleep 100\r~." } do
      shell({ "web-01" }, function(t)
        t:type "printf '\\033[?1049h\\033[?25;1000h\\033[?2004h\\033[?25l\\033='; echo on\r"
        t:await "\27=on\r\n"
        t:type(ending)
        t:await "\27>\27[?1000l\27[?2004l\27[?25h\27[?1049l\27[m"
        ends(t, 255)
      end)
    end
  end)

  it_runs("puts the terminal back when the relay's connection is lost", function()
    local fault = cli.e:fault { at = "link", kind = "reset", bytes = 100000, machine = "web-02" }
    shell({ "web-02" }, function(t)
      t:type "cat /dev/zero | tr '\\0' x\r"
      t:await "arclua: "
      ends(t, 255)
    end)
    cli.e:clear(fault)
  end)

  it_runs("-t gives a command a terminal, -T takes it from a shell", function()
    local t <close> = open { "-t", "web-01", "tty; exit 5" }
    t:await "/dev/pts/"
    ends(t, 5)
    local other <close> = open { "-T", "web-01" }
    core.sleep(0.5)
    other:type "tty\nexit 6\n"
    other:await "not a tty"
    ends(other, 6)
    local plain <close> = open { "web-01", "tty" }
    plain:await "not a tty"
    ends(plain, 1)
  end)

  it_runs("a Windows machine: cmd and PowerShell", function()
    local t <close> = open { "win-01" }
    t:await "C:\\Users\\arc>"
    t:type "echo hello\r"
    t:await "\r\nhello\r\n"
    t:type "exit 3\r"
    ends(t, 3)
    local other <close> = open { "win-02" }
    other:await "PS C:\\Users\\arc> "
    other:type "Write-Output hello\r"
    other:await "\r\nhello\r\n"
    other:type "exit 4\r"
    ends(other, 4)
  end)

  it_runs("asks at the terminal whether to set a machine up", function()
    local t <close> = open { "-t", "bare-01", "echo ready" }
    t:await "Set bare-01 up for SSH? [y/N] "
    t:type "n\r"
    ends(t, 255)
    local other <close> = open { "-t", "bare-01", "echo ready" }
    other:await "[y/N] "
    other:type "y\r"
    other:await "\r\nready\r\n"
    ends(other, 0)
  end)

end)
