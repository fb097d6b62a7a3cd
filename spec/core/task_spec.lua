-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local harness = require "harness"
local both = harness.both

describe("task", function()
  both("returns what its function returns", function()
    assert.same({ 7, nil, "x" }, { core.spawn(function(a) return a, nil, "x" end, 7):await() })
  end)

  both("starts at the next turn, not at once", function()
    local started = false
    local task = core.spawn(function() started = true end)
    assert.is_false(started)
    task:await()
    assert.is_true(started)
    assert.equal("done", task:status())
  end)

  both("raises in its awaiter what it raised, with a traceback", function()
    local task = core.spawn(function()
      local function inner() error("boom") end
      inner()
    end)
    local ok, text = pcall(task.await, task)
    assert.is_false(ok)
    assert.matches("boom", text, 1, true)
    assert.matches("in upvalue 'inner'", text:gsub("local 'inner'", "upvalue 'inner'"), 1, true)
    assert.equal("failed", task:status())
  end)

  both("raises error values unchanged", function()
    local value = {}
    local task = core.spawn(error, value)
    local _, got = pcall(task.await, task)
    assert.equal(value, got)
  end)

  both("reports an error that nobody awaits", function()
    local seen
    core.on_error(function(text) seen = text end)
    core.spawn(function() error("unheard") end)
    core.sleep(0.01)
    core.on_error(nil)
    assert.matches("unheard", seen, 1, true)
    assert.matches("stack traceback", seen, 1, true)
  end)

  both("reports an error whose text cannot be made, and goes on", function()
    local seen
    core.on_error(function(text) seen = text end)
    core.spawn(error, setmetatable({}, { __tostring = function() error "no text" end }))
    assert(core.sleep(0.01))
    core.on_error(nil)
    assert.is_nil(seen)
    assert(core.sleep(0.01))
  end)

  both("runs many at once", function()
    local sum, tasks = 0, {}
    for i = 1, 2000 do
      tasks[i] = core.spawn(function()
        core.sleep(0.001 * (i % 7))
        sum = sum + 1
      end)
    end
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.equal(2000, sum)
  end)

  both("lets others run at a bare yield", function()
    local order = {}
    local a = core.spawn(function()
      order[#order + 1] = "a1"
      coroutine.yield()
      order[#order + 1] = "a2"
    end)
    local b = core.spawn(function() order[#order + 1] = "b" end)
    a:await()
    b:await()
    assert.same({ "a1", "b", "a2" }, order)
  end)

  it("refuses to await itself", function()
    local task
    task = core.spawn(function() return pcall(task.await, task) end)
    local ok, text = task:await()
    assert.is_false(ok)
    assert.matches("cannot await itself", text, 1, true)
  end)

  it("says on the main thread that nothing can happen any more", function()
    local cond = core.cond()
    local ok, text = pcall(cond.wait, cond)
    assert.is_false(ok)
    assert.matches("cannot happen", text, 1, true)
    assert.equal("", harness.leftovers())
  end)
end)

describe("cancel", function()
  both("ends the pending wait and is sticky", function()
    local first, second, done
    local task = core.spawn(function()
      first = select(2, core.sleep(60))
      second = select(2, core.sleep(60))
      done = true
    end)
    core.sleep(0.005)
    task:cancel()
    task:await()
    assert.equal("cancelled", first.code)
    assert.equal("cancelled", second.code)
    assert.is_true(done)
  end)

  both("reaches a task before its first slice", function()
    local task = core.spawn(function() return core.sleep(60) end)
    task:cancel()
    local ok, err = task:await()
    assert.is_nil(ok)
    assert.equal("cancelled", err.code)
  end)

  both("raises after 1,000 refused waits", function()
    local count = 0
    local task = core.spawn(function()
      while true do
        core.sleep(1)
        count = count + 1
      end
    end)
    core.sleep(0.005)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("cancelled", err.code)
    assert.equal(1001, count)
  end)

  both("waits for a shield, then counts", function()
    local inside, after
    local task = core.spawn(function()
      inside = core.shield(5, core.sleep, 0.02)
      after = select(2, core.sleep(60))
    end)
    core.sleep(0.005)
    task:cancel()
    task:await()
    assert.is_true(inside)
    assert.equal("cancelled", after.code)
  end)

  both("gets through a shield that has run out", function()
    local task = core.spawn(function()
      return core.shield(0.02, core.sleep, 60)
    end)
    core.sleep(0.005)
    task:cancel()
    local ok, err = task:await()
    assert.is_nil(ok)
    assert.equal("cancelled", err.code)
  end)
end)

describe("timeout", function()
  both("ends waits inside and is over outside", function()
    local code
    local got = core.timeout(0.01, function()
      code = select(2, core.sleep(60)).code
      code = code .. " " .. select(2, core.sleep(60)).code
      return "result"
    end)
    assert.equal("timeout timeout", code)
    assert.equal("result", got)
    assert.is_true(core.sleep(0.001))
  end)

  both("of the outside counts inside too", function()
    local err = core.timeout(0.01, function()
      return core.timeout(60, function() return select(2, core.sleep(60)) end)
    end)
    assert.equal("timeout", err.code)
  end)

  both("is held off by a shield inside it", function()
    local first, second = core.timeout(0.01, function()
      local slept = core.shield(5, core.sleep, 0.03)
      return slept, select(2, core.sleep(60))
    end)
    assert.is_true(first)
    assert.equal("timeout", second.code)
  end)

  both("is left when its function raises", function()
    local ok = pcall(core.timeout, 0.01, error, "x")
    assert.is_false(ok)
    assert.is_true(core.sleep(0.03))
  end)
end)

describe("waiting", function()
  both("works below pcall and with a value to be closed", function()
    local closed = false
    local ok, slept = pcall(function()
      local guard <close> = setmetatable({}, {
        __close = function()
          core.sleep(0.001)
          closed = true
        end,
      })
      assert(guard)
      return core.sleep(0.001)
    end)
    assert.is_true(ok and slept)
    assert.is_true(closed)
  end)

  it("raises across a C call in a task, also in its first slice", function()
    local function sorted()
      return pcall(table.sort, { 3, 2, 1 }, function(a, b)
        core.sleep(0.001)
        return a < b
      end)
    end
    local ok, text = core.spawn(sorted):await()
    assert.is_false(ok)
    assert.matches("cannot wait here", text, 1, true)
    ok = core.spawn(function()
      core.sleep(0.001)
      return sorted()
    end):await()
    assert.is_false(ok)
    assert.equal("", harness.leftovers())
  end)

  it("passes through generators that core.wrap made", function()
    local out = core.spawn(function()
      local list = {}
      local generator = core.wrap(function(first)
        list[1] = first
        for i = 1, 3 do
          core.sleep(0.001)
          local got = coroutine.yield(i)
          list[#list + 1] = got
        end
        return "end"
      end)
      local function add(value) list[#list + 1] = value end
      add(generator("start"))
      for _ = 1, 3 do
        add(generator("in"))
      end
      return list
    end):await()
    assert.same({ "start", 1, "in", 2, "in", 3, "in", "end" }, out)
    assert.equal("", harness.leftovers())
  end)

  it("passes through three levels and reports their errors", function()
    local ok, text = core.spawn(function()
      local co = coroutine.create(function()
        return core.wrap(function()
          core.sleep(0.001)
          return core.wrap(function()
            core.sleep(0.001)
            error("deep")
          end)()
        end)()
      end)
      return core.resume(co)
    end):await()
    assert.is_false(ok)
    assert.matches("deep", text, 1, true)
    assert.equal("", harness.leftovers())
  end)

  it("is free of the scopes of a coroutine that failed", function()
    local slept = core.spawn(function()
      local function failing() core.timeout(0.005, function() core.sleep(0.001) error("x") end) end
      core.resume(coroutine.create(failing))
      pcall(core.wrap(failing))
      return core.sleep(0.02)
    end):await()
    assert.is_true(slept)
    assert.equal("", harness.leftovers())
  end)

  it("closes what is to be closed in a generator that failed", function()
    local closed = core.spawn(function()
      local seen = false
      pcall(core.wrap(function()
        local guard <close> = setmetatable({}, { __close = function() seen = true end })
        error(guard)
      end))
      return seen
    end):await()
    assert.is_true(closed)
  end)

  it("is ended by a cancel inside a generator", function()
    local task = core.spawn(function()
      return core.wrap(function() return select(2, core.sleep(60)) end)()
    end)
    core.sleep(0.005)
    task:cancel()
    assert.equal("cancelled", task:await().code)
    assert.equal("", harness.leftovers())
  end)

  it("refuses a coroutine resumed by Lua's own resume in a task", function()
    local ok, text = core.spawn(function()
      return coroutine.resume(coroutine.create(function() core.sleep(0.001) end))
    end):await()
    assert.is_false(ok)
    assert.matches("cannot wait here", text, 1, true)
    assert.equal("", harness.leftovers())
  end)

  it("survives a coroutine that another task resumes while it waits", function()
    local inner
    local waiting = core.spawn(function()
      inner = coroutine.create(function() return select(2, core.sleep(60)) end)
      return core.resume(inner)
    end)
    core.sleep(0.005)
    local ok, err = core.resume(inner)
    assert.is_true(ok)
    assert.equal("cancelled", err.code)
    assert.is_false((waiting:await()))
    assert.equal("", harness.leftovers())
  end)
end)

describe("the module", function()
  it("opened again shares the loop and the tasks of the first", function()
    local task = core.spawn(core.sleep, 0.001)
    package.loaded["arclua.core"] = nil
    local again = require "arclua.core"
    while task:status() == "running" do
      again.sleep(0.001)
    end
    assert.equal("done", task:status())
    package.loaded["arclua.core"] = core
    assert.equal("", harness.leftovers())
  end)
end)

describe("cond", function()
  both("wakes one or all", function()
    local cond, woken, tasks = core.cond(), 0, {}
    for i = 1, 3 do
      tasks[i] = core.spawn(function()
        assert(cond:wait())
        woken = woken + 1
      end)
    end
    core.sleep(0.005)
    cond:signal()
    core.sleep(0.005)
    assert.equal(1, woken)
    cond:broadcast()
    for _, task in ipairs(tasks) do
      task:await()
    end
    assert.equal(3, woken)
  end)

  both("tells its waiters that it was closed", function()
    local cond = core.cond()
    local task = core.spawn(function() return cond:wait() end)
    core.sleep(0.01)
    cond:close()
    local ok, err = task:await()
    assert.is_nil(ok)
    assert.equal("closed", err.code)
  end)
end)

-- Each runs in a program of its own, which must end by itself and in order.
describe("the end of a state", function()
  local function run(text)
    local process = assert(core.process.spawn {
      args = { "lua5.4", "-e", 'local core = require "arclua.core"\n' .. text },
      stderr = "inherit" })
    local out = process:stdout()
    local said = core.timeout(harness.LIMIT, function() return out:read() end)
    local ended = assert(process:wait())
    out:close()
    process:close()
    return said, ended
  end

  it("is no place for a task's wait that has gone", function()
    local said, ended = run [[
      local task
      setmetatable({}, { __gc = function() task:cancel() io.write(task:status()) end })
      task = core.spawn(core.sleep, 60)
      core.sleep(0.01)
    ]]
    assert.equal("running", said)
    assert.equal(0, ended.status)
    assert.equal("", harness.leftovers())
  end)

  it("kills what the killed have spawned", function()
    local said, ended = run [[
      for _ = 1, 40 do
        core.spawn(function()
          local guard <close> = setmetatable({}, { __close = function()
            for _ = 1, 40 do
              core.spawn(core.sleep, 60)
            end
          end })
          core.sleep(60)
        end)
      end
      core.sleep(0.01)
      core.shutdown()
      io.write(core.stats().tasks, " ", core.stats().ops)
    ]]
    assert.equal("0 0", said)
    assert.equal(0, ended.status)
    assert.equal("", harness.leftovers())
  end)
end)

describe("clock", function()
  after_each(function() core.scale(1) end)

  both("runs faster when scaled", function()
    core.scale(1000)
    local before = core.now()
    assert.is_true(core.sleep(20))
    assert.is_true(core.now() - before >= 20)
  end)

  it("is skewed on request, for times only", function()
    local before = core.time()
    core.skew(3600)
    assert.is_true(core.time() - before >= 3600)
    core.skew(0)
    assert.is_true(core.time() - before < 3600)
  end)
end)

describe("error", function()
  it("prints op, message and code", function()
    local _, err = core.timeout(0.001, core.sleep, 1)
    assert.equal("sleep: timed out (timeout)", tostring(err))
    assert.is_true(err.retryable)
  end)

  it("has a remedy and a code for every reason", function()
    local count = 0
    for name, reason in pairs(core.reasons) do
      count = count + 1
      assert.is_truthy(name:match("^%l+%.[%l-]+$"), name)
      assert.is_true(#reason.remedy > 10, name)
      assert.is_string(reason.code)
      assert.is_boolean(reason.retryable)
    end
    assert.is_true(count > 40)
  end)
end)
