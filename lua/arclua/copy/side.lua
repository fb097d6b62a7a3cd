-- SPDX-License-Identifier: MIT
-- The two ends of a copy, with the same methods: a local directory (core.local_root itself) and a
-- directory of an SFTP server.
local core = require "arclua.core"
local paths = require "arclua.copy.paths"

local Remote = {}
Remote.__index = Remote

local side = {}

--- A directory of the server's: what is done below it takes paths relative to it.
---@param sftp arclua.Sftp
---@param base string
function side.remote(sftp, base)
  return setmetatable({ sftp = sftp, base = base == "." and "" or base, is_remote = true }, Remote)
end

--- A local directory. follow: links are followed, and paths may leave it (where one reads).
---@param path string
---@param follow boolean?
function side.local_(path, follow)
  local root, err = core.local_root(path == "" and "." or path, follow)
  return root, err
end

--- The server's path of a name.
function Remote:path(rel)
  local path = paths.join(self.base, rel)
  return path == "" and "." or path
end

--- The same directory by another connection.
function Remote:by(sftp)
  return sftp == self.sftp and self or side.remote(sftp, self.base)
end

for _, name in ipairs { "stat", "lstat", "setstat", "list", "mkdir", "rmdir", "remove", "readlink",
  "open", "statvfs", "realpath" } do
  Remote[name] = function(self, rel, ...)
    return self.sftp[name](self.sftp, self:path(rel), ...)
  end
end

function Remote:rename(from, to)
  local ok, err = self.sftp:rename(self:path(from), self:path(to))
  -- Without the extension the server does not replace.
  if not ok and err.reason == "sftp.failure" and not self.sftp:has "posix-rename@openssh.com"
    and self.sftp:remove(self:path(to)) then
    ok, err = self.sftp:rename(self:path(from), self:path(to))
  end
  return ok, err
end

function Remote:symlink(leads, rel)
  return self.sftp:symlink(leads, self:path(rel))
end

--- Moves bytes between an open file of each side.
---@param from any
---@param to any
---@param opts { offset: integer?, length: integer?, size: integer?, meter: any }
---@param upload boolean
---@return integer|nil, arclua.Error?
function side.move(from, to, opts, upload)
  if upload then
    opts.size = nil
    return to:send(from, opts)
  end
  return from:receive(to, opts)
end

return side
