-- SPDX-License-Identifier: MIT
-- What the connections of a fleet's run share, and what has to be right before the first of them.
local connect = require "arclua.connect"
local destinations = require "arclua.openssh.destination"
local login = require "arclua.openssh.login"

local shared = {}

-- What is wrong with the way to all machines: true | nil, err.
local function check_way(opts, targets, context)
  local jump = login.jump(opts.connect.jump)
  for _, machine in ipairs(jump and targets or {}) do
    if machine.id then
      return login.no_jump(machine.name, "option '--jump'")
    end
  end
  local ok, err = context:ssh_config()
  if ok and jump then
    ok, err = destinations.parse_jumps(jump)
  end
  return ok and true, err
end

-- Whether there is a certificate, before all machines fail for the lack of one: true | nil, err.
local function check_entra(targets, context)
  for _, machine in ipairs(targets) do
    if machine.os ~= "windows" then
      return context:certificate(machine)
    end
  end
  return true
end

--- What the connections share, with the password of the run. Run Command has none. Errors: config,
--- and what the password and the certificate give.
---@param opts table      complete options of a fleet
---@param targets table[]
---@return arclua.Context|nil, arclua.Error?
function shared.context(opts, targets)
  if opts.via then
    return { close = function() end }
  end
  local context = connect.context(opts.connect, { primitives = opts.primitives,
    azure = targets[1] and targets[1].azure or opts.azure, many = #targets > 1 })
  local ok, err = check_way(opts, targets, context)
  if ok and opts.connect.ask_pass and #targets > 0 then
    ok, err = context.ask:password()
  end
  if ok and opts.connect.entra then
    ok, err = check_entra(targets, context)
  end
  if not ok then
    context:close()
    return nil, err
  end
  return context
end

return shared
