-- SPDX-License-Identifier: MIT
-- The copy between this computer and one machine, over connections that stand.
local core = require "arclua.core"
local errors = require "arclua.errors"
local file = require "arclua.copy.file"
local match = require "arclua.copy.match"
local paths = require "arclua.copy.paths"
local pool = require "arclua.copy.pool"
local target = require "arclua.copy.target"
local walk = require "arclua.copy.walk"

local Job = {}
Job.__index = Job

local job = {}

-- Files at a time: most of a small one's life is waiting for answers. No more begin once so many
-- bytes are under way.
local WORKERS, UNDER_WAY = 128, 8 * 1024 * 1024
-- Failures that are kept to be told.
local TOLD = 1000
local LISTED = 20
-- Files from this size on have a meter of their own.
local METERED = 1024 * 1024
local GRACE = 10

---@class arclua.CopyOutcome
---@field files integer      files that were copied
---@field bytes integer      in them
---@field same integer       that were there already
---@field skipped integer    neither file, directory nor link, or left out
---@field failed integer     that were not copied, or not wholly
---@field failures { path: string, err: arclua.Error }[]  the first 1,000 of these
---@field notes string[]     what else there is to say, a line each

--- opts: checked; state: what is kept between attempts (done, temporaries).
function job.new(spec)
  return setmetatable({
    upload = spec.upload, opts = spec.opts, session = spec.session, os = spec.os,
    sources = spec.sources, destination = spec.destination, excluded = spec.excluded,
    make_parents = spec.make_parents,
    pool = pool.new(spec.sftp, { connections = spec.opts.connections, adapt = spec.opts.adapt,
      meter = spec.meter, more = spec.more }),
    meter = spec.meter, hooks = spec.hooks or {}, done = spec.state.done,
    temporaries = spec.state.temporaries, outcome = spec.state.outcome, left_behind = {},
    targets = {}, flying = 0, room = core.cond(),
  }, Job)
end

--- What is kept between the attempts of one copy.
function job.state()
  return { done = {}, temporaries = {}, outcome = { files = 0, bytes = 0, same = 0, skipped = 0,
    failed = 0, failures = {}, notes = {} } }
end

-- Patterns to a test, once for all machines.
job.excludes = match.excludes

function Job:failed(rel, err)
  if file.is_fatal(err) then
    self.fatal = self.fatal or err
    return
  end
  local outcome = self.outcome
  outcome.failed = outcome.failed + 1
  if outcome.failed <= TOLD then
    outcome.failures[outcome.failed] = { path = rel, err = err }
  end
end

function Job:skipped(rel, why)
  self.outcome.skipped = self.outcome.skipped + 1
  if self.outcome.skipped <= LISTED then
    table.insert(self.outcome.notes, ("%s: left out: %s"):format(rel, why))
  end
end

--- More bytes are to be moved than was known, or (negative) less.
function Job:expect(bytes)
  if self.hooks.on_expect then
    self.hooks.on_expect(bytes)
  end
end

--- The meter of a file, and who watches it.
function Job:meter_of(item)
  if item.entry.size < METERED or not self.hooks.on_file then
    return self.meter
  end
  item.meter = item.meter or core.sftp.meter(self.meter)
  self.hooks.on_file(item)
  return item.meter
end

-- Where a link leads, when it may be made here.
local function link_of(self, item)
  local leads, err = item.from:readlink(item.source)
  if leads and not self.upload and not paths.stays(item.inner, leads) then
    return errors.fail { reason = "copy.unsafe-link", op = "copy",
      message = ("'%s' leads out of what is copied, to '%s'"):format(item.rel, leads) }
  end
  return leads, err
end

-- A link as a link: 0 | false, it is there | nil, err.
local function copy_link(self, item)
  local leads, err = link_of(self, item)
  local existing = leads and item.existing
  if not leads then
    return nil, err
  elseif existing and existing.type == "link" and item.to:readlink(item.target) == leads then
    return false
  elseif existing and existing.type == "directory" then
    return errors.fail { reason = "copy.is-directory", op = "copy",
      message = ("'%s' is a directory, and '%s' is a link"):format(item.target, item.rel) }
  end
  local temporary = paths.temporary(item.target)
  local ok
  ok, err = item.to:symlink(leads, temporary)
  if ok then
    ok, err = item.to:rename(temporary, item.target)
    if not ok then
      core.shield(GRACE, item.to.remove, item.to, temporary)
    end
  end
  return ok and 0, err
end

local function copy_one(self, item)
  local key = ("%d %s"):format(item.source_number, item.inner or "")
  if self.done[key] then
    return
  end
  local size, err
  if item.entry.type == "link" then
    size, err = copy_link(self, item)
  else
    size, err = file.copy(self, item)
  end
  if item.meter and self.hooks.on_file_end then
    self.hooks.on_file_end(item)
  end
  if size == nil then
    self:failed(item.rel, err)
    if self.fatal then
      return
    end
  elseif size then
    self.outcome.files = self.outcome.files + 1
    self.outcome.bytes = self.outcome.bytes + size
  else
    self.outcome.same = self.outcome.same + 1
    self:expect(-item.entry.size)
  end
  self.done[key] = true
end

-- Waits until there is room for a file of this size; false: the copy has ended.
local function take_room(self, size)
  while self.flying > 0 and self.flying + size > UNDER_WAY and not self.fatal do
    local ok, err = self.room:wait()
    if not ok then
      self.fatal = self.fatal or err
    end
  end
  self.flying = self.flying + size
  return not self.fatal
end

local function give_room(self, size)
  self.flying = self.flying - size
  self.room:broadcast()
end

local function worker(self)
  while not self.fatal do
    local item, err = self.walk:next()
    if not item then
      if err then
        self.fatal = self.fatal or err
      end
      return true
    end
    local size = item.entry.type == "file" and item.entry.size or 0
    if take_room(self, size) then
      copy_one(self, item)
    end
    give_room(self, size)
    self.walk:finished(item.parent)
  end
  return true
end

-- Cancels all and waits until they have cleared up.
local function stop(self, tasks)
  for _, task in ipairs(tasks) do
    task:cancel()
  end
  self.walk.changed:broadcast()
  self.room:broadcast()
  core.shield(GRACE, function()
    for _, task in ipairs(tasks) do
      task:await()
    end
  end)
end

-- Workers are started as items come: most copies need one.
local function run_tasks(self)
  local tasks = {}
  for _ = 1, walk.LISTERS do
    tasks[#tasks + 1] = core.spawn(self.walk.lister, self.walk)
  end
  local wanted = self.single and 1 or WORKERS
  for _ = 1, wanted do
    tasks[#tasks + 1] = core.spawn(worker, self)
  end
  for _, task in ipairs(tasks) do
    local ok, err = task:await()
    if not ok then
      self.fatal = self.fatal or err
      stop(self, tasks)
      return nil, err
    end
  end
  return true
end

--- Copies all. Single files that fail are in the outcome; an error ended the whole.
---@return true|nil, arclua.Error?
function Job:run()
  self.walk = walk.new(self)
  local ok, err = target.resolve(self)
  if ok then
    self.single = #self.walk.directories == 0 and self.walk.last == 1
    ok, err = run_tasks(self)
  end
  self.pool:stop()
  for _, name in ipairs(self.left_behind) do
    table.insert(self.outcome.notes, "left behind: " .. name)
  end
  self.left_behind = {}
  if not ok or self.fatal then
    return nil, self.fatal or err
  end
  return true
end

return job
