-- SPDX-License-Identifier: MIT
-- The emulator's capacity: memory a held connection, bytes a second through one. Prints a table.
-- lua5.4 bench/emulator.lua [CONNECTIONS [SECONDS]]; the client is a process of its own.
local core = require "arclua.core"
local json = require "arclua.json"

local CONNECTIONS, SECONDS = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 5
local AT_ONCE = 50

-- Resident KiB of a process.
local function resident(pid)
  return tonumber(assert(core.sys.read_file(("/proc/%s/status"):format(pid or "self")))
    :match "VmRSS:%s+(%d+)")
end

-- ---- the client ------------------------------------------------------------------------------

local function connect(ca, info)
  return assert(core.relay.connect(info, { port = 22, ca = ca }))
end

local BURST = 1000000 -- bytes each way before a connection is still

-- each: called with every new connection.
local function hold(ca, info, count, each)
  local streams, waiting = {}, count
  local workers = {}
  for i = 1, AT_ONCE do
    workers[i] = core.spawn(function()
      while waiting > 0 do
        waiting = waiting - 1
        local stream = connect(ca, info)
        streams[#streams + 1] = stream
        if each then
          each(stream)
        end
      end
    end)
  end
  for _, worker in ipairs(workers) do
    worker:await()
  end
  io.stdout:write "held\n"
  io.stdout:flush()
  core.stdio(0):read() -- until the emulator has looked
end

-- The machine sends back what it gets.
local function soak(ca, info, count)
  local text = ("x"):rep(BURST)
  hold(ca, info, count, function(stream)
    local writer = core.spawn(stream.write, stream, text)
    local left = BURST
    while left > 0 do
      left = left - #assert(stream:read())
    end
    writer:await()
  end)
end

local function pour(ca, info, seconds)
  local stream <close> = connect(ca, info)
  local cpu = core.sys.cpu()
  local since, bytes = core.now(), 0
  while core.now() - since < seconds do
    bytes = bytes + #assert(stream:read())
  end
  local took = core.now() - since
  local user, system = core.sys.cpu()
  io.stdout:write(("%.0f %.2f\n"):format(bytes / took / 1e6, (user + system - cpu) / took))
  stream:abort()
end

local function drink(ca, info, seconds)
  local stream <close> = connect(ca, info)
  local chunk, since, bytes = ("\0"):rep(65536), core.now(), 0
  while core.now() - since < seconds do
    assert(stream:write(chunk))
    bytes = bytes + #chunk
  end
  io.stdout:write(("%.0f 0\n"):format(bytes / (core.now() - since) / 1e6))
  stream:abort()
end

local CLIENTS = { hold = hold, soak = soak, pour = pour, drink = drink }

if arg[1] == "client" then
  local given = assert(json.decode(assert(core.sys.read_file(arg[3]))))
  local info <close> = assert(core.relayinfo(given.credentials))
  CLIENTS[arg[2]](given.ca, info, tonumber(arg[4]))
  return
end

-- ---- the emulator ----------------------------------------------------------------------------

local emulator = require "arclua.emulator"

-- The answer of listCredentials, for the client.
local function credentials(e, name)
  local token = assert(core.http.request { method = "POST", ca = e.state.cloud.ca,
    url = ("%s/%s/oauth2/v2.0/token"):format(e.state.cloud.authority, e.state.tenant),
    headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    body = ("grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s/.default"):format(
      e.state.client_id, e.state.client_secret, e.state.cloud.audience) })
  local answer = assert(core.http.request { method = "POST", ca = e.state.cloud.ca,
    url = e.state.cloud.resource_manager .. e:machine(name).id .. "/providers/Microsoft.Hybrid"
      .. "Connectivity/endpoints/default/listCredentials?expiresin=10800&api-version=2023-03-15",
    body = '{"serviceName":"SSH"}',
    headers = { Authorization = "Bearer " .. json.decode(token.body).access_token } })
  return answer.body
end

local function client(e, what, machine, value)
  local path = ("%s/client/%s.json"):format(e.dir, machine)
  assert(core.sys.write_file(path, json.encode { ca = e.state.cloud.ca,
    credentials = credentials(e, machine) }, 384))
  local process = assert(core.process.spawn { args = { core.sys.self(), arg[0], "client", what, path,
    tostring(value) }, stdin = "pipe", stderr = "inherit" })
  return process, process:stdin(), process:stdout()
end

local function measure_memory(e, what, machine)
  local warm, input, output = client(e, what, machine, 10)
  assert(output:read())
  collectgarbage()
  local before = resident()
  local process, to, from = client(e, what, machine, CONNECTIONS)
  assert(from:read(), "the client ended")
  core.sleep(1)
  collectgarbage()
  collectgarbage()
  local after = resident()
  for _, stream in ipairs { input, to, output, from } do
    stream:close()
  end
  warm:close()
  process:close()
  return (after - before) / CONNECTIONS
end

local function measure_rate(e, what, machine)
  local user, system = core.sys.cpu()
  local process, input, output = client(e, what, machine, SECONDS)
  local rate, cpu = assert(output:read(), "the client ended"):match "(%S+) (%S+)"
  local user2, system2 = core.sys.cpu()
  process:wait()
  for _, thing in ipairs { input, output, process } do
    thing:close()
  end
  return tonumber(rate), (user2 + system2 - user - system) / SECONDS, tonumber(cpu)
end

local function main()
  local e <close> = assert(emulator.start { machines = {
    { name = "still", program = { "sleep", "1000" } },
    { name = "echo", program = { "cat" } },
    { name = "pours", program = { "cat", "/dev/zero" } },
    { name = "drinks", program = { "dd", "of=/dev/null", "bs=64k" } } } })
  local kib = measure_memory(e, "hold", "still")
  local soaked = measure_memory(e, "soak", "echo")
  local down, own, its = measure_rate(e, "pour", "pours")
  local up, own_up = measure_rate(e, "drink", "drinks")
  print "| what | measured | wanted |"
  print "|---|---|---|"
  print(("| memory a connection, %d held | %.0f KB | ≤ 100 KB |"):format(CONNECTIONS, kib * 1.024))
  print(("| the same, after 1 MB each way | %.0f KB | ≤ 100 KB |"):format(soaked * 1.024))
  print(("| from the machine, one connection | %.0f MB/s (emulator %.0f %%, client %.0f %% of a core) "
    .. "| ≥ 200 MB/s |"):format(down, own * 100, its * 100))
  print(("| from the sender, one connection | %.0f MB/s (emulator %.0f %% of a core) | ≥ 200 MB/s |")
    :format(up, own_up * 100))
end

core.spawn(main):await()
