-- SPDX-License-Identifier: MIT
-- What opens the way to a machine: relay credentials, the endpoint, the service configuration.
-- listCredentials comes first; something is written only after it said what is missing, and
-- only by consent: a needless PUT can disturb the machine's listener.
local endpoints = require "arclua.arm.endpoints"
local errors = require "arclua.errors"
local relay_cache = require "arclua.arm.relay_cache"
local resource_id = require "arclua.resource_id"

local Connectivity = {}
Connectivity.__index = Connectivity

local API = "2023-03-15"
local LIST = "/providers/Microsoft.HybridConnectivity/endpoints/default/listCredentials"
local LIFE = 10800
local DEFAULT_PORT = 22
-- Seconds between our clock and Azure's that are worth telling.
local SKEW = 300
-- Seconds after a change during which its agent may not have heard of it.
local RECENT = 180
-- Right after our own PUT a read may still miss it.
local REPLICATION_TRIES, REPLICATION_PAUSE = 3, 2

---@param client arclua.ArmClient
---@param files { dir: string, whose: string }?  where credentials are kept for later runs
---@return arclua.Connectivity
local function new(client, files)
  local log = client.log or function() end
  local cache = relay_cache.new { core = client.core, log = log, dir = files and files.dir,
    whose = files and files.whose }
  return setmetatable({ client = client, cache = cache, log = log, ports = {}, modified = {},
    asking = {} }, Connectivity)
end

---@class arclua.AccessOptions
---@field port integer?     to reach another port than the configured one
---@field enable boolean?   consent to create endpoint and service configuration
---@field replace boolean?  consent to change the port for all users

---@class arclua.Access
---@field info arclua.RelayInfo
---@field port integer      to dial
---@field cached boolean?   from memory: not asked for now
---@field changed boolean   something was written, by us or by others a moment ago: the agent may
---   need minutes

local function list_credentials(self, machine)
  local client = self.client
  return client:relay_credentials(client:url(resource_id.path(machine.id) .. LIST, API,
    "expiresin=" .. LIFE))
end

-- Seconds that our clock is behind Azure's, by credentials that have just come.
local function clock_error(self, info)
  local expires = info:expires_on()
  return expires and expires - LIFE - self.client.core.time() or 0
end

-- What is odd about new credentials, told once a run.
local function look_at(self, machine, info)
  local off = clock_error(self, info)
  if math.abs(off) > SKEW and not self.told_of_clock then
    self.told_of_clock = true
    self.log("warn", ("this machine's clock is %.0f min %s Azure's: set it"):format(
      math.abs(off) / 60, off > 0 and "behind" or "ahead of"))
  end
  if not info:has_token() then
    self.log("warn", machine.name .. ": Azure gave no service configuration token; a current "
      .. "agent (from 1.31) refuses connections without")
  end
end

-- listCredentials; once more when what came has expired already.
local function ask(self, machine)
  local info, err = list_credentials(self, machine)
  if info and clock_error(self, info) <= -LIFE then
    info:close()
    info, err = list_credentials(self, machine)
  end
  if info then
    look_at(self, machine, info)
  end
  return info, err
end

-- Whatever was kept led to another port.
local function allow(self, machine, port)
  self.cache:drop(machine, nil)
  return endpoints.allow(self.client, machine, port)
end

-- The same text for every machine, so that reports fold it.
local function needs_consent(err)
  return errors.fail { reason = "arm.setup-needed", op = "connect", phase = "arm",
    status = err.status, cause = err, message = ("SSH was never set up: there is no %s")
      :format(err.status == 412 and "SSH service configuration" or "connectivity endpoint") }
end

-- listCredentials after a change of ours.
local function ask_again(self, machine)
  local info, err
  for try = 1, REPLICATION_TRIES do
    info, err = ask(self, machine)
    if info or err.status ~= 404 and err.status ~= 412 or try == REPLICATION_TRIES then
      break
    end
    local ok, ended = self.client.core.sleep(REPLICATION_PAUSE)
    if not ok then
      return nil, ended
    end
  end
  return info, err
end

-- Credentials, with what is missing repaired by consent: info, changed | nil, err.
local function obtain(self, machine, opts)
  local info, err = ask(self, machine)
  if info then
    return info, false
  elseif err.status ~= 404 and err.status ~= 412 then
    return nil, err
  elseif not opts.enable then
    return needs_consent(err)
  end
  if err.status == 404 then
    local ok, why = endpoints.create(self.client, machine)
    if ok == nil then
      return nil, why
    end
  end
  local ok, why = allow(self, machine, opts.port or DEFAULT_PORT)
  if ok == nil then
    return nil, why
  end
  self.ports[machine.id] = opts.port or DEFAULT_PORT
  info, err = ask_again(self, machine)
  if not info then
    return nil, err
  end
  return info, true
end

-- The configured port; nil when it cannot be read (login roles may not), nil, err when the
-- wait was ended.
local function configured_port(self, machine)
  if self.ports[machine.id] then
    return self.ports[machine.id]
  end
  local service, err = endpoints.service(self.client, machine)
  if not service then
    return nil, (err.code == "cancelled" or err.code == "timeout") and err or nil
  end
  self.ports[machine.id], self.modified[machine.id] = service.port, service.modified
  return service.port
end

-- Whether somebody has set the port a moment ago, so that the agent may still have to hear of it.
local function is_recent(self, machine)
  local time = self.modified[machine.id]
  return time ~= nil and math.abs(self.client.core.time() - time) < RECENT
end

local function refuse_port(machine, wanted, port)
  return errors.fail { code = "config", op = "connect", phase = "arm",
    message = ("%s lets SSH through to port %d, not %d"):format(machine.name, port, wanted),
    remedy = ("leave --port away, or change it for all users: --enable --port %d --replace")
      :format(wanted) }
end

-- The port to dial, changing the configured one where that was asked for:
-- port, info, changed | nil, err.
local function settle_port(self, machine, opts, info, changed)
  local port, err = configured_port(self, machine)
  if err then
    return nil, err
  elseif not opts.port or not port or port == opts.port then
    return opts.port or port or DEFAULT_PORT, info, changed or is_recent(self, machine)
  elseif not (opts.enable and opts.replace) then
    return refuse_port(machine, opts.port, port)
  end
  local ok
  ok, err = allow(self, machine, opts.port)
  if ok == nil then
    return nil, err
  end
  self.ports[machine.id] = opts.port
  info:close()
  info, err = ask_again(self, machine)
  if not info then
    return nil, err
  end
  return opts.port, info, true
end

--- Credentials and port for a machine: kept ones while they are good.
---@param machine arclua.MachineData
---@param opts arclua.AccessOptions
---@return arclua.Access|nil, arclua.Error?
function Connectivity:access(machine, opts)
  local kept = self.cache:get(machine, opts.port)
  if kept then
    return { info = kept.info, port = kept.port, changed = false, cached = true }
  end
  local subscription = machine.subscription:lower()
  self.asking[subscription] = (self.asking[subscription] or 0) + 1
  local info, changed = obtain(self, machine, opts)
  self.asking[subscription] = self.asking[subscription] - 1
  if not info then
    return nil, changed
  end
  local port, settled, was_changed = settle_port(self, machine, opts, info, changed)
  if not port then
    info:close()
    return nil, settled
  end
  self.cache:put(machine, opts.port, settled, port)
  return { info = settled, port = port, changed = was_changed }
end

--- Seconds until ARM's limits give credentials for one machine more, behind those that ask for some
--- now: they are no part of the time that a connection may take.
---@param machine arclua.MachineData
---@param port integer?
---@return number
function Connectivity:turn(machine, port)
  local subscription = machine.subscription:lower()
  local seconds = self.client.pace:expected(subscription, "write",
    (self.asking[subscription] or 0) + 1)
  return seconds > 0 and not self.cache:has(machine, port) and seconds or 0
end

--- New credentials for a machine that has access already (never writes anything). port: that is
--- dialled. Errors: config (arm.setup-needed: somebody has taken SSH back), and ARM's.
---@return arclua.RelayInfo|nil, arclua.Error?
function Connectivity:renew(machine, opts, port)
  self:forget(machine, opts)
  local info, err = ask(self, machine)
  if not info and (err.status == 404 or err.status == 412) then
    return needs_consent(err)
  elseif not info then
    return nil, err
  end
  self.cache:put(machine, opts.port, info, port)
  return info
end

--- The port that SSH is let through to, as it was read last; nil: it could not be read.
---@return integer|nil
function Connectivity:known_port(machine)
  return self.ports[machine.id]
end

--- Drops the credentials kept for a machine: they were refused, or led astray.
function Connectivity:forget(machine, opts)
  self.cache:drop(machine, opts.port)
  self.ports[machine.id] = nil
end

--- Seconds that ARM's limits make it take, at least, to get credentials for machines that have none
--- yet.
---@param list arclua.MachineData[]
---@param port integer?
---@return number
function Connectivity:expected(list, port)
  local pace, all, seconds = self.client.pace, {}, 0
  for _, machine in ipairs(list) do
    local name = machine.subscription:lower()
    all[name] = all[name] or {}
    table.insert(all[name], machine)
  end
  for subscription, machines in pairs(all) do
    -- Where all could be cold without a wait nobody needs to look.
    if pace:expected(subscription, "write", #machines) > 0 then
      local cold = 0
      for _, machine in ipairs(machines) do
        cold = cold + (self.cache:has(machine, port) and 0 or 1)
      end
      seconds = math.max(seconds, pace:expected(subscription, "write", cold))
    end
  end
  return seconds
end

--- Wipes all credentials that are kept in memory.
function Connectivity:close()
  self.cache:close()
end

return { new = new }
