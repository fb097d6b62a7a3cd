-- SPDX-License-Identifier: MIT
-- The program against one emulator, as a user runs it.
local busted = require "busted"
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local harness = require "harness"
local luassert = require "luassert"
local program = require "program"

local cli = {}

--- Declares the emulator of a file's specs: the value is at hand in them as cli.e.
function cli.with(machines)
  busted.setup(function()
    cli.e = assert(emulator.start { page_size = 2, machines = machines })
  end)
  busted.teardown(function()
    cli.e:stop()
    luassert.equal("", harness.leftovers())
  end)
end

-- The emulator's environment with changes laid over it (false removes).
function cli.environment(changes)
  local env = { ARCLUA_LOG_LEVEL = false, ARCLUA_CONFIG = "none", LD_PRELOAD = false }
  for _, source in ipairs { cli.e.env, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return env
end

--- Starts the program; opts as program.start.
function cli.start(args, changes, opts)
  local all = { env = cli.environment(changes) }
  for name, value in pairs(opts or {}) do
    all[name] = value
  end
  return program.start(args, all)
end

--- Runs the program.
function cli.run(args, changes, opts)
  return cli.start(args, changes, opts):wait()
end

--- Runs a shell line in which $PROGRAM is the program: what it prints.
function cli.shell(line)
  local process <close> = assert(core.process.spawn { stderr = "null",
    env = cli.environment { PROGRAM = program.path }, args = { "sh", "-c", line } })
  local stream, text = process:stdout(), ""
  for chunk in function() return stream:read() end do
    text = text .. chunk
  end
  process:wait()
  return text
end

--- Runs the program with these words of a shell line at a terminal of its own: what it shows.
function cli.run_terminal(words)
  return cli.shell(([[script -qec "$PROGRAM %s" /dev/null </dev/null]]):format(words))
end

--- The lines of a text that are not empty.
function cli.lines(text)
  local out = {}
  for line in text:gmatch "[^\n]+" do
    out[#out + 1] = line
  end
  return out
end

--- A spec within the time that all have.
function cli.it(name, fn)
  busted.it(name, function()
    core.timeout(harness.LIMIT, fn)
  end)
end

return cli
