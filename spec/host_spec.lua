-- SPDX-License-Identifier: MIT
-- The program: what it makes of scripts, signals and closed pipes.
local core = require "arclua.core"
local harness = require "harness"
local program = require "program"

local it_ends = harness.ends

local function script(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

-- Presses Ctrl-C once the script has said "ready".
local function interrupted(text)
  local path = script('local arc = require "arclua"\nlocal core = require "arclua.core"\n' .. text)
  local running = program.start({ "run", path })
  running:await_output("ready")
  assert(running.process:kill("INT"))
  local ended = running:wait()
  os.remove(path)
  return ended
end

local READY = 'io.stdout:write("ready\\n") io.stdout:flush()\n'

describe("arclua run", function()
  it_ends("passes arguments untouched and returns the script's status", function()
    local path = script("print(#arg, arg[0] ~= nil, ...) return 7")
    local ended = program.run { "run", path, "--", "-x", "--help" }
    assert.equal("3\ttrue\t--\t-x\t--help\n", ended.out)
    assert.equal(7, ended.status)
    os.remove(path)
  end)

  it_ends("reads a script from standard input", function()
    local ended = program.run({ "run", "-", "a" }, { stdin = "print('in', arg[1])" })
    assert.equal("in\ta\n", ended.out)
    assert.equal(0, ended.status)
  end)

  it_ends("reports a syntax error with its line, status 1", function()
    local path = script("local x =\nprint(")
    local ended = program.run { "run", path }
    assert.equal(1, ended.status)
    assert.matches(path:match("[^/]+$") .. ":2:", ended.err, 1, true)
    os.remove(path)
  end)

  it_ends("reports an error with its traceback, status 1", function()
    local ended = program.run { "-e", "local function deep() error('boom') end deep()" }
    assert.equal(1, ended.status)
    assert.matches("boom", ended.err, 1, true)
    assert.matches("in local 'deep'", (ended.err:gsub("upvalue 'deep'", "local 'deep'")), 1, true)
  end)

  it_ends("reports an error in a task that nobody awaits", function()
    local ended = program.run { "-e", [[
      local arc = require "arclua"
      arc.spawn(function() error("in a task") end)
      arc.sleep(0.01)
      print("still here")]] }
    assert.equal("still here\n", ended.out)
    assert.matches("in a task", ended.err, 1, true)
    assert.matches("stack traceback", ended.err, 1, true)
  end)

  it_ends("keeps the status of os.exit", function()
    assert.equal(9, program.run({ "-e", "os.exit(9)" }).status)
  end)

  it_ends("lets generators wait", function()
    local ended = program.run { "-e", [[
      local arc = require "arclua"
      for i in coroutine.wrap(function()
        for i = 1, 3 do arc.sleep(0.001) coroutine.yield(i) end
      end) do io.write(i, " ") end]] }
    assert.equal("1 2 3 ", ended.out)
  end)

  it_ends("says that a script waits for something that cannot happen", function()
    local ended = program.run { "-e", 'require("arclua.core").cond():wait()' }
    assert.equal(1, ended.status)
    assert.matches("cannot happen", ended.err, 1, true)
  end)
end)

describe("Ctrl-C", function()
  it_ends("ends a wait with cancelled, status 130", function()
    local ended = interrupted(READY .. "print(select(2, arc.sleep(60)).code)")
    assert.equal("ready\ncancelled\n", ended.out)
    assert.equal(130, ended.status)
  end)

  it_ends("ends an endless loop", function()
    local ended = interrupted(READY .. "while true do end")
    assert.equal(130, ended.status)
  end)

  it_ends("ends an endless loop in a task", function()
    local ended = interrupted("local t = arc.spawn(function() " .. READY ..
      "while true do end end) t:await()")
    assert.equal(130, ended.status)
  end)

  it_ends("ends an endless loop in a nested coroutine", function()
    local ended = interrupted("coroutine.wrap(function() " .. READY .. "while true do end end)()")
    assert.equal(130, ended.status)
  end)

  it_ends("pressed again leaves at once a script that will not end", function()
    local path = script('local arc = require "arclua"\n' .. READY ..
      "while true do pcall(function() while true do end end) end")
    local running = program.start { "run", path }
    running:await_output("ready")
    running.process:kill("INT")
    core.sleep(0.2)
    running.process:kill("INT")
    assert.equal(130, running:wait().status)
    os.remove(path)
  end)

  it_ends("leaves in peace what lingers after the script", function()
    local ended = interrupted([[
      core.scale(10)
      local near, far = core.pair()
      KEPT = far -- whose end never answers the Close
      core.relay.websocket(near, "client"):close()
      ]] .. READY .. "return 3")
    assert.equal("", ended.err)
    assert.equal(true, ended.status == 3 or ended.status == 130)
  end)

  it_ends("ends children and pipes of the script", function()
    local ended = interrupted([[
      local child <close> = core.process.spawn{args={"sleep", "1000"}, stdout="null"}
      print(child:pid())
      ]] .. READY .. "child:wait()")
    local pid = ended.out:match("%d+")
    assert.is_nil(core.sys.stat("/proc/" .. pid))
    assert.equal(130, ended.status)
  end)
end)

describe("SIGTERM", function()
  it_ends("ends a wait, status 143", function()
    local path = script('local arc = require "arclua"\n' .. READY .. "arc.sleep(60)")
    local running = program.start { "run", path }
    running:await_output("ready")
    running.process:kill("TERM")
    assert.equal(143, running:wait().status)
    os.remove(path)
  end)
end)

describe("the files in the program", function()
  local preload = os.getenv "ARCLUA_PRELOAD" or ""
  local other = (program.path:gsub("bin/arclua$", "otherlua.so"))

  it_ends("are compiled, and read as text by another release of liblua", function()
    local args = { "-e", "print(require('arclua.cli').main { [0] = 'arclua', 'version' })" }
    for _, library in ipairs { preload, preload .. " " .. other } do
      local ended = program.run(args, { env = { LD_PRELOAD = library } })
      assert.equal(0, ended.status, ended.err)
      assert.matches("^arclua .*\n0\n$", ended.out)
    end
  end)
end)
