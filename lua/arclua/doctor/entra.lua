-- SPDX-License-Identifier: MIT
-- Signing in with Entra: Linux only, by an extension that is known by publisher and type, whatever
-- its name. Without --entra only an extension that failed is worth a word.
local errors = require "arclua.errors"
local extensions = require "arclua.arm.extensions"

local INSTALL = "arclua enable {machine} --entra"

local RUNNING = { creating = true, updating = true, accepted = true }

local function judge_system(it)
  if it.machine.os == "windows" then
    it:fail("sign-in", "Entra sign-in over SSH is for Linux; this is a Windows machine",
      "sign in as a user of the machine: arclua ssh USER@{machine}")
    return false
  elseif not it.machine.os then
    it:add { check = "sign-in", state = "unknown",
      message = "Azure does not know the operating system",
      remedy = "Entra sign-in over SSH is for Linux machines" }
    return false
  end
  it:ok("sign-in", "Entra sign-in works on Linux")
  return true
end

-- Why the agent would not install anything; nil: it would.
local function forbidden(it)
  local agent = it.facts.agent
  if tostring(agent.extensionsEnabled):lower() == "false" then
    return "sudo azcmagent config set extensions.enabled true"
  end
  for _, blocked in ipairs(type(agent.extensionsBlockList) == "table"
    and agent.extensionsBlockList or {}) do
    if extensions.is_entra(blocked.publisher, blocked.type) then
      return "sudo azcmagent config set extensions.blocklist "
        .. "Microsoft.Azure.ActiveDirectory/AADSSHLoginForLinux --remove"
    end
  end
end

local function judge_absent(it)
  local command = forbidden(it)
  if command then
    return it:fail("extension", "the extension AADSSHLoginForLinux is not installed, and the "
      .. "agent's settings forbid it", ("on the machine: %s; then %s"):format(command, INSTALL))
  end
  it:fail("extension", "the extension AADSSHLoginForLinux is not installed", INSTALL, "extension")
end

local function judge_state(it, found)
  local state = (found.state or ""):lower()
  if state == "succeeded" then
    it:ok("extension", "the extension AADSSHLoginForLinux is installed", found.version)
  elseif RUNNING[state] then
    it:warn("extension", "the extension AADSSHLoginForLinux is being installed",
      "arclua doctor {machine} in some minutes")
  else
    it:add { check = "extension", state = it.run.entra and "failed" or "warning",
      detail = found.message, remedy = INSTALL, fix = it.run.entra and "extension" or nil,
      message = ("the extension AADSSHLoginForLinux is in state %s"):format(found.state or "?") }
  end
end

return function(it)
  if it.run.entra and not judge_system(it) or it.machine.os == "windows" then
    return
  elseif not it.facts then
    return it.run.entra and it:unknown("extension", it.run.no_facts or errors.new {
      code = "unknown", op = "doctor", message = "Azure tells nothing of this machine's extensions",
      remedy = "look at them in the Azure portal" })
  end
  for _, one in ipairs(it.facts.extensions) do
    if extensions.is_entra(one.publisher, one.type) then
      return judge_state(it, one)
    end
  end
  if it.run.entra then
    judge_absent(it)
  end
end
