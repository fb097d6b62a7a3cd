-- SPDX-License-Identifier: MIT
-- A peer that sends any bytes at any split, over a pair of streams or over TLS.
local core = require "arclua.core"
local json = require "arclua.json"

local hostile = {}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local NAME = "ns.servicebus.localhost"

--- The ways to cut what is sent: in one write, byte by byte, at random by a seed.
hostile.SPLITS = { "whole", "bytes", 1, 2, 3 }

-- The next piece's length: xorshift, so that a seed means the same everywhere.
local function lengths(seed)
  local state = seed * 2654435761 % 4294967296
  return function()
    state = state ~ state << 13 & 0xffffffff
    state = state ~ state >> 17
    state = state ~ state << 5 & 0xffffffff
    return state % 8 == 0 and state % 9000 + 1 or state % 9 + 1
  end
end

local function cutter(split)
  if split == "bytes" then
    return function() return 1 end
  elseif split == "whole" then
    return function() return math.maxinteger end
  end
  return lengths(split)
end

--- Writes bytes, cut that way, each piece in a turn of its own: true | nil, err.
function hostile.send(stream, bytes, split)
  local next_length, at = cutter(split or "whole"), 1
  while at <= #bytes do
    local n = math.min(next_length(), #bytes - at + 1)
    local ok, err = stream:write(bytes:sub(at, at + n - 1))
    if not ok then
      return nil, err
    end
    at = at + n
    core.sleep(0)
  end
  return true
end

--- Relay credentials as JSON; changes laid over them (false removes).
function hostile.credentials(changes)
  local relay = {
    namespaceName = "ns", namespaceNameSuffix = "servicebus.localhost:9",
    hybridConnectionName = "microsoft.hybridcompute/machines/ab/17/v2",
    accessKey = "SharedAccessSignature sr=x&sig=y", expiresOn = 1790003600,
    serviceConfigurationToken = "jwt.jwt.jwt",
  }
  for key, value in pairs(changes or {}) do
    if value == false then
      value = nil
    end
    relay[key] = value
  end
  return json.encode { relay = relay }
end

--- Sec-WebSocket-Accept for a key. SHA-1 of short texts: only openssl is at hand.
function hostile.accept(key)
  local child <close> = assert(core.process.spawn { stdin = "pipe",
    args = { "openssl", "dgst", "-sha1", "-binary" } })
  local to <close> = child:stdin()
  local from <close> = child:stdout()
  to:write(key .. GUID)
  to:close()
  local digest = ""
  for chunk in function() return from:read() end do
    digest = digest .. chunk
  end
  child:wait()
  return core.crypto.base64(digest)
end

--- The request's head: text, and its Sec-WebSocket-Key.
function hostile.request(stream)
  local text = ""
  repeat
    text = text .. (stream:read() or "\r\n\r\n")
  until text:find("\r\n\r\n", 1, true)
  return text, text:match "Sec%-WebSocket%-Key: (%S+)"
end

--- The 101 that a relay gives; extra: more header lines.
function hostile.switching(key, extra)
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" ..
    "Connection: Upgrade\r\nSec-WebSocket-Accept: " .. hostile.accept(key) .. "\r\n" ..
    (extra or "") .. "\r\n"
end

local function is_listening(port)
  local wanted = (":%04X 00000000:0000 0A"):format(port)
  local file = assert(io.open "/proc/net/tcp")
  local text = file:read "a"
  file:close()
  return text:find(wanted, 1, true) ~= nil
end

local Peer = {}
Peer.__index = Peer

function Peer:write(bytes) return self.to:write(bytes) end

function Peer:read() return self.from:read() end

--- Ends TLS by close_notify, then TCP; only with { commands = true }.
function Peer:notify()
  core.sleep(0.02) -- s_server knows a command by a read that begins with it
  assert(self.to:write "Q\n")
end

--- Ends TCP without close_notify.
function Peer:close()
  if self.closed then
    return
  end
  self.closed = true
  self.to:close()
  self.process:kill "KILL"
  self.process:wait()
  self.from:close()
  self.process:close()
  os.remove(self.cert)
  os.remove(self.ca)
end

local function write_temporary(text)
  local path = os.tmpname()
  assert(core.sys.write_file(path, text))
  return path
end

--- A TLS server of one connection that sends what is written to it, a record a write:
--- `openssl s_server`. It has port, ca (a file), read, write, close, notify. opts: commands (for
--- notify; then read gives its chatter, too).
function hostile.tls(opts)
  local made = core.crypto.make_ca { NAME }
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local port = listener:port()
  listener:close()
  local cert = write_temporary(made.cert .. made.key)
  local args = { "openssl", "s_server", "-naccept", "1", "-accept", "127.0.0.1:" .. port,
    "-cert", cert, "-key", cert }
  args[#args + 1] = not (opts or {}).commands and "-quiet" or nil
  local process = assert(core.process.spawn { stdin = "pipe", stderr = "null", args = args })
  while not is_listening(port) do
    assert(core.sleep(0.01))
  end
  return setmetatable({ port = port, process = process, to = process:stdin(),
    from = process:stdout(), cert = cert, ca = write_temporary(made.ca) }, Peer)
end

--- A client's WebSocket over TLS by a whole relay.connect; port: instead of the peer's own.
function hostile.connect(peer, port)
  local info <close> = assert(core.relayinfo(hostile.credentials {
    namespaceNameSuffix = "servicebus.localhost:" .. (port or peer.port) }))
  local far = core.spawn(function()
    local _, key = hostile.request(peer)
    assert(peer:write(hostile.switching(key)))
  end)
  local ws = assert(core.relay.connect(info, { port = 22, ca = peer.ca }))
  far:await()
  return ws
end

--- A client's WebSocket and its peer: over "pair" or "tls".
function hostile.websocket(over)
  if over == "pair" then
    local mine, theirs = core.pair()
    return core.relay.websocket(mine, "client"), theirs
  end
  local peer = hostile.tls()
  return hostile.connect(peer), peer
end

--- A line between a client and port: bytes pass as they are until `line.bend` is set, from then on
--- each of the server's is changed. Has port, close.
function hostile.bent(port)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local line = { port = listener:port() }
  local function pass(from, to, change)
    return core.spawn(function()
      for chunk in function() return from:read() end do
        if not to:write(change and line.bend and chunk:gsub(".", change) or chunk) then
          break
        end
      end
    end)
  end
  local carrier = core.spawn(function()
    local near <close> = assert(listener:accept())
    local far <close> = assert(core.tcp.connect("127.0.0.1", port))
    local there = pass(near, far)
    pass(far, near, function(c) return string.char(c:byte() ~ 1) end):await()
    near:shutdown()
    there:await()
  end)
  function line.close()
    carrier:await()
    listener:close()
  end
  return line
end

return hostile
