-- SPDX-License-Identifier: MIT
-- Paths of either side, as text: the names that a copy gives to things.
local core = require "arclua.core"

local paths = {}

-- Bytes that a file system allows in a name, and a temporary name's own.
local NAME_MAX, OWN = 255, 32

--- a/b; "" is where one is.
---@return string
function paths.join(directory, name)
  if directory == "" or name:find "^/" then
    return name
  elseif name == "" then
    return directory
  end
  return directory:find "/$" and directory .. name or directory .. "/" .. name
end

--- Directory and last name: "a/b" -> "a", "b"; "b" -> "", "b"; "/b" -> "/", "b". Slashes at the end
--- do not count; "." and ".." and "/" have no name: "".
---@return string directory, string name
function paths.split(path)
  local trimmed = path:gsub("(.)/+$", "%1")
  local directory, name = trimmed:match "^(.*/)([^/]*)$"
  if not directory then
    directory, name = "", trimmed
  elseif #directory > 1 then
    directory = directory:gsub("/+$", "")
    directory = directory == "" and "/" or directory
  end
  if name == "." or name == ".." then
    return trimmed, ""
  end
  return directory, name
end

--- What a name from a peer must be to be one file of a directory.
---@return boolean
function paths.is_name(name)
  return name ~= "" and name ~= "." and name ~= ".." and not name:find "[/%z]"
end

--- Whether a link at rel (below some top) that leads to `leads` stays below that top.
---@return boolean
function paths.stays(rel, leads)
  if leads:find "^/" or leads == "" then
    return false
  end
  local depth = select(2, rel:gsub("[^/]+", "")) - 1
  for part in leads:gmatch "[^/]+" do
    if part == ".." then
      depth = depth - 1
    elseif part ~= "." then
      depth = depth + 1
    end
    if depth < 0 then
      return false
    end
  end
  return true
end

-- Not longer than a name may be, whole characters.
local function cut(name)
  if #name + OWN <= NAME_MAX then
    return name
  end
  local short = name:sub(1, NAME_MAX - OWN):gsub("[\xc0-\xf7]?[\x80-\xbf]*$", "")
  return short
end

local function beside(path, mark)
  local directory, name = paths.split(path)
  return paths.join(directory, ("." .. cut(name) .. mark))
end

--- A name beside path that nobody else has.
---@return string
function paths.temporary(path)
  return beside(path, ".arclua-" .. core.crypto.hex(core.crypto.random(6)))
end

--- The name of what has come so far of a source of this size and time: the same each time.
---@param entry { size: integer, mtime: integer }
---@return string
function paths.partial(path, entry)
  local sum = core.crypto.sha256(("%d %d"):format(entry.size or 0, entry.mtime or 0))
  return beside(path, ".arclua-part-" .. core.crypto.hex(sum):sub(1, 12))
end

return paths
