-- SPDX-License-Identifier: MIT
-- Microsoft.HybridCompute/machines: lists and single machines.
local extensions = require "arclua.emulator.arm_extensions"
local reply = require "arclua.emulator.arm_reply"
local shape = require "arclua.emulator.machine_shape"
local text = require "arclua.emulator.text"

local machines = {}

-- The providers of private clouds' virtual machines, and the kinds of machines that have one.
local INSTANCES = {
  ["microsoft.connectedvmwarevsphere"] = { name = "Microsoft.ConnectedVMwarevSphere",
    kinds = { VMware = true, AVS = true } },
  ["microsoft.scvmm"] = { name = "Microsoft.ScVmm", kinds = { SCVMM = true } },
  ["microsoft.azurestackhci"] = { name = "Microsoft.AzureStackHCI", kinds = { HCI = true } },
}

local function resource(state, machine, single)
  return {
    id = machine.id, name = machine.name, location = machine.location, tags = machine.tags,
    type = machine.type, kind = machine.kind,
    identity = { type = "SystemAssigned", principalId = machine.vm_id, tenantId = state.tenant },
    properties = shape.properties(state, machine),
    resources = single and shape.is_server(machine) and extensions.resources(machine) or nil,
  }
end

--- GET of the machines of a subscription or group, of one type.
function machines.list(state, request, subscription, group, kind)
  local found = {}
  for _, machine in ipairs(state.machines) do
    if machine.subscription == subscription and machine.type == kind
        and (not group or machine.group:lower() == group:lower()) then
      found[#found + 1] = machine
    end
  end
  return reply.page(state, request, found, function(machine)
    return resource(state, machine, false)
  end)
end

--- GET of one machine.
function machines.get(state, machine)
  return 200, {}, resource(state, machine, true)
end

--- GET of what a private cloud says of a machine.
---@param namespace string  its provider
function machines.instance(_, machine, namespace, name)
  local known = INSTANCES[namespace:lower()]
  if not known or not known.kinds[machine.kind] or name:lower() ~= "default" then
    return reply.fail(404, "ResourceNotFound", ("The Resource '%s/virtualMachineInstances/%s' "
      .. "under machine '%s' was not found."):format(text.plain(namespace, 60),
      text.plain(name, 60), machine.name), { cause = "service" })
  end
  return 200, {}, {
    id = ("%s/providers/%s/virtualMachineInstances/default"):format(machine.id, known.name),
    name = "default", type = known.name .. "/virtualMachineInstances",
    extendedLocation = { type = "CustomLocation",
      name = ("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.ExtendedLocation/"
        .. "customLocations/cl-%s"):format(machine.subscription, machine.group,
        machine.site or "lab") },
    properties = { provisioningState = "Succeeded",
      powerState = machine.status == "Connected" and "poweredOn" or "poweredOff",
      osProfile = { computerName = machine.name,
        osType = machine.os == "windows" and "Windows" or "Linux" },
      hardwareProfile = { memorySizeMB = 8192, numCPUs = 4 } },
  }
end

return machines
