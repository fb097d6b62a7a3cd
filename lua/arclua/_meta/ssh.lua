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
---@field hash_known_hosts boolean?    new names are hashed; default: as those that the file has
---@field identities string[]?         key files in order: private, or public with its private half in the agent;
---PATH-cert.pub beside one counts
---@field identities_only boolean?     of the agent's keys, only those of the identities
---@field certificate arclua.SshCertificate?  with its private key in memory: offered before all others
---@field certificates string[]?       more certificate files, for identities or keys of the agent
---@field agent boolean|string|nil     default true: also the keys of $SSH_AUTH_SOCK; a string: of this socket
---@field passphrase arclua.Secret?    for encrypted identities
---@field password arclua.Secret?      sent once, as a password or to a single hidden question
---@field methods string[]?            in order; default { "publickey", "keyboard-interactive", "password" }
---@field prompt (fun(question: arclua.SshQuestion): arclua.Secret?)?  answers what must be asked, in the
---connecting task; it may wait. nil: that method is given up. Without it nothing is asked
---@field timeout number?              from here to logged in, default 30; stands still while prompt runs
---@field keepalive number?            seconds of silence until the server is asked whether it lives, default 30,
---                                    0 = never; after three questions without any answer the session is dead
---@field rekey_bytes integer?         new keys after so many bytes (16384 or more); default: the cipher's own limit
---@field rekey_seconds integer?       and after so long; default: never
---@field os string?                   "linux" (default) | "windows": how a command is ended
---@class arclua.SshQuestion
---@field kind "passphrase"|"password"|"keyboard-interactive"
---@field text string                  what to show, printable
---@field echo boolean                 the answer may be seen
---@field user string
---@field alias string
---@field path string?                 the key file (passphrase)
---@field name string?                 what the server says of its questions (keyboard-interactive)
---@field instruction string?
---@field attempt integer              from 1; after the third refusal nothing is asked again
--- SSH over a stream, which it takes over. Returns when logged in.
---@return arclua.Session|nil, arclua.Error?
function core.ssh.connect(stream, opts) end

--- What an SSH server shows before a login: its version line and its host key, which is looked up and not
--- noted down. Takes the stream over, and closes it. known: "known" | "new" | "changed" | "revoked".
---@param opts { alias: string, known_hosts: string?, timeout: number? }   default: ~/.ssh/known_hosts, 30 s
---@return { banner: string, type: string, fingerprint: string, known: string }|nil, arclua.Error?
function core.ssh.probe(stream, opts) end

---@class arclua.Session
local Session = {}
---@class arclua.ExecOptions
---@field timeout number?              seconds for the command; then it is ended on the far side
---@field stdin string|arclua.Stream|nil   nothing = /dev/null; a stream is taken over
---@field env table<string,string>?    asked by SSH env requests (servers accept few), each a round trip
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
--- A connection to a socket with a path on the server's host (direct-streamlocal; servers of OpenSSH alone).
---@param path string
---@param opts { timeout: number? }?
---@return arclua.Stream|nil, arclua.Error?
function Session:direct_streamlocal(path, opts) end
---@class arclua.ShellOptions
---@field command string?              nil: a login shell
---@field subsystem string?            in place of a command: "sftp"
---@field pty boolean|{ term: string?, cols: integer?, rows: integer? }|nil   ask for a terminal: type "xterm", 80 x 24
---characters (0 = unknown); its error output arrives with the other
---@field env table<string,string>?    asked by SSH env requests (servers accept few), each a round trip
---@field agent string?                socket of the SSH agent that the server may use from now on
--- A shell, a command or a subsystem as streams; returns when the server has started it. A command without a terminal is
--- ended as session:exec's are, anything else by hanging up. Errors: what the server's refusal gives (nothing was run).
---@param opts arclua.ShellOptions?
---@return arclua.Shell|nil, arclua.Error?
function Session:shell(opts) end
---@class arclua.Shell   keep it as long as its streams are in use
local Shell = {}
--- Its input and output as one stream; handed out once. Its end comes with the output's; :shutdown() ends the input. When it
--- is closed, what still comes is discarded.
---@return arclua.Stream
function Shell:stream() end
--- Its error output, likewise: read it, for what nobody reads stops the other at last.
---@return arclua.Stream
function Shell:stderr() end
--- Waits for its end: { state, status, signal, seconds, ended, err } as session:exec's result has them. Output that was not
--- read is still there. Raises: another task waits.
---@return table|nil, arclua.Error?
function Shell:wait() end
function Shell:has_terminal() end       -- false when the server refused the one that was asked for
--- The terminal's new size, in characters.
---@param cols integer
---@param rows integer
function Shell:resize(cols, rows) end
--- Sends a signal, "INT"; servers may ignore it. False: it does not run.
---@return boolean
function Shell:signal(name) end
function Shell:close() end              -- ends it; also __close, __gc
--- Asks the server to listen for us. address: "localhost", "" for all, or one of the server's own; port 0: it chooses.
--- Errors: denied (ssh.listen-refused) ...
---@param address string
---@param port integer
---@param opts { timeout: number? }?
---@return arclua.Remote|nil, arclua.Error?
function Session:listen(address, port, opts) end
---@class arclua.Remote
local Remote = {}
--- Waits for one connection.
---@return arclua.Stream|nil, arclua.Error?
function Remote:accept() end
function Remote:port() end              -- integer
function Remote:close() end             -- the server is told; also __close, __gc
--- Waits for the session's end: always nil and why.
---@return nil, arclua.Error
function Session:wait() end
--- A stream to a subsystem of the server. Errors: ssh.no-subsystem.
---@param name string
---@param opts { timeout: number? }?    seconds until it stands, default 30
---@return arclua.Stream|nil, arclua.Error?
function Session:subsystem(name, opts) end
function Session:close() end            -- orderly; also __close, __gc
function Session:banner() end           -- the server's version line
--- What the server wrote before the login (its Banner), printable; nil: nothing.
---@return string?
function Session:issue() end
--- What there is to say of a host key that was not known and was accepted; nil: it was known. Then: a
--- @cert-authority line names the host, too.
---@return string?, boolean
function Session:new_key() end
--- Keys that logins have read, and what opened them, are kept until this and all others like it are closed; without
--- one they are wiped after each login. Also __close, __gc.
---@return { close: function }
function core.ssh.keep_keys() end
--- Makes an ed25519 key pair PATH (0600) and PATH.pub; returns the public line | nil, err.
function core.ssh.keygen(path, comment) end
--- Writes a key pair: PATH (0600) with the private text, PATH.pub with the public line; files that exist are not touched.
---@param private arclua.Secret
---@return true|nil, arclua.Error?
function core.ssh.write_pair(path, private, public) end
--- A stream to the SSH agent whose socket is at path. Errors: auth (ssh.agent-failed).
---@return arclua.Stream|nil, arclua.Error?
function core.ssh.agent(path) end
--- The message that gives an agent a certificate (with its private key) for so many seconds.
---@param certificate arclua.SshCertificate
---@return arclua.Secret
function core.ssh.agent_message(certificate, comment, seconds) end

return core
