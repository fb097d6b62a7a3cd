-- SPDX-License-Identifier: MIT
-- Microsoft.HybridCompute/machines/runCommands: a script really runs as the machine's user; a PUT
-- always runs it again; the last 4 KB of its output stay until the resource is deleted.
local core = require "arclua.core"
local json = require "arclua.json"
local operations = require "arclua.emulator.arm_operations"
local reply = require "arclua.emulator.arm_reply"
local versions = require "arclua.versions"

local run_commands = {}

local TYPE = "Microsoft.HybridCompute/machines/runCommands"
local NAMES = { "operationstatus", "operationresults" }
local MOST = 25 -- resources a machine, seen in the field
local LONGEST_NAME = 36 -- on Linux
local RETRY_AFTER = 15
local LEAST_AGENT = "1.33"
local MESSAGES = {
  Succeeded = "RunCommand script execution completed",
  Failed = "RunCommand script execution completed with non-zero exit code",
  TimedOut = "Script execution exceeded the time limit",
  Canceled = "Script execution was cancelled",
}

local function stamp(seconds)
  return seconds and (reply.time(seconds):gsub("Z$", "+00:00")) or nil
end

local function view(one)
  return { executionState = one.execution, executionMessage = MESSAGES[one.execution] or "",
    exitCode = one.status, output = one.output or "", error = one.errors or "",
    startTime = stamp(one.began), endTime = stamp(one.ended) }
end

-- Values of protected parameters and passwords are told to nobody.
local function resource(machine, one)
  local hidden = json.array {}
  for i, parameter in ipairs(one.protected) do
    hidden[i] = { name = parameter.name }
  end
  return { id = ("%s/runcommands/%s"):format(machine.id, one.name), name = one.name,
    type = TYPE:lower():gsub("^microsoft%.hybridcompute", "Microsoft.HybridCompute"),
    location = machine.location, tags = one.tags, properties = {
      source = { script = one.script }, parameters = json.array(one.parameters),
      protectedParameters = hidden, asyncExecution = one.async, runAsUser = one.user,
      timeoutInSeconds = one.seconds, provisioningState = one.state, instanceView = view(one) } }
end

local function bad(message)
  return reply.fail(400, "HCRP400", message, { cause = "service" })
end

local function count(machine)
  local n = 0
  for _ in pairs(machine.run_commands) do
    n = n + 1
  end
  return n
end

local function list_of(value)
  return type(value) == "table" and value or {}
end

local function wrong_body(body, wanted, machine)
  local source = type(wanted.source) == "table" and wanted.source or {}
  if tostring(body.location):lower() ~= machine.location:lower() then
    return ("The location '%s' is not the machine's."):format(tostring(body.location))
  elseif type(source.script) ~= "string" or source.scriptUri or source.commandId then
    return "The emulator needs properties.source.script, and nothing else in it."
  elseif wanted.runAsUser or wanted.outputBlobUri or wanted.errorBlobUri then
    return "The emulator has no runAsUser, outputBlobUri and errorBlobUri."
  elseif wanted.timeoutInSeconds and math.type(wanted.timeoutInSeconds) ~= "integer" then
    return "timeoutInSeconds must be a whole number."
  end
end

-- What stands against running: a message of the agent or the service; nil = nothing.
local function refusal(machine, name, body, wanted)
  local agent = machine.agent_config or {}
  if not machine.run_commands[name:lower()] and count(machine) >= MOST then
    return "The machine already holds the maximum number of run command resources."
  elseif machine.os ~= "windows" and #name > LONGEST_NAME then
    return ("The name of a run command has at most %d characters."):format(LONGEST_NAME)
  elseif not name:find "^[%w%-_%.]+$" then
    return "The name of the run command is not valid."
  elseif versions.less(machine.agent_version, LEAST_AGENT) then
    return "The version of the agent does not support run commands."
  elseif agent.extensions_enabled == false or agent.mode == "monitor" then
    return "The agent's configuration does not allow run commands."
  end
  return wrong_body(body, wanted, machine)
end

local function settle(one, ended)
  one.ended = core.time()
  one.output, one.errors, one.status = ended.stdout, ended.stderr, ended.status
  one.execution = one.cancelled and "Canceled" or ended.timed_out and "TimedOut"
    or ended.status == 0 and "Succeeded" or "Failed"
  one.state = "Succeeded"
end

-- Public parameters come before protected ones; those without a name are positional.
local function parameters_of(one)
  local env, args = {}, {}
  for _, list in ipairs { one.parameters, one.protected } do
    for _, parameter in ipairs(list) do
      if parameter.name and parameter.name ~= "" then
        env[parameter.name] = tostring(parameter.value)
      else
        args[#args + 1] = tostring(parameter.value)
      end
    end
  end
  return env, args
end

-- Runs when the agent has heard of it; a machine that is not connected never does.
local function run(state, machine, one)
  if not core.sleep(state.operation_time) then
    return
  end
  one.execution, one.began = "Running", core.time()
  state.log:add("run-command", { machine = machine.name, name = one.name })
  local env, args = parameters_of(one)
  settle(one, state.run_script(machine, { script = one.script, env = env, args = args,
    seconds = one.seconds > 0 and one.seconds or nil, cancel = function(kill)
      one.kill = kill
    end }))
end

-- The operation that is over when the script is, or with asyncExecution when it has begun.
local function start(state, machine, request, spec)
  spec.style, spec.names, spec.retry_after = "both", NAMES, RETRY_AFTER
  return operations.start(state, request, ("subscriptions/%s/providers/Microsoft.HybridCompute/"
    .. "locations/%s"):format(machine.subscription, machine.location), spec)
end

local METHODS = {}

function METHODS.PUT(state, request, at)
  local machine = at.machine
  local body = json.decode(request.body)
  local wanted = type(body) == "table" and type(body.properties) == "table" and body.properties
  local why = not wanted and "The body is not a run command."
    or refusal(machine, at.n, body, wanted)
  if why then
    return bad(why)
  end
  local old = machine.run_commands[at.n:lower()]
  local one = { name = at.n, script = wanted.source.script, tags = body.tags,
    parameters = list_of(wanted.parameters), protected = list_of(wanted.protectedParameters),
    seconds = wanted.timeoutInSeconds or 0, async = wanted.asyncExecution == true,
    state = "Creating", execution = "Pending" }
  machine.run_commands[at.n:lower()] = one
  state.start_task(run, state, machine, one)
  return start(state, machine, request, { status = old and 200 or 201,
    body = resource(machine, one), over = function()
      return one.ended ~= nil or one.async and one.began ~= nil
    end, finish = function()
      return resource(machine, one)
    end })
end

local function missing(name)
  return reply.fail(404, "HCRP404", ("The requested run command '%s' was not found."):format(name),
    { cause = "service", target = name })
end

function METHODS.GET(_, _, at)
  local one = at.machine.run_commands[at.n:lower()]
  if not one then
    return missing(at.n)
  end
  return 200, {}, resource(at.machine, one)
end

-- Deleting while it runs ends it.
function METHODS.DELETE(state, request, at)
  local machine, one = at.machine, at.machine.run_commands[at.n:lower()]
  if not one then
    return 204, {}, ""
  end
  one.cancelled = not one.ended
  if one.cancelled and one.kill then
    one.kill()
  end
  machine.run_commands[at.n:lower()] = nil
  state.log:add("run-command-delete", { machine = machine.name, name = one.name })
  return start(state, machine, request, { status = 202, empty = true, finish = function() end })
end

local function one_command(state, request, at)
  local method = METHODS[request.method]
  if not method then
    return reply.fail(405, "MethodNotAllowed", "The emulator does not offer this method here.")
  end
  return method(state, request, at)
end

local function list(_, _, at)
  local names, value = {}, json.array {}
  for name in pairs(at.machine.run_commands) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    value[i] = resource(at.machine, at.machine.run_commands[name])
  end
  return 200, {}, { value = value }
end

local PATH = "subscriptions/{s}/resourcegroups/{g}/providers/microsoft.hybridcompute/machines/{m}"
  .. "/runcommands"

run_commands.routes = {
  { path = PATH, method = "GET", namespace = "compute", kind = "machines/runCommands",
    handle = list, resource = TYPE },
  { path = PATH .. "/{n}", namespace = "compute", kind = "machines/runCommands",
    handle = one_command, resource = TYPE },
}

return run_commands
