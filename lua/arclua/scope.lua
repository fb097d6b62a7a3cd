-- SPDX-License-Identifier: MIT
-- Which subscriptions a selection looks at.
local arm_machines = require "arclua.arm.machines"
local azure_profile = require "arclua.credential.azure_profile"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local scope = {}

-- The Azure CLI's default subscription in this cloud.
local function cli_default(cloud)
  local default = cloud.azure_name and azure_profile.default(cloud)
  return default and default.id
end

local function describe(list)
  local lines = {}
  for i, one in ipairs(list) do
    if i > 10 then
      lines[i] = ("  ... and %d more"):format(#list - 10)
      break
    end
    lines[i] = ("  %s  %s"):format(one.id, one.name or "")
  end
  return table.concat(lines, "\n")
end

local function ids_of(list)
  local ids = {}
  for i, one in ipairs(list) do
    ids[i] = one.id
  end
  return ids
end

local function only_visible(list)
  if #list == 1 then
    return ids_of(list)
  elseif #list == 0 then
    return errors.fail { code = "denied", op = "subscriptions",
      message = "this credential sees no subscription",
      remedy = "ask an Owner for a role, for example Reader, on the subscription" }
  end
  return errors.fail { code = "config", op = "subscriptions",
    message = "several subscriptions are visible:\n" .. describe(list),
    remedy = "choose with --subscription ID, or take all with --all-subscriptions" }
end

--- Subscription IDs: the given ones, else the environment, the configuration, the Azure CLI's
--- default, the only visible one. Errors: config, denied, and what ARM answers.
---@param spec { given: string[]?, all: boolean?, configured: string[]?, cloud: arclua.Cloud }
---@param client arclua.ArmClient
---@return string[]|nil, arclua.Error?
function scope.subscriptions(spec, client)
  if spec.given and #spec.given > 0 then
    return spec.given
  elseif not spec.all then
    local single = paths.env "AZURE_SUBSCRIPTION_ID"
    if single then
      return { single }
    elseif spec.configured and #spec.configured > 0 then
      return spec.configured
    end
    single = cli_default(spec.cloud)
    if single then
      return { single }
    end
  end
  local list, err = arm_machines.subscriptions(client)
  if not list then
    return nil, err
  elseif spec.all then
    return ids_of(list)
  end
  return only_visible(list)
end

return scope
