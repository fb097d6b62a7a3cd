-- SPDX-License-Identifier: MIT
-- What the interop specs share: peers written for node, OpenSSH's programs, files and their sums.
local core = require "arclua.core"
local json = require "arclua.json"

local peers = {}

local DIR = assert(os.getenv "ARCLUA_PEERS", "run it by spec/interop/run.sh")
local PATIENCE = 120 -- seconds for a program of another project

--- The command line of a peer.
function peers.command(name, ...)
  return { "node", DIR .. "/" .. name, ... }
end

--- Starts a peer; peer.line() is the next JSON line that it prints.
function peers.start(command, env)
  local child = assert(core.process.spawn { args = command, env = env, stdin = "pipe",
    die_with_parent = true })
  local out, got = child:stdout(), ""
  local peer = { child = child, input = child:stdin() }
  function peer.line()
    while true do
      local line, rest = got:match "^([^\n]*)\n(.*)$"
      if line then
        got = rest
        return json.decode(line)
      end
      got = got .. assert(out:read(), command[2] .. " has ended")
    end
  end
  return setmetatable(peer, { __close = function()
    out:close()
    peer.input:close()
    child:close()
  end })
end

--- Runs a program to its end: its exit status and what it printed.
---@param args string[]
---@param env table?
---@param stdin string?
function peers.run(args, env, stdin)
  local child <close> = assert(core.process.spawn { args = args, env = env,
    stdin = stdin and "pipe" or "null" })
  local writer = stdin and core.spawn(function()
    local input <close> = child:stdin()
    input:write(stdin)
  end)
  local out <close> = child:stdout()
  local parts = {}
  local status = core.timeout(PATIENCE, function()
    for chunk in function() return out:read() end do
      parts[#parts + 1] = chunk
    end
    local ended = child:wait()
    return ended and (ended.status or ended.signal)
  end)
  if writer then
    writer:await()
  end
  return status, table.concat(parts)
end

--- So many random bytes; a megabyte of them, over and over.
function peers.random(size)
  local part = core.crypto.random(math.min(size, 1 << 20))
  return #part == size and part or part:rep(size // #part + 1):sub(1, size)
end

--- A new directory for one spec; removed by its __close.
function peers.directory()
  local dir = { path = assert(core.sys.mkdtemp "arclua-interop-") }
  function dir.random(name, size)
    local data = peers.random(size)
    assert(core.sys.write_file(dir.path .. "/" .. name, data))
    return dir.path .. "/" .. name, core.crypto.sha256(data)
  end
  return setmetatable(dir, { __close = function()
    assert(core.sys.remove(dir.path))
  end })
end

--- SHA-256 of a file.
function peers.sum(path)
  return core.crypto.sha256(assert(core.sys.read_file(path, 1 << 30)))
end

--- OpenSSH's options for a machine of the emulator reached by this ProxyCommand.
function peers.ssh_options(e, proxy_command)
  return { "-F", "none", "-i", e.env.ARCLUA_IDENTITY, "-o", "BatchMode=yes",
    "-o", "User=" .. e.env.ARCLUA_USER, "-o", "StrictHostKeyChecking=accept-new",
    "-o", "UserKnownHostsFile=" .. e.env.ARCLUA_KNOWN_HOSTS,
    "-o", "ProxyCommand=" .. proxy_command }
end

--- args, the options and more words as one command line.
function peers.join(program, options, ...)
  local args = { program, table.unpack(options) }
  return table.move({ ... }, 1, select("#", ...), #args + 1, args)
end

return peers
