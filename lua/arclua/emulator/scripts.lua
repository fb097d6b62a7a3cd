-- SPDX-License-Identifier: MIT
-- Scripts that ARM's Run Command has a machine's agent run.
local account = require "arclua.emulator.account"
local core = require "arclua.core"
local machine = require "arclua.emulator.machine"
local quote = require "arclua.quote"

local scripts = {}

local PARTING = 10 -- seconds that what outlives a script has for its last words
local TAIL = 4096 -- bytes of its output that a script's run keeps

-- Reads a stream to its end, keeping its last bytes in into[name].
local function keep_tail(stream, into, name)
  into[name] = ""
  for chunk in function() return stream:read(65536) end do
    into[name] = (into[name] .. chunk):sub(-TAIL)
  end
  stream:close()
end

-- The words that run the script, and what its environment has beside the machine's.
local function interpreter(m, script, path, args)
  if m.os == "windows" then
    return { m.dir .. "/shell" }, { SSH_ORIGINAL_COMMAND = quote.powershell_line(script) }
  end
  return { "/bin/sh", path, table.unpack(args) }, {}
end

local function spawn_script(emulator, m, spec, path)
  local who = emulator.who
  local args, env = interpreter(m, spec.script, path, spec.args)
  for name, value in pairs(spec.env) do
    env[name] = value
  end
  local name, value = emulator.mark:match "^([^=]+)=(.*)$"
  env[name], env.ARC_MACHINE, env.HOME, env.PATH = value, m.name, m.home, account.PATH
  return core.process.spawn { args = args, env = env, clear_env = true, cwd = m.home,
    stdout = "pipe", stderr = "pipe", hostname = m.name, session = true,
    die_with_parent = true, uid = who.drop and who.uid or nil, gid = who.drop and who.gid or nil }
end

-- Until the process has ended, or its time is over; what outlives it holds nobody up.
local function watch_script(process, seconds)
  local result = {}
  local readers = { core.spawn(keep_tail, process:stdout(), result, "stdout"),
    core.spawn(keep_tail, process:stderr(), result, "stderr") }
  local ended = core.timeout(seconds or math.huge, function()
    return process:wait()
  end)
  if not ended then
    process:kill "KILL"
  end
  core.timeout(PARTING, function()
    for _, reader in ipairs(readers) do
      reader:await()
    end
  end)
  for _, reader in ipairs(readers) do
    reader:cancel()
  end
  result.timed_out = not ended
  result.status = ended and (ended.status or 137) or -1
  return result
end

--- Runs a script as the agent does: as the machine's user, in its home. What it has written last,
--- its status (128 and more: a signal), and whether its time was over.
---@param spec { script: string, env: table, args: string[], seconds: number?,
---   cancel: fun(kill: fun()) }  cancel is told how to end it
---@return { stdout: string, stderr: string, status: integer, timed_out: boolean }
function scripts.run(emulator, m, spec)
  local home, err = machine.home(emulator, m)
  local path = ("%s/script-%s"):format(m.dir, core.crypto.uuid())
  local ok = home and core.sys.write_file(path, spec.script, 384)
    and machine.own(emulator, path)
  local process <close>, why = ok and spawn_script(emulator, m, spec, path) or nil, err
  if not process then
    return { stdout = "", stderr = tostring(why), status = 1 }
  end
  spec.cancel(function()
    process:kill "KILL"
  end)
  local result = watch_script(process, spec.seconds)
  core.sys.remove(path)
  return result
end

return scripts
