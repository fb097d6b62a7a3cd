-- SPDX-License-Identifier: MIT
-- A tree, directory by directory: what is in it becomes items for those who copy.
local core = require "arclua.core"
local errors = require "arclua.errors"
local file = require "arclua.copy.file"
local paths = require "arclua.copy.paths"

local Walk = {}
Walk.__index = Walk

local walk = {}

-- Items that may wait before more directories are read, and how many are read at a time.
local AHEAD, LISTERS = 5000, 4
-- Links to directories inside each other.
local DEEPEST = 200

-- A directory to be made and filled:
---@class arclua.CopyDirectory
---@field parent arclua.CopyDirectory?
---@field open integer            what is not finished in it, itself included
---@field depth integer
---@field rel string
---@field entry table

function walk.new(job)
  return setmetatable({ job = job, first = 1, last = 0, entries = {}, nodes = {}, existing = {},
    directories = {}, listing = 0, changed = core.cond() }, Walk)
end

-- An entry of a directory waits to be copied; it becomes an item when its turn has come, since
-- there may be many.
local function queue(self, node, entry, existing)
  self.last = self.last + 1
  self.entries[self.last], self.nodes[self.last] = entry, node
  self.existing[self.last] = existing
  if entry.type == "file" then
    self.job:expect(entry.size or 0)
  end
  self.changed:signal()
end

-- What is known of an entry of a directory.
local function item_of(node, entry, existing)
  local name = entry.name
  return { rel = paths.join(node.rel, name), from = node.from, to = node.to,
    source = paths.join(node.source, name), target = paths.join(node.target, name),
    inner = paths.join(node.inner or "", name), source_number = node.source_number,
    entry = entry, existing = existing, parent = node }
end

--- A single file to be copied.
---@param item arclua.CopyItem
function Walk:add(item)
  queue(self, false, item, nil)
  self.job:expect(item.entry.size or 0)
end

--- A directory to be copied. node: { rel, from, source, entry, to, target, existing, parent }.
function Walk:add_directory(node)
  node.open = 1
  node.depth = node.parent and node.parent.depth + 1 or 0
  self.directories[#self.directories + 1] = node
end

-- The attributes that a directory has in the end.
local function close_directory(job, node)
  if job.opts.preserve and node.made_or_there then
    local ok, err = node.to:setstat(node.target, file.preserved(node.entry))
    if not ok then
      job:failed(node.rel, err)
    end
  end
end

--- One thing of a directory is finished.
function Walk:finished(node)
  while node do
    node.open = node.open - 1
    if node.open > 0 then
      return
    end
    close_directory(self.job, node)
    node = node.parent
  end
end

-- Makes the target: true, what is in it by name (nothing: it is new) | nil, err.
local function make(node)
  local mode = ((node.entry.mode or 493) & 511) | 448
  local made, err = node.to:mkdir(node.target, mode)
  if made then
    return {}
  elseif file.is_fatal(err) then
    return nil, err
  end
  local found = node.to:lstat(node.target)
  if found and found.type == "link" and not node.parent then -- where the user has put it
    found = node.to:stat(node.target)
  end
  if not found then
    return nil, err
  elseif found.type == "link" then
    return errors.fail { reason = "copy.through-link", op = "copy",
      message = ("'%s' is a symbolic link, and '%s' a directory"):format(node.target, node.rel) }
  elseif found.type ~= "directory" then
    return errors.fail { reason = "copy.is-file", op = "copy",
      message = ("'%s' is a file, and '%s' a directory"):format(node.target, node.rel) }
  end
  local list
  list, err = node.to:list(node.target)
  if not list then
    return nil, err
  end
  local existing = {}
  for _, entry in ipairs(list) do
    existing[entry.name] = entry
  end
  return existing
end

local function is_within(path, directory)
  return path == directory or directory == "/" or path:sub(1, #directory + 1) == directory .. "/"
end

-- Whether a followed link leads to a directory that one is in, by the links that led here, too.
-- item.via gets where the link is.
local function is_loop(node, item)
  local leads, err = item.from:realpath(item.source)
  local here = leads and item.from:realpath(node.source)
  if not here then
    return nil, err
  end
  item.via = here
  local at = node
  while at do
    if is_within(here, leads) then
      return true
    end
    while at and not at.via do
      at = at.parent
    end
    here, at = at and at.via, at and at.parent
  end
  return node.depth > DEEPEST
end

-- What a link is taken for, by the policy: its entry, or nil: it is not copied.
local function of_link(job, node, item)
  local policy = job.opts.symlinks
  if policy == "skip" then
    return nil
  elseif policy == "copy" then
    return item.entry
  end
  local entry, err = item.from:stat(item.source)
  if not entry then
    job:failed(item.rel, err)
    return nil
  elseif entry.type == "directory" and is_loop(node, item) then
    job:failed(item.rel, errors.new { reason = "copy.loop", op = "copy",
      message = ("'%s' leads to a directory that it is in"):format(item.rel) })
    return nil
  end
  return entry
end

-- What an entry of a list really is: servers may not say, links may be followed. nil: nothing to
-- copy.
local function resolve(job, node, entry)
  if entry.type == "file" or entry.type == "directory" then
    return entry
  end
  local item = item_of(node, entry)
  local found = entry
  if entry.type == "unknown" then
    found = node.from:lstat(item.source) or entry
  end
  if found.type == "link" then
    item.entry = found
    found = of_link(job, node, item)
  end
  if found then
    found.name = entry.name
  end
  return found, item.via
end

local function take_entry(self, node, entry, existing)
  local job = self.job
  if job.excluded and job.excluded(paths.join(node.inner or "", entry.name),
    entry.type == "directory") then
    return
  end
  local via
  entry, via = resolve(job, node, entry)
  if not entry then
    return
  elseif entry.type == "directory" then
    node.open = node.open + 1
    local item = item_of(node, entry, existing)
    item.via = via
    self:add_directory(item)
  elseif entry.type == "file" or entry.type == "link" then
    node.open = node.open + 1
    queue(self, node, entry, existing)
  else
    job:skipped(paths.join(node.rel, entry.name), "no regular file")
  end
end

-- Reads a directory and makes its counterpart.
local function expand(self, node)
  local job = self.job
  local task = core.spawn(make, node)
  local list, err = node.from:list(node.source)
  local existing, why = task:await()
  if not (list and existing) then
    job:failed(node.rel, err or why)
    return self:finished(node)
  end
  node.made_or_there = true
  table.sort(list, function(a, b) return a.name < b.name end)
  local last
  for i, entry in ipairs(list) do
    local again = entry.name == last -- servers say so at times: two must not write one file
    last, list[i] = entry.name, nil
    if job.fatal then
      return nil
    elseif paths.is_name(entry.name) and not again then
      take_entry(self, node, entry, existing[entry.name] or false)
    elseif not again then
      job:failed(node.rel, errors.new { reason = "copy.bad-name", op = "copy",
        message = ("the machine gave '%s' for a file's name in '%s'"):format(entry.name,
          node.rel) })
    end
  end
  return self:finished(node)
end

--- What lists directories, some at a time: to be run as tasks.
function Walk:lister()
  local job = self.job
  while not job.fatal do
    local node = self.last - self.first < AHEAD and table.remove(self.directories)
    if node then
      self.listing = self.listing + 1
      expand(self, node)
      self.listing = self.listing - 1
      self.changed:broadcast()
    elseif #self.directories == 0 and self.listing == 0 then
      self.changed:broadcast()
      return true
    else
      local ok, err = self.changed:wait()
      if not ok then
        return nil, err
      end
    end
  end
  self.changed:broadcast()
  return true
end

--- The next item, in the order of the directories; nil at the end | nil, err.
---@return arclua.CopyItem|nil, arclua.Error?
function Walk:next()
  local job = self.job
  while not job.fatal do
    if self.first <= self.last then
      local i = self.first
      local node, item = self.nodes[i], self.entries[i]
      if node then
        item = item_of(node, item, self.existing[i])
      end
      self.entries[i], self.nodes[i], self.existing[i] = nil, nil, nil
      self.first = i + 1
      if self.last - self.first == AHEAD - 1 then
        self.changed:broadcast()
      end
      return item
    elseif #self.directories == 0 and self.listing == 0 then
      return nil
    end
    local ok, err = self.changed:wait()
    if not ok then
      return nil, err
    end
  end
  return nil
end

walk.LISTERS = LISTERS

return walk
