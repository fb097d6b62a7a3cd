-- SPDX-License-Identifier: MIT
-- arclua exec, as a user runs it.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, lines, run, shell = cli.it, cli.lines, cli.run, cli.shell

describe("arclua exec", function()
  cli.with {
    { name = "web-01", tags = { role = "web" } }, { name = "web-02", tags = { role = "web" } },
    { name = "db-01", group = "rg-db", tags = { role = "db" } },
    { name = "win-01", os = "windows", group = "rg-win" },
    { name = "off-01", group = "rg-off", status = "Disconnected" },
    { name = "bare-01", group = "rg-bare", setup = "none" },
  }

  it_runs("folds identical output in a pipe", function()
    local ended = run { "exec", "web-*", "db-01", "--", "echo", "a  b" }
    assert.equal(0, ended.status, ended.err)
    assert.equal("---------------\ndb-01,web-[01-02] (3)\n---------------\na  b\n", ended.out)
    assert.matches("^3 ok in [%d.]+ s\n$", ended.err)
  end)

  it_runs("prints lines behind names with -o live", function()
    local ended = run { "exec", "web-01", "-o", "live", "--", "echo out; echo err >&2; printf x" }
    assert.equal("web-01: out\nweb-01: x\n", ended.out)
    assert.matches("web-01: err\n", ended.err, 1, true)
  end)

  it_runs("prints records with -o jsonl, in the documented order", function()
    local ended = run { "exec", "web-01", "-o", "jsonl", "--", "printf 'a\\n'; exit 3" }
    assert.equal(5, ended.status)
    assert.matches('^{"machine":"/subscriptions/.-","name":"web%-01","state":"failed",'
      .. '"status":3,"signal":null,"stdout":"a\\n","stderr":"","truncated":0,"error":{.-},'
      .. '"phase":"exec","attempts":1,"started":"%d+%-.-Z","seconds":[%d.]+,'
      .. '"ended":"confirmed"}\n$', ended.out)
  end)

  it_runs("keeps NUL bytes and what is not UTF-8", function()
    local ended = run { "exec", "web-01", "-o", "jsonl", "--", [[printf 'a\0\377b']] }
    local value = assert(json.decode(ended.out))
    assert.equal("a\0\xFFb", core.crypto.unbase64(value.stdout_base64))
  end)

  it_runs("gives the largest remote status with -S", function()
    assert.equal(42, run({ "exec", "web-01", "-S", "--", "exit 42" }).status)
  end)

  it_runs("ends a command that takes too long, status 3", function()
    local ended = run { "exec", "web-01", "--timeout", "300ms", "-o", "jsonl", "--", "sleep 20" }
    assert.equal(3, ended.status)
    local value = assert(json.decode(ended.out))
    assert.equal("timeout", value.state)
    assert.equal("confirmed", value.ended)
  end)

  it_runs("keeps the deadline for all", function()
    local ended = run { "exec", "web-*", "-P", "1", "--deadline", "500ms", "-o", "jsonl", "--",
      "sleep 20" }
    assert.equal(3, ended.status)
    for _, line in ipairs(lines(ended.out)) do
      assert.equal("fleet.deadline", assert(json.decode(line)).error.reason)
    end
    assert.equal(2, #lines(ended.out))
  end)

  it_runs("does not dial what is disconnected, says since when, status 4", function()
    local ended = run { "exec", "off-01", "-o", "jsonl", "--", "true" }
    assert.equal(4, ended.status)
    local value = assert(json.decode(ended.out))
    assert.equal("unreachable", value.state)
    assert.equal("machine.disconnected", value.error.reason)
    ended = run { "exec", "off-01", "web-01", "--skip-disconnected", "--", "true" }
    assert.equal(0, ended.status)
    assert.matches("1 disconnected left out", ended.err, 1, true)
  end)

  it_runs("fails a Windows machine by name for a POSIX-only option", function()
    local ended = run { "exec", "win-01", "--env", "A=1", "-o", "jsonl", "--", "true" }
    assert.equal(5, ended.status)
    local value = assert(json.decode(ended.out))
    assert.equal("machine.posix-only", value.error.reason)
    assert.equal("not-started", value.ended)
    assert.same({}, cli.e:sessions "win-01")
  end)

  it_runs("sets SSH up only with --enable", function()
    local ended = run { "exec", "bare-01", "-o", "jsonl", "--", "true" }
    assert.equal(4, ended.status)
    assert.equal("arm.setup-needed", assert(json.decode(ended.out)).error.reason)
    ended = run { "exec", "bare-01", "--enable", "--", "echo up" }
    assert.equal(0, ended.status, ended.err)
  end)

  it_runs("gives a file to every command", function()
    local path = os.tmpname()
    assert(core.sys.write_file(path, "line 1\nline 2\n"))
    local ended = run { "exec", "web-01", "--stdin", path, "-o", "live", "--", "cat -n" }
    assert.matches("2\tline 2\n", ended.out, 1, true)
    os.remove(path)
  end)

  it_runs("caps what it keeps and says so", function()
    local ended = run { "exec", "web-01", "-o", "jsonl", "--", "head -c 3000000 /dev/zero" }
    local value = assert(json.decode(ended.out))
    assert.equal(0, ended.status, ended.err)
    assert.is_true(#value.stdout <= 1024 * 1024)
    assert.equal(3000000, #value.stdout + value.truncated)
  end)

  -- The program's own peak of memory, in KiB, after a run of the command line in words.
  local function peak(words)
    local ended = run({ "-e", [[
      require("arclua.cli").main { [0] = "arclua", table.unpack(arg) }
      io.stderr:write(io.open("/proc/self/status"):read "a") ]],
      table.unpack(words) }, nil, { discard = true })
    return assert(tonumber(ended.err:match "VmHWM:%s*(%d+)"), ended.err)
  end

  it_runs("holds little of 100 MB, whatever it prints", function()
    if os.getenv "ASAN_OPTIONS" then
      return -- it keeps what was freed
    end
    for _, mode in ipairs { "live", "jsonl", "grouped", "quiet" } do
      assert.is_true(peak { "exec", "web-01", "-o", mode, "--",
        "head -c 100000000 /dev/zero | tr '\\0' x" } < 64 * 1024, mode)
    end
  end)

  it_runs("goes on when the reader of its output has gone", function()
    local path = os.tmpname()
    local out = shell(([[("$PROGRAM" exec 'web-*' -o live -- 'seq 1 9999' 2>%s; echo $? >> %s)
      | head -1]]):gsub("\n *", " "):format(path, path))
    assert.matches("^web%-0%d: 1\n$", out)
    assert.matches("^2 ok in [%d.]+ s\n0\n$", (core.sys.read_file(path)))
    os.remove(path)
  end)

  it_runs("goes on with a full disk, says so once and ends with 1", function()
    for _, mode in ipairs { "live", "jsonl", "grouped" } do
      local out = shell(([["$PROGRAM" exec 'web-*' -o %s -- 'seq 1 9' 2>&1 >/dev/full
        echo $?]]):format(mode))
      assert.matches("^arclua: standard output: [^\n]+\n2 ok in [%d.]+ s\n1\n$", out)
    end
    assert.equal("1\n", shell [["$PROGRAM" machines >/dev/full; echo $?]])
    assert.equal("1\n", shell [["$PROGRAM" help >/dev/full; echo $?]])
  end)

  it_runs("runs with closed standard descriptors", function()
    local out = shell [["$PROGRAM" exec web-01 -- true 2>&1 >&- <&-; echo $?]]
    assert.matches("^1 ok in [%d.]+ s\n0\n$", out)
    out = shell [["$PROGRAM" exec web-01 -o live -- echo hi 2>&- <&-; echo $?]]
    assert.equal("web-01: hi\n0\n", out)
  end)

  it_runs("leaves standard input alone", function()
    local out = shell [[echo mine | ("$PROGRAM" exec web-01 -o live -- 'cat; echo end'; cat)]]
    assert.equal("web-01: end\nmine\n", out)
  end)

  it_runs("has a result for every machine after Ctrl-C, status 130", function()
    local running = cli.start { "exec", "web-*", "-P", "1", "-o", "jsonl", "--",
      "touch started; sleep 20" }
    while not core.sys.stat(assert(cli.e:home "web-01") .. "/started") do
      core.sleep(0.02)
    end
    running.process:kill "INT"
    local ended = running:wait()
    assert.equal(130, ended.status)
    local list = lines(ended.out)
    assert.equal(2, #list, ended.err)
    assert.equal("cancelled", assert(json.decode(list[1])).state)
    assert.equal("confirmed", assert(json.decode(list[1])).ended)
    assert.equal("fleet.stopped", assert(json.decode(list[2])).error.reason)
  end)

  it_runs("wants a selector or --all, with three examples", function()
    local ended = run { "exec", "--", "true" }
    assert.equal(2, ended.status)
    local _, examples = ended.err:gsub("\n  arclua exec ", "")
    assert.equal(3, examples)
  end)
end)
