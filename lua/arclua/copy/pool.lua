-- SPDX-License-Identifier: MIT
-- The connections of one machine's copy: the first is there, others are made when they help.
local core = require "arclua.core"

local Pool = {}
Pool.__index = Pool

local pool = {}

--- From so many bytes on more than one connection is used, if one is slower than this.
pool.LARGE = 64 * 1024 * 1024
local FAST = 32e6 -- bytes a second
-- When that is known: after so many bytes, or so many seconds.
local ENOUGH, LONG = 8 * 1024 * 1024, 1
local LOOK, PATIENCE = 0.05, 10

---@param first arclua.Sftp
---@param opts { connections: integer, adapt: boolean, meter: arclua.Meter,
---   more: (fun(): arclua.Sftp?, arclua.Error?)? }  adapt: only when one is slow; more: makes
---   another connection
function pool.new(first, opts)
  return setmetatable({ list = { { sftp = first, users = 0 } }, opts = opts, begun = 0,
    adding = 0, added = core.cond(), tasks = {}, since = core.now(),
    before = opts.meter:moved() }, Pool)
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

-- Whether one connection is as fast as several would be; nil: not known yet.
local function is_fast(self)
  local bytes, seconds = self.opts.meter:moved() - self.before, core.now() - self.since
  if not self.opts.adapt then
    return false
  elseif bytes >= ENOUGH or seconds >= LONG then
    return bytes / math.max(seconds, 0.001) >= FAST
  end
  return nil
end

--- Whether more connections can be made.
---@return boolean
function Pool:may_widen()
  return self.opts.more ~= nil and not self.refused and #self.list < self.opts.connections
end

--- Makes the connections that a large file has, once it is known that one is slow; all that are
--- there then.
---@return arclua.Sftp[]
function Pool:widen()
  while is_fast(self) == nil do
    if not core.sleep(LOOK) then
      return self:all()
    end
  end
  if not is_fast(self) then
    start(self)
  end
  while self.adding > 0 and self.added:wait() do
  end
  return self:all()
end

--- Notes that a file of this size begins; more connections come once all are much together.
function Pool:begin(size)
  self.begun = self.begun + size
  if self.begun > pool.LARGE and self:may_widen() and is_fast(self) == false then
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
