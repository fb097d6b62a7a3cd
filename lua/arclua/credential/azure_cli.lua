-- SPDX-License-Identifier: MIT
-- Who is signed in to the Azure CLI: `az account get-access-token`.
local az_certificate = require "arclua.credential.az_certificate"
local errors = require "arclua.errors"
local real = require "arclua.core"
local tool = require "arclua.credential.tool"

local Source = {}
Source.__index = Source

local AZ = { title = "Azure CLI", program = "az", login = "az login",
  check = "az account get-access-token", hints = { "az login", "az account set" } }

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

-- It has no way to pass a challenge on; a person must.
local function challenged(self, scope, claims, tenant)
  return errors.fail { reason = "cred.az-failed", op = "credential",
    message = "Azure asks for a new sign-in",
    remedy = ("run: az login --claims-challenge %s%s --scope %s"):format(
      self.core.crypto.base64(claims), tenant and " --tenant " .. tenant or "", scope) }
end

function Source:fetch(scope, opts)
  local tenant, err = tool.tenant(AZ, self.spec, scope, opts.tenant)
  if err then
    return nil, err
  elseif opts.ssh_key then
    return az_certificate.fetch(self.core, opts.ssh_key, tenant)
  elseif opts.claims then
    return challenged(self, scope, opts.claims, tenant)
  end
  return tool.run(self.core, AZ, arguments(scope, tenant))
end

return { new = new }
