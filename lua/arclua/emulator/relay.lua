-- SPDX-License-Identifier: MIT
-- Azure Relay's door: who may in; the connection to the machine when its agent is our own.
local core = require "arclua.core"
local call = require "arclua.emulator.relay_call"
local http = require "arclua.emulator.http"
local link = require "arclua.emulator.link"
local listeners = require "arclua.emulator.listeners"
local machine = require "arclua.emulator.machine"
local profile = require "arclua.emulator.profile"
local rendezvous = require "arclua.emulator.rendezvous"
local sas = require "arclua.emulator.sas"

local relay = {}

-- The answers that a fault of kind K gives: status, text.
local ANSWERS = {
  ["unauthorized"] = { 401, "The token has an invalid signature." },
  ["expired"] = { 401, "ExpiredToken: The token is expired." },
  ["forbidden"] = { 403, "The token is not valid for this path." },
  ["no-endpoint"] = { 404, call.NO_ENDPOINT },
  ["no-listener"] = { 404, call.NO_LISTENER },
  ["not-accepted"] = { 404, call.NOT_ACCEPTED },
  ["busy"] = { 503, "The service is temporarily overloaded." },
  ["error"] = { 500, "The service was unable to process the request." },
}

local function refuse(emulator, conn, its, status, reason)
  return call.refuse(its, emulator, conn, status, reason)
end

local function refuse_like(emulator, conn, its, kind, fault)
  local answer = ANSWERS[kind] or { fault.status or 500, fault.reason or "" }
  return refuse(emulator, conn, its, answer[1], answer[2])
end

-- A name that nobody has is refused only to who has shown a token for it.
local function authorize(emulator, request, its, claim)
  local token, carrier = call.token(its, request)
  local ok, status, reason = sas.verify(emulator.state, token, its.path or its.entity, claim)
  if not ok then
    return status, reason
  end
  its.carrier, its.expires = carrier, status
  if not its.path then
    return 404, call.NO_ENDPOINT
  end
  its.machine = emulator.state.relays[its.path].machine
end

-- Whether a sender finds its machine there: status, text; nil = come in.
local function absent(emulator, its)
  local endpoint = its.machine.endpoint
  if not endpoint then
    return 404, call.NO_ENDPOINT
  elseif its.machine.agent == "external" then
    return nil
  end
  local missing = endpoint.ready - core.time()
  if missing > 0 then
    local early = missing > emulator.state.registration_delay / 2
    return 404, early and call.NO_ENDPOINT or call.NO_LISTENER
  end
end

-- Faults of the relay and of the machine's presence. True: handled, the connection ends.
local function troubled(emulator, conn, its)
  local faults, name = emulator.state.faults, its.machine.name
  local fault = faults:take("relay", name)
  if fault and (fault.kind == "slow" or fault.kind == "drop" or fault.kind == "black-hole") then
    if not http.act(conn, fault, faults:delay(fault, name)) then
      return true
    end
  elseif fault then
    refuse_like(emulator, conn, its, fault.kind, fault)
    return true
  end
  if faults:active("machine", "offline", name) or core.now() < emulator.node_up
    or its.machine.status ~= "Connected" or its.machine.agent_config.incoming == false then
    refuse(emulator, conn, its, 404, call.NO_LISTENER)
    return true
  end
  return false
end

-- 101, and then the connection breaks without a byte.
local function accept_and_reset(emulator, conn, its, why)
  emulator.log:add("agent-reset", { machine = its.machine.name, id = its.id, reason = why })
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
local function agent(emulator, conn, request, its)
  local name, faults = its.machine.name, emulator.state.faults
  local fault = faults:take("agent", name)
  if fault and fault.kind == "silent" then
    core.sleep(emulator.state.rendezvous)
    refuse(emulator, conn, its, 404, call.NOT_ACCEPTED)
    return nil
  end
  local port, why = machine.judge(emulator, its.machine,
    request.headers["service-configuration-token"],
    request.headers["microsoft-guestgateway-target"])
  if fault or not port then
    accept_and_reset(emulator, conn, its, fault and "fault" or why)
    return nil
  end
  fault = faults:take("sshd", name)
  if (fault and fault.kind == "down") or port ~= its.machine.ssh_port then
    refuse(emulator, conn, its, 503, dial_refused(port))
    return nil
  elseif fault then
    accept_and_mumble(conn, fault.kind)
    return nil
  end
  return port
end

-- The machine's sshd and the sender, until one of them ends.
local function bridge(emulator, conn, its)
  local m = its.machine
  local fault = emulator.state.faults:take("link", m.name)
  local watch = fault and fault.bytes == "exec"
  local process <close>, err = machine.start_sshd(emulator, m, watch)
  if not process then
    return refuse(emulator, conn, its, 503, ("connection to localhost:%d failed: %s"):format(
      m.ssh_port, err.message))
  end
  local stream = profile.rendezvous(emulator, m, its.since) and conn:websocket()
  if not stream then
    return false
  end
  local line = profile.line(m, process:stream())
  m.connections = m.connections + 1
  emulator.log:add("connect", { machine = m.name, id = its.id })
  link.join(emulator, m, stream, line, fault, watch and process:stderr() or nil)
  machine.part(process)
  emulator.log:add("disconnect", { machine = m.name, id = its.id })
  return false
end

local ACTIONS = {}

function ACTIONS.connect(emulator, conn, request, its)
  local status, reason = authorize(emulator, request, its, "Send")
  if not status then
    status, reason = absent(emulator, its)
  end
  if status then
    return refuse(emulator, conn, its, status, reason)
  elseif troubled(emulator, conn, its) then
    return false
  elseif its.machine.agent == "external" then
    return rendezvous.connect(emulator, conn, request, its)
  end
  return agent(emulator, conn, request, its) and bridge(emulator, conn, its) or false
end

function ACTIONS.listen(emulator, conn, request, its)
  local status, reason = authorize(emulator, request, its, "Listen")
  if not status and (its.suffix ~= "" or its.machine.agent ~= "external") then
    status, reason = 404, call.NO_ENDPOINT
  end
  if status then
    return refuse(emulator, conn, its, status, reason)
  end
  return listeners.attach(emulator, conn, request, its, function(listener)
    rendezvous.orphaned(emulator, listener)
  end)
end

function ACTIONS.accept(emulator, conn, request, its)
  local known = its.path and emulator.state.relays[its.path]
  its.machine = known and known.machine
  return rendezvous.accept(emulator, conn, request, its)
end

--- One request at the relay's door. Returns whether the connection goes on.
function relay.connection(emulator, conn, request)
  local its = call.read(emulator.state, request)
  local act = ACTIONS[its.action]
  if its.entity == "" then
    return refuse(emulator, conn, its, 404, call.NO_ENDPOINT)
  elseif not call.upgrades(request) then
    return refuse(emulator, conn, its, 400, call.WEBSOCKET_ONLY)
  elseif not act then
    return refuse(emulator, conn, its, 400, "The action is not known.")
  end
  return act(emulator, conn, request, its)
end

return relay
