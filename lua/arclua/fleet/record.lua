-- SPDX-License-Identifier: MIT
-- What is known of one machine after a run: always there, one shape, one JSON form.
local core = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"
local summary = require "arclua.copy.summary"

local record = {}

---@class arclua.Result
---@field machine arclua.Machine|table  as it was given, or { host =, port =, name = }
---@field name string        of the machine
---@field state "ok"|"failed"|"timeout"|"unreachable"|"denied"|"cancelled"|"unknown"|"skipped"
---@field status integer?    exit status of the command
---@field signal string?     "TERM": the command was killed by it
---@field stdout string
---@field stderr string
---@field truncated integer   bytes left out; -1: Run Command kept the last 4 KB, it is not known
---   whether there was more
---@field err arclua.Error?   set whenever state ~= "ok"
---@field phase string        where it ended: "select", "arm", "relay", "jump", "tcp", "ssh", "exec"
---@field attempts integer    connections tried
---@field started number      seconds since 1970
---@field seconds number      connecting and running
---@field copy arclua.CopyOutcome?  of a copy
---@field ended "confirmed"|"unconfirmed"|"not-started"  whether the command is known to be over

local KEYS = { "machine", "name", "state", "status", "signal", "stdout", "stderr", "truncated",
  "error", "phase", "attempts", "started", "seconds", "ended" }
local KEYS_BINARY = { "machine", "name", "state", "status", "signal", "stdout", "stderr",
  "stdout_base64", "truncated", "error", "phase", "attempts", "started", "seconds", "ended" }
local KEYS_COPY = table.move({ "files", "bytes", "same", "skipped", "failed", "failures" }, 1, 6,
  #KEYS + 1, table.move(KEYS, 1, #KEYS, 1, {}))
local ERROR_KEYS = { "code", "reason", "message", "remedy" }

-- A connection that was not made: which state it is, by the error's code.
local STATES = { auth = "denied", denied = "denied", hostkey = "denied", cancelled = "cancelled" }

local function blank(machine, fields)
  local result = {
    machine = machine, name = machine.name, stdout = "", stderr = "", truncated = 0,
    attempts = 0, started = core.time(), seconds = 0, ended = "not-started", phase = "select",
  }
  for key, value in pairs(fields) do
    result[key] = value
  end
  return result
end

--- Nothing was sent, because of err.
---@param state string?  instead of the one that err's code gives
---@return arclua.Result
function record.not_run(machine, err, fields, state)
  local result = blank(machine, fields or {})
  -- A jump host that refuses us says nothing about the machine behind it.
  local code = err.phase == "jump" and err.code ~= "cancelled" and "unreachable" or err.code
  result.state = state or STATES[code] or "unreachable"
  result.phase = err.phase == "jump" and "jump" or result.phase
  result.err = err
  return result
end

--- The command was sent: from the session's answer.
---@param answer arclua.ExecResult
---@return arclua.Result
function record.of(machine, answer, fields)
  local result = blank(machine, fields)
  for _, key in ipairs { "state", "status", "signal", "stdout", "stderr", "truncated", "err",
    "ended" } do
    if answer[key] ~= nil then
      result[key] = answer[key]
    end
  end
  result.phase = "exec"
  return result
end

--- A machine that the run never came to.
---@param why "stopped"|"deadline"
---@return arclua.Result
function record.untried(machine, why)
  if why == "deadline" then
    return record.not_run(machine, errors.new { reason = "fleet.deadline", op = "exec",
      message = "the deadline of the run passed before this machine was tried" }, nil, "timeout")
  end
  return record.not_run(machine, errors.new { reason = "fleet.stopped", op = "exec",
    message = "the run was stopped before this machine was tried" }, nil, "cancelled")
end

--- Whether the run never came to the machine.
---@param result arclua.Result
---@return boolean
function record.is_untried(result)
  local reason = result.err and result.err.reason
  return result.attempts == 0 and (reason == "fleet.stopped" or reason == "fleet.deadline")
end

--- A copy that was begun: its outcome, and the error that ended it, if one did.
---@param outcome arclua.CopyOutcome
---@param err arclua.Error?
---@return arclua.Result
function record.copied(machine, outcome, err, fields)
  local result = blank(machine, fields)
  result.phase, result.copy, result.ended = "copy", outcome, "confirmed"
  local nothing = (err or outcome.failed > 0) and outcome.files + outcome.same == 0
  result.stdout, result.stderr = nothing and "" or summary.stdout(outcome), summary.stderr(outcome)
  if err then
    result.err = err
    result.state = (err.code == "cancelled" or err.code == "timeout") and err.code or "failed"
  elseif outcome.failed > 0 then
    result.state, result.err = "failed", summary.error(outcome)
  else
    result.state = "ok"
  end
  return result
end

local function error_of(err)
  if not err then
    return nil
  end
  return json.ordered(ERROR_KEYS, err)
end

local function add_copy(values, outcome)
  local failures = {}
  for i, failure in ipairs(outcome.failures) do
    failures[i] = json.ordered({ "path", "error" }, { path = failure.path,
      error = error_of(failure.err) })
  end
  values.failures = json.array(failures)
  for _, key in ipairs { "files", "bytes", "same", "skipped", "failed" } do
    values[key] = outcome[key]
  end
end

--- The record as one line of JSON, without the line end.
---@param result arclua.Result
---@return string
function record.encode(result)
  local machine = result.machine
  local values = {
    machine = machine.id or ("%s:%d"):format(machine.host or machine.name, machine.port or 22),
    error = error_of(result.err), started = core.sys.utc(result.started),
    seconds = math.floor(result.seconds * 1000 + 0.5) / 1000,
  }
  local keys = result.copy and KEYS_COPY or KEYS
  if result.copy then
    add_copy(values, result.copy)
  end
  if not utf8.len(result.stdout) then
    keys = KEYS_BINARY
    values.stdout_base64 = core.crypto.base64(result.stdout)
  end
  for _, key in ipairs(keys) do
    if values[key] == nil and key ~= "error" then
      values[key] = result[key]
    end
  end
  return json.encode(json.ordered(keys, values))
end

return record
