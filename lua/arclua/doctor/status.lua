-- SPDX-License-Identifier: MIT
-- What Azure says of the machine and its agent: connected, its version, its region.
local times = require "arclua.times"
local versions = require "arclua.versions"

local LEAST = "1.31"
local NO_UPDATE = "update the agent, on the machine: sudo apt-get install azcmagent (yum or zypper "
  .. "elsewhere)"
local WINDOWS_UPDATE = "update the agent, on the machine: install the newest "
  .. "AzureConnectedMachineAgent.msi, or let Microsoft Update do it"

local RECONNECT = "on the machine: sudo azcmagent disconnect --force-local-only, then sudo "
  .. "azcmagent connect as at the first time"
local START = "on the machine: azcmagent show tells why; sudo systemctl restart himdsd, and let it "
  .. "reach Azure on port 443: azcmagent check"
local WINDOWS_START = "on the machine: azcmagent show tells why; Restart-Service himds, and let it "
  .. "reach Azure on port 443: azcmagent check"

local STATUSES = {
  disconnected = { "the agent is disconnected", start = true },
  expired = { "the agent has been away for so long that its identity has expired", RECONNECT },
  error = { "the agent reports an error", start = true },
  awaitingconnection = { "the agent was never connected: guest management is off",
    "enable guest management of the machine in Azure, or run azcmagent connect on it" },
}

local function judge_status(it)
  local machine = it.machine
  local status = STATUSES[machine.status:lower()]
  if machine.status:lower() == "connected" then
    return it:ok("status", "the agent is connected")
  elseif not status then
    return it:add { check = "status", state = "unknown",
      message = ("Azure says of the agent: %s"):format(machine.status),
      remedy = "on the machine: azcmagent show" }
  end
  local remedy = status[2] or machine.os == "windows" and WINDOWS_START or START
  it:add { check = "status", state = "failed", message = status[1], remedy = remedy,
    detail = machine.last_status_change and "since " .. times.readable(machine.last_status_change)
      or nil }
end

local function judge_version(it)
  local machine = it.machine
  local old = versions.less(machine.agent_version, LEAST)
  if old == nil then
    return it:add { check = "agent-version", state = "unknown",
      message = machine.agent_version
        and ("the agent's version '%s' cannot be read"):format(machine.agent_version)
        or "Azure does not know the agent's version", remedy = "on the machine: azcmagent version" }
  elseif old then
    return it:fail("agent-version", ("agent %s is too old for SSH: %s is needed"):format(
      machine.agent_version, LEAST), machine.os == "windows" and WINDOWS_UPDATE or NO_UPDATE)
  end
  it:ok("agent-version", "the agent is new enough", machine.agent_version)
end

local function place(text)
  return text:lower():gsub("%s", "")
end

-- An empty list of regions means every one.
local function judge_region(it)
  local regions = it.run.subscriptions[it.machine.subscription:lower()].regions
  if not regions or #regions == 0 or not it.machine.location then
    return
  end
  for _, region in ipairs(regions) do
    if place(region) == place(it.machine.location) then
      return it:ok("region", "Azure offers SSH in the machine's region")
    end
  end
  it:fail("region", ("Azure offers no SSH in the region %s"):format(it.machine.location),
    "connect the machine in another region (azcmagent disconnect, then connect --location "
      .. place(regions[1]) .. ")")
end

return function(it)
  judge_status(it)
  judge_version(it)
  judge_region(it)
end
