-- SPDX-License-Identifier: MIT
-- No orphan: a command that times out, is cancelled or left alone ends on the far side.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local sys, both = core.sys, harness.both
local serial = 0

-- A number of seconds that no other process sleeps.
local function mark()
  serial = serial + 1
  return ("%d.%06d"):format(sys.pid() + 100000, serial)
end

-- How many processes have this in their command line.
local function alive(word)
  local count = 0
  for _, pid in ipairs(sys.list("/proc")) do
    local line = pid:match("^%d+$") and sys.read_file("/proc/" .. pid .. "/cmdline")
    if line and line ~= "" and line:find(word, 1, true) and not line:find("busted", 1, true) then
      count = count + 1
    end
  end
  return count
end

-- What a command may be made of; %s is the mark.
local SHAPES = {
  { "a program", "sleep %s" },
  { "a program of a shell", "sleep %s; echo" },
  { "a nested shell", "sh -c 'sleep %s; echo'; echo" },
  { "a pipe", "sleep %s | cat" },
  { "children in the background", "sleep %s & sleep %s & wait" },
}

local function gone(word)
  for _ = 1, 100 do
    if alive(word) == 0 then
      return true
    end
    core.sleep(0.02)
  end
  return false
end

local function user_specs(name, prepare)
  describe("ending a command, " .. name, function()
    local lab
    setup(function()
      lab = sshlab.new()
      prepare(lab)
    end)
    teardown(function() lab:close() end)

    local function with(fn)
      return function() lab:with(fn) end
    end

    -- Waits until the command with this mark runs.
    local function wait_alive(word)
      while alive(word) == 0 do
        core.sleep(0.005)
      end
    end

    for _, shape in ipairs(SHAPES) do
      both("by time-out: " .. shape[1], with(function(session)
        local word = mark()
        local r = assert(session:exec("echo before; " .. shape[2]:gsub("%%s", word),
          { timeout = 0.25 }))
        assert.equal("timeout", r.state)
        assert.equal("timeout", r.err.code)
        assert.equal("confirmed", r.ended)
        assert.equal("before\n", r.stdout)
        assert.is_true(gone(word))
        assert.equal("ok", assert(session:exec("true")).state)
      end))
    end

    both("by cancel", with(function(session)
      local word = mark()
      local task = core.spawn(session.exec, session, "sleep " .. word)
      wait_alive(word)
      task:cancel()
      local r = assert(task:await())
      assert.equal("cancelled", r.state)
      assert.equal("cancelled", r.err.code)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("by an outer time-out", with(function(session)
      local word = mark()
      local r = assert(core.timeout(0.2, session.exec, session, "sleep " .. word))
      assert.equal("timeout", r.state)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("that ignores TERM", with(function(session)
      local word = mark()
      local r = assert(session:exec("trap '' TERM; while :; do sleep " .. word .. "; done",
        { timeout = 0.2 }))
      assert.equal("timeout", r.state)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("with a terminal", with(function(session)
      local word = mark()
      local r = assert(session:exec("sleep " .. word .. "; echo", { timeout = 0.2, pty = true }))
      assert.equal("timeout", r.state)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("whose output nobody takes", with(function(session)
      local word = mark()
      local r = assert(session:exec("yes & sleep " .. word, {
        timeout = 0.2, on_stdout = function() core.sleep(0.05) end }))
      assert.equal("timeout", r.state)
      assert.is_true(gone(word))
    end))

    both("when its session is closed", with(function(session)
      local word = mark()
      local task = core.spawn(session.exec, session, "sleep " .. word)
      wait_alive(word)
      session:close()
      local r = assert(task:await())
      assert.equal("cancelled", r.state)
      assert.equal("closed", r.err.code)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("when its session is collected", with(function()
      local session, sshd = assert(lab:connect())
      local word = mark()
      session:exec("sleep " .. word .. " >/dev/null 2>&1 </dev/null & ") -- an orphan by intent
      local task = core.spawn(session.exec, session, "sleep 1" .. word)
      wait_alive("1" .. word)
      task:cancel()
      task = nil
      session = nil -- luacheck: ignore
      collectgarbage()
      while core.stats().lingers > 0 or core.stats().tasks > 1 do
        core.sleep(0.01)
        if core.stats().lingers == 0 then break end
      end
      assert.is_true(gone("1" .. word))
      local p <close> = assert(core.process.spawn { args = { "pkill", "-f", "sleep " .. word },
        env = { LD_PRELOAD = false } })
      p:wait()
      collectgarbage()
      sshd:close()
      return task
    end))

    both("a callback that closes the session", with(function(session)
      local word = mark()
      local r = assert(session:exec("echo x; sleep " .. word, {
        on_stdout = function() session:close() end }))
      assert.equal("cancelled", r.state)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("a callback that is cancelled while it waits", with(function(session)
      local word, task, inner = mark(), nil, nil
      task = core.spawn(session.exec, session, "echo x; sleep " .. word, {
        on_stdout = function()
          core.spawn(function() task:cancel() end)
          local ok, err = core.sleep(20)
          inner = not ok and err.code
        end })
      local r = assert(task:await())
      assert.equal("cancelled", inner)
      assert.equal("cancelled", r.state)
      assert.equal("confirmed", r.ended)
      assert.is_true(gone(word))
    end))

    both("at every moment", with(function(session)
      for ms = 0, 40, 4 do
        local word = mark()
        local r, err = core.timeout(ms / 1000, session.exec, session, "sleep " .. word)
        if r then
          assert.equal("timeout", r.state)
          assert.equal("confirmed", r.ended)
        else
          assert.equal("timeout", err.code)
        end
        assert.is_true(gone(word))
      end
    end))

    both("closed right after a result", function()
      local session, sshd = assert(lab:connect())
      assert.equal("ok", assert(session:exec("true")).state)
      session:close()
      sshd:close()
    end)

    both("a lost connection during the end", function()
      local session, sshd = assert(lab:connect())
      local task = core.spawn(session.exec, session, "trap '' TERM; sleep 0.5; sleep 0.5")
      core.sleep(0.2)
      task:cancel()
      core.sleep(0.02)
      sshd:kill("KILL")
      local r, err = task:await()
      if r then
        assert.equal("cancelled", r.state)
      else
        assert.equal("cancelled", err.code)
      end
      session:close()
      sshd:close()
    end)
  end)
end

user_specs("own user", function() end)

if sshlab.has_ordinary() and sys.getuid() == 0 then
  user_specs("ordinary user", function(lab) lab:ordinary() end)
end

describe("a command that cannot be ended", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  local function once(name, fn) -- these wait five seconds, of a clock that runs faster
    it(name, function()
      core.scale(5)
      local ok, err = pcall(function()
        core.spawn(core.timeout, 5 * harness.LIMIT, fn):await()
      end)
      core.scale(1)
      assert(ok, err)
      assert.equal("", harness.leftovers())
    end)
  end

  once("says so", function()
    if sys.getuid() ~= 0 then
      return
    end
    lab:with(function(session)
      local r = assert(session:exec("sleep 7", { timeout = 0.5, guard = false }))
      assert.equal("timeout", r.state)
      assert.equal("unconfirmed", r.ended)
    end)
  end)

  once("with no channel left for the guard", function()
    if sys.getuid() ~= 0 then
      return
    end
    lab:with(function(session)
      local r = assert(session:exec("sleep 7", { timeout = 0.5, guard = true }))
      assert.equal("timeout", r.state)
      assert.equal("unconfirmed", r.ended)
    end, nil, { "MaxSessions=1" })
  end)

  both("before the server has opened its channel leaves none open", function()
    lab:with(function(session)
      for i = 1, 12 do
        core.timeout(i * 0.0003, session.exec, session, "true", { guard = false })
      end
      core.sleep(0.2)
      local other = core.spawn(session.exec, session, "sleep 0.1")
      assert.equal("ok", assert(session:exec("sleep 0.1")).state)
      assert.equal("ok", assert(other:await()).state)
    end, nil, { "MaxSessions=2" })
  end)

  both("when nobody waits, the loop goes on alone", function()
    lab:with(function(session)
      local word = mark()
      local task = core.spawn(function()
        local co = coroutine.running()
        return session:exec("sleep " .. word), co
      end)
      while alive(word) == 0 do
        core.sleep(0.005)
      end
      task:cancel()
      task:cancel()
      assert.equal("cancelled", assert(task:await()).state)
      assert.is_true(gone(word))
    end)
  end)
end)
