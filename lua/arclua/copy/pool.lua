-- SPDX-License-Identifier: MIT
-- The connections of one machine's copy: the first is there, others are made when they help.
local core = require "arclua.core"

local Pool = {}
Pool.__index = Pool

local pool = {}

--- From so many bytes on more than one connection is used.
pool.LARGE = 64 * 1024 * 1024

---@param first arclua.Sftp
---@param opts { connections: integer, more: (fun(): arclua.Sftp?, arclua.Error?)? }  more: makes
---   another connection
function pool.new(first, opts)
  return setmetatable({ list = { { sftp = first, users = 0 } }, opts = opts, begun = 0 }, Pool)
end

local function is_over(err)
  return err.code == "cancelled" or err.code == "timeout"
end

-- One more; a machine that allows no more is not asked again.
local function add(self)
  local sftp, err = self.opts.more()
  if sftp then
    self.list[#self.list + 1] = { sftp = sftp, users = 0 }
  else
    self.refused = not is_over(err)
  end
  return sftp
end

--- Makes the connections that a large copy has; true when there is more than one.
---@return boolean
function Pool:widen()
  while self.widening do
    if not self.widening:wait() then
      return #self.list > 1
    end
  end
  if not self.opts.more or self.refused or #self.list >= self.opts.connections then
    return #self.list > 1
  end
  self.widening = core.cond()
  local tasks = {}
  for i = #self.list + 1, self.opts.connections do
    tasks[i] = core.spawn(add, self)
  end
  local cancelled
  for _, task in pairs(tasks) do
    if not cancelled and not select(1, task:await()) then
      cancelled = self.closed
    end
  end
  local waiting = self.widening
  self.widening = nil
  waiting:broadcast()
  return #self.list > 1
end

--- Notes that a file of this size begins; makes more connections once all are large together.
function Pool:begin(size)
  self.begun = self.begun + size
  if self.begun > pool.LARGE and #self.list < self.opts.connections then
    self:widen()
  end
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
