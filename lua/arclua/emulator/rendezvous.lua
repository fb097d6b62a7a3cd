-- SPDX-License-Identifier: MIT
-- A sender and an outside listener brought together: the sender's answer is withheld until the
-- listener has come to the address that it was told, or has said no.
local core = require "arclua.core"
local json = require "arclua.json"
local call = require "arclua.emulator.relay_call"
local frames = require "arclua.emulator.frames"
local http = require "arclua.emulator.http"
local listeners = require "arclua.emulator.listeners"
local profile = require "arclua.emulator.profile"
local text = require "arclua.emulator.text"

local rendezvous = {}

-- The token carriers that a listener never sees; Authorization only when it carried the token.
local HIDDEN = { servicebusauthorization = true }
local SECRET = 16 -- bytes of what makes an accept address unguessable
local LEAST, MOST = 400, 599 -- statuses that a listener may reject with

-- What a listener sees of the sender's headers, as they were spelt.
local function connect_headers(request, carrier)
  local out = {}
  for lower, value in pairs(request.headers) do
    if not HIDDEN[lower] and lower ~= carrier then
      out[request.names[lower]] = value
    end
  end
  return out
end

local function address_of(emulator, pending)
  local its = pending.call
  return ("wss://%s:%d/$hc/%s%s?sb-hc-action=accept&sb-hc-id=%s&sb-hc-secret=%s%s"):format(
    emulator.advertise, emulator.port, its.path, its.suffix, pending.id, pending.secret,
    its.others ~= "" and "&" .. its.others or "")
end

-- Asks a listener; what another was told opens nothing any more. False: it does not listen.
local function offer(emulator, pending, listener)
  if pending.secret then
    emulator.pendings[pending.secret] = nil
  end
  pending.secret = core.crypto.hex(core.crypto.random(SECRET))
  pending.listener = listener
  emulator.pendings[pending.secret] = pending
  if listener:struck(emulator, "accept") then
    return false
  end
  local sent = listener:send(frames.make(frames.TEXT, json.encode { accept = {
    address = address_of(emulator, pending), id = pending.id,
    connectHeaders = pending.headers, remoteEndpoint = pending.remote } }))
  if sent then
    emulator.log:add("ListenerAcceptingConnection", { machine = listener.machine.name,
      id = pending.call.id, listener = listener.id })
  else
    listener:give_up(emulator)
  end
  return sent
end

-- How it ends is decided once.
local function decide(emulator, pending, outcome)
  if not pending.outcome then
    pending.outcome = outcome
    emulator.pendings[pending.secret] = nil
  end
  pending.decided:broadcast()
end

--- A control channel has ended: whoever waits for that listener is offered to another, once.
function rendezvous.orphaned(emulator, listener)
  local waiting = {}
  for _, pending in pairs(emulator.pendings) do
    if pending.listener == listener and not pending.again then
      waiting[#waiting + 1] = pending
    end
  end
  for _, pending in ipairs(waiting) do
    pending.again = true
    local another = listeners.choose(emulator, listener.path, listener)
    if another then
      offer(emulator, pending, another)
    end
  end
end

-- Until it is decided; the sender's going and the deadline decide, too.
local function wait(emulator, pending, conn)
  local watcher = core.spawn(function()
    local _, err = conn:watch()
    if not err or err.code ~= "cancelled" then
      decide(emulator, pending, { kind = err and err.code == "limit" and "noise" or "left" })
    end
  end)
  while not pending.outcome or pending.outcome.kind == "taken" do
    local left = pending.deadline - core.now()
    local ok, err = core.timeout(math.max(left, 0.001), pending.decided.wait, pending.decided)
    if not ok and (err.code ~= "timeout" or not pending.outcome) then
      decide(emulator, pending, { kind = err.code == "timeout" and "late" or "stopped" })
    end
    if not ok and err.code ~= "timeout" then
      break
    end
  end
  core.shield(1, function()
    watcher:cancel()
    watcher:await()
  end)
end

local function established(emulator, pending)
  emulator.log:add("SenderListenerConnectionEstablished", { machine = pending.call.machine.name,
    id = pending.call.id, listener = pending.listener.id })
end

-- Both are there: frames pass until one of them ends.
local function bridge(emulator, pending, conn)
  local machine, taken = pending.call.machine, pending.outcome
  local stream, early
  if profile.rendezvous(emulator, machine, pending.call.since, true) then
    stream, early = conn:upgrade(taken.protocol)
  end
  if not stream then
    taken.stream:abort()
    return false
  end
  established(emulator, pending)
  machine.connections = machine.connections + 1
  local task = core.current()
  emulator.links[pending] = true
  function pending.hit() -- the node restarts: both see a reset
    task:cancel()
  end
  local report, err = core.server.bridge(stream, early, taken.stream, taken.early,
    emulator.bridge_rules)
  emulator.links[pending] = nil
  report = report or { how = err.code }
  emulator.log:add("SenderConnectionClosed", { machine = machine.name, id = pending.call.id,
    sent = report.sent, received = report.received, ended = report.ended, how = report.how,
    code = report.code })
  return false
end

local function conclude(emulator, pending, conn)
  local its, outcome = pending.call, pending.outcome
  if outcome.kind == "accepted" then
    return bridge(emulator, pending, conn)
  elseif outcome.kind == "rejected" then
    return call.refuse(its, emulator, conn, outcome.status, outcome.reason)
  elseif outcome.kind == "late" then
    emulator.log:add("ListenerAcceptingConnectionTimeout", { machine = its.machine.name,
      id = its.id })
    return call.refuse(its, emulator, conn, 404, call.NOT_ACCEPTED)
  elseif outcome.kind == "noise" then
    return call.refuse(its, emulator, conn, 400, "The sender does not wait for its answer.")
  end
  emulator.log:add("sender-left", { machine = its.machine.name, id = its.id, how = outcome.kind })
  return false
end

--- A sender's request, all checks passed: until its connection ends. Returns false.
function rendezvous.connect(emulator, conn, request, its)
  local listener = listeners.choose(emulator, its.path)
  if not listener then
    return call.refuse(its, emulator, conn, 404, call.NO_LISTENER)
  end
  local address, port = conn:peer()
  local pending = { call = its, id = its.id .. "_G0_G1", decided = core.cond(),
    headers = connect_headers(request, its.carrier), remote = { address = address, port = port },
    protocols = request.headers["sec-websocket-protocol"],
    deadline = core.now() + emulator.state.rendezvous }
  offer(emulator, pending, listener)
  wait(emulator, pending, conn)
  -- What has been said is not to be held as long as the connection lasts.
  pending.headers, request.headers, request.names, its.query = nil, nil, nil, {}
  return conclude(emulator, pending, conn)
end

-- The protocol that both have named, the listener's order first; nil = none.
local function protocol_of(pending, request)
  local offered = {}
  for name in (pending.protocols or ""):gmatch "[^%s,]+" do
    offered[name] = true
  end
  for name in (request.headers["sec-websocket-protocol"] or ""):gmatch "[^%s,]+" do
    if offered[name] then
      return name
    end
  end
  return nil
end

-- A raw query value. "+" is a blank for those who write no %20.
local function description(raw)
  return text.decode(raw, not raw:find("%20", 1, true))
end

local function reject(emulator, pending, conn, its)
  local raw = its.query["sb-hc-statuscode"]
  local status = raw:find "^%d+$" and math.tointeger(tonumber(raw)) or 0
  if status < LEAST or status > MOST then
    decide(emulator, pending, { kind = "rejected", status = 500,
      reason = "The listener rejected with an impossible status." })
    return call.refuse(its, emulator, conn, 400, ("sb-hc-statusCode: %d to %d"):format(LEAST,
      MOST))
  end
  local reason = description(its.query["sb-hc-statusdescription"] or "")
  emulator.log:add("ListenerRejectedConnection", { machine = its.machine.name,
    id = pending.call.id, status = status, reason = text.plain(reason, 200) })
  decide(emulator, pending, { kind = "rejected", status = status, reason = reason })
  conn:respond(410, http.reason(410), { Connection = "close" }, "")
  return false
end

local function take(emulator, pending, conn, request)
  -- Nobody else may take it while this listener is being answered.
  decide(emulator, pending, { kind = "taken" })
  local protocol = protocol_of(pending, request)
  local stream, early = conn:upgrade(protocol)
  if pending.outcome.kind ~= "taken" then -- the emulator is stopping
    if stream then
      stream:abort()
    end
    return false
  end
  pending.outcome = stream and { kind = "accepted", stream = stream, early = early,
    protocol = protocol } or { kind = "late" }
  pending.decided:broadcast()
  return false
end

--- A listener's request at an accept address. Returns false.
function rendezvous.accept(emulator, conn, request, its)
  local pending = emulator.pendings[its.query["sb-hc-secret"] or ""]
  if not pending or pending.id ~= its.given_id or pending.call.path ~= its.path then
    return call.refuse(its, emulator, conn, 403,
      "The accept address is not valid, has expired or was used.")
  elseif its.query["sb-hc-statuscode"] then
    return reject(emulator, pending, conn, its)
  end
  return take(emulator, pending, conn, request)
end

return rendezvous
