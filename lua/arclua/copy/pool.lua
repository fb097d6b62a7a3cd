-- SPDX-License-Identifier: MIT
-- The connections of one machine's copy: the first is there, others are made when they help.
local core = require "arclua.core"

local Pool = {}
Pool.__index = Pool

local pool = {}

--- From so many bytes on more than one connection is used.
pool.LARGE = 64 * 1024 * 1024
local PATIENCE = 10

---@param first arclua.Sftp
---@param opts { connections: integer, more: (fun(): arclua.Sftp?, arclua.Error?)? }  more: makes
---   another connection
function pool.new(first, opts)
  return setmetatable({ list = { { sftp = first, users = 0 } }, opts = opts, begun = 0,
    adding = 0, added = core.cond(), tasks = {} }, Pool)
end

-- One more; a machine that allows no more is not asked again.
local function add(self)
  local sftp = self.opts.more()
  if sftp then
    self.list[#self.list + 1] = { sftp = sftp, users = 0 }
  else
    self.refused = true
  end
  self.adding = self.adding - 1
  self.added:broadcast()
end

-- Begins to make what is missing.
local function start(self)
  if not self.opts.more or self.refused or self.adding > 0 then
    return
  end
  for _ = #self.list + 1, self.opts.connections do
    self.adding = self.adding + 1
    self.tasks[#self.tasks + 1] = core.spawn(add, self)
  end
end

--- Makes the connections that a large file has; true when there is more than one.
---@return boolean
function Pool:widen()
  start(self)
  while self.adding > 0 do
    if not self.added:wait() then
      break
    end
  end
  return #self.list > 1
end

--- Notes that a file of this size begins; more connections come once all are much together.
function Pool:begin(size)
  self.begun = self.begun + size
  if self.begun > pool.LARGE and #self.list < self.opts.connections then
    start(self)
  end
end

--- Makes no more.
function Pool:stop()
  for _, task in ipairs(self.tasks) do
    task:cancel()
  end
  core.shield(PATIENCE, function()
    for _, task in ipairs(self.tasks) do
      task:await()
    end
  end)
end

--- Calls fn(sftp) with the connection that has the least to do.
function Pool:with(fn)
  local best = self.list[1]
  for _, one in ipairs(self.list) do
    best = one.users < best.users and one or best
  end
  best.users = best.users + 1
  local out = table.pack(fn(best.sftp))
  best.users = best.users - 1
  return table.unpack(out, 1, out.n)
end

--- All connections.
---@return arclua.Sftp[]
function Pool:all()
  local out = {}
  for i, one in ipairs(self.list) do
    out[i] = one.sftp
  end
  return out
end

return pool
