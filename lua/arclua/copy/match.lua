-- SPDX-License-Identifier: MIT
-- Globs over files, by case: --exclude, and remote names.
local glob = require "arclua.glob"
local paths = require "arclua.copy.paths"

local match = {}

-- Errors that are none of one directory.
local ENDS = { closed = true, cancelled = true, timeout = true, config = true }

--- A function that says whether an entry is left out. A pattern without a slash means a name at
--- any depth, one with a slash a path from the top of what is copied; a slash at its end means
--- directories only. Errors: config.
---@param patterns string[]
---@return (fun(rel: string, directory: boolean): boolean)|nil, arclua.Error?
function match.excludes(patterns)
  local tests = {}
  for i, pattern in ipairs(patterns) do
    local body, directory = pattern:gsub("(.)/+$", "%1")
    local test, err = glob.compile(body:gsub("^/", ""), { files = true })
    if not test then
      return nil, err
    end
    tests[i] = { test = test, whole = body:find("/", 1, true) ~= nil, directory = directory > 0 }
  end
  return function(rel, directory)
    for _, one in ipairs(tests) do
      local subject = one.whole and rel or rel:match "[^/]*$"
      if (directory or not one.directory) and one.test(subject) then
        return true
      end
    end
    return false
  end
end

-- The entries of a directory whose names match; hidden ones only when asked for.
local function matching(sftp, directory, pattern)
  local test, err = glob.compile(pattern, { files = true })
  local entries
  if test then
    entries, err = sftp:list(directory == "" and "." or directory)
  end
  if not entries then
    return nil, err
  end
  local found = {}
  for _, entry in ipairs(entries) do
    if paths.is_name(entry.name) and test(entry.name)
      and (pattern:find "^%." or not entry.name:find "^%.") then
      found[#found + 1] = paths.join(directory, entry.name)
    end
  end
  table.sort(found)
  return found
end

-- The matches of one part of a pattern in the directories that the parts before have given.
local function below(sftp, directories, part)
  local out = {}
  for _, directory in ipairs(directories) do
    local found, err = { paths.join(directory, part) }, nil
    if glob.is_pattern(part) then
      found, err = matching(sftp, directory, part)
    end
    if not found and ENDS[err.code] then
      return nil, err
    end
    for _, path in ipairs(found or {}) do
      out[#out + 1] = path
    end
  end
  return out
end

--- The server's paths that a pattern stands for, sorted; the path itself when it is there or is
--- no pattern.
---@param sftp arclua.Sftp
---@param path string
---@return string[]|nil, arclua.Error?
function match.remote(sftp, path)
  if not glob.is_pattern(path) or sftp:lstat(path) then
    return { path }
  end
  local found = { path:find "^/" and "/" or "" }
  for part in path:gmatch "[^/]+" do
    local err
    found, err = below(sftp, found, part)
    if not found then
      return nil, err
    end
  end
  -- Where no pattern follows, what is named may be missing in some of them.
  local there = {}
  for _, one in ipairs(found) do
    there[#there + 1] = sftp:lstat(one) and one
  end
  return there
end

return match
