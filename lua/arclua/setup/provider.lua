-- SPDX-License-Identifier: MIT
-- Resource providers of a subscription: their state, and registering them to the end.
local errors = require "arclua.errors"
local resource_id = require "arclua.resource_id"

local provider = {}

local API = "2021-04-01"
local PAUSE, LIMIT = 5, 300 -- seconds between two looks; until registering counts as stuck

local function path(subscription, name, tail)
  return ("/subscriptions/%s/providers/%s%s"):format(resource_id.segment(subscription),
    resource_id.segment(name), tail or "")
end

local function regions_of(value)
  for _, one in ipairs(type(value.resourceTypes) == "table" and value.resourceTypes or {}) do
    if one.resourceType == "endpoints" then
      return one.locations
    end
  end
end

--- The state of a provider ("Registered", "NotRegistered" ...), and the regions of its endpoints.
--- Errors: ARM's.
---@return { state: string, regions: string[]? }|nil, arclua.Error?
function provider.show(client, subscription, name)
  local value, err = client:request { path = path(subscription, name), api_version = API }
  if value == nil then
    return nil, err
  end
  return { state = tostring(value.registrationState), regions = regions_of(value) }
end

local function explain(err, subscription, name)
  if err.code ~= "denied" then
    return err
  end
  return errors.with(err, { remedy = ("a Contributor or Owner of the subscription registers it "
    .. "once: az provider register --namespace %s --subscription %s"):format(name, subscription) })
end

local function wait(client, subscription, name, on_wait)
  local core = client.core
  local began = core.now()
  while true do
    local one, err = provider.show(client, subscription, name)
    if not one then
      return nil, err
    elseif one.state:lower() == "registered" then
      return true
    elseif core.now() - began >= LIMIT then
      return errors.fail { code = "timeout", op = "provider",
        message = ("%s is still %s after %d s"):format(name, one.state:lower(), LIMIT),
        remedy = ("it goes on in Azure: az provider show --namespace %s"):format(name) }
    elseif on_wait then
      on_wait(("registering %s, %.0f s"):format(name, core.now() - began))
    end
    local ok, ended = core.sleep(PAUSE)
    if not ok then
      return nil, ended
    end
  end
end

--- Registers a provider and waits until it is. Errors: denied, timeout, ARM's.
---@param client arclua.ArmClient
---@param subscription string
---@param name string
---@param on_wait fun(text: string)?
---@return true|nil, arclua.Error?
function provider.register(client, subscription, name, on_wait)
  local value, err = client:request { method = "POST", api_version = API, replay = true,
    path = path(subscription, name, "/register") }
  if value == nil then
    return nil, explain(err, subscription, name)
  end
  return wait(client, subscription, name, on_wait)
end

return provider
