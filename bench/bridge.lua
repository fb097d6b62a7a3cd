-- SPDX-License-Identifier: MIT
-- arclua run bench/bridge.lua [MEGABYTES RUNS]: what one connection through the emulator's relay
-- carries from a sender to an outside listener, both of them `openssl s_client`. This process is
-- the relay: its CPU time is the bridge's, TLS on both sides included.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local json = require "arclua.json"
local sas = require "arclua.emulator.sas"
local state = require "arclua.emulator.state"

local megabytes, runs = tonumber(arg[1] or 1024), tonumber(arg[2] or 3)
local CHUNK = 32 * 1024 -- a message, as clients send them
local BLOCK = 16 * 1024 * 1024

local function cpu_seconds()
  local user, system = core.sys.cpu()
  return user + system
end

local function request(e, target, token)
  return ("GET %s HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    .. "ServiceBusAuthorization: %s\r\n\r\n"):format(target, e.port, token or "")
end

-- A shell with TLS to the relay behind its function `tls`; REQUEST is what it begins with.
local function client(e, text, script)
  return assert(core.process.spawn { die_with_parent = true,
    session = true, stdin = "pipe",
    env = { REQUEST = text }, args = { "sh", "-c", ([[
      tls() { openssl s_client -quiet -CAfile '%s' -connect localhost:%d 2>/dev/null; }
      %s]]):format(e.state.cloud.ca, e.port, script) } })
end

local function token(e, path, rule)
  return sas.make(e.state, path, math.floor(core.time()) + 3600, rule)
end

local function accept_of(stream)
  local got = ""
  while true do
    local address = got:match '"address":"(.-[^\\])"'
    if address then
      return json.decode('["' .. address .. '"]')[1]
    end
    got = got .. assert(stream:read())
  end
end

-- One transfer: seconds, CPU seconds of this process.
local function transfer(e, frames)
  local path, bytes = e.machines[1].relay, megabytes * 1000000
  local control = client(e, request(e, "/$hc/" .. path .. "?sb-hc-action=listen",
    token(e, path, state.LISTENER)), '{ printf %s "$REQUEST"; cat; } | tls')
  while e.log:count { event = "NewListenerRegistered" } == e.log:count {
    event = "ListenerUnregistered" } do
    core.sleep(0.01)
  end
  local sender = client(e, request(e, "/$hc/" .. path, token(e, path)), ([[
    { printf %%s "$REQUEST"; read go; i=0
      while [ $i -lt %d ]; do cat '%s'; i=$((i+1)); done; cat; } | tls]]):format(
    bytes // BLOCK + 1, frames))
  local data = client(e, request(e, (accept_of(control:stdout()):gsub("^wss://[^/]*", ""))),
    ('{ printf %%s "$REQUEST"; cat; } | tls | head -c %d | tail -c 1'):format(bytes))
  while e.log:count { event = "SenderListenerConnectionEstablished" } == e.log:count {
    event = "SenderConnectionClosed" } do
    core.sleep(0.01)
  end
  local began, cpu = core.now(), cpu_seconds()
  sender:stdin():write "go\n"
  data:stdout():read()
  local seconds, spent = core.now() - began, cpu_seconds() - cpu
  for _, process in ipairs { control, sender, data } do
    process:kill "KILL" -- and openssl with it
    process:close()
  end
  while next(e.links) or next(e.listeners) do
    core.sleep(0.01)
  end
  return seconds, spent
end

local e <close> = assert(emulator.start { machines = 1, machine_agent = "external",
  bridge = { reset = true } })
e.machines = e.state.machines
local frame = string.pack(">BBI2I4", 0x82, 0x80 | 126, CHUNK, 0x01020304)
  .. ("\xa5"):rep(CHUNK)
local path = e.dir .. "/frames"
assert(core.sys.write_file(path, frame:rep(BLOCK // CHUNK), 384))
print("| MB | seconds | MB/s | the relay's CPU, ns a byte | MB/s a core of the relay |")
print("|---|---|---|---|---|")
for _ = 1, runs do
  local seconds, cpu = transfer(e, path)
  print(("| %d | %.2f | %.0f | %.2f | %.0f |"):format(megabytes, seconds, megabytes / seconds,
    cpu * 1000 / megabytes, megabytes / cpu))
end
