-- SPDX-License-Identifier: MIT
-- The line by which ~/.ssh/config includes a file of ours.
local block = require "arclua.openssh.block"
local core = require "arclua.core"
local errors = require "arclua.errors"
local parse = require "arclua.openssh.parse"
local stanza = require "arclua.openssh.stanza"
local words = require "arclua.openssh.words"

local include = {}

local function ssh_folder()
  return core.sys.home() .. "/.ssh"
end

local function user_file()
  return ssh_folder() .. "/config"
end

--- The line for a file. Errors: config (a path that Include would take for a pattern).
---@param path string  absolute
---@return string|nil, arclua.Error?
function include.line(path)
  if path:find "[*?%[]" then
    return errors.fail { code = "config", op = "ssh_config",
      message = ("Include: '%s' would be taken for a pattern"):format(path),
      remedy = "choose a file name without *, ? and [" }
  end
  return stanza.path("Include", path)
end

-- Whether a file of ssh_config names path in an Include, wherever it stands.
local function names(list, path)
  for _, line in ipairs(list) do
    for _, pattern in ipairs(line.keyword == "include" and line.words or {}) do
      pattern = pattern:gsub("^~/", core.sys.home() .. "/")
      if not pattern:find "^/" then
        pattern = ssh_folder() .. "/" .. pattern
      end
      if words.match(path, pattern) then
        return true
      end
    end
  end
  return false
end

-- At the top: what stands below a Host line would count for that host alone.
local function add(line)
  local ok, err = core.sys.mkdir(ssh_folder(), 448)
  local text, mode
  if ok then
    text, mode = block.read(user_file())
    err = mode
  end
  if not text then
    return nil, err
  end
  ok, err = core.sys.write_file(user_file(), ("%s\n%s%s"):format(line, text ~= "" and "\n" or "",
    text), mode)
  return ok and "added", err
end

--- Lets ~/.ssh/config include a file, by consent: "added"; true when nothing needs to be done;
--- false without consent. Errors: as block.read, what writing and the question give.
---@param path string  absolute
---@param consent true|fun(line: string): boolean?, arclua.Error?
---@return "added"|boolean|nil, arclua.Error?
function include.ensure(path, consent)
  if path == user_file() then
    return true
  end
  local list, err = parse.file(user_file(), { base = ssh_folder(), optional = true })
  if not list then
    return nil, err
  elseif names(list, path) then
    return true
  end
  local line
  line, err = include.line(path)
  local agreed = consent
  if line and consent ~= true then
    agreed, err = consent(line)
  end
  if not line or agreed == nil then
    return nil, err
  end
  return agreed and add(line)
end

return include
