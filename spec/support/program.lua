-- SPDX-License-Identifier: MIT
-- Runs the built program as a user would; the path comes from ARCLUA_PROGRAM.
local core = require "arclua.core"

local program = {}

program.path = os.getenv("ARCLUA_PROGRAM") or "build/debug/bin/arclua"

local function collect(stream, into, discard)
  return core.spawn(function()
    local parts = {}
    while true do
      local chunk = stream:read()
      if not chunk then
        break
      end
      if not discard then
        parts[#parts + 1] = chunk
        into.seen = table.concat(parts)
      end
    end
    stream:close()
    return table.concat(parts)
  end)
end

-- Starts it. opts: stdin (text), env, session, path (of a copy), discard (its
-- output is read but not kept). Returns a handle with :wait()
-- → { status=, signal=, out=, err= } and :await_output(text).
function program.start(args, opts)
  opts = opts or {}
  local command = { "sh", "-c", 'exec 2>&3 3>&-; exec "$@"', "sh",
    opts.path or program.path }
  local err_path = os.tmpname()
  command[3] = ('exec 2>"%s"; exec "$@"'):format(err_path)
  table.move(args, 1, #args, #command + 1, command)
  local env = { LD_PRELOAD = false }
  for name, value in pairs(opts.env or {}) do
    env[name] = value
  end
  local process = assert(core.process.spawn {
    args = command, env = env, stdin = opts.stdin and "pipe" or "null", session = opts.session,
  })
  local handle = { process = process, out = {} }
  if opts.stdin then
    core.spawn(function()
      local input <close> = process:stdin()
      input:write(opts.stdin)
    end)
  end
  local reading = collect(process:stdout(), handle.out, opts.discard)

  function handle.await_output(_, text)
    while not (handle.out.seen or ""):find(text, 1, true) do
      assert(core.sleep(0.01))
    end
  end

  function handle.wait()
    local ended = assert(process:wait())
    ended.out = reading:await()
    local file = assert(io.open(err_path, "rb"))
    ended.err = file:read("a")
    file:close()
    os.remove(err_path)
    process:close()
    return ended
  end

  return handle
end

function program.run(args, opts)
  return program.start(args, opts):wait()
end

return program
