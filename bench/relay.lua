-- SPDX-License-Identifier: MIT
-- The measuring part of bench/relay.sh: arclua run bench/relay.lua METER [MEGABYTES RUNS].
-- This process is the emulator; clients and bare TLS are children of it, in turns.
local core = require "arclua.core"
local emulator = require "arclua.emulator"

local meter, megabytes, runs = arg[1], tonumber(arg[2] or 512), tonumber(arg[3] or 7)
local bytes = megabytes * 1024 * 1024
local ROUNDS = 5000
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
  print(("| %s | %.0f MB/s | %.0f MB/s | %.2f | %.2f | %.2f | %.1f MiB |"):format(label, fast,
    plain, fast / plain, median(ours, "cpu") * 1e9 / bytes, median(bare, "cpu") * 1e9 / bytes,
    median(ours, "peak") / 1024))
end

local function echo_row(ours, bare)
  local slow, plain = median(ours, "seconds") / ROUNDS, median(bare, "seconds") / ROUNDS
  print(("| echo of 1 byte | %.1f µs | %.1f µs | %.2f | | | %.1f MiB |"):format(slow * 1e6,
    plain * 1e6, slow / plain, median(ours, "peak") / 1024))
end

local function throughput()
  local machines = {}
  for name, program in pairs(FAR) do
    machines[#machines + 1] = { name = name, program = program }
  end
  local running <close> = assert(emulator.start { machines = machines })
  local dir = assert(core.sys.mkdtemp "arclua-bench")
  certificate(dir)
  print "| stream | arclua proxy | bare TLS | ratio | CPU s/GB | bare | peak RSS |"
  print "|---|---:|---:|---:|---:|---:|---:|"
  stream_row("machine to stdout", in_turns(running, dir, "down", bytes))
  stream_row("stdin to machine", in_turns(running, dir, "up", bytes))
  echo_row(in_turns(running, dir, "echo", ROUNDS))
  core.sys.remove(dir)
end

throughput()
