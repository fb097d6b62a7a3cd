-- SPDX-License-Identifier: MIT
-- The table of bench/doctor.sh: what the runs took, what ARM was asked, what its buckets allow.
local arc = require "arclua"

-- Documented: requests at once, and a second thereafter, for a subscription and principal.
local BUCKETS = { reads = { 250, 25 }, writes = { 200, 10 } }

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

-- Requests by kind, and how many were refused. Resource Graph has a quota of its own.
local function asked(path)
  local count = { reads = 0, writes = 0, refused = 0 }
  for line in io.lines(path) do
    local event = assert(arc.json.decode(line))
    if event.event == "arm" and event.path:find "^/subscriptions/" then
      local kind = event.method == "GET" and "reads" or "writes"
      count[kind] = count[kind] + 1
      count.refused = count.refused + (event.status == 429 and 1 or 0)
    end
  end
  return count
end

local function least(count)
  local seconds = 0
  for kind, bucket in pairs(BUCKETS) do
    seconds = math.max(seconds, (count[kind] - bucket[1]) / bucket[2])
  end
  return seconds
end

local work, machines = arg[1], arg[2]
print "| throttle | machines | ok | seconds | reads | writes | 429 | buckets' least | ratio |"
print "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
for _, throttle in ipairs { "off", "documented" } do
  local report = assert(arc.json.decode(read(work .. "/" .. throttle .. ".json")))
  local count = asked(work .. "/" .. throttle .. ".log")
  local limit = throttle == "documented" and least(count)
  print(("| %s | %s | %d | %.1f | %d | %d | %d | %s | %s |"):format(throttle, machines,
    report.summary.ok, report.seconds, count.reads, count.writes, count.refused,
    limit and ("%.1f"):format(limit) or "", limit and ("%.2f"):format(report.seconds / limit)
    or ""))
end
