-- SPDX-License-Identifier: MIT
-- Interactive Lua, at a terminal that script(1) makes.
local core = require "arclua.core"
local harness = require "harness"
local program = require "program"

local it_ends = harness.ends

-- A running REPL: :type(text), :expect(text that appears after what was expected before).
local function at_terminal()
  local process = assert(core.process.spawn { stdin = "pipe", env = { LD_PRELOAD = false,
    ARCLUA_CONFIG = "none", PROGRAM = program.path, TERM = "dumb" },
    args = { "script", "-qec", 'exec "$PROGRAM"', "/dev/null" } })
  local input, out = process:stdin(), process:stdout()
  local seen, from = "", 1
  local it_ = {}

  function it_.type(_, text)
    assert(input:write(text))
  end

  function it_.expect(_, text)
    while true do
      local _, last = seen:find(text, from, true)
      if last then
        from = last + 1
        return
      end
      local chunk = out:read()
      assert(chunk, "not seen: " .. text .. "\n" .. seen)
      seen = seen .. chunk
    end
  end

  -- Ends it; script(1) hands the program's status on.
  function it_.ends_with(_, status)
    repeat until not out:read()
    input:close()
    assert.same({ status = status }, process:wait())
    process:close()
  end

  it_:expect "> "
  return it_
end

describe("the REPL at a terminal", function()
  it_ends("goes on after Ctrl-C at the prompt and in a wait", function()
    local repl = at_terminal()
    repl:type "half a li\3"
    repl:expect "\n> "
    repl:type "40 + 2\n"
    repl:expect "\n42"
    core.sleep(2.1) -- two presses within two seconds leave
    repl:type "print 'begun' print(select(2, arc.sleep(60)).code)\n"
    repl:expect "\nbegun"
    repl:type "\3"
    repl:expect "cancelled"
    repl:type "\4"
    repl:ends_with(0)
  end)

  it_ends("goes on after Ctrl-C in an endless loop", function()
    local repl = at_terminal()
    repl:type "print 'turning' while true do end\n"
    repl:expect "\nturning"
    repl:type "\3"
    repl:expect "interrupted"
    repl:expect "> "
    repl:type "'still', 'here'\n"
    repl:expect '"still"\t"here"'
    repl:type "\4"
    repl:ends_with(0)
  end)

  it_ends("is left by Ctrl-C twice", function()
    local repl = at_terminal()
    repl:type "\3"
    repl:expect "\n> "
    core.sleep(0.1) -- less is one press
    repl:type "\3"
    repl:ends_with(130)
  end)

  it_ends("drops an unfinished statement", function()
    local repl = at_terminal()
    repl:type "for i = 1, 2 do\n"
    repl:expect ">> "
    repl:type "\3"
    repl:expect "\n> "
    repl:type "1 + 1\n"
    repl:expect "\n2"
    repl:type "\4"
    repl:ends_with(0)
  end)
end)

describe("the REPL in a pipe", function()
  local function run(text)
    return program.run({ "repl" }, { stdin = text, env = { ARCLUA_CONFIG = "none" } })
  end

  it_ends("shows lists by their items and hides what a terminal would obey", function()
    local ended = run "{1, 'a\\nb'}\n'\\27[2J'\n{}\n"
    assert.matches('^1\n"a\\nb"\n"\\27%[2J"\ntable: ', ended.out)
  end)

  it_ends("says what is missing of the last statement", function()
    local ended = run "1\nfor i = 1, 2 do"
    assert.equal("1\n", ended.out)
    assert.matches("'end' expected", ended.err, 1, true)
  end)

  it_ends("tells errors of tasks that nobody awaits", function()
    local ended = run "arc.spawn(error, 'alone')\narc.sleep(0.01)\n"
    assert.matches("alone", ended.err, 1, true)
  end)

  it_ends("ends by SIGTERM and by SIGINT", function()
    for name, status in pairs { TERM = 143, INT = 130 } do
      local running = program.start({ "repl" }, { stdin = "print 'begun' arc.sleep(60)\n",
        env = { ARCLUA_CONFIG = "none" } })
      running:await_output "begun"
      running.process:kill(name)
      assert.equal(status, running:wait().status)
    end
  end)
end)
