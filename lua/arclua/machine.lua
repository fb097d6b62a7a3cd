-- SPDX-License-Identifier: MIT
-- An Arc machine as a sign-in has found it: what az:machines and az:machine give.
local alias = require "arclua.alias"
local arm_machines = require "arclua.arm.machines"
local connect = require "arclua.connect"

local Machine = {}
Machine.__index = Machine
Machine.__name = "arclua.machine"

---@class arclua.Machine: arclua.MachineData
---@field azure arclua.Azure  the sign-in it was found with

--- The name of the machine's key in known_hosts: NAME.RG.SUBSCRIPTION.arc in lower case.
---@return string
function Machine:alias()
  return alias.of(self, self.azure.cloud.name)
end

--- Whether ARM said, when the machine was listed, that its agent is connected.
---@return boolean
function Machine:is_connected()
  return self.status:lower() == "connected"
end

--- Everything that ARM says of it, as it says it: properties, extensions (`resources`), and for a
--- machine in a private cloud that may be read also its virtual machine (`instance`).
--- Errors: notfound (arm.machine-not-found), denied, and what ARM answers.
---@return table|nil, arclua.Error?
function Machine:details()
  return arm_machines.details(self.azure.client, self.id)
end

--- An SSH session through the relay. Close it, or say <close>.
--- Raises: unknown or ill-typed options.
--- Errors: config (arm.setup-needed without `enable`), denied, auth, hostkey, timeout, refused,
--- unavailable; err.reason and err.remedy say more.
---@param opts arclua.ConnectOptions?
---@return arclua.Session|nil, arclua.Error?
function Machine:ssh(opts)
  return connect.session(self, connect.check(opts))
end

function Machine:__tostring()
  return self.name
end

local machine = {}

--- A machine of its data, which are taken over and name their sign-in in `azure`.
---@param data arclua.MachineData
---@return arclua.Machine
function machine.of(data)
  return setmetatable(data, Machine)
end

return machine
