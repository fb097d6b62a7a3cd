-- SPDX-License-Identifier: MIT
-- Commands: output, input, status, many at once, lost connections.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both = harness.both

describe("session:exec", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  local function with(fn, changes, settings)
    return function() lab:with(fn, changes, settings) end
  end

  -- The same for the plain and the guarded form.
  local function forms(name, fn)
    for form, guard in pairs { plain = false, guarded = true } do
      both(name .. ", " .. form, with(function(session)
        fn(function(command, opts)
          opts = opts or {}
          opts.guard = guard
          return session:exec(command, opts)
        end, session)
      end))
    end
  end

  forms("status, stdout and stderr", function(exec)
    local r = assert(exec("echo out; echo err >&2; exit 3"))
    assert.equal("failed", r.state)
    assert.equal(3, r.status)
    assert.is_nil(r.signal)
    assert.equal("out\n", r.stdout)
    assert.equal("err\n", r.stderr)
    assert.equal("confirmed", r.ended)
    assert.equal(3, r.err.status)
    assert.equal(0, r.truncated)
    r = assert(exec("true"))
    assert.equal("ok", r.state)
    assert.equal(0, r.status)
    assert.is_nil(r.err)
    assert.equal("", r.stdout)
    assert.equal("", r.stderr)
    assert.is_number(r.seconds)
  end)

  forms("a signal", function(exec)
    local r = assert(exec("kill -USR1 $$"))
    assert.equal("failed", r.state)
    assert.equal("USR1", r.signal)
    assert.is_nil(r.status)
    assert.truthy(r.err)
  end)

  forms("bytes as they are, without a last newline", function(exec)
    local r = assert(exec([[printf 'a\0b\377\r\nend']]))
    assert.equal("a\0b\255\r\nend", r.stdout)
  end)

  forms("quotes, newlines and backslashes arrive as written", function(exec)
    local text = [[it's "so" \ $HOME `x` !! * ~ ]] .. "\n\t%s"
    local r = assert(exec("printf '%s' '" .. text:gsub("'", [['\'']]) .. "'"))
    assert.equal(text, r.stdout)
    r = assert(exec("cat <<'E'\none\\n'\"\n\nE\necho \"$0\" >/dev/null; # comment"))
    assert.equal("one\\n'\"\n\n", r.stdout)
  end)

  forms("input from a string", function(exec)
    assert.equal("", assert(exec("cat")).stdout)
    local text = ("0123456789\0\n"):rep(40000)
    local r = assert(exec("cat", { stdin = text }))
    assert.equal(text, r.stdout)
    r = assert(exec("wc -c", { stdin = ("x"):rep(5000000) }))
    assert.equal("5000000", r.stdout:match("%d+"))
    r = assert(exec("exec <&-; true", { stdin = ("x"):rep(5000000) }))
    assert.equal("ok", r.state)
  end)

  forms("input from a stream", function(exec)
    local a, b = core.pair()
    local writer = core.spawn(function()
      for i = 1, 200 do
        if not b:write(("%09d\n"):format(i):rep(1000)) then break end
      end
      b:close()
    end)
    local r = assert(exec("md5sum; echo done", { stdin = a }))
    assert.matches("done\n$", r.stdout)
    writer:await()
    assert.has_error(function() a:read() end)
    a, b = core.pair()
    assert(b:write("abcdef"))
    r = assert(exec("head -c 3", { stdin = a }))
    assert.equal("abc", r.stdout)
    assert.equal("ok", r.state)
    b:close()
  end)

  forms("an environment that the server takes", function(exec)
    local r = assert(exec("echo $LAB_A-$LAB_B-$OTHER", { env = { LAB_A = "1", LAB_B = "x y",
      OTHER = "no" } }))
    assert.equal("1-x y-\n", r.stdout)
  end)

  forms("a terminal", function(exec)
    local r = assert(exec("test -t 0 && echo tty; echo err >&2", { pty = true }))
    assert.equal("tty\r\nerr\r\n", r.stdout)
    assert.equal("", r.stderr)
  end)

  forms("output beyond the cap keeps head and tail", function(exec)
    local r = assert(exec("seq 1 100000; echo x >&2", { max_output = 1000 }))
    assert.equal(1000, #r.stdout)
    assert.matches("^1\n2\n", r.stdout)
    assert.matches("99999\n100000\n$", r.stdout)
    assert.equal(588895 - 1000, r.truncated)
    for max, kept in pairs { [0] = "", [1] = "1", [3] = "12\n", [10] = "123456789\n" } do
      r = assert(exec("echo 123456789", { max_output = max }))
      assert.equal(kept, r.stdout)
      assert.equal(10 - max, r.truncated)
    end
  end)

  forms("output as it comes", function(exec)
    local seen, errs = {}, {}
    local r = assert(exec("echo one; sleep 0.05; echo two; echo err >&2", {
      on_stdout = function(chunk)
        core.sleep(0.001)
        seen[#seen + 1] = chunk
      end,
      on_stderr = function(chunk) errs[#errs + 1] = chunk end,
    }))
    assert.equal("one\ntwo\n", table.concat(seen))
    assert.equal("err\n", table.concat(errs))
    assert.equal("", r.stdout)
    assert.equal("ok", r.state)
    assert.equal(0, r.truncated)
  end)

  -- RSS of this process in KiB.
  local function resident()
    local text = assert(core.sys.read_file("/proc/self/statm"))
    return tonumber(text:match("^%d+ (%d+)")) * 4
  end

  both("to a callback slower than the machine, in bounded memory", with(function(session)
    collectgarbage()
    local before, most = resident(), 0
    local r = assert(session:exec("head -c 200000000 /dev/zero", {
      timeout = 2,
      on_stdout = function()
        core.sleep(0.02)
        collectgarbage()
        most = math.max(most, resident())
      end,
    }))
    assert.equal("timeout", r.state)
    assert.is_true(most - before < 40000, ("grew by %d KiB"):format(most - before))
  end))

  both("200 MB, capped", with(function(session)
    local r = assert(session:exec("head -c 200000000 /dev/zero"))
    assert.equal("ok", r.state)
    assert.equal(1048576, #r.stdout)
    assert.equal(200000000 - 1048576, r.truncated)
  end))

  both("a slow reader stops the command, not the session", with(function(session)
    local got, slow = 0, 0
    local r = assert(session:exec("head -c 20000000 /dev/zero", {
      on_stdout = function(chunk)
        if got == 0 then
          assert.equal("ok", assert(session:exec("true")).state)
          slow = slow + 1
        end
        got = got + #chunk
      end,
    }))
    assert.equal("ok", r.state)
    assert.equal(20000000, got)
    assert.equal(1, slow)
  end))

  both("fifty on one session", with(function(session)
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = core.spawn(function()
        local r = assert(session:exec("echo " .. i))
        return r.stdout
      end)
    end
    for i, task in ipairs(tasks) do
      assert.equal(i .. "\n", task:await())
    end
  end, nil, { "MaxSessions=100" }))

  both("a channel too many", with(function(session)
    local task = core.spawn(session.exec, session, "sleep 0.1")
    core.sleep(0.03)
    local r, err = session:exec("true")
    assert.is_nil(r)
    assert.equal("ssh.channel-refused", err.reason)
    assert.equal("ok", assert(task:await()).state)
  end, nil, { "MaxSessions=1" }))

  both("an error in a callback reaches the caller", with(function(session)
    local ok, err = pcall(session.exec, session, "echo x; sleep 98", {
      on_stdout = function() error({ mine = true }) end })
    assert.is_false(ok)
    assert.is_true(err.mine)
  end))

  it("refuses what it does not know", function()
    core.spawn(with(function(session)
      assert.has_error(function() session:exec("a\0b") end)
      assert.has_error(function() session:exec("a", { colour = 1 }) end)
      assert.has_error(function() session:exec("a", { guard = 1 }) end)
      assert.has_error(function() session:exec("a", { env = { 1 } }) end)
      assert.has_error(function() session:exec("a", { env = "x" }) end)
      assert.has_error(function() session:exec("a", { stdin = 1 }) end)
      assert.has_error(function() session:exec("a", { on_stdout = "print" }) end)
      assert.has_error(function() session:exec("a", { max_output = -1 }) end)
      session:close()
      session:close()
      assert.has_error(function() session:exec("a") end)
      assert.has_error(function() session:banner() end)
    end)):await()
    assert.equal("", harness.leftovers())
  end)
end)

describe("a connection that is lost", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- A session over a pair; returns the session, the sshd, and a function that breaks the line.
  local function breakable()
    local sshd = lab:start()
    local far = sshd:stream()
    local near, cut = core.pair()
    local splice = core.spawn(core.splice, cut, far)
    local session = assert(core.ssh.connect(near, lab:options()))
    return session, sshd, function() splice:cancel() end, splice
  end

  both("in mid-command: unknown", function()
    local session, sshd, cut, splice = breakable()
    local seen
    local r = assert(session:exec("echo x; sleep 97", { on_stdout = function(chunk)
      seen = chunk
      cut()
    end }))
    assert.equal("x\n", seen)
    assert.equal("unknown", r.state)
    assert.equal("ssh.lost", r.err.reason)
    assert.equal("unconfirmed", r.ended)
    local again, err = session:exec("true")
    assert.is_nil(again)
    assert.equal("ssh.closed", err.reason)
    session:close()
    splice:await()
    sshd:close()
  end)

  both("between the exit status and the end of the output: unknown", function()
    local session, sshd = assert(lab:connect())
    local seen = ""
    -- The status goes out when the shell ends, while its child still holds the output.
    local task = core.spawn(session.exec, session, "(sleep 0.3; echo late; sleep 9) & exit 0",
      { on_stdout = function(chunk) seen = seen .. chunk end })
    while seen ~= "late\n" do
      core.sleep(0.01)
    end
    sshd:kill("KILL")
    local r = assert(task:await())
    assert.equal("unknown", r.state)
    assert.equal(0, r.status)
    assert.equal("ssh.lost", r.err.reason)
    assert.truthy(r.err.message:find("output may be missing", 1, true))
    assert.equal("confirmed", r.ended)
    session:close()
    sshd:close()
  end)

  both("when sshd is killed", function()
    local session, sshd = assert(lab:connect())
    local task = core.spawn(session.exec, session, "sleep 0.2")
    core.sleep(0.05)
    sshd:kill("KILL")
    local r, err = task:await()
    if r then
      assert.equal("unknown", r.state)
    else
      assert.equal("closed", err.code)
    end
    session:close()
    sshd:close()
  end)

  both("while nothing runs", function()
    local session, sshd = assert(lab:connect())
    sshd:kill("KILL")
    sshd:wait()
    core.sleep(0.01)
    local r, err = session:exec("true")
    assert.is_nil(r)
    assert.equal("closed", err.code)
    session:close()
    sshd:close()
  end)
end)
