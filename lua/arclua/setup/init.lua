-- SPDX-License-Identifier: MIT
-- Setting machines up for SSH, and taking that back: first a plan of what is to be changed, then
-- the changes, many machines at a time.
local check = require "arclua.check"
local errors = require "arclua.errors"
local plans = require "arclua.setup.plan"
local providers = require "arclua.setup.provider"
local real = require "arclua.core"
local relay = require "arclua.relay"
local reports = require "arclua.setup.report"
local scheduler = require "arclua.fleet.scheduler"

local setup = {}

local PARALLEL = 32
local PROVIDER = "Microsoft.HybridConnectivity"
local PATIENCE = 180 -- seconds that an agent gets to hear of a change

---@class arclua.EnableOptions
---@field port integer?       of the machines' SSH servers; default 22, or what is set already
---@field replace boolean?    with port: change it where it is another, for all users
---@field ssh boolean?        default true: endpoint and SSH service configuration
---@field entra boolean?      install the extension for signing in with Entra
---@field assign_role string?  name or ID of a role, given on each machine ...
---@field to string?          ... to this principal: an object ID
---@field wait boolean?       default true: wait until the agents have heard of the change
---@field dry_run boolean?    plan only
---@field parallel integer?   machines at a time; default 32
---@field confirm (fun(plan: arclua.SetupReport): boolean?)?  shown the plan before anything is
---   changed; default: go on
---@field on_wait fun(machine, text: string)?
---@field on_result fun(record: arclua.SetupRecord)?

---@class arclua.DisableOptions
---@field keep_ssh boolean?   leave endpoint and service configuration
---@field entra boolean?      remove the extension
---@field remove_role string?  name or ID of a role, taken on each machine ...
---@field from string?        ... from this principal: an object ID
---@field dry_run boolean?
---@field parallel integer?
---@field confirm (fun(plan: arclua.SetupReport): boolean?)?
---@field on_wait fun(machine, text: string)?
---@field on_result fun(record: arclua.SetupRecord)?

local SHARED = { entra = "boolean", dry_run = "boolean", parallel = "integer",
  confirm = "function", on_wait = "function", on_result = "function" }
local ENABLE = { port = "integer", replace = "boolean", ssh = "boolean", wait = "boolean",
  assign_role = "string", to = "string", provider_only = "boolean" }
local DISABLE = { keep_ssh = "boolean", remove_role = "string", from = "string" }
for name, types in pairs(SHARED) do
  ENABLE[name], DISABLE[name] = types, types
end

---@class arclua.SetupRecord
---@field machine arclua.Machine
---@field name string
---@field state "planned"|"unchanged"|"changed"|"failed"|"unreachable"|"cancelled"
---@field steps arclua.SetupStep[]   what was to be done
---@field changes string[]           what was done
---@field err arclua.Error?

local function state_of(err)
  return err.code == "cancelled" and "cancelled" or "failed"
end

local function record_of(machine, steps, err)
  local state = err and state_of(err) or #steps > 0 and "planned" or "unchanged"
  return { machine = machine, name = machine.name, steps = steps or {}, changes = {}, err = err,
    state = state }
end

-- work(machine or record) for all, so many at a time; each gives a record.
local function each(run, items, work, done)
  local function fail(item, err, state)
    local record = item.steps and item or record_of(item, {}, err)
    record.state, record.err = state, err
    return record
  end
  return scheduler.run { items = items, parallel = run.opts.parallel or PARALLEL,
    primitives = run.azure.primitives, work = work, done = done,
    broken = function(item, text)
      return fail(item, errors.new { code = "unknown", op = "setup", message = text }, "failed")
    end,
    untried = function(item)
      return fail(item, errors.new { reason = "fleet.stopped", op = "setup",
        message = "the run was stopped before this machine was changed" }, "cancelled")
    end }
end

-- ---- providers -------------------------------------------------------------------------------

-- The subscriptions whose provider is not registered: list, or nil, err. Whoever has roles in a
-- group only may not look: what is done there tells.
local function unregistered(run, list)
  local seen, out = {}, {}
  for _, machine in ipairs(list) do
    local id = machine.subscription
    if not seen[id:lower()] then
      seen[id:lower()] = true
      local found, err = providers.show(run.azure.arm, id, PROVIDER)
      if not found and err.code ~= "denied" then
        return nil, err
      end
      out[#out + 1] = found and found.state:lower() ~= "registered" and id or nil
    end
  end
  return out
end

-- Registers; the error by subscription where that failed, and why it ended early.
local function register(run, ids)
  local failed, why = {}, nil
  for _, id in ipairs(ids) do
    local ok, err = providers.register(run.azure.arm, id, PROVIDER, function(text)
      run.on_wait({ name = "subscription " .. id }, text)
    end)
    failed[id:lower()] = not ok and err or nil
    why = not ok and err.code == "cancelled" and "stopped" or why
  end
  return failed, why
end

-- ---- machines --------------------------------------------------------------------------------

-- The provider has to be registered before anything of it can be read.
local function planned(run, list, make, waiting)
  return each(run, list, function(machine)
    if waiting[machine.subscription:lower()] then
      return record_of(machine, { plans.provider(machine.subscription, PROVIDER) })
    elseif run.opts.provider_only then
      return record_of(machine, {})
    end
    local steps, err = make(run.azure.arm, machine, run.opts)
    return record_of(machine, steps or {}, err)
  end)
end

-- Whether an agent that is connected has heard of the change: true | nil, err.
local function await_agent(run, machine)
  local azure = run.azure
  local access, err = azure.connectivity:access(machine, {})
  local stream
  if access then
    stream, err = relay.connect { info = access.info, port = access.port, changed = true,
      ca = azure.cloud.ca, primitives = azure.primitives, budget = PATIENCE,
      renew = function()
        return azure.connectivity:renew(machine, {}, access.port)
      end,
      on_wait = function(text)
        run.on_wait(machine, text)
      end }
  end
  if not stream then
    return nil, err
  end
  stream:close()
  return true
end

local function apply_steps(run, record)
  local ssh = false
  run.azure.connectivity:forget(record.machine, {})
  for _, one in ipairs(record.steps) do
    local ok, err = one.run(function(text)
      run.on_wait(record.machine, text)
    end)
    if not ok then
      record.state, record.err = state_of(err), err
      return record
    end
    ssh = ssh or one.ssh
    table.insert(record.changes, one.done)
  end
  record.state = "changed"
  if ssh and run.opts.wait ~= false and record.machine:is_connected() then
    local ok, err = await_agent(run, record.machine)
    record.state, record.err = ok and "changed" or "unreachable", err
  end
  return record
end

local function pick(records, state)
  local out = {}
  for i, record in ipairs(records) do
    if record.state == state then
      out[#out + 1] = { at = i, record = record }
    end
  end
  return out
end

local function apply(run, records)
  local list, items = pick(records, "planned"), {}
  for i, one in ipairs(list) do
    items[i] = one.record
  end
  local _, why = each(run, items, function(record)
    return apply_steps(run, record)
  end, run.opts.on_result)
  return why
end

-- By id in lower case.
local function set_of(ids)
  local set = {}
  for _, id in ipairs(ids) do
    set[id:lower()] = true
  end
  return set
end

-- Machines whose provider was just registered: what else they need is known only now.
local function plan_again(run, records, make, failed, ids)
  local was, list = set_of(ids), {}
  for i, record in ipairs(records) do
    local key = record.machine.subscription:lower()
    if failed[key] then
      record.state, record.err = state_of(failed[key]), failed[key]
    elseif was[key] then
      list[#list + 1] = { at = i, machine = record.machine }
    end
  end
  local machines = {}
  for i, one in ipairs(list) do
    machines[i] = one.machine
  end
  for i, record in ipairs((planned(run, machines, make, {}))) do
    records[list[i].at] = record
    if record.state == "unchanged" and run.opts.provider_only then
      record.state, record.changes = "changed", { "provider registered" }
    end
  end
end

-- Whether to go on with a plan: there is something to do, and nobody says no.
local function agreed(run, report)
  if run.opts.dry_run or report.why or not report:has_changes() then
    return false
  end
  report.declined = run.opts.confirm ~= nil and not run.opts.confirm(report)
  return not report.declined
end

local function needs_provider(opts, make)
  return make == plans.enable and (opts.ssh ~= false or opts.provider_only)
end

local function go(azure, list, opts, make)
  local run = { azure = azure, opts = opts, on_wait = opts.on_wait or function() end }
  local core = azure.primitives or real
  local began = core.now()
  local ids, err = {}, nil
  if needs_provider(opts, make) then
    ids, err = unregistered(run, list)
  end
  if not ids then
    return nil, err
  end
  local records, why = planned(run, list, make, set_of(ids))
  local report = reports.new { results = records, providers = ids, why = why, began = began,
    core = core, planned = true }
  if agreed(run, report) then
    local failed, stopped = register(run, ids)
    plan_again(run, records, make, failed, ids)
    report.why, report.planned = apply(run, records) or stopped, false
  end
  return report:_finish()
end

--- Makes machines ready for SSH; what is there already is left alone. Whatever happens, the report
--- has a record for each machine.
--- Raises: unknown or ill-typed options; assign_role without to.
--- Errors: only when the subscriptions' providers cannot be looked at.
---@param azure arclua.Azure
---@param list arclua.Machine[]
---@param opts arclua.EnableOptions?
---@return arclua.SetupReport|nil, arclua.Error?
function setup.enable(azure, list, opts)
  opts = check.options(opts, ENABLE, 3)
  if (opts.assign_role == nil) ~= (opts.to == nil) then
    error("options 'assign_role' and 'to' need each other", 3)
  end
  return go(azure, list, opts, plans.enable)
end

--- Takes it back: the SSH service configuration, and the endpoint where nothing else needs it.
--- Raises: unknown or ill-typed options; remove_role without from.
---@param azure arclua.Azure
---@param list arclua.Machine[]
---@param opts arclua.DisableOptions?
---@return arclua.SetupReport|nil, arclua.Error?
function setup.disable(azure, list, opts)
  opts = check.options(opts, DISABLE, 3)
  if (opts.remove_role == nil) ~= (opts.from == nil) then
    error("options 'remove_role' and 'from' need each other", 3)
  end
  return go(azure, list, opts, plans.disable)
end

return setup
