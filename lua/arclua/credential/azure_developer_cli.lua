-- SPDX-License-Identifier: MIT
-- Who is signed in to the Azure Developer CLI: `azd auth token`.
local errors = require "arclua.errors"
local real = require "arclua.core"
local tool = require "arclua.credential.tool"

local Source = {}
Source.__index = Source

local AZD = { title = "Azure Developer CLI", program = "azd", login = "azd auth login",
  check = "azd auth token", noise = "let it print JSON alone: look for a wrapper script in PATH",
  hints = { "azd auth login" } }

---@param spec { tenant: string? }
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "Azure Developer CLI", spec = spec, core = primitives or real },
    Source)
end

function Source:fetch(scope, opts)
  local tenant, err = tool.tenant(AZD, self.spec, scope, opts.tenant)
  if opts.ssh_key then
    return errors.fail { reason = "cred.no-certificate", op = "credential",
      message = "the Azure Developer CLI gives no SSH certificates" }
  elseif err then
    return nil, err
  end
  local args = { "azd", "auth", "token", "--output", "json", "--no-prompt", "--scope", scope }
  if tenant then
    table.move({ "--tenant-id", tenant }, 1, 2, #args + 1, args)
  end
  if opts.claims then
    table.move({ "--claims", self.core.crypto.base64(opts.claims) }, 1, 2, #args + 1, args)
  end
  return tool.run(self.core, AZD, args)
end

return { new = new }
