-- SPDX-License-Identifier: MIT
-- One machine under examination: what is known of it, and what was found.
local permissions = require "arclua.arm.permissions"
local words = require "arclua.report.words"

local RUN_COMMAND = "Microsoft.HybridCompute/machines/runCommands/write"

local Patient = {}
Patient.__index = Patient

---@class arclua.Finding
---@field check string        "endpoint"
---@field state "ok"|"warning"|"failed"|"unknown"
---@field message string      the same for machines that fared alike, so that they fold
---@field remedy string?      a command, or what to do; {machine} stands for the machine's name
---@field because string?     of an unknown: the check whose failure keeps it from being judged
---@field fix string?         what --fix may do: "provider", "setup", "extension"
---@field detail string?      of this machine alone, where messages fold: its host key

---@class arclua.Patient
---@field machine arclua.Machine
---@field findings arclua.Finding[]
---@field by table<string, arclua.Finding>  the findings by check
---@field state fun(self): string  "ok", "warning", "failed" or "unknown": the worst finding's
---@field facts table?         what Resource Graph, or ARM, knows of agent and extensions

---@return arclua.Patient
local function new(run, machine, facts, changed)
  return setmetatable({ run = run, machine = machine, facts = facts, changed = changed,
    findings = {}, by = {} }, Patient)
end

--- Adds a finding.
---@param finding arclua.Finding
function Patient:add(finding)
  self.findings[#self.findings + 1] = finding
  self.by[finding.check] = finding
end

--- All is well. detail: of this machine alone.
function Patient:ok(check, message, detail)
  self:add { check = check, state = "ok", message = message, detail = detail }
end

--- What could not be judged turns out to be well.
function Patient:revise(check, message)
  local finding = self.by[check]
  finding.state, finding.message, finding.remedy = "ok", message, nil
end

--- Something that may do harm.
function Patient:warn(check, message, remedy)
  self:add { check = check, state = "warning", message = message, remedy = remedy }
end

--- A defect; fix: what --fix may do about it.
function Patient:fail(check, message, remedy, fix)
  self:add { check = check, state = "failed", message = message, remedy = remedy, fix = fix }
end

--- It could not be judged, because another check failed.
function Patient:skip(check, because)
  self:add { check = check, state = "unknown", because = because,
    message = ("not judged, because of '%s'"):format(because) }
end

--- It could not be judged, because of an error.
---@param err arclua.Error
function Patient:unknown(check, err)
  self:add { check = check, state = "unknown", remedy = err.remedy,
    message = words.alike(err.alike or err.message, self.machine.id) }
end

--- Whether a check has failed.
function Patient:failed(check)
  local found = self.by[check]
  return found ~= nil and found.state == "failed"
end

-- The sets of a scope, asked for once: sets, or false.
local function sets_of(self, scope)
  local known = self.run.permissions
  local key = scope:lower()
  while type(known[key]) == "userdata" do -- another machine asks for the same
    local ok, err = known[key]:wait()
    if not ok then
      return false, err
    end
  end
  if known[key] == nil then
    local waiting = self.run.core.cond()
    known[key] = waiting
    local sets, err = permissions.sets(self.run.azure.arm, scope)
    known[key] = sets or false
    self.run.denied[key] = err
    waiting:broadcast()
  end
  return known[key], self.run.denied[key]
end

local function allow_all(sets, actions, data)
  for _, action in ipairs(actions) do
    if not permissions.allow(sets, action, data) then
      return false
    end
  end
  return true
end

--- Whether the caller may do these actions on the machine. Rights are inherited: the group is asked
--- about once, the machine only where the group's rights do not do. nil, err: it cannot be told.
---@param actions string[]
---@param data boolean?
---@return boolean|nil, arclua.Error?
function Patient:may(actions, data)
  local group = self.machine.id:match "^(/[^/]+/[^/]+/[^/]+/[^/]+)"
  local sets = sets_of(self, group)
  if sets and allow_all(sets, actions, data) then
    return true
  end
  local err
  sets, err = sets_of(self, self.machine.id)
  if not sets then
    return nil, err
  end
  return allow_all(sets, actions, data)
end

--- Whether the caller may do this in the machine's subscription. nil, err: it cannot be told.
---@param action string
---@return boolean|nil, arclua.Error?
function Patient:may_in_subscription(action)
  local sets, err = sets_of(self, self.machine.id:match "^(/[^/]+/[^/]+)")
  if not sets then
    return nil, err
  end
  return allow_all(sets, { action })
end

--- A remedy, and how to carry it out from here where the caller may run scripts on the machine.
---@param remedy string
---@param command string
---@return string
function Patient:from_here(remedy, command)
  if self.machine:is_connected() and self.machine.os ~= "windows"
    and self:may { RUN_COMMAND } then
    return ("%s; or from here, as root: arclua exec {machine} --via run-command --as-root -- %s")
      :format(remedy, command)
  end
  return remedy
end

--- The machine's state as a whole: the worst of its findings; what another failure explains does
--- not make it unknown.
---@return "ok"|"warning"|"failed"|"unknown"
function Patient:state()
  local seen = {}
  for _, finding in ipairs(self.findings) do
    seen[finding.because and "explained" or finding.state] = true
  end
  return seen.failed and "failed" or seen.unknown and "unknown" or seen.warning and "warning"
    or "ok"
end

return { new = new }
