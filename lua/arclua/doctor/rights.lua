-- SPDX-License-Identifier: MIT
-- What the caller may do on the machine, step by step, and which role would allow it.
local CONNECT = "Microsoft.HybridConnectivity/endpoints/"
local COMPUTE = "Microsoft.HybridCompute/machines/"

local ASSIGN = 'by an Owner: arclua enable {machine} --assign-role "%s" --to %s'

local function assign(it, role)
  return ASSIGN:format(role, it.run.principal or "PRINCIPAL")
end

local function judge_connect(it)
  if it.connects then
    return it:ok("right-connect", "you may connect")
  elseif it.refused and it.refused.code == "conflict" then
    return it:fail("right-connect", it.refused.message, "remove the lock (az lock list), or ask "
      .. "who has set it")
  end
  local may, err = it:may { CONNECT .. "listCredentials/action" }
  if may == nil then
    return it:unknown("right-connect", err)
  elseif may and not it.refused then
    return it:ok("right-connect", "you may connect")
  end
  local remedy = assign(it, "Virtual Machine Local User Login")
  it:fail("right-connect", may and "Azure refused credentials, though your roles allow them: a "
    .. "deny assignment, or a role too new to count" or "you may not connect: no role of yours has "
    .. CONNECT .. "listCredentials/action", it:from_here(remedy, "COMMAND"))
end

-- Only where the provider is not registered.
local function judge_register(it)
  if not it:failed "provider" then
    return
  end
  local may = it:may_in_subscription "Microsoft.HybridConnectivity/register/action"
  if may == false then
    it:warn("right-register", "you may not register the provider",
      "ask a Contributor or Owner of the subscription")
  elseif may then
    it:ok("right-register", "you may register the provider")
  end
end

-- Only where something is to be set up.
local function judge_setup(it)
  if not (it:failed "endpoint" or it:failed "service-configuration") then
    return
  end
  local may = it:may { CONNECT .. "write", CONNECT .. "serviceConfigurations/write" }
  if may == false then
    it:warn("right-setup", "you may not set the machine up for SSH",
      assign(it, "Azure Connected Machine Resource Manager"))
  elseif may then
    it:ok("right-setup", "you may set the machine up for SSH")
  end
end

local function judge_entra(it)
  local may, err = it:may({ COMPUTE .. "login/action" }, true)
  if may == nil then
    return it:unknown("right-entra", err)
  elseif may or it:may({ COMPUTE .. "loginAsAdmin/action" }, true) then
    return it:ok("right-entra", it:may({ COMPUTE .. "loginAsAdmin/action" }, true)
      and "you may sign in with Entra, and use sudo" or "you may sign in with Entra, without sudo")
  end
  it:fail("right-entra", "you may not sign in with Entra: no role of yours has the data action "
    .. COMPUTE .. "login/action (Owner and Contributor have it not)",
    assign(it, "Virtual Machine User Login"))
end

local function judge_extension(it)
  local found = it.by.extension
  if not found or found.state ~= "failed" then
    return
  end
  if it:may { COMPUTE .. "extensions/write" } == false then
    it:warn("right-extension", "you may not install extensions",
      assign(it, "Azure Connected Machine Resource Administrator"))
  end
end

return function(it)
  judge_connect(it)
  judge_register(it)
  judge_setup(it)
  if it.run.entra and it.machine.os ~= "windows" then
    judge_entra(it)
    judge_extension(it)
  end
end
