-- SPDX-License-Identifier: MIT
-- Who is signed in to the Azure Developer CLI: `azd auth token`.
local real = require "arclua.core"
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

local TIMEOUT = 15
local REMEDY = "run `azd auth login`"

---@param spec { tenant: string? }
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "Azure Developer CLI", spec = spec, core = primitives or real },
    Source)
end

function Source:fetch(scope, opts)
  if opts.ssh_key then
    return errors.fail { reason = "cred.no-certificate", op = "credential",
      message = "the Azure Developer CLI gives no SSH certificates" }
  elseif not scope:find "^%w[%w:/._-]*$" then
    return errors.fail { code = "config", op = "credential",
      message = "scope '" .. scope .. "' cannot be asked of the Azure Developer CLI" }
  end
  local args = { "azd", "auth", "token", "--output", "json", "--no-prompt", "--scope", scope }
  if self.spec.tenant then
    table.move({ "--tenant-id", self.spec.tenant }, 1, 2, #args + 1, args)
  end
  if opts.claims then
    table.move({ "--claims", self.core.crypto.base64(opts.claims) }, 1, 2, #args + 1, args)
  end
  local secret, info = self.core.token.command { args = args, timeout = TIMEOUT }
  if secret then
    return secret, info
  elseif info.code == "notfound" then
    return errors.fail { reason = "cred.unavailable", op = "credential",
      message = "the program azd is not installed", cause = info,
      remedy = "install the Azure Developer CLI and " .. REMEDY }
  elseif info.message:find("azd auth login", 1, true) then
    return errors.fail { reason = "cred.unavailable", op = "credential",
      message = "the Azure Developer CLI is not signed in", cause = info, remedy = REMEDY }
  end
  return nil, errors.with(info, { remedy = REMEDY })
end

return { new = new }
