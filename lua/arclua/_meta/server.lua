-- SPDX-License-Identifier: MIT
---@meta arclua.core
-- The primitives of the server side: what the emulator is made of.
local core = {}
---------------------------------------------------------------- server side (lserver.c, on core/emulator)
core.server = {}
--- A listener on 127.0.0.1, with TLS unless both cert and key are absent. latency: seconds one way of each connection, TCP's handshake
--- included.
---@param opts { cert: string?, key: string?, port: integer?, latency: number? }  PEM texts
---@return arclua.Server|nil, arclua.Error?  config: certificate and key do not fit
function core.server.listen(opts) end
--- Starts a process that, once this one is gone by any signal or the returned stream is closed or
--- shut down, kills every process whose environment holds `mark` and removes dir. The stream ends
--- (read gives nil) when that is done. bound: this process ends (TERM, 5 s later KILL) when the one
--- that started it does.
---@param opts { dir: string, mark: string?, bound: boolean? }
---@return arclua.Stream|nil, arclua.Error?
function core.server.guardian(opts) end
--- Takes the stream over and gives it a line: latency in seconds one way, rate in bytes a second
--- (nil = any), absorbs = bytes on their way before it pushes back (12 MiB); each direction on its
--- own. End and reset travel behind the bytes. The far end hears of the line first, then it sends.
---@param opts { latency: number?, rate: number?, absorbs: integer? }
---@return arclua.Stream
function core.server.shape(stream, opts) end
--- Ends a stream of Conn:websocket by a Close of this code (1000 to 4999).
function core.server.ws_close(stream, code, reason) end
--- Passes WebSocket frames between the transports of a sender and a listener (Conn:upgrade, with
--- what came early), until both have ended; takes the streams over. Types, ends of messages and the
--- Close of either side arrive as sent, Pings are answered here.
---@param sender arclua.Stream
---@param sender_early string
---@param listener arclua.Stream
---@param listener_early string
---@param rules { budget: integer?, idle: number?, patience: number?, reset: boolean? }?
---   budget: bytes held a direction (12 MiB); idle: seconds without a frame after which both get
---   Close 1001 (nil = any); patience: seconds that a Close may be unanswered (10); reset: an abort
---   is passed on as one, not as Close 1011
---@return { sent: integer, received: integer, ended: string?, how: string?, code: integer? }|nil, arclua.Error?
---   sent, received: payload bytes of sender and listener; ended: who ended it, "sender" or
---   "listener"; how: "close", "abort" (code 1006), "protocol", "idle"; code 1005 = a Close without
function core.server.bridge(sender, sender_early, listener, listener_early, rules) end
--- What a listener's text message on its control channel says: "renew" and the token (nil: it names
--- none that is a text), "response", "unknown", or "malformed": no object, not JSON, too long (128
--- KB) or deep, a name twice, a wrong type.
---@param message string
---@return "renew"|"response"|"unknown"|"malformed", string?
function core.server.control(message) end
---@class arclua.Server
local Server = {}
function Server:port() end      -- integer
function Server:accept() end    -- conn | nil, err; the handshake happens in the conn's first wait
function Server:close() end     -- no more connections
---@class arclua.Conn
local Conn = {}
--- The next request, plain nil at the end of the connection. A broken request is an error whose
--- status is the HTTP status to answer (400, 413, 431).
---@param timeout number?
---@return { method: string, target: string, path: string, query: string, headers: table<string,string>, names: table<string,string>, body: string, upgrade: boolean }|nil, arclua.Error?
function Conn:request(timeout) end     -- headers: lower-case names; names: lower case → as received
--- headers: table; Content-Length is added; "Connection: close" makes it the last answer.
--- reason may be any text without CR LF.
function Conn:respond(status, reason, headers, body) end
--- Answers 101 and turns the connection into a stream of binary messages (server role).
---@return arclua.Stream|nil, arclua.Error?
function Conn:websocket() end
--- Answers 101 (with this Sec-WebSocket-Protocol) and gives the connection's transport and what
--- came behind the request: for core.server.bridge, or for reading frames oneself.
---@param protocol string?
---@return arclua.Stream|nil, string|arclua.Error
function Conn:upgrade(protocol) end
--- Waits until the peer has gone away; what it sends meanwhile is kept. Errors: limit (64 KB).
---@return true|nil, arclua.Error?
function Conn:watch(timeout) end
--- Waits until the peer has gone away; what it sends is thrown away.
function Conn:drain(timeout) end
function Conn:peer() end        -- "127.0.0.1", port
function Conn:close() end       -- orderly
function Conn:abort() end       -- by a reset

return core
