-- SPDX-License-Identifier: MIT
-- Azure Relay, the sender's door: who may in, and the connection to the machine.
local core = require "arclua.core"
local http = require "arclua.emulator.http"
local link = require "arclua.emulator.link"
local machine = require "arclua.emulator.machine"
local profile = require "arclua.emulator.profile"
local sas = require "arclua.emulator.sas"
local text = require "arclua.emulator.text"

local relay = {}

local NO_ENDPOINT = "Endpoint does not exist."
local NO_LISTENER = "There are no listeners connected for the endpoint."
local NOT_ACCEPTED = "None of the connected listeners accepted the connections within the "
  .. "allowed timeout"

-- The answers that a fault of kind K gives: status, text.
local ANSWERS = {
  ["unauthorized"] = { 401, "The token has an invalid signature." },
  ["expired"] = { 401, "ExpiredToken: The token is expired." },
  ["forbidden"] = { 403, "The token is not valid for this path." },
  ["no-endpoint"] = { 404, NO_ENDPOINT },
  ["no-listener"] = { 404, NO_LISTENER },
  ["not-accepted"] = { 404, NOT_ACCEPTED },
  ["busy"] = { 503, "The service is temporarily overloaded." },
  ["error"] = { 500, "The service was unable to process the request." },
}

-- Path of the hybrid connection and query, as senders spell them: raw or encoded slashes,
-- `$hc` or `%24hc`, and a `?` that came encoded before "sb-hc-".
local function address_of(request)
  local target = request.target:gsub("%%3[fF](sb%-hc%-)", "?%1", 1)
  local path, query = target:match "^([^?]*)%??(.*)$"
  local entity = text.decode(path):match "^/%$hc/(.-)/*$"
  return entity, text.pairs(query, false, false)
end

local function refuse(emulator, conn, call, status, reason)
  emulator.log:add("relay-refused", { machine = call.machine and call.machine.name, id = call.id,
    status = status, reason = reason })
  local phrase = ("%s TrackingId:%s_G%d, SystemTracker:sb://%s/%s, Timestamp:%s"):format(reason,
    call.id, 0, emulator.state.relay_host, text.plain(call.entity or "", 300),
    os.date("!%Y-%m-%dT%H:%M:%S", math.floor(core.time())))
  -- The connection of a failed upgrade is not to be used again.
  conn:respond(status, text.plain(phrase, 4000), { Connection = "close" }, "")
  return false
end

local function refuse_like(emulator, conn, call, kind, fault)
  local answer = ANSWERS[kind] or { fault.status or 500, fault.reason or "" }
  return refuse(emulator, conn, call, answer[1], answer[2])
end

local function token_of(request, query)
  return request.headers.servicebusauthorization or query["sb-hc-token"]
    or request.headers.authorization
end

-- What the relay itself says no to: status, text; nil = come in.
local function check(emulator, request, call)
  if not call.entity then
    return 404, NO_ENDPOINT
  elseif not request.upgrade or (request.headers.upgrade or ""):lower() ~= "websocket" then
    return 400, "This endpoint is only for web-socket requests"
  elseif call.action ~= "connect" then
    return 501, "The emulator serves senders only."
  end
  local ok, status, reason = sas.verify(emulator.state, token_of(request, call.query), call.entity)
  if not ok then
    return status, reason
  end
  local known = emulator.state.relays[call.entity:lower()]
  if not known or not known.machine.endpoint then
    return 404, NO_ENDPOINT
  end
  call.machine = known.machine
  local missing = known.machine.endpoint.ready - core.time()
  if missing > 0 then
    local early = missing > emulator.state.registration_delay / 2
    return 404, early and NO_ENDPOINT or NO_LISTENER
  end
end

-- Faults of the relay and of the machine's presence. True: handled, the connection ends.
local function troubled(emulator, conn, call)
  local faults, name = emulator.state.faults, call.machine.name
  local fault = faults:take("relay", name)
  if fault and (fault.kind == "slow" or fault.kind == "drop" or fault.kind == "black-hole") then
    if not http.act(conn, fault, faults:delay(fault, name)) then
      return true
    end
  elseif fault then
    refuse_like(emulator, conn, call, fault.kind, fault)
    return true
  end
  if faults:active("machine", "offline", name) or core.now() < emulator.node_up
    or call.machine.status ~= "Connected" then
    refuse(emulator, conn, call, 404, NO_LISTENER)
    return true
  end
  return false
end

-- 101, and then the connection breaks without a byte.
local function accept_and_reset(emulator, conn, call, why)
  emulator.log:add("agent-reset", { machine = call.machine.name, id = call.id, reason = why })
  local stream = conn:websocket()
  if stream then
    stream:abort()
  end
  return false
end

-- 101, and then nothing, or bytes that are no SSH.
local function accept_and_mumble(conn, kind)
  local stream <close> = conn:websocket()
  if stream and kind == "garbage" then
    stream:write("220 mail.example ESMTP ready\r\n")
  end
  while stream and stream:read() do end
  return false
end

local function dial_refused(port)
  return ("connection to localhost:%d failed: dial tcp 127.0.0.1:%d: connect: connection refused")
    :format(port, port)
end

-- The agent's faults and judgement. The port, or nil when the connection was dealt with.
local function agent(emulator, conn, request, call)
  local name, faults = call.machine.name, emulator.state.faults
  local fault = faults:take("agent", name)
  if fault and fault.kind == "silent" then
    core.sleep(emulator.state.rendezvous)
    refuse(emulator, conn, call, 404, NOT_ACCEPTED)
    return nil
  end
  local port, why = machine.judge(emulator, call.machine,
    request.headers["service-configuration-token"],
    request.headers["microsoft-guestgateway-target"])
  if fault or not port then
    accept_and_reset(emulator, conn, call, fault and "fault" or why)
    return nil
  end
  fault = faults:take("sshd", name)
  if (fault and fault.kind == "down") or port ~= call.machine.ssh_port then
    refuse(emulator, conn, call, 503, dial_refused(port))
    return nil
  elseif fault then
    accept_and_mumble(conn, fault.kind)
    return nil
  end
  return port
end

-- The machine's sshd and the sender, until one of them ends.
local function bridge(emulator, conn, call)
  local m = call.machine
  local fault = emulator.state.faults:take("link", m.name)
  local watch = fault and fault.bytes == "exec"
  local process <close>, err = machine.start_sshd(emulator, m, watch)
  if not process then
    return refuse(emulator, conn, call, 503, ("connection to localhost:%d failed: %s"):format(
      m.ssh_port, err.message))
  end
  local stream = profile.rendezvous(emulator, m, call.since) and conn:websocket()
  if not stream then
    return false
  end
  local line = profile.line(m, process:stream())
  m.connections = m.connections + 1
  emulator.log:add("connect", { machine = m.name, id = call.id })
  link.join(emulator, m, stream, line, fault, watch and process:stderr() or nil)
  machine.part(process)
  emulator.log:add("disconnect", { machine = m.name, id = call.id })
  return false
end

--- One request at the relay's door. Returns whether the connection goes on.
function relay.connection(emulator, conn, request)
  local entity, query = address_of(request)
  local id = query["sb-hc-id"]
  local call = { since = core.now(), entity = entity, query = query,
    action = query["sb-hc-action"] or "connect",
    id = id and id:match "^[%w%-_]+$" and id:sub(1, 64) or core.crypto.uuid() }
  local status, reason = check(emulator, request, call)
  if status then
    return refuse(emulator, conn, call, status, reason)
  elseif troubled(emulator, conn, call) or not agent(emulator, conn, request, call) then
    return false
  end
  return bridge(emulator, conn, call)
end

return relay
