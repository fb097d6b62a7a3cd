-- SPDX-License-Identifier: MIT
-- A TLS server that is not ours: `openssl s_server`, which tells what it sees.
local core = require "arclua.core"

local sserver = {}

--- Runs fn(port) beside a server of `connections` connections with further arguments (a list).
--- Returns what it printed: messages of the handshakes, and received data as it came.
function sserver.run(args, connections, fn)
  local command = { "stdbuf", "-o0", "openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept",
    tostring(connections), "-msg" }
  table.move(args, 1, #args, #command + 1, command)
  -- its input stays open: at the end of it the server would end too
  local child = assert(core.process.spawn { args = command, env = { LD_PRELOAD = false },
    stdin = "pipe", stderr = "null" })
  local to <close> = child:stdin()
  local from <close> = child:stdout()
  local seen = ""
  while not seen:find "ACCEPT 127%.0%.0%.1:%d+\n" do
    seen = seen .. assert(from:read())
  end
  local parts = { seen }
  local reader = core.spawn(function() -- a full pipe would stop the server
    for chunk in function() return from:read() end do
      parts[#parts + 1] = chunk
    end
  end)
  fn(math.tointeger(seen:match "ACCEPT 127%.0%.0%.1:(%d+)"), to)
  reader:await()
  child:wait()
  child:close()
  return table.concat(parts)
end

return sserver
