-- SPDX-License-Identifier: MIT
-- The measuring part of bench/relay.sh: arclua run bench/relay.lua METER [MEGABYTES RUNS].
-- This process is the emulator; clients and bare TLS are children of it, in turns.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local profile = require "arclua.emulator.profile"
local relay = require "arclua.emulator.relay"

local meter, megabytes, runs = arg[1], tonumber(arg[2] or 512), tonumber(arg[3] or 7)
local bytes = megabytes * 1024 * 1024
local ROUNDS = 5000
local RENDEZVOUS = 12 * 35 + 140 -- ms of profile mid: TCP, TLS, request, 101 (profile.lua)
local arclua = core.sys.self()

-- What answers at the far end, for both.
local FAR = {
  down = { "dd", "if=/dev/zero", "bs=64K", "count=" .. bytes, "iflag=count_bytes", "status=none" },
  up = { "sh", "-c", "printf R; dd of=/dev/null bs=64K iflag=fullblock,count_bytes status=none "
    .. "count=" .. bytes .. "; printf D" },
  echo = { "cat" },
}

local function output(args, env)
  local process <close> = assert(core.process.spawn { args = args, env = env,
    die_with_parent = true })
  local stream, text = process:stdout(), ""
  for chunk in function() return stream:read() end do
    text = text .. chunk
  end
  local ended = process:wait()
  assert(ended.status == 0, table.concat(args, " ") .. " failed")
  return text
end

-- seconds, CPU seconds and peak KiB of the client.
local function measure(what, count, client, env)
  local args = { meter, what, tostring(count), table.unpack(client) }
  local seconds, cpu, peak = output(args, env):match "^(%S+) (%S+) (%S+)"
  return { seconds = tonumber(seconds), cpu = tonumber(cpu), peak = tonumber(peak) }
end

local function median(list, key)
  local values = {}
  for i, one in ipairs(list) do
    values[i] = one[key]
  end
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- Of the quickest runs: what other work on the computer did not disturb.
local function best(list)
  local least = math.huge
  for _, one in ipairs(list) do
    least = math.min(least, one.seconds)
  end
  return least
end

local function bare_server(dir, far)
  local process = assert(core.process.spawn { args = { meter, "server", dir .. "/cert.pem",
    dir .. "/key.pem", table.unpack(far) }, die_with_parent = true })
  return process, process:stdout():read():match "%d+"
end

local function certificate(dir)
  local made = core.crypto.make_ca { "localhost" }
  for name, text in pairs { ["ca.pem"] = made.ca, ["cert.pem"] = made.cert,
    ["key.pem"] = made.key } do
    assert(core.sys.write_file(dir .. "/" .. name, text, 384))
  end
end

-- In turns: arclua's and the bare one's measurements.
local function in_turns(running, dir, what, count)
  local server <close>, port = bare_server(dir, FAR[what])
  local ours, bare = {}, {}
  for i = 1, runs do
    ours[i] = measure(what, count, { arclua, "proxy", what }, running.env)
    bare[i] = measure(what, count, { meter, "client", port, dir .. "/ca.pem" })
  end
  server:close()
  return ours, bare
end

local function stream_row(label, ours, bare)
  local fast, plain = bytes / 1e6 / median(ours, "seconds"), bytes / 1e6 / median(bare, "seconds")
  print(("| %s | %.0f MB/s | %.0f MB/s | %.2f | %.2f | %.2f | %.2f | %.1f MiB |"):format(label,
    fast, plain, fast / plain, best(bare) / best(ours),
    median(ours, "cpu") * 1e9 / bytes, median(bare, "cpu") * 1e9 / bytes,
    median(ours, "peak") / 1024))
end

local function echo_row(ours, bare)
  local slow, plain = median(ours, "seconds") / ROUNDS, median(bare, "seconds") / ROUNDS
  print(("| echo of 1 byte | %.1f µs | %.1f µs | %.2f | %.2f | | | %.1f MiB |"):format(
    slow * 1e6, plain * 1e6, slow / plain, best(ours) / best(bare),
    median(ours, "peak") / 1024))
end

---------------------------------------------------------------- from connect to output
-- Rounds are counted where the machine is: bytes for it, then bytes from it. What it says without
-- having been asked anew is none.

-- Between the machine and its line: the stream to give to the line.
local function tap(stream, count)
  local near, far = core.pair()
  local heard = false
  core.spawn(function()
    for chunk in function() return far:read() end do
      heard = true
      if not stream:write(chunk) then break end
    end
    stream:shutdown()
  end)
  core.spawn(function()
    for chunk in function() return stream:read() end do
      count.rounds = count.rounds + (heard and 1 or 0)
      heard = false
      if not far:write(chunk) then break end
    end
    far:close()
  end)
  return near
end

-- Emulator whose relay connections are watched: seen.since = when the last one was accepted.
local function watched(name)
  local running = assert(emulator.start { machines = { { name = "m1" } }, profile = name })
  local seen, server, accepted = { rounds = 0 }, running.server, setmetatable({}, { __mode = "k" })
  running.server = {
    accept = function()
      local conn, err = server:accept()
      if conn then
        accepted[conn] = core.now()
      end
      return conn, err
    end,
    close = function() server:close() end,
  }
  local connection, line = relay.connection, profile.line
  running.services[running.state.relay_host] = { connection = function(self, conn, request)
    seen.since, seen.rounds = accepted[conn], 0
    return connection(self, conn, request)
  end }
  function profile.line(m, stream)
    return line(m, tap(stream, seen))
  end
  return running, seen, function() profile.line = line end
end

-- Until COMMAND's first byte: seconds since the connection to the relay, rounds.
local function first_byte(running, seen, args)
  local process <close> = assert(core.process.spawn { args = args, env = running.env,
    die_with_parent = true })
  local out = process:stdout()
  local chunk = assert(out:read(), args[1] .. " printed nothing")
  local one = { seconds = core.now() - seen.since, rounds = seen.rounds }
  assert(chunk:find "hello", chunk)
  while out:read() do end
  process:wait()
  return one
end

local function commands(running)
  local env = running.env
  return { arclua, "exec", "--yes", "-o", "live", "m1", "--", "echo hello" },
    { "ssh", "-F", "none", "-i", env.ARCLUA_IDENTITY, "-o", "IdentitiesOnly=yes", "-o",
      "KexAlgorithms=curve25519-sha256", -- the default's first costs 0.1 s of CPU, no round
      "-o", "UserKnownHostsFile=" .. running.dir .. "/known", "-o",
      "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", "-o",
      "ProxyCommand=" .. arclua .. " proxy %h", env.ARCLUA_USER .. "@m1", "echo hello" }
end

local function latency()
  local running <close>, seen, restore = watched "mid"
  local ours, openssh = commands(running)
  first_byte(running, seen, ours) -- credentials, host key
  first_byte(running, seen, openssh)
  local a, b = {}, {}
  for i = 1, runs do
    a[i] = first_byte(running, seen, ours)
    b[i] = first_byte(running, seen, openssh)
  end
  restore()
  print "\n| `echo hello`, profile mid | connect to first byte | after the 101 | round trips |"
  print "|---|---:|---:|---:|"
  for _, row in ipairs { { "arclua exec", a }, { "ssh, ProxyCommand arclua proxy", b } } do
    local ms = median(row[2], "seconds") * 1000
    print(("| %s | %.0f ms | %.0f ms | %d |"):format(row[1], ms, ms - RENDEZVOUS,
      median(row[2], "rounds")))
  end
end

---------------------------------------------------------------- throughput and echo

local function throughput()
  local machines = {}
  for name, program in pairs(FAR) do
    machines[#machines + 1] = { name = name, program = program }
  end
  local running <close> = assert(emulator.start { machines = machines })
  local dir = assert(core.sys.mkdtemp "arclua-bench")
  certificate(dir)
  print "| stream | arclua proxy | bare TLS | ratio | of the best | CPU s/GB | bare | peak RSS |"
  print "|---|---:|---:|---:|---:|---:|---:|---:|"
  stream_row("machine to stdout", in_turns(running, dir, "down", bytes))
  stream_row("stdin to machine", in_turns(running, dir, "up", bytes))
  echo_row(in_turns(running, dir, "echo", ROUNDS))
  core.sys.remove(dir)
end

throughput()
latency()
