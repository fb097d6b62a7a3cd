-- SPDX-License-Identifier: MIT
-- Who is asked in the default chain, and in which order.
local environment = require "arclua.credential.environment"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

-- What AZURE_TOKEN_CREDENTIALS may say, as in the Azure SDKs: the members of the default chain.
local WISHES = {
  [""] = { "environment", "workload", "login", "managed", "cli", "azd" },
  prod = { "environment", "workload", "managed" },
  dev = { "login", "cli", "azd" },
  environmentcredential = { "environment" },
  workloadidentitycredential = { "workload" },
  managedidentitycredential = { "managed" },
  azureclicredential = { "cli" },
  azuredeveloperclicredential = { "azd" },
}

local MEMBERS = {
  environment = function(context, _, own)
    return own.environment(context)
  end,
  workload = function(context)
    return { { name = "workload identity", open = function()
      return environment.workload(context)
    end } }
  end,
  managed = function(context, alone)
    return { { name = "managed identity", open = function()
      return environment.managed(context, not alone)
    end } }
  end,
  login = function(context, _, own)
    return { { name = "arclua login", open = function() return own.login(context) end } }
  end,
  cli = function(context, _, own)
    return { { name = "Azure CLI", optional = true, open = function()
      return own.cli(context)
    end } }
  end,
  azd = function(context)
    return { { name = "Azure Developer CLI", optional = true, open = function()
      return environment.azd(context)
    end } }
  end,
}

--- Errors: config.
---@return arclua.ChainMember[]|nil, arclua.Error?
---@param own { environment: function, login: function, cli: function }
return function(context, own)
  local wish = (paths.env "AZURE_TOKEN_CREDENTIALS" or ""):lower():match "^%s*(.-)%s*$"
  local names, list = WISHES[wish], {}
  if not names then
    return errors.fail { code = "config", op = "credential",
      message = ("AZURE_TOKEN_CREDENTIALS: prod, dev, EnvironmentCredential, "
        .. "WorkloadIdentityCredential, ManagedIdentityCredential, AzureCliCredential or "
        .. "AzureDeveloperCliCredential expected, got '%s'"):format(wish) }
  end
  for _, name in ipairs(names) do
    local some = MEMBERS[name](context, #names == 1, own)
    table.move(some, 1, #some, #list + 1, list)
  end
  return list
end
