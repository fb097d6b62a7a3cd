-- SPDX-License-Identifier: MIT
-- What the words of a copy mean: sources that are there, and where each of them goes.
local core = require "arclua.core"
local errors = require "arclua.errors"
local file = require "arclua.copy.file"
local match = require "arclua.copy.match"
local paths = require "arclua.copy.paths"
local side = require "arclua.copy.side"

local target = {}

--- A path of the server's as people write it: "~/x" and "~" begin in the login's home, as all
--- relative ones do.
---@return string
function target.remote_path(text)
  local path = text:gsub("^~/+", ""):gsub("^~$", "")
  return path == "" and "." or path
end

local function fail(reason, format, ...)
  return errors.fail { reason = reason, op = "copy", message = format:format(...) }
end

-- A side for what is in a directory, wherever the job's sources or targets are.
local function open_side(job, remote, directory, follow)
  if remote then
    return side.remote(job.pool.list[1].sftp, directory)
  end
  return side.local_(directory, follow)
end

-- mkdir -p on the server.
local function make_remote(sftp, path)
  local built = path:find "^/" and "/" or ""
  for part in path:gmatch "[^/]+" do
    built = paths.join(built, part)
    local ok, err = sftp:mkdir(built, 493)
    if not ok then
      local found = sftp:stat(built)
      if not found then
        return nil, err
      elseif found.type ~= "directory" then
        return fail("copy.is-file", "'%s' is there, and is no directory", built)
      end
    end
  end
  return true
end

local function make_directory(job, path)
  if job.upload then
    return make_remote(job.pool.list[1].sftp, path)
  end
  return core.sys.mkdir(path, 511)
end

local function stat(job, path)
  path = path:gsub("(.)/+$", "%1")
  if job.upload then
    return job.pool.list[1].sftp:stat(path)
  end
  return core.sys.stat(path, true)
end

-- The destination is not there. Whether things go into it; a template's parents are made.
local function is_into_new(job, wanted)
  local text = job.destination
  if text:find "/$" or wanted and job.make_parents then
    return make_directory(job, text)
  elseif wanted then
    return fail("copy.no-directory", "'%s' is no directory, and %d things are to go there", text,
      #job.sources)
  end
  local parent = paths.split(text)
  if job.make_parents and parent ~= "" then
    local ok, err = make_directory(job, parent)
    return ok and false, err
  end
  return false
end

-- Whether the destination is a directory that things go into; made when it should be one.
local function is_into(job)
  local text = job.destination
  local wanted = text:find "/$" or #job.sources > 1
  local found, err = stat(job, text)
  if not found and err.code == "notfound" then
    return is_into_new(job, wanted)
  elseif not found then
    return nil, err
  elseif wanted and found.type ~= "directory" then
    return fail("copy.is-file", "'%s' is no directory", text)
  end
  return found.type == "directory"
end

-- Where a source goes: the directory and the name in it.
local function place(job, name, into)
  if not into then
    return paths.split(job.destination)
  end
  return (job.destination:gsub("(.)/+$", "%1")), name
end

-- The entry of a source, links followed: what one names is meant.
local function look(job, from, name, source)
  local entry, err = from:stat(name)
  if not entry then
    return nil, err
  elseif entry.type == "directory" and not job.opts.recursive then
    return fail("copy.is-directory", "'%s' is a directory", source)
  elseif entry.type ~= "file" and entry.type ~= "directory" then
    return fail("copy.not-regular", "'%s' is a device, socket or pipe", source)
  end
  return entry
end

-- A target that the user names and that is a link: where it leads is written to, as cp does.
local function through_link(job, directory, name)
  local to, err = open_side(job, job.upload, directory)
  local found = to and name ~= "" and to:lstat(name)
  if not found or found.type ~= "link" then
    return to, to and name or err, found
  end
  local real
  if job.upload then
    real = to:realpath(name)
  else
    real = core.sys.realpath(paths.join(directory, name))
  end
  if not real or not stat(job, real) then
    return to, name, found -- it leads nowhere: it is replaced
  end
  return through_link(job, paths.split(real))
end

-- The sources, remote patterns expanded; what is not there is a failure of its own.
local function expand(job)
  if job.upload then
    return job.sources
  end
  local out = {}
  for _, source in ipairs(job.sources) do
    local found, err = match.remote(job.pool.list[1].sftp, target.remote_path(source))
    if not found then
      return nil, err
    elseif #found == 0 then
      job:failed(source, errors.new { reason = "sftp.not-found", op = "copy",
        message = ("no file matches '%s'"):format(source) })
    end
    table.move(found, 1, #found, #out + 1, out)
  end
  return out
end

-- Adds one source to what is to be copied.
local function add(job, source, into, number)
  local directory, name = paths.split(source)
  local from, err = open_side(job, not job.upload, directory, true)
  local entry
  if from then
    entry, err = look(job, from, name, source)
  end
  if not entry then
    return nil, err
  end
  local to_directory, to_name = place(job, name, into)
  if name == "" then -- "dir/.": what is in it
    to_directory, to_name = paths.split(job.destination)
  end
  local whole = paths.join(to_directory, to_name)
  if name ~= "" and job.targets[whole] then
    return fail("copy.one-target", "'%s' and '%s' would both become '%s'", job.targets[whole],
      source, whole)
  end
  job.targets[whole] = source
  local to, at, existing = through_link(job, to_directory, to_name)
  if not to then
    return nil, at
  end
  local item = { rel = name == "" and source or name, from = from, source = name, entry = entry,
    to = to, target = at, existing = existing or nil, source_number = number }
  if entry.type == "directory" then
    job.walk:add_directory(item)
  else
    job.walk:add(item)
  end
  return true
end

--- Puts what the job's words mean into its walk. Errors: those that end the whole copy.
---@return true|nil, arclua.Error?
function target.resolve(job)
  if job.upload then
    job.destination = target.remote_path(job.destination)
  elseif job.destination == "" then
    job.destination = "."
  end
  local sources, err = expand(job)
  if not sources then
    return nil, err
  end
  job.sources = sources
  local into
  into, err = is_into(job)
  if err then
    if file.is_fatal(err) then
      return nil, err
    end
    job:failed(job.destination, err)
    return true
  end
  for number, source in ipairs(sources) do
    local ok, why = add(job, source, into, number)
    if not ok and file.is_fatal(why) then
      return nil, why
    elseif not ok then
      job:failed(source, why)
    end
  end
  return true
end

return target
