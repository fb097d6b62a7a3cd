-- SPDX-License-Identifier: MIT
---@meta arclua.core
-- The C primitives. Whatever waits yields the calling task and returns its value, or `nil, err`.
-- Misuse (wrong type, unknown option, use after close) raises. All times are seconds.
-- `timeout` options bound the one call; an enclosing arc.timeout or a cancel ends it earlier.

---@class arclua.Error
---@field code string        timeout cancelled closed refused dns tls auth denied notfound conflict throttled unavailable protocol limit hostkey config unknown io nomem
---@field reason string?     one of core.reasons' keys
---@field message string     one printable sentence
---@field remedy string?     what the user can do
---@field op string?         the primitive: "relay.connect"
---@field phase string?      "tls", "upgrade", "auth" ...
---@field retryable boolean
---@field retry_after number?
---@field status integer?    HTTP status, WebSocket close code or errno
---@field tracking_id string?
---@field cause arclua.Error?

local core = {}

--- Reasons: name -> { code=, retryable=, remedy= } (core/util/reason.c).
core.reasons = {}
--- The metatable of error values, for those that Lua makes (lua/arclua/errors.lua).
core.error_meta = {}
--- The metatable of lists that ARM's JSON brought, and of json.array's.
core.array_meta = {}
--- The version, "0.1.0".
core.version = ""
---------------------------------------------------------------- tasks (core/lua/ltask.c)
--- Starts fn(...) as a task at the loop's next turn.
---@param fn function  raised errors go to whoever awaits, else to core.on_error
---@return arclua.Task
function core.spawn(fn, ...) end

---@class arclua.Task
local Task = {}
--- Waits for the task; raises what it raised (with traceback when it was a string).
---@return any ...  what its function returned; nil, err (cancelled, timeout) when this wait was ended
function Task:await() end
--- Makes the task's pending and all later waits return nil, cancelled (but inside arc.shield). Sticky. Idempotent.
function Task:cancel() end
--- How far the task is.
---@return "running"|"done"|"failed"
function Task:status() end

--- Waits so many seconds; 0 lets the others run. Errors: cancelled, timeout.
---@return true|nil, arclua.Error?
function core.sleep(seconds) end
--- Runs fn(...) in this task; waits inside give nil, timeout after so many seconds.
---@return any ...  what fn returns
function core.timeout(seconds, fn, ...) end
--- Runs fn(...) in this task; a cancel or an outer timeout does not end waits inside for at most so many seconds.
---@return any ...  what fn returns
function core.shield(seconds, fn, ...) end
--- The running task, or nil on the main thread.
function core.current() end
--- A condition: c:wait() → true | nil, err; c:signal() wakes one, c:broadcast() all.
function core.cond() end
--- Seconds on the (scaled) monotonic clock: for measuring.
---@return number
function core.now() end
--- Seconds since 1970 on the (scaled, skewed) wall clock.
---@return number
function core.time() end
--- Gets/sets the clock's scale (1 = real; 100: one second lasts 10 ms).
function core.scale(factor) end
function core.skew(seconds) end   -- moves the wall clock, for specs
--- { tasks=, ops=, streams=, lingers=, children= }: all alive things.
function core.stats() end
--- Runs the loop until no linger (remote command being ended, orderly close) is left.
function core.linger() end
--- Kills all tasks, then lingers. The state is unusable afterwards.
function core.shutdown() end
--- fn(err_text_with_traceback) is called for an error in a task that nobody awaits.
function core.on_error(fn) end
--- As Lua's coroutine.wrap/resume, but a wait inside is handed on to the task (the host installs them).
function core.resume(co, ...) end
function core.wrap(fn) end        -- see core.resume
---------------------------------------------------------------- streams, tcp, processes (lstream.c, lprocess.c)
---@class arclua.Stream
local Stream = {}
--- Up to n bytes (default 65536), at least one. Plain nil at the end; nil, err on failure.
---@return string|nil, arclua.Error?
function Stream:read(n) end
--- All of s: a string, or a secret, which whoever reads the other end then knows.
---@return true|nil, arclua.Error?
function Stream:write(s) end
function Stream:shutdown() end   -- no more writes (half-close)
function Stream:close() end      -- orderly; idempotent; also __close, __gc
function Stream:abort(err) end   -- the peer sees a reset
function Stream:name() end       -- for messages: string

core.tcp = {}
--- A connection. Errors: dns, refused, timeout ...
---@param opts { timeout: number? }?
---@return arclua.Stream|nil, arclua.Error?
function core.tcp.connect(host, port, opts) end
--- Loopback or given address; port 0 = any. Listener: :accept() → stream | nil, err; :port(); :close().
function core.tcp.listen(host, port) end
--- Two connected streams (a socket pair), for specs and plumbing.
function core.pair() end
--- Copies both ways until both directions ended (end → shutdown, error → abort). Takes both streams.
---@param opts { follow: boolean? }?   follow: b's end ends the copy, whatever a would still say
---@return true|nil, arclua.Error?
function core.splice(a, b, opts) end
--- The process's own stdin (0), stdout (1), stderr (2) as a stream, without changing the descriptor's flags for others.
--- With out: fd is read and out written, as one stream.
function core.stdio(fd, out) end
--- The process's terminal (/dev/tty) as a stream; without echo, what is typed stays unseen until it is closed.
---@return arclua.Stream|nil, arclua.Error?
function core.terminal(echo) end
--- The terminal behind descriptor 0, 1 or 2 without its line discipline: every byte as it is typed and shown. It is put
--- back when the object is closed or collected, and when a signal ends the program. One at a time.
---@param fd integer
---@return arclua.RawTerminal|nil, arclua.Error?
function core.raw_terminal(fd) end
--- Whether a terminal is raw now.
---@return boolean
function core.terminal_is_raw() end
---@class arclua.RawTerminal
local RawTerminal = {}
--- Raw again: after cooked, or after the process was stopped.
---@return true|nil, arclua.Error?
function RawTerminal:again() end
function RawTerminal:cooked() end   -- as it was before
function RawTerminal:close() end    -- likewise, for good; also __close, __gc

core.unix = {}
--- A connection to the socket at path. Errors: refused, notfound, denied ...
---@return arclua.Stream|nil, arclua.Error?
function core.unix.connect(path) end
--- Listens at path; its file goes with the listener.
---@param opts { mask: integer?, replace: boolean? }?  mode bits that the file does not get (octal 0177); take a socket away
---that is there
---@return arclua.Listener|nil, arclua.Error?
function core.unix.listen(path, opts) end

--- The server's side of SOCKS 4, 4a and 5 for one client, without authentication and for CONNECT alone. Only bytes: read
--- as many as it needs and feed them.
---@return arclua.Socks
function core.socks() end
---@class arclua.Socks
local Socks = {}
function Socks:need() end           -- how many bytes to read next, at most
--- "more" | "answer", bytes to write | "connect", host, port | "refused", bytes to write, why.
---@param bytes string
---@return string step, string?, string|integer|nil
function Socks:feed(bytes) end
--- The bytes that tell the client how its connection went.
---@param result "ok"|"failed"|"denied"|"unreachable"|"refused"
---@return string
function Socks:finish(result) end

---@class arclua.SpawnOptions
---@field args string[]              argv; args[1] is searched in PATH, no shell
---@field env table<string,string>?  added to (or, with clear_env, instead of) the environment; false removes
---@field clear_env boolean?
---@field without_secrets boolean?   without the variables that hold secrets of a sign-in to Azure
---@field cwd string?
---@field stdin string?              "null" (default) | "pipe" | "inherit"
---@field stdout string?             "null" | "pipe" (default) | "inherit"
---@field stderr string?             "null" | "pipe" | "inherit" (default) | "file:PATH" (appended)
---@field socket boolean?            stdin+stdout are one socket pair: process:stream()
---@field uid integer?               drop to this user and group (root only)
---@field gid integer?
---@field hostname string?           own UTS hostname where the system allows it, silently without otherwise
---@field session boolean?           setsid: own session and process group; kill() then hits the group
---@field die_with_parent boolean?   SIGKILL when this process dies (PR_SET_PDEATHSIG)
core.process = {}
--- Starts a child process, without a shell. Errors: notfound ...
---@param opts arclua.SpawnOptions
---@return arclua.Process|nil, arclua.Error?
function core.process.spawn(opts) end
--- Waits until the process that started this one has ended.
---@return true|nil, arclua.Error?
function core.process.await_parent() end
---@class arclua.Process
local Process = {}
--- { status = n } or { signal = "KILL", signal_number = 9 }.
---@return { status: integer?, signal: string?, signal_number: integer? }|nil, arclua.Error?
function Process:wait() end
--- Sends a signal: "TERM", "KILL" ..., or a number; with `session` to its whole group.
function Process:kill(signal) end
function Process:pid() end       -- integer
function Process:stdin() end     -- its stdin as a stream; handed out once
function Process:stdout() end    -- its stdout, likewise
function Process:stderr() end    -- its stderr, likewise
function Process:stream() end    -- both ways, with `socket`; likewise
--- Kills (when running) and reaps. Also __close, __gc.
function Process:close() end
---------------------------------------------------------------- secrets, system (lsecret.c, lsys.c)
---@class arclua.Secret   prints "<redacted>"; wiped on :close()
--- From text (the caller's Lua string is not wiped: prefer secret_env, secret_file).
function core.secret(text) end
--- From an environment variable, nil when unset or empty; take: and out of the environment.
function core.secret_env(name, take) end
--- The first line of a stream (a terminal, a program's output), which it takes over and closes. Errors: closed, limit.
---@return arclua.Secret|nil, arclua.Error?
function core.read_secret(stream) end
--- One HTTP request, head and body, from a stream that it takes over: the secret, and the stream anew. What comes behind
--- it is dropped. Errors: closed, limit (16 KB of head, 64 KB of body).
---@return arclua.Secret|nil, arclua.Stream|arclua.Error
function core.read_request(stream) end
--- The base64url text of n random bytes.
---@return arclua.Secret
function core.secret_random(n) end
--- From a regular file (trailing newline dropped). Errors: notfound, denied, io; limit when larger than max.
---@param path string
---@param opts { follow: boolean?, max: integer? }?  a symbolic link is followed only with follow; max 65536 bytes
---@return arclua.Secret|nil, { uid: integer, size: integer }|arclua.Error  whose the file is
function core.secret_file(path, opts) end

core.sys = {}
function core.sys.getuid() end               -- effective user id
function core.sys.pid() end                  -- of this process
function core.sys.user() end                 -- login name of the effective user
function core.sys.home() end                 -- $HOME, else passwd's
function core.sys.cwd() end                  -- the working directory | nil, err
function core.sys.isatty(fd) end             -- boolean
function core.sys.winsize(fd) end            -- columns, rows | nil
function core.sys.mkdir(path, mode) end      -- true | nil, err; parents too; an existing directory is fine
function core.sys.mkdtemp(prefix) end        -- path of a new 0700 directory below $TMPDIR or /tmp | nil, err
--- Atomic replace (temporary name, fsync, rename), no symlink followed. mode default 0600 (integer 384).
function core.sys.write_file(path, data, mode) end
function core.sys.append_file(path, data, mode) end  -- O_APPEND|O_NOFOLLOW, one write, under flock
function core.sys.read_file(path, max) end   -- string | nil, err
function core.sys.remove(path) end           -- file, link or whole tree (never follows links) | nil, err
function core.sys.stat(path, follow) end     -- of a link itself, or (follow) what it names: { type="file|directory|link|other", mode=, size=, uid=, mtime= } | nil, err
function core.sys.list(path) end             -- names | nil, err
function core.sys.realpath(path) end         -- absolute, without links | nil, err
function core.sys.chmod(path, mode) end      -- true | nil, err
function core.sys.chown(path, uid, gid) end  -- true | nil, err
function core.sys.utc(seconds) end           -- "2026-11-22T16:41:24Z" (RFC 3339, ms when fractional)
function core.sys.self() end                 -- path of the running executable
function core.sys.rlimit_nofile() end        -- raises the soft limit to the hard one; returns it
function core.sys.valid_utf8(s) end          -- boolean
function core.sys.cpu() end                  -- user, system seconds of this process, peak RSS in KiB
---------------------------------------------------------------- crypto (lcrypto.c, on core/crypto)
core.crypto = {}
function core.crypto.random(n) end                   -- n random bytes
function core.crypto.uuid() end                      -- "…-4…" lower case
function core.crypto.sha256(data) end                -- raw: 32 bytes
--- crypt(3): a password's hash as /etc/shadow has it | nil. setting: "$6$" and a salt.
---@return string?
function core.crypto.crypt(password, setting) end
function core.crypto.hmac_sha256(key, data) end      -- raw; key: string|Secret
function core.crypto.equal(a, b) end                 -- constant time
function core.crypto.hex(data) end                   -- lower case
function core.crypto.base64(data) end                -- with padding
function core.crypto.unbase64(text) end              -- data | nil (both alphabets, padding optional)
function core.crypto.base64url(data) end             -- no padding
--- An RSA-2048 key pair: userdata; key:jwk() → { kty="RSA", n=, e= }; key:pem() private PEM.
function core.crypto.rsa_key() end
--- header and claims: JSON texts. RS256.
function core.crypto.jwt_sign(key, header, claims) end
--- claims JSON text of a valid RS256 signature | nil, err.
function core.crypto.jwt_verify(key, token) end
--- A CA of one day constrained to names (DNS, and 127.0.0.1), and a server certificate for names.
---@return { ca: string, cert: string, key: string }  PEM
function core.crypto.make_ca(names) end
--- An application's certificate and RSA key from a file, PEM or PKCS #12. Errors: config (cred.bad-certificate), notfound, denied, io.
---@param path string
---@param password arclua.Secret?
---@return arclua.ClientCertificate|nil, arclua.Error?
function core.crypto.client_certificate(path, password) end
---@class arclua.ClientCertificate
local ClientCertificate = {}
function ClientCertificate:validity() end       -- from, to: seconds since 1970
function ClientCertificate:thumbprint(kind) end -- "SHA256" (default: "x5t#S256") or "SHA1" ("x5t") as base64url
function ClientCertificate:chain() end          -- base64 of DER, its own first, then its issuers': "x5c"
--- The signed token of two JSON texts; algorithm: "PS256" (default) or "RS256".
---@return arclua.Secret
function ClientCertificate:sign(header, claims, algorithm) end
function ClientCertificate:close() end
--- An RSA key pair in memory, made in a thread: to be certified for SSH. bits: 2048 to 8192, default 3072.
---@return arclua.SshKey|nil, arclua.Error?
function core.crypto.ssh_key(bits) end
--- The public half of somebody's key: the line of a *.pub file; name: the file's, for the error. Errors: config (ssh.bad-key).
---@return arclua.SshKey|nil, arclua.Error?
function core.crypto.ssh_public_key(line, name) end
---@class arclua.SshKey
local SshKey = {}
function SshKey:id() end                -- SHA-256 of its JWK's numbers in hex: the JWK's kid
function SshKey:jwk() end               -- JSON: { kty = "RSA", n, e, kid }
function SshKey:public(comment) end     -- "ssh-rsa AAAA… comment"
function SshKey:is_private() end        -- whether the private half is here
function SshKey:pem() end               -- PKCS #8: Secret; raises without the private half
function SshKey:sign(data) end          -- a signature as SSH writes it, rsa-sha2-256; raises likewise
function SshKey:close() end
--- An OpenSSH certificate from its line or base64. With key it must be one to log in with: a user's, of that key, valid
--- now, with a name. Errors: protocol (also entra.bad-certificate), auth (entra.certificate-time).
---@param text string
---@param key arclua.SshKey?
---@return arclua.SshCertificate|nil, arclua.Error?
function core.crypto.ssh_certificate(text, key) end
---@class arclua.SshCertificate
local SshCertificate = {}
function SshCertificate:type() end             -- "ssh-rsa-cert-v01@openssh.com", "user" or "host"
function SshCertificate:key_id() end           -- what sshd logs
function SshCertificate:serial() end           -- decimal text
function SshCertificate:principals() end       -- names: strings
function SshCertificate:validity() end         -- from, before: seconds since 1970
function SshCertificate:extensions() end       -- name → what it says, "" for most
function SshCertificate:critical_options() end -- likewise
function SshCertificate:line(comment) end      -- as a *-cert.pub file has it, without newline
function SshCertificate:close() end
--- claims JSON text of a token that was signed (PS256) with this PEM certificate's key | nil, err.
function core.crypto.jwt_verify_certificate(pem, token) end
--- A certificate of one day for an application, signed by itself.
---@return { cert: string, key: string }  PEM
function core.crypto.make_client_certificate(name) end

return core
