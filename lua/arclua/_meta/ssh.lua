-- SPDX-License-Identifier: MIT
---@meta arclua.core
-- The primitives of SSH.
local core = {}
---------------------------------------------------------------- SSH (lssh.c, on core/ssh)
core.ssh = {}
---@class arclua.SshOptions
---@field user string
---@field alias string                 the name in known_hosts
---@field known_hosts string[]?        files to read; the first is appended to; default ~/.ssh/known_hosts
---@field host_key_policy string?      "accept-new" (default) | "yes" | "no"
---@field identities string[]?         private key files, tried in order
---@field agent boolean|string|nil     default true: also the keys of $SSH_AUTH_SOCK; a string: of this socket
---@field passphrase arclua.Secret?    for encrypted identities
---@field timeout number?              from here to logged in, default 30
---@field os string?                   "linux" (default) | "windows": how a command is ended
--- SSH over a stream, which it takes over. Returns when logged in.
---@return arclua.Session|nil, arclua.Error?
function core.ssh.connect(stream, opts) end

---@class arclua.Session
local Session = {}
---@class arclua.ExecOptions
---@field timeout number?              seconds for the command; then it is ended on the far side
---@field stdin string|arclua.Stream|nil   nothing = /dev/null; a stream is taken over
---@field env table<string,string>?    asked by SSH env requests (servers accept few)
---@field pty boolean?                 pseudo terminal (stderr arrives in stdout)
---@field max_output integer?          bytes kept a stream (head and tail halves), default 1 MiB; the rest is counted
---@field on_stdout fun(chunk: string)?  called from the task with what arrives, then nothing is kept
---@field on_stderr fun(chunk: string)?
---@field guard boolean?               force (true) or forbid (false) the guarded form; default: root logins on linux
---@class arclua.ExecResult
---@field state "ok"|"failed"|"timeout"|"cancelled"|"unknown"
---@field status integer?              exit status
---@field signal string?               "TERM": the command was killed by it
---@field stdout string
---@field stderr string
---@field truncated integer            bytes left out of both
---@field seconds number
---@field ended "confirmed"|"unconfirmed"|"not-started"
---@field err arclua.Error?            set whenever state ~= "ok"
--- Runs one command. A result whenever the request was sent; nil, err only before.
--- On timeout or cancel the remote command is ended first (5 s at most, by the loop), also when the task is gone.
---@return arclua.ExecResult|nil, arclua.Error?
function Session:exec(command, opts) end
--- A connection to host:port as the server reaches it (direct-tcpip); a session through it is
--- `core.ssh.connect(session:direct_tcpip(host, port), opts)`. The session lives on while the stream is
--- open, and ends it when it is closed itself.
---@param host string
---@param port integer
---@param opts { timeout: number? }?    seconds to open it, default 30
---@return arclua.Stream|nil, arclua.Error?
function Session:direct_tcpip(host, port, opts) end
function Session:close() end            -- orderly; also __close, __gc
function Session:banner() end           -- the server's version line
--- Makes an ed25519 key pair PATH (0600) and PATH.pub; returns the public line | nil, err.
function core.ssh.keygen(path, comment) end

return core
