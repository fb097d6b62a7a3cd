-- SPDX-License-Identifier: MIT
-- What logging in with Entra's certificate costs this program: the first time (key pair, request,
-- login), and for each machine after that; beside logins with an ed25519 key of a file.
--   arclua emulator --machines 100 -- arclua run bench/cert.lua [FIRSTS]      default 20
-- The connections through the relay are open before the clock runs.
local arc = require "arclua"
local connect = require "arclua.connect"
local core = require "arclua.core"

local FIRST_MS, EACH_MS = 250, 5 -- allowed
local PARALLEL = 16

local firsts = tonumber(arg[1] or 20)

local function cpu()
  local user, system = core.sys.cpu()
  return 1000 * (user + system)
end

-- CPU that fn() takes, in ms, and what it gives.
local function cost(fn)
  collectgarbage()
  local before = cpu()
  local value = fn()
  return cpu() - before, value
end

local function log_in(machine, stream, how)
  local opts = { alias = machine:alias(), known_hosts = { os.getenv "ARCLUA_KNOWN_HOSTS" },
    agent = false, timeout = 60 }
  for name, value in pairs(how) do
    opts[name] = value
  end
  return assert(core.ssh.connect(stream, opts))
end

local function certified(az)
  local certificate, info = az:ssh_certificate()
  assert(certificate, info)
  return { certificate = certificate, user = info.user, identities = {} }
end

local function first(machine)
  local az = assert(arc.login())
  local stream = assert(connect.stream(machine, {}))
  local spent, session = cost(function()
    return log_in(machine, stream, certified(az))
  end)
  session:close()
  return spent
end

-- ms a machine.
local function all(machines, how)
  local streams = arc.map(machines, function(machine)
    return assert(connect.stream(machine, {}))
  end, { parallel = PARALLEL })
  local spent, sessions = cost(function()
    local list = {}
    for i, machine in ipairs(machines) do
      list[i] = { machine, streams[i] }
    end
    return arc.map(list, function(pair)
      return log_in(pair[1], pair[2], how)
    end, { parallel = PARALLEL })
  end)
  for i = 1, #machines do
    assert(sessions[i], "a login failed"):close()
  end
  return spent / #machines
end

local az = assert(arc.login())
local machines = assert(az:machines())
-- Libraries are loaded, machines made, host keys known.
local key = { user = os.getenv "ARCLUA_USER", identities = { os.getenv "ARCLUA_IDENTITY" } }
all(machines, key)
first(machines[1])

local times = {}
for i = 1, firsts do
  times[i] = first(machines[1])
end
table.sort(times)
local sum = 0
for _, ms in ipairs(times) do
  sum = sum + ms
end
local mean, median = sum / firsts, times[(firsts + 1) // 2]
local with_certificate, with_key = all(machines, certified(az)), all(machines, key)

print(("the first login, key of 3072 bits and all: mean %.0f ms, median %.0f, %.0f to %.0f "
  .. "(%d times; allowed %d)"):format(mean, median, times[1], times[firsts], firsts, FIRST_MS))
print(("each machine after that: %.2f ms (%d machines; allowed %d); with an ed25519 key %.2f ms")
  :format(with_certificate, #machines, EACH_MS, with_key))
os.exit(mean <= FIRST_MS and with_certificate <= EACH_MS and 0 or 1)
