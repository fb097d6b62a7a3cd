-- SPDX-License-Identifier: MIT
-- Who is signed in to the Azure CLI: `az account get-access-token`.
local az_certificate = require "arclua.credential.az_certificate"
local real = require "arclua.core"
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

-- az takes one to three seconds to start on a slow machine.
local TIMEOUT = 15

---@param spec { tenant: string? }
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "Azure CLI", spec = spec, core = primitives or real }, Source)
end

local function arguments(scope, tenant)
  local args = { "az", "account", "get-access-token", "--output", "json" }
  local resource = scope:match "^(.*)/%.default$"
  args[#args + 1] = resource and "--resource" or "--scope"
  args[#args + 1] = resource or scope
  if tenant then
    args[#args + 1] = "--tenant"
    args[#args + 1] = tenant
  end
  return args
end

function Source:fetch(scope, opts)
  if opts.ssh_key then
    return az_certificate.fetch(self.core, opts.ssh_key, self.spec.tenant)
  elseif opts.claims then
    return errors.fail { reason = "cred.az-failed", op = "credential",
      message = "Azure asks for a new sign-in",
      remedy = ("run: az login --claims-challenge %s --scope %s")
        :format(self.core.crypto.base64(opts.claims), scope) }
  elseif not scope:find "^[%w:/._-]+$" then
    return errors.fail { code = "config", op = "credential",
      message = "scope '" .. scope .. "' cannot be asked of the Azure CLI" }
  end
  local secret, info = self.core.token.command {
    args = arguments(scope, self.spec.tenant), timeout = TIMEOUT,
  }
  if secret then
    return secret, info
  elseif info.code == "notfound" then
    return errors.fail { reason = "cred.unavailable", op = "credential",
      message = "the program az is not installed", cause = info,
      remedy = "install the Azure CLI and run `az login`" }
  elseif info.message:find("az login", 1, true) or info.message:find("az account set", 1, true) then
    return errors.fail { reason = "cred.unavailable", op = "credential",
      message = "the Azure CLI is not signed in", cause = info, remedy = "run `az login`" }
  end
  return nil, info
end

return { new = new }
