-- SPDX-License-Identifier: MIT
-- An SFTP server of a few lines that answers as a spec wants: also what no honest one would.
local core = require "arclua.core"

local sftpd = {}

sftpd.TYPES = { INIT = 1, VERSION = 2, OPEN = 3, CLOSE = 4, READ = 5, WRITE = 6, LSTAT = 7,
  FSTAT = 8, SETSTAT = 9, FSETSTAT = 10, OPENDIR = 11, READDIR = 12, REMOVE = 13, MKDIR = 14,
  RMDIR = 15, REALPATH = 16, STAT = 17, RENAME = 18, READLINK = 19, SYMLINK = 20, STATUS = 101,
  HANDLE = 102, DATA = 103, NAME = 104, ATTRS = 105, EXTENDED = 200, EXTENDED_REPLY = 201 }

local NAMES = {}
for name, number in pairs(sftpd.TYPES) do
  NAMES[number] = name
end

--- A packet with its length.
function sftpd.packet(type_, body)
  return string.pack(">s4", string.char(sftpd.TYPES[type_]) .. body)
end

--- The answers to a request of this id.
function sftpd.status(id, code, text)
  return sftpd.packet("STATUS", string.pack(">I4I4s4s4", id, code, text or "", ""))
end

function sftpd.handle(id, handle)
  return sftpd.packet("HANDLE", string.pack(">I4s4", id, handle))
end

function sftpd.data(id, text)
  return sftpd.packet("DATA", string.pack(">I4s4", id, text))
end

--- Attributes of a file (mode with its type).
function sftpd.attrs(mode, size)
  return string.pack(">I4I8I4", 1 | 4, size or 0, mode)
end

function sftpd.names(id, list)
  local parts = { string.pack(">I4I4", id, #list) }
  for _, one in ipairs(list) do
    parts[#parts + 1] = string.pack(">s4s4", one.name, "") .. (one.attrs or "\0\0\0\0")
  end
  return sftpd.packet("NAME", table.concat(parts))
end

local function read_exactly(stream, state, n)
  while #state.rest < n do
    local chunk = stream:read()
    if not chunk then
      return nil
    end
    state.rest = state.rest .. chunk
  end
  local text = state.rest:sub(1, n)
  state.rest = state.rest:sub(n + 1)
  return text
end

-- One request: type, id, body; of an extended one its name comes first.
local function read_request(stream, state)
  local head = read_exactly(stream, state, 4)
  local packet = head and read_exactly(stream, state, (string.unpack(">I4", head)))
  if not packet then
    return nil
  end
  local type_ = NAMES[packet:byte()]
  if type_ == "INIT" then
    return type_, 0, packet:sub(2)
  end
  local id, at = string.unpack(">I4", packet, 2)
  if type_ == "EXTENDED" then
    type_, at = string.unpack(">s4", packet, at)
  end
  return type_, id, packet:sub(at)
end

--- Serves a stream: answers[TYPE] is called with (id, body) and gives the bytes to send, or nil
--- for none; answers.any is for what has no function. opts.version: what is sent at first;
--- "answers" that raise end the service.
function sftpd.serve(stream, answers)
  local state = { rest = "" }
  while true do
    local type_, id, body = read_request(stream, state)
    if not type_ then
      break
    end
    local answer = answers[type_]
    local bytes
    if type_ == "INIT" and not answer then
      bytes = sftpd.packet("VERSION", string.pack(">I4", 3) .. (answers.extensions or ""))
    elseif answer then
      bytes = answer(id, body)
    elseif answers.any then
      bytes = answers.any(id, body, type_)
    else
      bytes = sftpd.status(id, 8)
    end
    if bytes and not stream:write(bytes) then
      break
    end
  end
  stream:close()
end

--- A connection to such a server: sftp | nil, err; and the server's task.
function sftpd.connect(answers, opts)
  local near, far = core.pair()
  local task = core.spawn(sftpd.serve, far, answers)
  local sftp, err = core.sftp.connect(near, opts)
  return sftp, err, task
end

return sftpd
