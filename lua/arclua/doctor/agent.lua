-- SPDX-License-Identifier: MIT
-- The agent's own settings, as Azure knows them: azcmagent config on the machine.
local SET = "on the machine: %sazcmagent config set %s"

local function set(it, what)
  return SET:format(it.machine.os == "windows" and "" or "sudo ", what)
end

local function judge_mode(it, agent)
  if type(agent.configMode) == "string" and agent.configMode:lower() == "monitor" then
    return it:fail("agent-mode", "the agent is in monitor mode: it takes no connections and no "
      .. "extensions", set(it, "config.mode full"))
  end
  it:ok("agent-mode", "the agent may take connections")
end

-- An empty list says nothing; whether a full one still counts is not known.
local function judge_ports(it, agent)
  local ports = agent.incomingConnectionsPorts
  if type(ports) ~= "table" or #ports == 0 then
    return
  end
  local wanted = tostring(it.port or 22)
  for _, port in ipairs(ports) do
    if tostring(port) == wanted then
      return it:ok("incoming-ports", "the agent's list of ports has the SSH port")
    end
  end
  it:warn("incoming-ports", ("the agent's list of ports has %s, and not the SSH port %s"):format(
    table.concat(ports, ", "), wanted), set(it, "incomingconnections.ports " .. wanted .. " --add"))
end

local function judge_private_link(it)
  if it.facts.private_link then
    it:warn("private-link", "the machine is in a private link scope, and SSH does not go through "
      .. "private endpoints", "let the machine reach *.servicebus.windows.net by its public "
      .. "addresses, port 443")
  end
end

return function(it)
  if not it.facts then
    return
  end
  local agent = it.facts.agent
  judge_mode(it, agent)
  judge_ports(it, agent)
  judge_private_link(it)
end
