-- SPDX-License-Identifier: MIT
-- Readiness: every prerequisite of SSH to Arc machines, judged for one or thousands, in parallel.
-- A family of checks is a file that gives a function of a patient; FAMILIES says in which order
-- they judge, since later ones build on what earlier ones found.
local check = require "arclua.check"
local errors = require "arclua.errors"
local facts = require "arclua.doctor.facts"
local fix = require "arclua.doctor.fix"
local hosts = require "arclua.doctor.hosts"
local patients = require "arclua.doctor.patient"
local provider = require "arclua.doctor.provider"
local real = require "arclua.core"
local reports = require "arclua.doctor.report"
local resource_id = require "arclua.resource_id"
local scheduler = require "arclua.fleet.scheduler"

local doctor = {}

local FAMILIES = {
  provider.judge,
  require "arclua.doctor.status",
  require "arclua.doctor.ssh",
  require "arclua.doctor.agent",
  require "arclua.doctor.entra",
  (require "arclua.doctor.rights"),
}

local PARALLEL = 64

---@class arclua.DoctorOptions
---@field entra boolean?     judge signing in with Entra, too
---@field fix boolean?       register providers, create what is missing, install the extension
---@field consent (fun(text: string): boolean?)?  with fix: asked before each kind of change;
---   default: nothing is changed
---@field parallel integer?  machines at a time; default 64
---@field on_machine fun(done: integer, total: integer)?   after each machine
---@field on_wait fun(machine, text: string)?  while an agent is being waited for

local RULES = { entra = "boolean", fix = "boolean", consent = "function", parallel = "integer",
  on_machine = "function", on_wait = "function" }

local function principal_of(azure, core)
  local secret = azure:token()
  local claims = secret and core.token.claims(secret)
  return claims and claims.oid or nil
end

local function new_run(azure, opts)
  local core = azure.primitives or real
  return { azure = azure, core = core, primitives = azure.primitives, entra = opts.entra,
    permissions = {}, denied = {}, subscriptions = {}, principal = principal_of(azure, core),
    hosts = hosts.new(core, azure.cloud), on_wait = opts.on_wait or function() end,
    parallel = opts.parallel or PARALLEL }
end

-- What is asked once for all machines; each is judged without it, too.
local function gather(run, list)
  run.subscriptions = provider.gather(run, list)
  run.facts, run.no_facts = facts.graph(run.azure.arm, list)
end

local function facts_of(run, machine, changed)
  local known = not changed and run.facts and run.facts[resource_id.key(machine.id)]
  if known then
    return known
  end
  if not resource_id.is_today(machine.type) then
    return nil -- the first generation of private clouds' machines tells nothing of it
  end
  local found, err = facts.arm(run.azure.arm, machine)
  run.no_facts = err or run.no_facts
  return found
end

local function judge(it)
  for _, family in ipairs(FAMILIES) do
    family(it)
  end
  return it
end

-- A machine that was never come to, or whose examination broke.
local function unjudged(run, machine, err)
  local it = patients.new(run, machine)
  it:unknown("status", err)
  return it
end

--- Judges machines: patients in their order, and why it ended early. changed: they were just
--- changed by us.
local function examine(run, list, changed, done)
  local count = 0
  return scheduler.run {
    items = list, parallel = run.parallel, primitives = run.primitives,
    work = function(machine)
      return judge(patients.new(run, machine, facts_of(run, machine, changed), changed))
    end,
    done = function()
      count = count + 1
      return done and done(count, #list)
    end,
    broken = function(machine, text)
      return unjudged(run, machine, errors.new { code = "unknown", op = "doctor", message = text })
    end,
    untried = function(machine)
      return unjudged(run, machine, errors.new { reason = "fleet.stopped", op = "doctor",
        message = "the examination was stopped before this machine was judged" })
    end,
  }
end

--- Examines machines. Whatever happens, the report has a result for each machine.
--- Raises: unknown or ill-typed options.
---@param azure arclua.Azure
---@param list arclua.Machine[]
---@param opts arclua.DoctorOptions?
---@return arclua.DoctorReport
function doctor.run(azure, list, opts)
  opts = check.options(opts, RULES, 3)
  local run = new_run(azure, opts)
  local began = run.core.now()
  run.hosts:look()
  gather(run, list)
  local results, why = examine(run, list, false, opts.on_machine)
  local changes = {}
  if opts.fix and not why then
    changes, why = fix.run { run = run, results = results, consent = opts.consent,
      examine = function(machines)
        run.subscriptions = provider.gather(run, list)
        return examine(run, machines, true)
      end }
  end
  return reports.new { results = results, hosts = run.hosts:sorted(), why = why,
    changes = changes, seconds = run.core.now() - began }
end

return doctor
