-- SPDX-License-Identifier: MIT
-- What a sign-in offers to make machines ready for SSH, and to see whether they are. The work is
-- done in rooms that are loaded when they are first used.
local Azure = {}

-- The machines that a list or a selector means.
local function chosen(self, which)
  if type(which) == "table" and type(which[1]) == "table" then
    return which
  end
  return self:machines(which)
end

--- Judges whether SSH works: provider, endpoint, service configuration, agent, SSH server, rights,
--- the way there. Nobody logs in, and nothing is changed unless opts.fix says so.
--- Raises: unknown or ill-typed options. Errors: as az:machines, when which is a selector.
---@param which arclua.Machine[]|arclua.Selector|nil  default: all machines in scope
---@param opts arclua.DoctorOptions?
---@return arclua.DoctorReport|nil, arclua.Error?
function Azure:doctor(which, opts)
  local list, err = chosen(self, which)
  if not list then
    return nil, err
  end
  return require("arclua.doctor").run(self, list, opts)
end

--- Makes machines ready for SSH: provider, endpoint, service configuration, and with options the
--- extension for Entra and a role. What is there already is left alone.
--- Raises: unknown or ill-typed options. Errors: as az:machines.
---@param which arclua.Machine[]|arclua.Selector
---@param opts arclua.EnableOptions?
---@return arclua.SetupReport|nil, arclua.Error?
function Azure:enable(which, opts)
  local list, err = chosen(self, which)
  if not list then
    return nil, err
  end
  return require("arclua.setup").enable(self, list, opts)
end

--- Takes SSH back: the service configuration, the endpoint where nothing else needs it, and with
--- options the extension and a role.
--- Raises: unknown or ill-typed options. Errors: as az:machines.
---@param which arclua.Machine[]|arclua.Selector
---@param opts arclua.DisableOptions?
---@return arclua.SetupReport|nil, arclua.Error?
function Azure:disable(which, opts)
  local list, err = chosen(self, which)
  if not list then
    return nil, err
  end
  return require("arclua.setup").disable(self, list, opts)
end

return Azure
