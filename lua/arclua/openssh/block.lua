-- SPDX-License-Identifier: MIT
-- Our block of lines in a file of ssh_config: written once, replaced by the next run; what others
-- wrote around it stays.
local core = require "arclua.core"
local errors = require "arclua.errors"

local block = {}

local BEGIN = "# BEGIN arclua ssh-config (the next run replaces all down to END)"
local END = "# END arclua ssh-config"
-- What follows ours belongs to no stanza of ours.
local CLOSE = "Match all"
local MAX_FILE = 4 * 1024 * 1024

local function refuse(path, why, remedy)
  return errors.fail { code = "config", op = "ssh_config", message = ("%s: %s"):format(path, why),
    remedy = remedy }
end

-- Where our block stands: position of its first byte, of the first after it; nil, nil when there
-- is none; nil, nil, why.
local function find(text)
  local first, last, number, at, inside = nil, nil, 0, 1, nil
  for line, after in text:gmatch "([^\n]*)\n?()" do
    number = number + 1
    if line:find(BEGIN, 1, true) == 1 then
      if first then
        return nil, nil, ("line %d: a second block of arclua begins"):format(number)
      end
      first, inside = at, number
    elseif line:find(END, 1, true) == 1 and inside then
      last, inside = after, nil
    end
    at = after
  end
  if inside then
    return nil, nil, ("line %d: the block of arclua has no END"):format(inside)
  end
  return first, last
end

--- text with our block replaced, or put at the end. Errors: config (a damaged block).
---@param text string  what the file has
---@param body string  lines of ours
---@param path string  for messages
---@return string|nil, arclua.Error?
function block.replace(text, body, path)
  local mine = ("%s\n%s%s\n%s\n"):format(BEGIN, body, CLOSE, END)
  local first, last, why = find(text)
  if why then
    return refuse(path, why, "mend or remove the block by hand, then run it again")
  elseif first then
    return text:sub(1, first - 1) .. mine .. text:sub(last)
  elseif text == "" then
    return mine
  end
  return text .. (text:find "\n$" and "" or "\n") .. "\n" .. mine
end

local function is_directory(path)
  local stat = core.sys.stat(path, true)
  return stat and stat.type == "directory"
end

--- What a file has that is to be written: text and mode, "" for one that is not there yet.
--- Errors: config (a link, a directory, no folder), and what reading it gives.
---@param path string
---@return string|nil text, integer|arclua.Error mode
function block.read(path)
  local folder = path:match "^(.*)/[^/]*$"
  if folder and folder ~= "" and not is_directory(folder) then
    return refuse(path, "there is no folder " .. folder,
      "make it first: mkdir -p -m 700 " .. folder)
  end
  local stat = core.sys.stat(path)
  if not stat then
    return "", 384
  elseif stat.type == "link" then
    return refuse(path, "it is a symbolic link, which would be replaced by a file",
      "name the file that it leads to")
  elseif stat.type ~= "file" then
    return refuse(path, "a file expected, this is a " .. stat.type, "name a file")
  end
  local text, err = core.sys.read_file(path, MAX_FILE)
  return text, text and stat.mode & 511 or err
end

--- Writes our block into a file, which is replaced as a whole (temporary name, fsync, rename).
--- Errors: as block.read and block.replace, and what writing gives.
---@param path string
---@param body string
---@return true|nil, arclua.Error?
function block.save(path, body)
  local text, mode = block.read(path)
  if not text then
    return nil, mode
  end
  local changed, err = block.replace(text, body, path)
  if not changed then
    return nil, err
  elseif changed == text then
    return true
  end
  return core.sys.write_file(path, changed, mode)
end

return block
