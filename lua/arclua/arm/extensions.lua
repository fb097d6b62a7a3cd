-- SPDX-License-Identifier: MIT
-- The extension that lets people sign in to a Linux machine with Entra: found by publisher and
-- type, since its name is free; installed and removed by long-running operations.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local extensions = {}

local API = "2025-01-13"
local NAME, PUBLISHER, TYPE = "AADSSHLogin", "Microsoft.Azure.ActiveDirectory",
  "AADSSHLoginForLinux"
local LIMIT = 1800 -- seconds that an operation may take

local function path(machine, name)
  return resource_id.path(machine.id) .. "/extensions"
    .. (name and "/" .. resource_id.segment(name) or "")
end

--- Whether a publisher and type are those of the sign-in extension.
---@return boolean
function extensions.is_entra(publisher, kind)
  return tostring(publisher):lower() == PUBLISHER:lower() and tostring(kind):lower() == TYPE:lower()
end

--- The sign-in extension of a machine: { name, state, message? }; false when there is none.
--- Errors: ARM's.
---@return { name: string, state: string, message: string? }|false|nil, arclua.Error?
function extensions.find(client, machine)
  local list, err = client:list { path = path(machine), api_version = API }
  if not list then
    return nil, err
  end
  for _, entry in ipairs(list) do
    local properties = type(entry.properties) == "table" and entry.properties or {}
    if extensions.is_entra(properties.publisher, properties.type) then
      return { name = entry.name, state = tostring(properties.provisioningState) }
    end
  end
  return false
end

local function explain(err)
  if err.reason ~= "arm.operation-failed" then
    return err
  end
  return errors.with(err, { remedy = "look at the agent's settings (azcmagent config list on the "
    .. "machine) and at /var/log/azure and /var/lib/waagent there" })
end

--- Installs the extension, or again where it failed, and waits for it; and before for another
--- operation on it that is under way.
--- Errors: unknown (arm.operation-failed, with the agent's words), conflict, and ARM's.
---@param name string?  of one that is there already
---@param on_wait fun(text: string)?
---@return true|nil, arclua.Error?
function extensions.install(client, machine, name, on_wait)
  local began = client.core.now()
  local value, err = client:request { method = "PUT", path = path(machine, name or NAME),
    api_version = API, wait = LIMIT, body = { location = machine.location, properties = {
      publisher = PUBLISHER, type = TYPE, enableAutomaticUpgrade = true } },
    progress = function(status)
      return on_wait and on_wait(("installing the extension (%s), %.0f s"):format(status:lower(),
        client.core.now() - began))
    end }
  if value == nil then
    return nil, explain(err)
  end
  return true
end

--- Removes the extension and waits until it is gone. Errors: as extensions.install.
---@return true|nil, arclua.Error?
function extensions.remove(client, machine, name)
  local value, err = client:request { method = "DELETE", path = path(machine, name),
    api_version = API, wait = LIMIT }
  return value ~= nil or nil, err and explain(err)
end

return extensions
