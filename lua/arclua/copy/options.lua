-- SPDX-License-Identifier: MIT
-- The options of a copy.
local check = require "arclua.check"
local match = require "arclua.copy.match"

local options = {}

local CONNECTIONS = 4 -- when one is slow
local POLICIES = { copy = true, follow = true, skip = true }

---@class arclua.CopyOptions
---@field recursive boolean?      directories too
---@field preserve boolean?       times and modes of files and directories
---@field resume boolean?         goes on where an earlier copy ended; complete files are left alone
---@field checksum boolean?       files with the same SHA-256 are left alone, what was copied is
---   verified; needs a shell on the machine
---@field exclude string|string[]|nil  globs of names, or of paths (with a slash), that are left
---   out
---@field symlinks "copy"|"follow"|"skip"|nil  links inside trees; default copy: as links, when
---   they stay inside what is downloaded
---@field limit_rate number?      bytes a second, of all together
---@field connections integer?    for more than 64 MiB; default: 4 when one carries less than
---   32 MB/s (session:upload: 1)
---@field fsync boolean?          writes every file to disk (true) or none (false) before it takes
---   its place; default: single files, and those from 1 MiB on
---@field os string?              of the machine, for checksums: "linux" (default), "windows"

options.RULES = {
  recursive = "boolean", preserve = "boolean", resume = "boolean", checksum = "boolean",
  exclude = "string|table", symlinks = "string", limit_rate = "number", connections = "integer",
  fsync = "boolean", os = "string",
}

local function check_values(opts, level)
  if not POLICIES[opts.symlinks] then
    error(("option 'symlinks': copy, follow or skip expected, got '%s'"):format(opts.symlinks),
      level)
  end
  for _, name in ipairs { "connections", "limit_rate" } do
    if opts[name] and opts[name] <= 0 then
      error(("option '%s': a number above 0 expected, got %s"):format(name, opts[name]), level)
    end
  end
end

--- Checks; the options with their defaults, and the test that the globs mean. Raises: unknown or
--- ill-typed options. Errors: config (a glob).
---@param opts arclua.CopyOptions?
---@param level integer?
---@return table|nil, arclua.Error?
function options.check(opts, level)
  local given = check.options(opts, options.RULES, level or 3)
  local out = { symlinks = "copy", connections = CONNECTIONS, adapt = not given.connections }
  for name, value in pairs(given) do
    out[name] = value
  end
  check_values(out, (level or 3) + 1)
  local exclude = type(out.exclude) == "string" and { out.exclude } or out.exclude
  local err
  if exclude and #exclude > 0 then
    out.excluded, err = match.excludes(exclude)
    if not out.excluded then
      return nil, err
    end
  end
  return out
end

return options
