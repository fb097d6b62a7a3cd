-- SPDX-License-Identifier: MIT
---@meta arclua.core
-- The primitives of SFTP and of local directories.
local core = {}
---------------------------------------------------------------- SFTP (lsftp.c, lsftpfile.c, on core/ssh)
core.sftp = {}
--- An SFTP client over a stream, which it takes over: usually session:subsystem "sftp". No wait below has a
--- time limit of its own: core.timeout gives one.
---@param stream arclua.Stream
---@param opts { timeout: number? }?    seconds until the server has said its version, default 30
---@return arclua.Sftp|nil, arclua.Error?
function core.sftp.connect(stream, opts) end
--- Counts the bytes that transfers have moved, for itself and its parent, and holds them to a rate.
---@param parent arclua.Meter?
---@param rate number?                  bytes a second, of all below it; default any
---@return arclua.Meter
function core.sftp.meter(parent, rate) end

---@class arclua.Meter
local Meter = {}
function Meter:moved() end              -- bytes
function Meter:add(bytes) end           -- counts what others have moved
function Meter:close() end              -- also __close, __gc

---@class arclua.FileInfo
---@field type "file"|"directory"|"link"|"other"|"unknown"
---@field size integer?
---@field mode integer?                 permission bits
---@field uid integer?                  not in lists
---@field gid integer?
---@field atime integer?                seconds since 1970
---@field mtime integer?
---@field name string?                  in lists
---@class arclua.FileAttributes
---@field mode integer?
---@field size integer?                 of SFTP only
---@field uid integer?                  of SFTP only, with gid
---@field gid integer?
---@field atime integer?                one time alone sets both (SFTP)
---@field mtime integer?

---@class arclua.Sftp
local Sftp = {}
--- Opens a file: "r", "r+", "w", "w+" as fopen does; "wx": it must not be there; "c": made when it is not there,
--- never cut.
---@param path string                   relative ones begin in the login's home
---@param flags string?                 default "r"
---@param mode integer?                 of a new file, under the server's umask
---@return arclua.SftpFile|nil, arclua.Error?
function Sftp:open(path, flags, mode) end
function Sftp:stat(path) end            -- arclua.FileInfo | nil, err; links are followed
function Sftp:lstat(path) end           -- the same, of a link itself
---@param attributes arclua.FileAttributes
function Sftp:setstat(path, attributes) end -- true | nil, err
function Sftp:chmod(path, mode) end     -- true | nil, err
function Sftp:mkdir(path, mode) end     -- mode: default 0777, under the server's umask
function Sftp:rmdir(path) end           -- true | nil, err
function Sftp:remove(path) end          -- a file or link
--- Replaces `to` at once where the server has posix-rename@openssh.com; else it must not be there.
function Sftp:rename(from, to) end
function Sftp:symlink(leads_to, path) end -- true | nil, err
function Sftp:readlink(path) end        -- text | nil, err
function Sftp:realpath(path) end        -- absolute, without links | nil, err
--- All names of a directory but . and .., with their attributes, in the server's order.
---@param most integer?                 more are an error (sftp.too-many); default 1,000,000
---@return arclua.FileInfo[]|nil, arclua.Error?
function Sftp:list(path, most) end
--- { block_size, fragment_size, blocks, blocks_free, blocks_available, files, files_free, name_max, read_only }
--- of the file system | nil, err (sftp.unsupported without statvfs@openssh.com).
function Sftp:statvfs(path) end
--- Whether the server has posix-rename@openssh.com, fsync@openssh.com, statvfs@openssh.com, limits@openssh.com
--- or copy-data.
---@return boolean
function Sftp:has(extension) end
function Sftp:close() end               -- who waits is told `closed`

---@class arclua.SftpFile
local SftpFile = {}
--- Up to n bytes (default 64 KiB, most 64 MiB) from where the file stands; nil at its end | nil, err.
---@return string|nil, arclua.Error?
function SftpFile:read(n) end
function SftpFile:write(text) end       -- true | nil, err
function SftpFile:seek(offset) end      -- from the beginning; returns where it stands
function SftpFile:stat() end            -- arclua.FileInfo | nil, err
function SftpFile:setstat(attributes) end -- true | nil, err
function SftpFile:sync() end            -- true: on disk | false: the server cannot say | nil, err
---@class arclua.MoveOptions
---@field offset integer?               in both files, default 0
---@field length integer?               default: to the end
---@field size integer?                 receive: where the end is believed to be, so that no round trip is lost
---@field meter arclua.Meter?
--- Sends bytes of a local file to this one, many requests at a time, without passing through Lua: how many.
--- Errors: sftp.changed (it has become shorter than length), io (of either end).
---@param from arclua.LocalFile
---@param opts arclua.MoveOptions?
---@return integer|nil, arclua.Error?
function SftpFile:send(from, opts) end
--- The other way. Less than length when the file ends before.
---@return integer|nil, arclua.Error?
function SftpFile:receive(to, opts) end
--- Copies on the server (copy-data): length 0 is all.
function SftpFile:copy_to(other, offset, length, other_offset) end
function SftpFile:close() end           -- waits: true | nil, err; __close and __gc do not wait

---------------------------------------------------------------- local files (llocal.c, on core/util/root.c)
--- A directory and what is below it, by relative paths; "" is itself. Unless it follows, no part of a path may
--- be a link, ".." or empty: nothing outside is reached (copy.bad-name, copy.through-link).
---@param path string
---@param follow boolean?               links are followed, and paths may lead anywhere
---@return arclua.LocalRoot|nil, arclua.Error?
function core.local_root(path, follow) end
---@class arclua.LocalRoot
local LocalRoot = {}
--- "r", "c" (made when it is not there), "wx" (it must not be there).
---@return arclua.LocalFile|nil, arclua.Error?
function LocalRoot:open(path, flags, mode) end
function LocalRoot:stat(path) end -- arclua.FileInfo | nil, err; links are followed
function LocalRoot:lstat(path) end -- the same, of a link itself
function LocalRoot:setstat(path, attributes) end -- mode, atime and mtime: true | nil, err
function LocalRoot:list(path) end -- arclua.FileInfo[] | nil, err
function LocalRoot:mkdir(path, mode) end -- mode: default 0777, under the umask: true | nil, err
function LocalRoot:rmdir(path) end -- true | nil, err
function LocalRoot:remove(path) end -- a file or link: true | nil, err
function LocalRoot:rename(from, to) end -- replaces: true | nil, err
function LocalRoot:symlink(leads_to, path) end -- true | nil, err
function LocalRoot:readlink(path) end -- text | nil, err
function LocalRoot:realpath(path) end -- absolute, without links | nil, err
function LocalRoot:close() end -- also __close, __gc
---@class arclua.LocalFile
local LocalFile = {}
function LocalFile:stat() end -- arclua.FileInfo | nil, err
function LocalFile:setstat(attributes) end -- true | nil, err
function LocalFile:truncate(size) end -- true | nil, err
function LocalFile:sync() end           -- waits: a thread does it
function LocalFile:sha256() end         -- waits: hex text | nil, err
function LocalFile:close() end          -- true | nil, err

return core
