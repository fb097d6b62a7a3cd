-- SPDX-License-Identifier: MIT
-- Microsoft.HybridCompute/machines/extensions, and the assessment of patches: what takes a while.
local core = require "arclua.core"
local json = require "arclua.json"
local operations = require "arclua.emulator.arm_operations"
local reply = require "arclua.emulator.arm_reply"
local shape = require "arclua.emulator.machine_shape"

local extensions = {}

local NAMES = { "operationstatus", "operationresults" }
local PATCH_NAMES = { "updateCenterOperationResults", "updateCenterOperationResults" }
local RETRY_AFTER, PATCH_RETRY_AFTER = 15, 60
local VERSION = "1.0.3069.1"
local LINUX_ONLY = { aadsshloginforlinux = true }
local FAILED = "Extension Message: Extension failed to install. Extension returned non-zero exit "
  .. "code for Install: 23."

local function place(machine)
  return ("subscriptions/%s/providers/Microsoft.HybridCompute/locations/%s"):format(
    machine.subscription, machine.location)
end

local function resource(machine, one)
  local properties = shape.extension(one)
  properties.enableAutomaticUpgrade = one.upgrade ~= false
  if one.state == "Creating" then
    properties.instanceView = nil
  end
  return { id = machine.id .. "/extensions/" .. one.name, name = one.name, tags = one.tags,
    type = machine.type .. "/extensions", location = machine.location, properties = properties }
end

local function find(machine, name)
  for i, one in ipairs(machine.extensions) do
    if one.name:lower() == name:lower() then
      return one, i
    end
  end
end

local function bad(message, code)
  return reply.fail(400, code or "HCRP400", message)
end

local function not_found(machine, name)
  return reply.fail(404, "HCRP404", ("The extension '%s' was not found."):format(name),
    { target = ("%s/%s/%s/%s"):format(machine.subscription, machine.group, machine.name, name) })
end

-- Only one operation at a time on a type.
local function busy(machine, kind)
  for _, one in ipairs(machine.extensions) do
    local state = one.state
    if one.type:lower() == kind:lower()
      and (state == "Creating" or state == "Updating" or state == "Deleting") then
      return { reply.fail(409, "HCRP409", ("An extension of type %s is still processing. Only one "
        .. "instance of an extension may be in progress at a time for the same resource. Please "
        .. "retry after sometime."):format(one.type), { cause = "service" }) }
    end
  end
end

local function body_of(request)
  local value = json.decode(request.body)
  return type(value) == "table" and value or nil
end

-- What a PUT asks for | nil, what is wrong.
local function wanted(machine, body)
  local properties = body and type(body.properties) == "table" and body.properties
  if not properties or type(properties.publisher) ~= "string"
    or type(properties.type) ~= "string" then
    return nil, "properties.publisher and properties.type are required."
  elseif type(body.location) ~= "string"
    or body.location:lower() ~= machine.location:lower() then
    return nil, ("location is required and must be that of the machine, '%s'."):format(
      machine.location)
  end
  return properties
end

-- Why the agent does not install it; nil: it does.
local function obstacle(machine, one)
  local agent = machine.agent_config
  if machine.os == "windows" and LINUX_ONLY[one.type:lower()] then
    return "Extension Message: the operating system is not supported."
  elseif agent.extensions_enabled == false or agent.mode == "monitor" then
    return "Extension Message: the agent's configuration does not allow extensions."
  end
  for _, blocked in ipairs(agent.blocklist or {}) do
    if blocked:lower() == (one.publisher .. "/" .. one.type):lower() then
      return "Extension Message: the agent's blocklist names the extension."
    end
  end
  return machine.extension_fails and FAILED or nil
end

local function begin(state, machine, request, one, more)
  local spec = { style = "both", status = 202, retry_after = RETRY_AFTER, names = NAMES,
    finish = function()
      one.message = obstacle(machine, one)
      one.state = one.message and "Failed" or "Succeeded"
      return resource(machine, one), one.message
        and { code = "ExtensionOperationFailure", message = one.message }
    end,
    fail = function(code, message)
      one.state, one.message = "Failed", ("Extension Message: %s %s"):format(code, message)
    end }
  for name, value in pairs(more or {}) do
    spec[name] = value
  end
  return operations.start(state, request, place(machine), spec)
end

local function put(state, machine, name, request)
  local properties, why = wanted(machine, body_of(request))
  if not properties then
    return bad(why)
  end
  local refusal = busy(machine, properties.type)
  if refusal then
    return table.unpack(refusal)
  end
  local one = find(machine, name)
  if not one then
    one = { name = name }
    machine.extensions[#machine.extensions + 1] = one
  end
  one.publisher, one.type, one.settings = properties.publisher, properties.type,
    properties.settings
  one.version = properties.typeHandlerVersion or one.version or VERSION
  one.upgrade = properties.enableAutomaticUpgrade
  one.state = one.state and "Updating" or "Creating"
  state.log:add("extension-put", { machine = machine.name, extension = name, type = one.type })
  return begin(state, machine, request, one)
end

local function patch(state, machine, name, request)
  local one, body = find(machine, name), body_of(request)
  if not one then
    return not_found(machine, name)
  elseif not body then
    return bad "The body is not JSON."
  end
  local refusal = busy(machine, one.type)
  if refusal then
    return table.unpack(refusal)
  end
  one.tags, one.state = body.tags or one.tags, "Updating"
  return begin(state, machine, request, one)
end

local function delete(state, machine, name, request)
  local one = find(machine, name)
  if not one then
    return 204, {}, ""
  end
  local refusal = busy(machine, one.type)
  if refusal then
    return table.unpack(refusal)
  end
  one.state = "Deleting"
  return begin(state, machine, request, one, { empty = true, finish = function()
    local _, at = find(machine, name)
    if at then
      table.remove(machine.extensions, at)
    end
    state.log:add("extension-delete", { machine = machine.name, extension = name })
  end })
end

local function get(_, machine, name)
  local one = find(machine, name)
  if not one then
    return not_found(machine, name)
  end
  return 200, {}, resource(machine, one)
end

local METHODS = { GET = get, PUT = put, PATCH = patch, DELETE = delete }

--- The machine's extensions as ARM shows them.
function extensions.resources(machine)
  local value = json.array {}
  for i, one in ipairs(machine.extensions) do
    value[i] = resource(machine, one)
  end
  return value
end

--- Puts an extension on a machine, done.
---@param spec { name: string, publisher: string, type: string, failed: boolean?, state: string?,
---   version: string?, message: string? }
function extensions.add(machine, spec)
  local _, at = find(machine, spec.name)
  machine.extensions[at or #machine.extensions + 1] = { name = spec.name,
    publisher = spec.publisher, type = spec.type, version = spec.version or VERSION,
    state = spec.failed and "Failed" or spec.state or "Succeeded",
    message = spec.message or spec.failed and FAILED or nil }
end

--- GET .../extensions
function extensions.list(machine)
  return 200, {}, { value = extensions.resources(machine) }
end

--- .../extensions/{name}
function extensions.one(state, machine, request, name)
  local method = METHODS[request.method]
  if not method then
    return reply.fail(405, "MethodNotAllowed", "The method is not allowed here.")
  end
  return method(state, machine, name, request)
end

--- POST .../assessPatches
function extensions.assess(state, machine, request)
  local began = core.time()
  return operations.start(state, request, place(machine), { style = "location", status = 202,
    retry_after = PATCH_RETRY_AFTER, names = PATCH_NAMES, finish = function()
      return { startDateTime = reply.time(began), lastModifiedDateTime = reply.time(core.time()),
        startedBy = "User", rebootPending = false, status = "Succeeded",
        patchServiceUsed = machine.os == "windows" and "WU" or "APT",
        osType = machine.os == "windows" and "Windows" or "Linux",
        availablePatchCountByClassification = { security = 4, critical = 0, other = 11 } }
    end })
end

return extensions
