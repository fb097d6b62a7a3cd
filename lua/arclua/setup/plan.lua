-- SPDX-License-Identifier: MIT
-- What is to be changed on one machine so that it is as wanted: steps, each a text for people and
-- a function that does it. What is there already is left alone, since a needless PUT can disturb
-- the machine's listener.
local endpoints = require "arclua.arm.endpoints"
local errors = require "arclua.errors"
local extensions = require "arclua.arm.extensions"
local resource_id = require "arclua.resource_id"
local roles = require "arclua.arm.roles"

local plan = {}

local DEFAULT_PORT = 22

---@class arclua.SetupStep
---@field kind "provider"|"endpoint"|"service"|"port"|"extension"|"role"
---@field text string                 "create the connectivity endpoint"
---@field done string                 the same when it is done
---@field ssh boolean?                the agent must hear of it before SSH works
---@field run (fun(on_wait: fun(text: string)): true|nil, arclua.Error?)?  nil: by others

local function step(kind, text, done, run)
  return { kind = kind, text = text, done = done, run = run }
end

--- The step of a machine whose provider is to be registered, once for all of its subscription: what
--- else it needs is known only then.
---@return arclua.SetupStep
function plan.provider(subscription, name)
  return step("provider", ("register %s in subscription %s, then what its machines need"):format(
    name, subscription), "provider registered")
end

-- ---- SSH -------------------------------------------------------------------------------------

local function refuse_port(found, wanted)
  return errors.fail { code = "config", op = "enable",
    message = ("SSH is let through to port %d, not %d"):format(found, wanted),
    remedy = "leave --port away, or change it for all users of the machine: --port " .. wanted
      .. " --replace" }
end

local function allow(client, machine, port, kind)
  local what = kind == "port" and ("change the SSH port to %d, for all users"):format(port)
    or ("let SSH through to port %d"):format(port)
  local done = kind == "port" and ("SSH port changed to %d"):format(port)
    or ("SSH let through to port %d"):format(port)
  local one = step(kind, what, done, function()
    return endpoints.allow(client, machine, port)
  end)
  one.ssh = true
  return one
end

local function create(client, machine)
  local one = step("endpoint", "create the connectivity endpoint", "endpoint created",
    function()
      return endpoints.create(client, machine)
    end)
  one.ssh = true
  return one
end

local function add_ssh(steps, client, machine, opts)
  local found, err = endpoints.read(client, machine)
  if not found then
    return nil, err
  end
  local port = opts.port or DEFAULT_PORT
  if not found.endpoint then
    steps[#steps + 1] = create(client, machine)
  end
  if not found.service then
    steps[#steps + 1] = allow(client, machine, port, "service")
  elseif opts.port and found.port ~= opts.port then
    if not opts.replace then
      return refuse_port(found.port or 0, opts.port)
    end
    steps[#steps + 1] = allow(client, machine, port, "port")
  end
  return true
end

-- ---- the extension ---------------------------------------------------------------------------

local RUNNING = { creating = true, updating = true, accepted = true }

local function install(client, machine, found)
  local again = found and " again" or ""
  return step("extension", ("install the extension AADSSHLoginForLinux%s"):format(again),
    "extension installed" .. again, function(on_wait)
      return extensions.install(client, machine, found and found.name, on_wait)
    end)
end

local function add_extension(steps, client, machine)
  if machine.os == "windows" then
    return errors.fail { code = "config", op = "enable",
      message = "Entra sign-in over SSH is for Linux; this is a Windows machine",
      remedy = "leave --entra away, or select with --os linux" }
  elseif not resource_id.is_today(machine.type) then
    return errors.fail { code = "config", op = "enable", message = "the extension is for machines "
      .. "of type Microsoft.HybridCompute/machines, not " .. machine.type,
      remedy = "leave --entra away" }
  end
  local found, err = extensions.find(client, machine)
  if found == nil then
    return nil, err
  elseif not found or found.state:lower() ~= "succeeded" and not RUNNING[found.state:lower()] then
    steps[#steps + 1] = install(client, machine, found)
  end
  return true
end

-- ---- roles -----------------------------------------------------------------------------------

local function add_role(steps, client, machine, opts)
  local definition, err = roles.definition(client, machine.subscription, opts.assign_role)
  if not definition then
    return nil, err
  end
  local has = roles.has(client, machine.id, definition, opts.to)
  if not has then -- also when assignments may not be read: giving it twice changes nothing
    steps[#steps + 1] = step("role", ("give %s the role %s"):format(opts.to, opts.assign_role),
      ("role %s given to %s"):format(opts.assign_role, opts.to), function()
        return roles.assign(client, machine.id, definition, opts.to)
      end)
  end
  return true
end

-- ---- both ways -------------------------------------------------------------------------------

--- The steps that make a machine ready; {} when it is. Errors: config (another port, a Windows
--- machine), denied, ARM's.
---@param client arclua.ArmClient
---@param machine arclua.Machine
---@param opts arclua.EnableOptions
---@return arclua.SetupStep[]|nil, arclua.Error?
function plan.enable(client, machine, opts)
  local steps, ok, err = {}, true, nil
  if opts.ssh ~= false then
    ok, err = add_ssh(steps, client, machine, opts)
  end
  if ok and opts.entra then
    ok, err = add_extension(steps, client, machine)
  end
  if ok and opts.assign_role then
    ok, err = add_role(steps, client, machine, opts)
  end
  return ok and steps, err
end

local function remove_ssh(steps, client, machine)
  local found, err = endpoints.read(client, machine)
  if not found then
    return nil, err
  elseif found.service then
    steps[#steps + 1] = step("service", "remove the SSH service configuration",
      "SSH service configuration removed", function()
        return endpoints.forbid(client, machine)
      end)
  end
  local others = {}
  if found.endpoint then
    others, err = endpoints.services(client, machine)
  end
  if not others then
    return nil, err
  elseif found.endpoint and (#others == 0 or #others == 1 and others[1]:lower() == "ssh") then
    steps[#steps + 1] = step("endpoint", "remove the connectivity endpoint", "endpoint removed",
      function()
        return endpoints.remove(client, machine)
      end)
  end
  return true
end

local function remove_extension(steps, client, machine)
  local found, err = extensions.find(client, machine)
  if found == nil then
    return nil, err
  elseif found then
    steps[#steps + 1] = step("extension", "remove the extension AADSSHLoginForLinux",
      "extension removed", function()
        return extensions.remove(client, machine, found.name)
      end)
  end
  return true
end

local function take_role(steps, client, machine, opts)
  local definition, err = roles.definition(client, machine.subscription, opts.remove_role)
  local names
  if definition then
    names, err = roles.own(client, machine.id, definition, opts.from)
  end
  for _, name in ipairs(names or {}) do
    steps[#steps + 1] = step("role", ("take the role %s from %s"):format(opts.remove_role,
      opts.from), ("role %s taken from %s"):format(opts.remove_role, opts.from), function()
        return roles.remove(client, machine.id, name)
      end)
  end
  return names and true or nil, err
end

--- The steps that take it back; {} when nothing is there. An endpoint that serves something else
--- (Windows Admin Center) stays. Errors: denied, ARM's.
---@param opts arclua.DisableOptions
---@return arclua.SetupStep[]|nil, arclua.Error?
function plan.disable(client, machine, opts)
  local steps, ok, err = {}, true, nil
  if not opts.keep_ssh then
    ok, err = remove_ssh(steps, client, machine)
  end
  if ok and opts.entra then
    ok, err = remove_extension(steps, client, machine)
  end
  if ok and opts.remove_role then
    ok, err = take_role(steps, client, machine, opts)
  end
  return ok and steps, err
end

return plan
