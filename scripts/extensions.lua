-- SPDX-License-Identifier: MIT
-- Which extensions the selected machines have, and in which state: one line each, failures last.
-- Asks ARM directly, for what arclua itself has no command.
--
--   arclua run scripts/extensions.lua --tag role=web
local arc = require "arclua"

local line = assert(arc.cli.parse(arg, { select = true,
  summary = "Lists the extensions of the selected machines." }))
local az = assert(arc.login(line.login))
local machines = assert(az:machines(line.selector))

-- Twenty machines in a request, the answers in the order of the machines.
local requests = {}
for i, machine in ipairs(machines) do
  requests[i] = { path = machine.id .. "/extensions", api_version = "2025-01-13" }
end
local answers = assert(az.arm:batch(requests))

local fine, failed = {}, {}

local function note(machine, extension)
  local p = extension.properties
  table.insert(p.provisioningState == "Failed" and failed or fine, ("%s: %s/%s %s %s"):format(
    machine.name, p.publisher, p.type, p.typeHandlerVersion or "?", p.provisioningState))
end

for i, answer in ipairs(answers) do
  if answer.err then
    failed[#failed + 1] = ("%s: %s"):format(machines[i].name, answer.err.message)
  end
  for _, extension in ipairs(answer.value and answer.value.value or {}) do
    note(machines[i], extension)
  end
end

print(table.concat(table.move(failed, 1, #failed, #fine + 1, fine), "\n"))
return #failed == 0 and 0 or 5
