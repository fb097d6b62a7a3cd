-- SPDX-License-Identifier: MIT
-- A file of OpenSSH's client configuration as a list of lines: { keyword, words, where } with
-- "include" replaced by the lists of the files it names, in `files`.
local core = require "arclua.core"
local errors = require "arclua.errors"
local keywords = require "arclua.openssh.keywords"
local words = require "arclua.openssh.words"

local parse = {}

local MAX_FILE, MAX_FILES, MAX_DEPTH = 4 * 1024 * 1024, 1024, 16
local MAX_LINE = 64 * 1024
-- Writable by the group or the others.
local FOREIGN_WRITE = 18

local function refuse(where, why)
  return errors.fail { code = "config", op = "ssh_config", message = where .. ": " .. why }
end

-- What a part of a path with * and ? names in the directories so far.
local function expand_part(found, part)
  local out = {}
  if not part:find "[*?]" then
    for _, directory in ipairs(found) do
      out[#out + 1] = directory .. "/" .. part
    end
    return out
  end
  for _, directory in ipairs(found) do
    local names = core.sys.list(directory == "" and "/" or directory) or {}
    table.sort(names)
    for _, name in ipairs(names) do
      if words.match(name, part) and (part:find "^%." or not name:find "^%.") then
        out[#out + 1] = directory .. "/" .. name
      end
    end
  end
  return out
end

-- The files that an absolute glob names, in order; those that exist.
local function glob(path)
  local found = { "" }
  for part in path:gmatch "[^/]+" do
    found = expand_part(found, part)
  end
  local out = {}
  for _, name in ipairs(found) do
    local stat = core.sys.stat(name, true)
    if stat and stat.type ~= "directory" then
      out[#out + 1] = name
    end
  end
  return out
end

local function absolute(path, base)
  if path:find "^~/" then
    return core.sys.home() .. path:sub(2)
  elseif path:find "^/" then
    return path
  end
  return base .. "/" .. path
end

local read_list

local function include(state, line, depth)
  line.files = {}
  if depth >= MAX_DEPTH then
    return refuse(line.where, ("Include more than %d deep"):format(MAX_DEPTH))
  end
  for _, pattern in ipairs(line.words) do
    for _, path in ipairs(glob(absolute(pattern, state.base))) do
      local list, err = read_list(state, path, depth + 1)
      if not list then
        return nil, err
      end
      line.files[#line.files + 1] = list
    end
  end
  return true
end

-- One line into the list: true | nil, err.
local function add(state, list, text, where, depth)
  local keyword, rest = words.keyword(text)
  if not keyword then
    return true
  end
  local found, why = words.split(rest)
  if not found then
    return refuse(where, why)
  end
  local line = { keyword = keyword, words = found, where = where, rest = rest }
  list[#list + 1] = line
  if keyword == "host" then
    line.patterns = words.compile(found)
  elseif keyword == "include" then
    return include(state, line, depth)
  end
  return true
end

-- The whole file; a link is followed, as OpenSSH does.
local function read(path)
  local file, why = io.open(path, "rb")
  local text
  if file then
    local nothing
    text, nothing = file:read(MAX_FILE + 1)
    text, why = text or not nothing and "" or nil, nothing
    file:close()
  end
  if not text then
    return refuse(path, (why:gsub("^.*: ", "")))
  elseif #text > MAX_FILE then
    return refuse(path, "the file is too large")
  elseif text:find "\0" then
    return refuse(path, "not a text file")
  end
  return text
end

function read_list(state, path, depth)
  state.count = state.count + 1
  if state.count > MAX_FILES then
    return refuse(path, ("more than %d files are included"):format(MAX_FILES))
  end
  local text, err = read(path)
  local ok, list, number = text ~= nil, {}, 0
  if not ok then
    return nil, err
  end
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    local where = ("%s:%d"):format(path, number)
    if ok and #line > MAX_LINE then
      ok, err = refuse(where, "the line is too long")
    elseif ok then
      ok, err = add(state, list, line, where, depth)
    end
    if not ok then
      return nil, err
    end
  end
  return list
end

-- OpenSSH's rule for the file that it reads unasked.
local function is_ours(stat)
  return stat.mode & FOREIGN_WRITE == 0
    and (stat.uid == 0 or stat.uid == core.sys.getuid())
end

--- The lines of `ssh -o`: "Keyword=value" or "Keyword value" each. Errors: config, also for
--- keywords that ssh does not know, or that are not followed here.
---@param texts string[]
---@return table[]|nil, arclua.Error?
function parse.options(texts)
  local list = {}
  for _, text in ipairs(texts) do
    local where = ("option '-o %s'"):format(text)
    local keyword = words.keyword(text)
    if not keyword or keyword == "host" or keyword == "match" or keyword == "include" then
      return refuse(where, "Keyword=value expected")
    elseif keywords.MISSING[keyword] then
      return refuse(where, keyword .. " is not supported")
    elseif not keywords.KNOWN[keyword] and not keywords.IGNORED[keyword] then
      return refuse(where, "unknown keyword")
    end
    local ok, err = add({}, list, text, where, 0)
    if not ok then
      return nil, err
    end
  end
  list.always = true
  return list
end

--- Reads a file and what it includes. opts: base (what Include's paths are relative to), optional
--- (an absent file is an empty one), guarded (it must belong to us). Errors: config.
---@param path string
---@param opts { base: string, optional: boolean?, guarded: boolean? }
---@return table[]|nil, arclua.Error?
function parse.file(path, opts)
  local stat = core.sys.stat(path, true)
  if opts.optional and not stat then
    return {}
  elseif stat and opts.guarded and not is_ours(stat) then
    return refuse(path, "others may write to it: bad owner or permissions")
  end
  return read_list({ base = opts.base, count = 0 }, path, 0)
end

return parse
