-- SPDX-License-Identifier: MIT
-- SSH servers that listen: one `sshd -i` a connection.
local core = require "arclua.core"

local Server = {}
Server.__index = Server

local sshtcp = {}

--- Listens on loopback and serves each connection by the lab's sshd with these settings.
--- server.port, server.count (connections so far).
function sshtcp.start(lab, settings)
  local self = setmetatable({ listener = assert(core.tcp.listen("127.0.0.1", 0)), count = 0,
    sshds = {} }, Server)
  self.port = self.listener:port()
  self.task = core.spawn(function()
    while true do
      local stream = self.listener:accept()
      if not stream then
        return
      end
      self.count = self.count + 1
      local sshd = lab:start(settings)
      self.sshds[#self.sshds + 1] = sshd
      core.spawn(function()
        core.splice(stream, sshd:stream())
        sshd:close()
      end)
    end
  end)
  return self
end

--- Ends the connections that stand.
function Server:cut()
  for _, sshd in ipairs(self.sshds) do
    sshd:close()
  end
  self.sshds = {}
end

function Server:close()
  self.listener:close()
  self.task:await()
  while core.stats().lingers > 0 do
    core.sleep(0.01)
  end
  self:cut()
end

return sshtcp
