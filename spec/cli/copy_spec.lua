-- SPDX-License-Identifier: MIT
-- arclua copy, as a user runs it.
local cli = require "cli"
local core = require "arclua.core"
local json = require "arclua.json"

local it_runs, run = cli.it, cli.run

describe("arclua copy", function()
  cli.with {
    { name = "web-01" }, { name = "web-02" },
    { name = "db-01", group = "rg-db" }, { name = "db-01", group = "rg-other" },
    { name = "off-01", group = "rg-off", status = "Disconnected" },
    { name = "win-01", group = "rg-win", os = "windows" },
  }

  local dir
  before_each(function()
    dir = assert(core.sys.mkdtemp "arclua-copy-")
  end)
  after_each(function()
    assert(core.sys.remove(dir))
    cli.e:clear()
  end)

  local function put(name, text)
    assert(core.sys.write_file(dir .. "/" .. name, text, 420))
  end

  local function get(name)
    return core.sys.read_file(dir .. "/" .. name)
  end

  local function there(machine, name)
    return core.sys.read_file(assert(cli.e:home(machine)) .. "/" .. name)
  end

  local function record(ended)
    return assert(json.decode(ended.out))
  end

  it_runs("copies to many machines, folded", function()
    put("f", "hello")
    local ended = run { "copy", "-g", "rg-prod", dir .. "/f", ":" }
    assert.equal("---------------\nweb-[01-02] (2)\n---------------\n1 file, 5 B\n", ended.out)
    assert.matches("^2 ok in [%d.]+ s\n$", ended.err)
    assert.equal(0, ended.status)
    assert.same({ "hello", "hello" }, { there("web-01", "f"), there("web-02", "f") })
  end)

  it_runs("copies to one by its name, and back", function()
    put("f", "text")
    assert.equal(0, run({ "copy", dir .. "/f", "web-01:made/by/" }).status)
    assert.equal("text", there("web-01", "made/by/f"))
    assert.equal(0, run({ "copy", dir .. "/f", "rg-db/db-01:~/g" }).status)
    assert.equal("text", there("rg-db/db-01", "g"))
    assert.equal(0, run({ "copy", "rg-db/db-01:g", dir .. "/back" }).status)
    assert.equal("text", get "back")
    assert.equal(0, run({ "copy", cli.e:machine("rg-db/db-01").id .. ":g", dir .. "/b2" }).status)
  end)

  it_runs("fills in names", function()
    put("web-01.conf", "one")
    put("web-02.conf", "two")
    assert.equal(0, run({ "copy", "-n", "web-*", dir .. "/{name}.conf", ":conf" }).status)
    assert.same({ "one", "two" }, { there("web-01", "conf"), there("web-02", "conf") })
    assert.equal(0, run({ "copy", "-n", "web-*", ":conf", dir .. "/down/{name}/{os}.conf" }).status)
    assert.same({ "one", "two" }, { get "down/web-01/linux.conf", get "down/web-02/linux.conf" })
    assert.equal(0, run({ "copy", "-n", "web-*", ":conf", dir .. "/each/" }).status)
    assert.same({ "one", "two" }, { get "each/web-01/conf", get "each/web-02/conf" })
  end)

  it_runs("wants a target for each machine", function()
    local ended = run { "copy", "-n", "web-*", ":conf", dir .. "/x" }
    assert.equal(2, ended.status)
    assert.matches("write {name} into", ended.err, 1, true)
    ended = run { "copy", "-n", "db-*", ":conf", dir .. "/x/" }
    assert.equal(2, ended.status)
    assert.matches("write {group}", ended.err, 1, true)
    assert.is_nil(core.sys.stat(dir .. "/x"))
  end)

  it_runs("tells usage errors", function()
    for _, case in ipairs {
      { { "copy" }, "nothing to copy" }, { { "copy", "a" }, "no target" },
      { { "copy", "a", "b" }, "is on a machine" },
      { { "copy", "a", ":b" }, "no machines selected" },
      { { "copy", "web-01:a", "web-02:b" }, "both on machines" },
      { { "copy", "web-01:a", "web-02:b", "c" }, "the same one" },
      { { "copy", "--all", "a", "web-01:b" }, "names the machine" },
      { { "copy", "", ":b" }, "empty word" },
      { { "copy", "--all", "--symlinks", "x", "a", ":" }, "copy, follow, skip expected" },
      { { "copy", "--all", "--limit-rate", "0", "a", ":" }, "a number of bytes" },
      { { "copy", "--all", "--connections", "99", "a", ":" }, "from 1 to 16" },
      { { "copy", "--all", "--fsync", "--no-fsync", "a", ":" }, "exclude each other" },
      { { "copy", "--all", "-b", "-o", "json", "a", ":" }, "exclude each other" },
      { { "copy", "--all", "--replace", "a", ":" }, "needs --enable" },
      { { "copy", "--all", "--sudo", "a", ":" }, "--sudo" },
      { { "copy", "-J", "x", "a", "web-01:" }, "option '--jump'" },
      { { "copy", "--direct", "a", ":" }, "needs hosts" },
      { { "copy", "--direct", "--all", "-n", "h", "a", ":" }, "for machines of Azure Arc" },
    } do
      local ended = run(case[1])
      assert.equal(2, ended.status, ended.err)
      assert.matches(case[2], ended.err, 1, true)
    end
    local ended = run { "copy", "--all", "--exclude-files", "[", dir, ":" }
    assert.equal(1, ended.status)
    assert.matches("glob '['", ended.err, 1, true)
  end)

  it_runs("prints records", function()
    put("f", "12345")
    local ended = run { "copy", dir .. "/f", dir .. "/none", "web-01:d/", "-o", "jsonl" }
    assert.equal(5, ended.status)
    assert.matches('"ended":"confirmed","files":1,"bytes":5,"same":0,"skipped":0,"failed":1,'
      .. '"failures":[{"path":"' .. dir .. '/none","error":{"code":"notfound"', ended.out, 1, true)
    local value = record(ended)
    assert.same({ "failed", "copy", "copy.failed", "1 file, 5 B\n" },
      { value.state, value.phase, value.error.reason, value.stdout })
    assert.matches("none: No such file", value.stderr, 1, true)
    ended = run { "copy", dir .. "/f", "web-01:d/", "--checksum", "-o", "json" }
    assert.same({ 0, 1 }, { record(ended)[1].files, record(ended)[1].same })
    ended = run { "copy", dir .. "/f", "web-01:d/", "-o", "quiet" }
    assert.same({ "", "" }, { ended.out, ended.err })
    ended = run { "copy", dir .. "/none", "web-01:d/", "-o", "live" }
    assert.matches("^web%-01: .-No such file.-\nweb%-01: failed: 1 of 1 file was not copied\n",
      ended.err)
  end)

  it_runs("says which machine cannot be reached, and which has no SFTP", function()
    put("f", "x")
    cli.e:fault { at = "sftp", kind = "absent", machine = "web-01" }
    local ended = run { "copy", "-n", "web-01", "-n", "off-01", dir .. "/f", ":" }
    assert.equal(4, ended.status)
    assert.matches("off-01: unreachable: agent disconnected", ended.err, 1, true)
    assert.matches("web-01: failed: the SSH server has no subsystem 'sftp'", ended.err, 1, true)
    assert.equal(5, run({ "copy", dir .. "/f", "web-01:" }).status)
  end)

  it_runs("goes on after what fails: a full disk, nothing writable", function()
    put("large", ("x"):rep(100000))
    put("small", "x")
    cli.e:fault { at = "sftp", kind = "full", machine = "web-01", bytes = 20480 }
    cli.e:fault { at = "sftp", kind = "read-only", machine = "web-02" }
    local ended = run { "copy", "-r", dir .. "/.", "web-01:full/", "-o", "json" }
    assert.equal(5, ended.status)
    local one = record(ended)[1]
    assert.same({ 1, 1, "large" }, { one.files, one.failed, one.failures[1].path:match "%w+$" })
    assert.equal("sftp.failure", one.failures[1].error.reason)
    assert.equal("x", there("web-01", "full/small"))
    assert.is_nil(there("web-01", "full/large"))
    assert.equal(1, #core.sys.list(cli.e:home "web-01" .. "/full")) -- no temporary file
    ended = run { "copy", dir .. "/small", "web-02:new" }
    assert.equal(5, ended.status)
    assert.matches("permission denied", ended.out, 1, true)
  end)

  it_runs("sums up on a Windows machine, too", function()
    put("f", "12345")
    local ended = run { "copy", dir .. "/f", "win-01:summed", "--checksum", "-o", "json" }
    assert.equal(0, ended.status, ended.out)
    assert.equal(1, record(ended)[1].files)
    ended = run { "copy", dir .. "/f", "win-01:summed", "--checksum", "-o", "json" }
    assert.equal(1, record(ended)[1].same)
    put("f", "54321")
    ended = run { "copy", dir .. "/f", "win-01:summed", "--checksum", "-o", "json" }
    assert.equal(1, record(ended)[1].files)
  end)

  it_runs("connects again when the connection breaks, and goes on", function()
    put("f", ("0123456789"):rep(1000000))
    cli.e:fault { at = "link", kind = "reset", from = "sender", bytes = 6000000, times = 1,
      machine = "web-01" }
    local ended = run { "copy", dir .. "/f", "web-01:f", "-o", "json" }
    assert.equal(0, ended.status, ended.err)
    assert.equal(2, record(ended)[1].attempts)
    assert.is_true(there("web-01", "f") == get "f")
    assert.equal("", cli.shell("find " .. cli.e:home "web-01" .. " -name '.*arclua*'"))
    cli.e:fault { at = "link", kind = "reset", from = "sender", bytes = 6000000,
      machine = "web-01" }
    ended = run { "copy", dir .. "/f", "web-01:g", "-o", "json", "--retries", "0" }
    assert.equal(5, ended.status)
    assert.matches("left behind: .g.arclua-", record(ended)[1].stderr, 1, true)
    cli.shell("rm -f " .. cli.e:home "web-01" .. "/.*arclua*")
  end)

  it_runs("stripes a large file", function()
    put("f", core.crypto.random(1000000):rep(80))
    local before = #cli.e:sessions "web-01"
    local ended = run { "copy", dir .. "/f", "web-01:large", "--connections", "3" }
    assert.equal(0, ended.status, ended.out)
    assert.equal(before + 3, #cli.e:sessions "web-01")
    ended = run { "copy", "web-01:large", dir .. "/g", "--connections", "3" }
    assert.equal(0, ended.status, ended.out)
    assert.is_true(get "f" == get "g")
    -- One of them breaks: the others do the rest.
    cli.e:fault { at = "link", kind = "reset", from = "machine", bytes = 3000000, times = 1,
      machine = "web-01" }
    ended = run { "copy", "web-01:large", dir .. "/h", "--connections", "3" }
    assert.equal(0, ended.status, ended.out)
    assert.is_true(get "f" == get "h")
  end)

  it_runs("leaves nothing when it is interrupted", function()
    put("f", ("x"):rep(5000000))
    local home = cli.e:home "web-01"
    for _, case in ipairs { { dir .. "/f", "web-01:slow" }, { "web-01:src", dir .. "/back" } } do
      cli.shell(("cp %s/f %s/src"):format(dir, home))
      local started = cli.start { "copy", case[1], case[2], "--limit-rate", "1M", "-o", "json" }
      core.sleep(0.8)
      started.process:kill "INT"
      local ended = started:wait()
      assert.equal(130, ended.status)
      assert.equal("cancelled", record(ended)[1].state)
      assert.equal("", cli.shell(
        ("find %s %s -name '.*arclua*' -o -name slow -o -name back"):format(home, dir)))
    end
  end)

  it_runs("keeps to time limits", function()
    put("f", ("x"):rep(5000000))
    local ended = run { "copy", dir .. "/f", "web-01:late", "--limit-rate", "1M", "--timeout",
      "0.5", "-o", "json" }
    assert.equal(3, ended.status)
    assert.equal("timeout", record(ended)[1].state)
    ended = run { "copy", dir .. "/f", "web-01:late", "--limit-rate", "1M", "--deadline", "0.7",
      "-o", "json" }
    assert.equal(3, ended.status)
    assert.equal("fleet.deadline", record(ended)[1].error.reason)
    assert.equal("", cli.shell("find " .. cli.e:home "web-01" .. " -name '*late*'"))
  end)

  it_runs("shows bars at a terminal", function()
    put("f", ("x"):rep(3000000))
    local shown = cli.run_terminal("copy --limit-rate 2M " .. dir .. "/f web-01:bars")
    assert.matches("f +%[#+ *%] +%d+%% ", shown)
    assert.matches("total +%[", shown)
    assert.matches("web%-01: 1 file, 3%.0 MB", (shown:gsub("\27%[[%d;]*m", "")))
    local piped = run { "copy", dir .. "/f", "web-01:bars", "-o", "live" }
    assert.is_nil(piped.err:find("[", 1, true))
  end)
end)
