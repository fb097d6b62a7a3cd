-- SPDX-License-Identifier: MIT
-- Link profiles: how far sender and machine are from the relay, and what a connection carries.
--
-- The model: S and L are the ways, in seconds, of sender and machine to the relay. A sender that
-- begins with TCP's handshake has its 101 after
--   2 names + 5 S + 6 L + max(S, L) + authorization + match-making,
-- and a byte's echo from the machine after 2 (S + L).
-- The sender's own six ways (TCP, TLS, the request, the answer) come from its connection's line;
-- the rest is waited here, before the 101.
local core = require "arclua.core"

local profile = {}

local MIB = 1024 * 1024
local ELSEWHERE = 3 * MIB -- of what is absorbed: in the connection's line and the sockets
local NAME, AUTHORIZATION, MATCH = 0.040, 0.010, 0.050
local SPIKE_LEAST, SPIKE_MOST = 3, 7 -- seconds of a slow rendezvous

-- way: seconds to the relay; absorbs: bytes before the sender is stalled, a direction; rate:
-- bytes a second; spikes: the share of slow rendezvous.
local PROFILES = {
  near = { way = 0.005, absorbs = 12 * MIB },
  mid = { way = 0.035, absorbs = 12 * MIB },
  far = { way = 0.090, absorbs = 12 * MIB },
  azure = { way = 0.030, absorbs = 14 * MIB, rate = 14e6 / 8, spikes = 1 / 20 },
}

profile.NAMES = { "near", "mid", "far", "azure" }

--- The profile of this name; nil for nil.
--- Raises: an unknown name.
function profile.find(name)
  if name == nil then
    return nil
  end
  return PROFILES[name] or error(("profile: one of %s expected, got '%s'"):format(
    table.concat(profile.NAMES, ", "), tostring(name)), 0)
end

-- Seconds between the arrival of the sender's request and the relay's 101.
local function usual(s, l)
  return 2 * NAME + AUTHORIZATION + MATCH + 6 * l + math.max(s, l) - s
end

-- Seconds more than usual, mostly 0, by the emulator's seed.
local function spike(emulator, m)
  local share = m.profile and m.profile.spikes
  local faults = emulator.state.faults
  if not share or faults:random(m.name) >= share then
    return 0
  end
  local seconds = SPIKE_LEAST + (SPIKE_MOST - SPIKE_LEAST) * faults:random(m.name)
  emulator.log:add("fault", { at = "relay", kind = "slow", machine = m.name, seconds = seconds })
  return seconds
end

--- Waits as long as the relay would withhold its 101 from a sender whose request came at `since`
--- (core.now). outside: the machine's listener is a client of ours, whose ways take their time by
--- themselves. False when the wait was cancelled.
function profile.rendezvous(emulator, m, since, outside)
  local sender = emulator.state.profile
  if not sender and not m.profile then
    return true
  end
  local far = not outside and m.profile
  local left = usual(sender and sender.way or 0, far and far.way or 0) + spike(emulator, m)
    - (core.now() - since)
  return left <= 0 or core.sleep(left) ~= nil
end

--- The machine's stream at the relay's end of its line. Takes the stream over.
function profile.line(m, stream)
  local p = m.profile
  if not p then
    return stream
  end
  return core.server.shape(stream, { latency = p.way, rate = p.rate,
    absorbs = p.absorbs - ELSEWHERE })
end

return profile
