-- SPDX-License-Identifier: MIT
-- Endpoint, service configuration, and the SSH server itself: reached through the relay, greeted,
-- its host key looked at. Nobody logs in.
local endpoints = require "arclua.arm.endpoints"
local relay = require "arclua.relay"

local GREETING = 15 -- seconds for version and key exchange
local PATIENCE, AFTER_CHANGE = 10, 180 -- seconds that an agent gets to appear
local LIMIT, LIMIT_AFTER_CHANGE = 60, 240 -- for a machine in all

local ENABLE = "arclua enable {machine}"
local START = "on the machine: sudo systemctl enable --now ssh (sshd on Red Hat and SUSE; install "
  .. "openssh-server first where it is missing)"
local START_HERE = "systemctl enable --now ssh"
local WINDOWS_START = "on the machine: Start-Service sshd; Set-Service sshd -StartupType Automatic "
  .. "(Add-WindowsCapability -Online -Name OpenSSH.Server~~~~0.0.1.0 installs it)"
local INCOMING = "on the machine: %sazcmagent config set incomingconnections.enabled true"

-- ---- what ARM says ---------------------------------------------------------------------------

local function no_endpoint(it)
  it:fail("endpoint", "there is no connectivity endpoint", ENABLE, "setup")
end

local function no_service(it)
  it:ok("endpoint", "the connectivity endpoint is there")
  it:fail("service-configuration", "there is no SSH service configuration", ENABLE, "setup")
end

local function has_service(it, port)
  it.port = port or 22
  it:ok("endpoint", "the connectivity endpoint is there")
  it:ok("service-configuration", port and ("SSH is let through to port %d"):format(port)
    or "SSH is let through (to which port cannot be read with your roles)")
end

-- By reading alone: for machines that cannot be dialled.
local function judge_by_reading(it)
  local found, err = endpoints.read(it.run.azure.arm, it.machine)
  if not found then
    it:unknown("endpoint", err)
  elseif found.service then
    has_service(it, found.port)
  elseif found.endpoint then
    no_service(it)
  else
    no_endpoint(it)
  end
end

-- ---- what the machine says -------------------------------------------------------------------

local function refused(it)
  local windows = it.machine.os == "windows"
  local port = it.port
  local remedy = windows and WINDOWS_START or it:from_here(START, START_HERE)
  if port ~= 22 then
    remedy = ("arclua enable {machine} --port 22 --replace, when sshd listens on 22; else %s")
      :format(remedy)
  end
  it:fail("sshd", ("nothing listens on port %d of the machine"):format(port), remedy)
end

local function no_listener(it)
  if it.recent then
    return it:add { check = "sshd", state = "unknown", message = "SSH was set up a moment ago, and "
      .. "the agent has not heard of it yet", remedy = "arclua doctor {machine} in three minutes" }
  elseif it:failed "agent-mode" then
    return it:skip("sshd", "agent-mode")
  elseif it:failed "agent-version" then
    return it:skip("sshd", "agent-version")
  end
  it:fail("sshd", "the agent is connected to Azure, but takes no connections",
    it:from_here(INCOMING:format(it.machine.os == "windows" and "" or "sudo "),
      "azcmagent config set incomingconnections.enabled true"))
end

local function no_ssh(it, err)
  it:fail("sshd", ("what answers on port %d is no SSH server (%s)"):format(it.port,
    err.alike or err.message), "see which program listens there (on the machine: ss -ltnp), or "
    .. "set the right port: arclua enable {machine} --port N --replace")
end

local JUDGES = {
  ["relay.sshd-refused"] = refused,
  ["relay.no-listener"] = no_listener, ["relay.no-endpoint"] = no_listener,
  ["relay.reset"] = no_listener,
  ["ssh.no-banner"] = no_ssh, ["ssh.protocol"] = no_ssh,
}

-- Codes that speak of the way to the relay, not of the machine.
local WAY = { dns = true, tls = true, refused = true }

local function judge_refusal(it, err, host)
  local judge = JUDGES[err.reason or ""]
  if judge then
    return judge(it, err)
  elseif host and (WAY[err.code] or (err.reason or ""):find "^net%.") then
    it.run.hosts:failed(host, err)
    return it:skip("sshd", "relay-host")
  end
  it:unknown("sshd", err)
end

local KNOWN = {
  new = "the host key is not known yet", known = "the host key is the known one",
}

local function judge_key(it, seen)
  local key = ("%s %s"):format(seen.type, seen.fingerprint)
  if KNOWN[seen.known] then
    return it:ok("host-key", KNOWN[seen.known], key)
  end
  it:add { check = "host-key", state = "failed", detail = key,
    message = ("the host key is not the one in known_hosts: it is %s"):format(seen.known),
    remedy = seen.known == "changed" and ("if the machine was set up anew: ssh-keygen -R %s%s")
      :format(it.machine:alias(), it.run.azure.known_hosts and " -f " .. it.run.azure.known_hosts
        or "") or "use another machine: its key was declared stolen in known_hosts" }
end

local function stream_of(it, access)
  local azure = it.run.azure
  return relay.connect { info = access.info, port = access.port, changed = it.changed,
    ca = azure.cloud.ca, primitives = it.run.primitives,
    budget = it.changed and AFTER_CHANGE or PATIENCE,
    renew = function()
      return azure.connectivity:renew(it.machine, {}, access.port)
    end,
    on_wait = function(text)
      it.run.on_wait(it.machine, text)
    end }
end

local function greet(it, access)
  local host = access.info:host()
  local stream, err = stream_of(it, access)
  if not stream then
    return judge_refusal(it, err, host)
  end
  it.run.hosts:reached(host)
  local seen, why = it.run.core.ssh.probe(stream, { alias = it.machine:alias(),
    known_hosts = it.run.azure.known_hosts, timeout = GREETING })
  if not seen then
    return judge_refusal(it, why)
  end
  it:ok("sshd", "the SSH server answers", seen.banner)
  judge_key(it, seen)
end

-- ---- both ------------------------------------------------------------------------------------

local function denied(it, err)
  it.refused = err
  judge_by_reading(it)
  it:skip("sshd", "right-connect")
end

-- Fresh credentials, which at the same time tell whether the machine is set up.
local function dial(it)
  local connectivity = it.run.azure.connectivity
  local access, err = connectivity:access(it.machine, {})
  if access then
    has_service(it, connectivity:known_port(it.machine))
    it.port, it.connects, it.recent = access.port, true, access.changed
    if it.by.provider.state == "unknown" then -- whoever may not look at it sees it work
      it:revise("provider", "the providers are registered: Azure gives credentials")
    end
    return greet(it, access)
  elseif err.reason == "arm.setup-needed" then
    (err.status == 412 and no_service or no_endpoint)(it)
    return it:skip("sshd", err.status == 412 and "service-configuration" or "endpoint")
  elseif err.code == "denied" or err.code == "conflict" then
    return denied(it, err)
  end
  it:unknown("endpoint", err)
  it:skip("sshd", "endpoint")
end

return function(it)
  if it:failed "provider" then
    it:skip("endpoint", "provider")
    return it:skip("sshd", "provider")
  elseif it:failed "status" then
    judge_by_reading(it)
    return it:skip("sshd", "status")
  end
  local core = it.run.core
  local connectivity = it.run.azure.connectivity
  connectivity:forget(it.machine, {}) -- what is kept from earlier says nothing of now
  local limit = (it.changed and LIMIT_AFTER_CHANGE or LIMIT) + connectivity:turn(it.machine)
  local _, err = core.timeout(limit, function()
    dial(it)
    return core.sleep(0)
  end)
  if err and not it.by.sshd then
    it:unknown("sshd", err)
  end
end
