-- SPDX-License-Identifier: MIT
-- One file from one side to the other: under a temporary name, whole, and then in its place.
local core = require "arclua.core"
local errors = require "arclua.errors"
local paths = require "arclua.copy.paths"
local pool = require "arclua.copy.pool"
local side = require "arclua.copy.side"
local stripe = require "arclua.copy.stripe"
local sum = require "arclua.copy.sum"

local file = {}

-- Seconds that clearing up may take, after a cancel too.
local PATIENCE = 5
-- What one connection may have moved out of order before it broke.
local UNSURE = 4 * 1024 * 1024
-- From here on a file is written to disk before it takes its place; smaller ones of a tree are
-- not: it costs more than their transfer.
local SYNCED = 1024 * 1024
local LAST = 0xffffffff

--- Whether an error ends the copy of this machine and not only of one file.
---@return boolean
function file.is_fatal(err)
  return err.code == "closed" or err.code == "cancelled" or err.code == "timeout"
end

---@class arclua.CopyItem
---@field rel string            for people: its path below what is copied
---@field from any              the side it comes from
---@field source string         its path there
---@field entry table           its attributes
---@field to any
---@field target string
---@field existing table|false|nil  what is at the target; false: nothing; nil: not known

-- What is at the target, false for nothing: looked up unless it is known.
local function existing_of(item)
  if item.existing == nil then
    local found, err = item.to:lstat(item.target)
    if not found and err.code ~= "notfound" then
      return nil, err
    end
    item.existing = found or false
  end
  return item.existing
end

local function check_target(existing, item)
  if existing and existing.type == "directory" then
    return errors.fail { reason = "copy.is-directory", op = "copy",
      message = ("'%s' is a directory, and '%s' is a file"):format(item.target, item.rel) }
  elseif existing and existing.type == "other" then
    return errors.fail { reason = "copy.not-regular", op = "copy",
      message = ("'%s' is a device, socket or pipe"):format(item.target) }
  end
  return true
end

-- Whether the target is the same already, as far as the options look.
local function is_same(job, item, existing)
  local entry, opts = item.entry, job.opts
  if not existing or existing.type ~= "file" or existing.size ~= entry.size then
    return false
  elseif opts.checksum then
    return sum.same(job, item, item.target)
  elseif opts.resume and opts.preserve then
    return existing.mtime == entry.mtime
  end
  return opts.resume and (existing.mtime or 0) >= (entry.mtime or math.huge)
end

-- A time as SFTP has it: from 1970 to 2106.
local function time(seconds)
  return seconds and math.max(0, math.min(seconds, LAST))
end

--- The mode and times of an entry, as both sides can set them.
---@param entry table
---@return arclua.FileAttributes
function file.preserved(entry)
  return { mode = entry.mode, mtime = time(entry.mtime), atime = time(entry.atime or entry.mtime) }
end

-- The mode and times that the new file gets when it is written; nil: what it was made with.
local function attributes(job, item, existing)
  if job.opts.preserve then
    return file.preserved(item.entry)
  elseif existing and existing.mode and existing.type == "file" then
    return { mode = existing.mode & 511 }
  end
  return nil
end

-- What has come of an earlier attempt, and from where it is gone on | nil: from the beginning.
local function reopen(job, to, item, temporary)
  if not (job.opts.resume or job.temporaries[item.target]) then
    return nil
  end
  local found = to:lstat(temporary)
  if not found or found.type ~= "file" or found.size > item.entry.size then
    return nil
  end
  local unsure = item.entry.size > pool.LARGE and stripe.AHEAD or UNSURE
  local begin = math.max(0, found.size - unsure)
  return to:open(temporary, "c", 384), begin - begin % 4096
end

local function create(job, to, item, temporary)
  local handle, begin = reopen(job, to, item, temporary)
  if handle then
    return handle, nil, begin
  end
  local mode = ((item.entry.mode or 420) & 511) | (job.opts.preserve and 128 or 0)
  local err
  handle, err = to:open(temporary, "wx", mode)
  if not handle and to:lstat(temporary) then -- of an attempt that cannot be gone on from
    to:remove(temporary)
    handle, err = to:open(temporary, "wx", mode)
  end
  return handle, err, 0
end

local function open_source(job, from, item)
  local handle, err = from:open(item.source, "r")
  if handle and job.upload then
    local now
    now, err = handle:stat()
    if now and now.type ~= "file" then
      handle:close()
      return errors.fail { reason = "copy.not-regular", op = "copy",
        message = ("'%s' is no regular file"):format(item.rel) }
    elseif not now then
      return nil, err
    end
    item.entry = now
  end
  return handle, err
end

local function changed(item)
  return errors.new { reason = "sftp.changed", op = "copy",
    message = ("'%s' changed while it was copied"):format(item.rel) }
end

-- By one connection: what there was when it was opened; when that was nothing (as /proc says), or
-- when it comes from the server, to its end.
local function move_plain(job, item, handles, begin)
  local size = item.entry.size
  local n, err = side.move(handles.from, handles.to, { offset = begin, size = size,
    length = job.upload and size > 0 and size - begin or nil, meter = job:meter_of(item) },
    job.upload)
  if not n then
    return nil, err
  end
  item.size = begin + n
  return true
end

-- Handles of the other connections; the first is there.
local function open_more(job, item, first, sftps)
  local handles = {}
  for _, sftp in ipairs(sftps) do
    if sftp ~= first.sftp then
      local from, to = first.from, first.to
      if job.upload then
        to = item.to:by(sftp):open(first.temporary, "c", 384)
      else
        from = item.from:by(sftp):open(item.source, "r")
      end
      if from and to then
        handles[#handles + 1] = { from = from, to = to, mine = job.upload and to or from }
      end
    end
  end
  return handles
end

local function move_striped(job, item, first, begin)
  local handles = {}
  local ok, err = stripe.move { size = item.entry.size, begin = begin, upload = job.upload,
    meter = job:meter_of(item), first = first, short = changed(item),
    more = function()
      handles = open_more(job, item, first, job.pool:widen())
      return handles
    end }
  for _, files in ipairs(handles) do
    files.mine:close()
  end
  item.size = item.entry.size
  return ok, err
end

local function move(job, item, first, begin)
  job:expect(-begin)
  if item.entry.size - begin > pool.LARGE and (#job.pool.list > 1 or job.pool:may_widen()) then
    return move_striped(job, item, first, begin)
  end
  return move_plain(job, item, first, begin)
end

local function finish(job, item, first, attrs)
  local ok, err = true, nil
  if attrs then
    ok, err = first.to:setstat(attrs)
  end
  if ok and job.opts.fsync ~= false
    and (job.opts.fsync or job.single or item.entry.size >= SYNCED) then
    local synced
    synced, err = first.to:sync()
    ok = synced ~= nil -- false: the server has no such request
  end
  first.closed = true
  local closed, late = first.to:close()
  return ok and closed, err or late
end

-- Takes away what has come so far, or leaves it to be gone on from.
local function clear(job, item, to, first, err)
  core.shield(PATIENCE, function()
    if not first.closed then
      first.to:close()
    end
    if job.opts.resume or err.code == "closed" then
      job.temporaries[item.target] = first.temporary
      return
    end
    local removed, why = to:remove(first.temporary)
    if not removed and why.code ~= "notfound" then
      job.left_behind[#job.left_behind + 1] = first.temporary
    end
  end)
end

-- Why a server failed without saying why: its disk may be full.
local function explain(item, err)
  if err.reason ~= "sftp.failure" or not item.to.is_remote
    or not item.to.sftp:has "statvfs@openssh.com" then
    return err
  end
  local vfs = item.to:statvfs ""
  if vfs and vfs.blocks_available == 0 then
    return errors.new { reason = "io.no-space", op = "copy", cause = err,
      message = ("write %s: no space is left on the machine's file system"):format(item.target) }
  end
  return err
end

-- The error by the file's own name: nobody knows the temporary one.
local function by_name(item, temporary, err)
  local _, short = paths.split(temporary)
  local _, name = paths.split(item.target)
  local first, last = err.message:find(short, 1, true)
  if not first then
    return err
  end
  return errors.with(err, { message = err.message:sub(1, first - 1) .. name
    .. err.message:sub(last + 1) })
end

local function temporary_of(job, item)
  local known = job.temporaries[item.target]
  return known or job.opts.resume and paths.partial(item.target, item.entry)
    or paths.temporary(item.target)
end

local function fill(job, item, first, existing, begin)
  local ok, err = move(job, item, first, begin)
  if not ok then
    return nil, explain(item, err)
  end
  ok, err = finish(job, item, first, attributes(job, item, existing))
  if ok and job.opts.checksum then
    ok, err = sum.verify(job, item, first.temporary)
  end
  return ok, err
end

-- From the opened source to the file in its place.
local function write(job, item, from_handle, existing, sftp)
  local to = job.upload and item.to:by(sftp) or item.to
  local temporary = temporary_of(job, item)
  local to_handle, err, begin = create(job, to, item, temporary)
  if not to_handle then
    return nil, by_name(item, temporary, explain(item, err))
  end
  local first = { from = from_handle, to = to_handle, sftp = sftp, temporary = temporary }
  local ok
  ok, err = fill(job, item, first, existing, begin)
  if ok then
    ok, err = to:rename(temporary, item.target)
  end
  if not ok then
    clear(job, item, to, first, err)
    return nil, by_name(item, temporary, err)
  end
  job.temporaries[item.target] = nil
  return item.size
end

--- Copies one file: how many bytes it has, or false: it was there already | nil, err.
---@param job table
---@param item arclua.CopyItem
---@return integer|false|nil, arclua.Error?
function file.copy(job, item)
  item.entry.size = item.entry.size or 0
  local existing, err = existing_of(item)
  local ok = existing ~= nil
  if ok then
    ok, err = check_target(existing, item)
  end
  if not ok then
    return nil, err
  end
  local same
  same, err = is_same(job, item, existing)
  if err then
    return nil, err
  elseif same then
    return false
  end
  job.pool:begin(item.entry.size)
  return job.pool:with(function(sftp)
    local from = job.upload and item.from or item.from:by(sftp)
    local handle <close>, why = open_source(job, from, item)
    if not handle then
      return nil, why
    end
    return write(job, item, handle, existing, sftp)
  end)
end

return file
