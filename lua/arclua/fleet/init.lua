-- SPDX-License-Identifier: MIT
-- A fleet: machines and how to work on them. fleet:exec gives a report.
local check = require "arclua.check"
local connect = require "arclua.connect"
local copy_options = require "arclua.copy.options"
local copying = require "arclua.fleet.copy"
local real = require "arclua.core"
local errors = require "arclua.errors"
local run_command = require "arclua.fleet.run_command"
local record = require "arclua.fleet.record"
local reports = require "arclua.report"
local settings = require "arclua.settings"
local scheduler = require "arclua.fleet.scheduler"
local shared = require "arclua.fleet.shared"
local target = require "arclua.fleet.target"

local Fleet = {}
Fleet.__index = Fleet
Fleet.__name = "arclua.fleet"

local fleet = {}

---@class arclua.FleetOptions: arclua.ConnectOptions
---@field parallel integer?          machines at a time; default 64
---@field timeout number?            seconds for the command; default none
---@field deadline number?           seconds for the whole run; default none
---@field retries integer?           new connections before the command was sent; default 2
---@field try_disconnected boolean?  dial machines whose agent is not connected
---@field skip_disconnected boolean? leave them out of the run
---@field sudo boolean?              run as root by sudo -n (POSIX only: fails for Windows machines)
---@field env table<string,string>?  set for the command (POSIX only)
---@field stdin string?              given to every command; default /dev/null
---@field pty boolean?               a terminal for the command; stderr then arrives in stdout
---@field max_output integer?        bytes kept a stream and machine; default 1 MiB
---@field on_output fun(machine, stream: "stdout"|"stderr", chunk: string)?  then nothing is kept
---@field on_result fun(result: arclua.Result)?
---@field on_wait fun(machine, text: string)?  while a machine's agent is being waited for
---@field via string?                "run-command": by ARM's Run Command instead of SSH, see
---   docs/exec.md; as_root must be true then
---@field as_root boolean?           that the command runs as root is meant
---@field progress table?            of copies: told what is on its way (report/progress.lua)
---@field azure arclua.Azure?        to find machines given by name; default: arc.login()
---@field direct boolean?            names are hosts [USER@]HOST[:PORT], reached without Azure

---@class arclua.FleetCopyOptions: arclua.FleetOptions, arclua.CopyOptions

local RULES = {
  parallel = "integer", timeout = "number", deadline = "number", retries = "integer",
  try_disconnected = "boolean", skip_disconnected = "boolean", sudo = "boolean", env = "table",
  stdin = "string", pty = "boolean", max_output = "integer", on_output = "function",
  on_result = "function", on_wait = "function", azure = "table", connect = "function",
  primitives = "table", direct = "boolean", via = "string", as_root = "boolean",
  progress = "table",
}

local DEFAULTS = { parallel = 64, retries = 2 }
-- What the environment and the configuration may say.
local SETTINGS = { "parallel", "timeout", "deadline", "retries" }

for name, types in pairs(connect.RULES) do
  RULES[name] = types
end

-- Checked options, what belongs to a connection apart.
local function complete(base, more)
  local opts = { connect = {} }
  for _, source in ipairs { base, more } do
    for name, value in pairs(source) do
      if connect.RULES[name] then
        opts.connect[name] = value
      elseif name ~= "connect" then
        opts[name] = value
      end
    end
  end
  if opts.parallel and opts.parallel < 1 then
    error("option 'parallel': a number from 1 expected, got " .. opts.parallel, 3)
  elseif opts.via and opts.via ~= run_command.NAME then
    error("option 'via': run-command expected, got " .. opts.via, 3)
  end
  return opts
end

--- A fleet over machines, names, IDs or { host =, port =?, user =?, jump =?, name =? }.
--- Raises: unknown or ill-typed options.
---@param list any[]
---@param opts arclua.FleetOptions?
---@return arclua.Fleet
function fleet.new(list, opts)
  if type(list) ~= "table" then
    error("machines: table expected, got " .. type(list), 3)
  end
  return setmetatable({ list = list, opts = check.options(opts, RULES, 3) }, Fleet)
end

local function host_of(entry)
  return { host = entry.host, port = entry.port, user = entry.user, jump = entry.jump,
    os = entry.os, name = entry.name or entry.host }
end

-- The given names as machines of ARM, by the text that asked for them.
local function look_up(azure, names)
  if #names == 0 then
    return {}
  elseif not azure then
    local err
    azure, err = require("arclua.azure").login()
    if not azure then
      return nil, err
    end
  end
  return azure:machines { names = names }
end

-- Machines in the order given; what names mean follows at the end.
local function resolve(list, opts)
  local targets, names = {}, {}
  for _, entry in ipairs(list) do
    if type(entry) == "string" and opts.direct then
      local host, err = connect.host(entry)
      if not host then
        return nil, err
      end
      targets[#targets + 1] = host
    elseif type(entry) == "string" then
      names[#names + 1] = entry
    elseif type(entry) == "table" and entry.host then
      targets[#targets + 1] = host_of(entry)
    elseif type(entry) == "table" and entry.id then
      targets[#targets + 1] = entry
    else
      error("a machine, a name or { host = ... } expected, got " .. type(entry), 4)
    end
  end
  local found, err = look_up(opts.azure, names)
  if not found then
    return nil, err
  end
  table.move(found, 1, #found, #targets + 1, targets)
  return targets
end

-- The options with what the settings and the defaults say of the others.
local function fill(opts, targets)
  local azure = targets[1] and targets[1].azure
  local filled, err = settings.fill(opts, SETTINGS, azure and azure.config)
  for name, value in pairs(filled and DEFAULTS or {}) do
    filled[name] = filled[name] or value
  end
  return filled, err
end

-- Leaves disconnected machines out: the rest, and how many were left out.
local function without_disconnected(targets)
  local kept = {}
  for _, machine in ipairs(targets) do
    if not machine.id or machine:is_connected() then
      kept[#kept + 1] = machine
    end
  end
  return kept, #targets - #kept
end

-- Those that would be dialled, by their sign-in.
local function dialled(list, opts)
  local by_azure = {}
  for _, machine in ipairs(list) do
    if type(machine) == "table" and machine.azure
      and (machine:is_connected() or opts.try_disconnected) then
      by_azure[machine.azure] = by_azure[machine.azure] or {}
      table.insert(by_azure[machine.azure], machine)
    end
  end
  return by_azure
end

--- Seconds that a command on all takes at least, because Azure gives new relay credentials for 10
--- machines a second in a subscription only; 0 when it does not limit. Names in the list are not
--- counted: nothing is asked. A run by Run Command needs no credentials: 0.
---@return number
function Fleet:expected()
  if self.opts.via then
    return 0
  end
  local seconds = 0
  for azure, machines in pairs(dialled(self.list, self.opts)) do
    seconds = math.max(seconds, azure.connectivity:expected(machines, self.opts.port))
  end
  return seconds
end

local function broken(machine, text)
  return record.not_run(machine, errors.new { code = "unknown", op = "exec", message = text },
    nil, "unknown")
end

-- The targets of a run and its options, complete: opts, targets, how many were left out | nil, err.
local function prepare(self, more, level)
  local opts = complete(self.opts, check.options(more, RULES, level + 1))
  local possible, targets, err = true, nil, nil
  if opts.via then
    possible, err = run_command.check(opts)
  end
  if possible then
    targets, err = resolve(self.list, opts)
  end
  if targets then
    opts, err = fill(opts, targets)
  end
  if not (targets and opts) then
    return nil, err
  end
  local left_out = 0
  if opts.skip_disconnected then
    targets, left_out = without_disconnected(targets)
  end
  return opts, targets, left_out
end

-- Does work(run, machine) for every target: a report | nil, err.
local function run_all(self, opts, targets, run, work)
  local core = opts.primitives or real
  local context, err = shared.context(opts, targets)
  if not context then
    return nil, err
  end
  run.opts, run.connect, run.primitives, run.context = opts, self.opts.connect, opts.primitives,
    context
  local began = core.now()
  local results, why = scheduler.run {
    items = targets, parallel = opts.parallel, deadline = opts.deadline,
    primitives = opts.primitives, done = opts.on_result, broken = broken,
    untried = record.untried,
    work = function(machine)
      return work(run, machine)
    end,
  }
  context:close()
  return reports.new { results = results, why = why, seconds = core.now() - began,
    left_out = run.left_out }
end

--- Runs a command on every machine: a string is a shell line, a list of words arrives as written.
--- Whatever happens, the report has a result for each machine.
--- Errors: only when names could not be looked up, or with `entra` there is no certificate.
---@param command string|string[]  quoted for sh, or PowerShell on Windows
---@param more arclua.FleetOptions?  for this command only
---@return arclua.Report|nil, arclua.Error?
function Fleet:exec(command, more)
  local opts, targets, left_out = prepare(self, more, 2)
  if not opts then
    return nil, targets
  end
  return run_all(self, opts, targets, { command = command, stdin = opts.stdin,
    left_out = left_out }, target.exec)
end

local function split_options(more)
  local copy_opts, fleet_opts = {}, {}
  for name, value in pairs(more or {}) do
    if copy_options.RULES[name] then
      copy_opts[name] = value
    else
      fleet_opts[name] = value
    end
  end
  return copy_opts, fleet_opts
end

local function copy_all(self, upload, sources, destination, more)
  if type(destination) ~= "string" then
    error("destination: string expected, got " .. type(destination), 3)
  end
  local own, rest = split_options(more)
  local copy_opts, err = copy_options.check(own, 4)
  if copy_opts and (self.opts.via or rest.via) then
    copy_opts, err = errors.fail { code = "config", op = "copy",
      message = "option 'via': files go by SFTP alone, not by Run Command" }
  end
  if not copy_opts then
    return nil, err
  end
  local opts, targets, left_out = prepare(self, rest, 3)
  if not opts then
    return nil, targets
  end
  local run
  run, err = copying.plan { upload = upload, targets = targets, destination = destination,
    sources = type(sources) == "table" and sources or { sources }, copy = copy_opts }
  if not run then
    return nil, err
  end
  run.left_out = left_out
  if opts.progress then
    opts.progress:start(run.meter, #targets)
  end
  return run_all(self, opts, targets, run, copying.run)
end

--- Copies local files, and with recursive = true directories, to every machine. {name}, {group},
--- {subscription} and {os} in a path stand for the machine's.
--- Errors: config (a glob), and names that could not be looked up.
---@param sources string|string[]
---@param destination string  a path of the machine's; a relative one begins in the login's home
---@param more arclua.FleetCopyOptions?
---@return arclua.Report|nil, arclua.Error?
function Fleet:upload(sources, destination, more)
  return copy_all(self, true, sources, destination, more)
end

--- Copies files, and with recursive = true directories, from every machine. The destination needs
--- {name}, or a slash at its end, when there are several: then each has a directory of its name.
--- Errors: config (a glob, two machines with one destination), and names that could not be looked
--- up.
---@param sources string|string[]  paths of the machine's; globs are expanded there
---@param destination string  a local path
---@param more arclua.FleetCopyOptions?
---@return arclua.Report|nil, arclua.Error?
function Fleet:download(sources, destination, more)
  return copy_all(self, false, sources, destination, more)
end

return fleet
