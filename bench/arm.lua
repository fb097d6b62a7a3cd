-- SPDX-License-Identifier: MIT
-- Credentials for a large fleet against ARM's documented limits: is a machine lost, how many
-- requests are refused, how long it takes and how long it was expected to. See bench/arm.sh.
local arc = require "arclua"
local core = require "arclua.core"

local MACHINES, SCALE = tonumber(arg[1]) or 10000, tonumber(arg[2]) or 10
local PARALLEL = 64

local function start(opts)
  opts.machines = MACHINES
  local e = assert(arc.emulator.start(opts))
  local counts = {}
  local add = e.log.add
  function e.log.add(log, event, fields)
    if event == "arm" then
      counts.all = (counts.all or 0) + 1
      counts[fields.status] = (counts[fields.status] or 0) + 1
    end
    return add(log, event, fields)
  end
  return e, counts
end

local function sign_in(e)
  return assert(arc.login { cloud = e.cloud, config = "none", credential =
    arc.credential.client_secret { tenant = e.env.AZURE_TENANT_ID, cloud = e.state.cloud,
      client_id = e.env.AZURE_CLIENT_ID, client_secret = e.env.AZURE_CLIENT_SECRET } })
end

local function cpu()
  local user, system = core.sys.cpu()
  return user + system
end

-- One run over all machines; others: a program that ends with it.
local function run(name, e, counts, others)
  local az = sign_in(e)
  local list = assert(az:machines {})
  local expected = arc.fleet(list, {}):expected()
  counts.all, counts[429] = 0, 0
  local used, since, lost, reasons = cpu(), core.now(), 0, {}
  assert(arc.map(list, function(machine)
    local access, err = az.connectivity:access(machine, {})
    if not access then
      lost = lost + 1
      reasons[err.reason or err.code] = (reasons[err.reason or err.code] or 0) + 1
    end
    return true
  end, { parallel = PARALLEL }))
  local took = core.now() - since
  local refused = counts.all > 0 and counts[429] / counts.all * 100 or 0
  print(("| %s | %d | %d | %d | %d (%.2f %%) | %.0f s | %.0f s | %+.1f %% | %.0f %% |"):format(
    name, #list, lost, counts.all, counts[429], refused, expected, took,
    expected > 0 and (took / expected - 1) * 100 or 0, (cpu() - used) / (took / SCALE) * 100))
  for reason, n in pairs(reasons) do
    print("lost: ", reason, n)
  end
  if others then
    others.over = true
  end
end

-- Another program of the same principal, which takes half of what comes in.
local function compete(e)
  local state = {}
  core.spawn(function()
    while not state.over do
      local left, wait = e.state.throttle:take(e.state.subscriptions[1].id, e.state.object_id,
        "writes")
      core.sleep(left and 0.2 or wait)
    end
  end)
  return state
end

core.spawn(function()
  print "| run | machines | lost | requests | 429 | expected | took | | CPU |"
  print "|---|---|---|---|---|---|---|---|---|"
  core.scale(SCALE)
  local e, counts = start { throttle = "documented" }
  run("cold, documented limits", e, counts)
  run("again, credentials kept in files", e, counts)
  e:stop()
  core.sys.remove(os.getenv "ARCLUA_STATE" .. "/cache")
  e, counts = start { throttle = "documented" }
  run("cold, another program takes half of the refill", e, counts, compete(e))
  e:stop()
  core.sys.remove(os.getenv "ARCLUA_STATE" .. "/cache")
end):await()
