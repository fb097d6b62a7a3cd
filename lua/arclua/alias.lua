-- SPDX-License-Identifier: MIT
-- The name under which a machine's host key is kept: NAME.RG.SUBSCRIPTION.arc
local alias = {}

local MACHINES = "microsoft.hybridcompute/machines"

local function part(text)
  return (text:lower():gsub("[^a-z0-9-]", function(byte)
    return ("_%02x"):format(byte:byte())
  end))
end

--- The alias of a machine. Other resource types add .TYPE, other clouds .CLOUD, before .arc.
---@param machine { name: string, resource_group: string, subscription: string, type: string? }
---@param cloud string?  its name; nil = public
---@return string
function alias.of(machine, cloud)
  local parts = { part(machine.name), part(machine.resource_group), part(machine.subscription) }
  if machine.type and machine.type:lower() ~= MACHINES then
    parts[#parts + 1] = part(machine.type)
  end
  if cloud and cloud ~= "public" then
    parts[#parts + 1] = part(cloud)
  end
  parts[#parts + 1] = "arc"
  return table.concat(parts, ".")
end

--- The alias of a host reached directly, as OpenSSH spells it.
---@return string
function alias.of_host(host, port)
  return port == 22 and host or ("[%s]:%d"):format(host, port)
end

return alias
