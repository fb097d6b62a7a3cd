-- SPDX-License-Identifier: MIT
-- What the Azure CLI says of its sign-ins, which holds no secret: azureProfile.json.
local core = require "arclua.core"
local json = require "arclua.json"
local paths = require "arclua.paths"

local azure_profile = {}

local MAX = 16 * 1024 * 1024

--- The subscription that the Azure CLI uses by default in a cloud; nil = none. Entries of other
--- clouds stand in the same list, each with a default of its own.
---@param cloud arclua.Cloud
---@return table|nil  as the file has it: id, tenantId, user = { name, type }, ...
function azure_profile.default(cloud)
  local text = core.sys.read_file(paths.azure_cli() .. "/azureProfile.json", MAX)
  local profile = text and json.decode((text:gsub("^\xEF\xBB\xBF", "")))
  local list = type(profile) == "table" and profile.subscriptions
  for _, one in ipairs(type(list) == "table" and list or {}) do
    if type(one) == "table" and one.isDefault == true and type(one.id) == "string"
      and one.environmentName == (cloud.azure_name or cloud.name) then
      return one
    end
  end
end

return azure_profile
