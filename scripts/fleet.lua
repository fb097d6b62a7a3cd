-- SPDX-License-Identifier: MIT
-- Runs a command on many Arc machines at once, prints identical answers together and saves
-- every result as a line of JSON. Copy it and change what you need.
--
--   arclua run scripts/fleet.lua -- uptime
--   arclua run scripts/fleet.lua --tag role=web -l ops -- systemctl is-active nginx
--   arclua run scripts/fleet.lua -h
--
-- Sign-in comes from the environment (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET) or
-- from `az login`.
local arc = require "arclua"

-- 1. The command line. select and fleet add the options that `arclua exec` has as well; what
--    comes after -- is the command. Functions return a value, or nil and an error: assert stops
--    the script with the error's text.
local line = assert(arc.cli.parse(arg, {
  select = true, fleet = true,
  summary = "Runs a command on the selected machines (all in scope without a selection).",
}))

if not line.command or #line.command == 0 then
  io.stderr:write("usage: arclua run scripts/fleet.lua [options] [NAME...] -- COMMAND...\n")
  return 2
end

-- 2. Sign in and choose machines. In a script of your own this may simply be
--    az:machines { tag = { role = "web" }, os = "linux" }.
local az = assert(arc.login(line.login))
local machines = assert(az:machines(line.selector))

if #machines == 0 then
  io.stderr:write("no machine matches the selection\n")
  return 1
end
io.stderr:write(("running on %d machines\n"):format(#machines))

-- 3. Run. A string is a shell line; a list of words reaches the command as it was written.
--    Every machine has a result, whatever happened to it.
local fleet = arc.fleet(machines, line.fleet)
local report = assert(fleet:exec(line.command))

-- 4. Report: folded for people, JSON lines for programs.
report:print()

local file = os.getenv "FLEET_RESULTS" or "fleet-results.jsonl"
assert(report:save(file))
io.stderr:write("results saved in " .. file .. "\n")

-- 5. What failed is at hand. result.state is "failed" (the command said no), "unreachable",
--    "denied", "timeout", "unknown" ...; result.err says why and what to do.
for result in report:failed() do
  io.stderr:write(("not well: %s (%s)\n"):format(result.machine.id, result.state))
end

-- 6. The exit status: 0 all well, 3 timed out, 4 not reached, 5 the command failed somewhere.
return report:exit_status()
