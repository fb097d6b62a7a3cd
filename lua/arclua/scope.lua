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

local GUID = "^" .. ("%x"):rep(8) .. ("%-" .. ("%x"):rep(4)):rep(3) .. "%-" .. ("%x"):rep(12) .. "$"

-- What was chosen without asking ARM: IDs or names; nil: what is visible decides.
local function chosen(spec)
  if spec.given and #spec.given > 0 then
    return spec.given
  elseif spec.all then
    return nil
  end
  local single = paths.env "AZURE_SUBSCRIPTION_ID"
  if single then
    return { single }
  elseif spec.configured and #spec.configured > 0 then
    return spec.configured
  end
  single = cli_default(spec.cloud)
  return single and { single }
end

--- The error for a subscription that is not among the visible ones: nil, error.
---@param name string  or ID
---@param visible { id: string, name: string }[]
---@return nil, arclua.Error
function scope.unknown(name, visible)
  return errors.fail { code = "notfound", op = "subscriptions",
    message = ("SubscriptionNotFound: this sign-in sees no subscription '%s'%s"):format(name,
      #visible > 0 and ", but:\n" .. describe(visible) or ""),
    remedy = "choose with --subscription, or take all with --all-subscriptions" }
end

-- The ID of a subscription that goes by its name.
local function by_name(list, name)
  local found = {}
  for _, one in ipairs(list) do
    if one.id:lower() == name:lower() or (one.name or ""):lower() == name:lower() then
      found[#found + 1] = one
    end
  end
  if #found == 1 then
    return found[1].id
  elseif #found == 0 then
    return scope.unknown(name, list)
  end
  return errors.fail { code = "conflict", op = "subscriptions",
    message = ("several subscriptions are named '%s':\n%s"):format(name, describe(found)),
    remedy = "choose with --subscription ID" }
end

local function ids_by_names(list, names)
  local ids = {}
  for i, name in ipairs(names) do
    local id, err = by_name(list, name)
    if not id then
      return nil, err
    end
    ids[i] = id
  end
  return ids
end

local function all_ids(names)
  for _, name in ipairs(names) do
    if not name:find(GUID) then
      return false
    end
  end
  return true
end

--- Subscription IDs: the given ones (IDs or names), else the environment, the configuration, the
--- Azure CLI's default, the only visible one. Errors: config, denied, notfound, conflict, and what
--- ARM answers.
---@param spec { given: string[]?, all: boolean?, configured: string[]?, cloud: arclua.Cloud }
---@param client arclua.ArmClient
---@return string[]|nil, arclua.Error?
function scope.subscriptions(spec, client)
  local names = chosen(spec)
  if names and all_ids(names) then
    return names
  end
  local list, err = arm_machines.subscriptions(client)
  if not list then
    return nil, err
  elseif names then
    return ids_by_names(list, names)
  elseif spec.all and #list > 0 then
    return ids_of(list)
  end
  return only_visible(list)
end

--- What decides the scope, in one text, without asking anybody.
---@return string
function scope.key(spec)
  local names = chosen(spec)
  if not names then
    return spec.all and "all" or "visible"
  end
  local list = {}
  for i, name in ipairs(names) do
    list[i] = name:lower()
  end
  table.sort(list)
  return table.concat(list, ",")
end

return scope
