-- SPDX-License-Identifier: MIT
-- Whether a subscription may use the providers that SSH needs. Asked once a subscription.
local providers = require "arclua.setup.provider"

local NEEDED = { "Microsoft.HybridConnectivity", "Microsoft.HybridCompute" }

-- What is known of a subscription: states by provider, the regions of the endpoints.
local function look(run, subscription)
  local found = { states = {} }
  for _, name in ipairs(NEEDED) do
    local one, err = providers.show(run.azure.arm, subscription, name)
    found.states[name] = one and one.state or err
    found.regions = one and one.regions or found.regions
  end
  return found
end

--- Gathers what the machines' subscriptions say: by id in lower case.
---@return table<string, table>
local function gather(run, list)
  local out = {}
  for _, machine in ipairs(list) do
    local key = machine.subscription:lower()
    out[key] = out[key] or look(run, machine.subscription)
  end
  return out
end

-- Only the first of them is needed for SSH alone: that one --fix registers.
local function unregistered(it, name, state)
  local subscription, ours = it.machine.subscription, name == NEEDED[1]
  it:fail("provider", ("%s is not registered in subscription %s (%s)"):format(name, subscription,
    state), ("az provider register --namespace %s --subscription %s%s"):format(name, subscription,
    ours and " (or arclua doctor --fix)" or ""), ours and "provider" or nil)
end

local STATES = { registered = "ok", registering = "warning" }

local function judge(it)
  local known = it.run.subscriptions[it.machine.subscription:lower()]
  for _, name in ipairs(NEEDED) do
    local state = known.states[name]
    if type(state) == "table" then
      if name == NEEDED[1] then
        return it:unknown("provider", state)
      end
    elseif STATES[state:lower()] == "warning" then
      return it:warn("provider", ("%s is being registered"):format(name),
        "wait for some minutes, then arclua doctor {machine}")
    elseif not STATES[state:lower()] then
      return unregistered(it, name, state)
    end
  end
  it:ok("provider", "the providers are registered")
end

return { gather = gather, judge = judge }
