-- SPDX-License-Identifier: MIT
-- ARM resource IDs of machines: parsed, compared without case.
local resource_id = {}

local MACHINES = "Microsoft.HybridCompute/machines"

--- The types of resources that are Arc machines: today's, and the first generation of those in
--- private clouds.
resource_id.TYPES = { MACHINES, "Microsoft.ConnectedVMwarevSphere/virtualMachines",
  "Microsoft.ScVmm/virtualMachines", "Microsoft.AzureStackHCI/virtualMachines" }

local KNOWN = {}
for _, name in ipairs(resource_id.TYPES) do
  KNOWN[name:lower()] = true
end

--- Whether a type is today's, HybridCompute's, and not one of the first generation.
---@param kind string
---@return boolean
function resource_id.is_today(kind)
  return kind:lower() == MACHINES:lower()
end

local PATH = "^/([^/]+)/([^/]+)/([^/]+)/([^/]+)/([^/]+)/([^/]+)/([^/]+)/([^/]+)/*$"
local NO_SEGMENT = "[%c<>%%&\\?]"

--- { subscription, resource_group, type, name } of a machine's ID, nil when it is none.
---@param id string
---@return table|nil
function resource_id.parse(id)
  local first, subscription, second, group, third, namespace, kind, name = id:match(PATH)
  if not first or first:lower() ~= "subscriptions" or second:lower() ~= "resourcegroups"
    or third:lower() ~= "providers" or id:find(NO_SEGMENT) then
    return nil
  end
  local type_name = namespace .. "/" .. kind
  if type_name ~= MACHINES and type_name:lower() == MACHINES:lower() then
    type_name = MACHINES
  end
  return { subscription = subscription, resource_group = group, type = type_name, name = name }
end

--- The ID of the machine that an ID means: its own, or that of what belongs to a machine (an
--- extension, a private cloud's virtualMachineInstances/default). id | nil, what it is instead:
--- nil when it is no resource's ID.
---@param id string
---@return string|nil, string?
function resource_id.machine_of(id)
  local own = id:match "^(/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+)"
  local parts = own and resource_id.parse(own)
  if not parts then
    return nil
  elseif KNOWN[parts.type:lower()] then
    return own
  elseif parts.type:lower() == "microsoft.compute/virtualmachines" then
    return nil, "a virtual machine of Azure, not an Arc machine: use `az ssh vm`, or its address "
      .. "with --direct"
  end
  return nil, ("a resource of type %s, not an Arc machine"):format(parts.type)
end

--- The ID of an Arc machine.
---@param type_name string?  when it is of another type
---@return string
function resource_id.machine(subscription, resource_group, name, type_name)
  return ("/subscriptions/%s/resourceGroups/%s/providers/%s/%s"):format(subscription,
    resource_group, type_name or MACHINES, name)
end

--- The form by which IDs are compared.
---@return string
function resource_id.key(id)
  return (id:lower():gsub("/+$", ""))
end

local function escape(byte)
  return ("%%%02X"):format(byte:byte())
end

--- One path segment, percent-encoded.
---@return string
function resource_id.segment(text)
  return (text:gsub("[^%w%-._~()]", escape))
end

--- A path or parameter's name with what a URL cannot hold encoded; what is encoded stays so.
---@return string
function resource_id.clean(path)
  return (path:gsub("[^%w%-._~!$&'()*+,;=:@/%%]", escape))
end

--- The ID as a URL path: each segment encoded, one leading slash.
---@return string
function resource_id.path(id)
  local parts = {}
  for part in id:gmatch "[^/]+" do
    parts[#parts + 1] = resource_id.segment(part)
  end
  return "/" .. table.concat(parts, "/")
end

--- The subscriptions that IDs of machines are in, each once, in their order.
---@param ids string[]
---@return string[]
function resource_id.subscriptions(ids)
  local out, seen = {}, {}
  for _, id in ipairs(ids) do
    local subscription = resource_id.parse(id).subscription
    if not seen[subscription:lower()] then
      seen[subscription:lower()] = true
      out[#out + 1] = subscription
    end
  end
  return out
end

return resource_id
