-- SPDX-License-Identifier: MIT
-- The clouds: where Entra and ARM are, and which credentials may go there.
-- A cloud file is JSON: { "name", "authority", "resource_manager", "audience"?,
-- "relay_suffix"?, "ssh_scope"?, "ca"?, "credential"? }, or what an ARM says of itself
-- (cloud_metadata.lua).
local cloud_metadata = require "arclua.cloud_metadata"
local core = require "arclua.core"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local clouds = {}

local BUILTIN = {
  public = {
    name = "public", azure_name = "AzureCloud",
    authority = "https://login.microsoftonline.com",
    resource_manager = "https://management.azure.com",
    audience = "https://management.azure.com",
    relay_suffix = "servicebus.windows.net",
    aliases = { "login.windows.net", "login.microsoft.com", "sts.windows.net" },
    ssh_scope = "https://pas.windows.net/CheckMyAccess/Linux/.default",
  },
  usgov = {
    name = "usgov", azure_name = "AzureUSGovernment",
    authority = "https://login.microsoftonline.us",
    resource_manager = "https://management.usgovcloudapi.net",
    audience = "https://management.core.usgovcloudapi.net",
    relay_suffix = "servicebus.usgovcloudapi.net", aliases = { "login.usgovcloudapi.net" },
    ssh_scope = "https://pasff.usgovcloudapi.net/CheckMyAccess/Linux/.default",
  },
  china = {
    name = "china", azure_name = "AzureChinaCloud",
    authority = "https://login.partner.microsoftonline.cn",
    resource_manager = "https://management.chinacloudapi.cn",
    audience = "https://management.core.chinacloudapi.cn",
    relay_suffix = "servicebus.chinacloudapi.cn", aliases = { "login.chinacloudapi.cn" },
    ssh_scope = "https://pas.chinacloudapi.cn/CheckMyAccess/Linux/.default",
  },
}

-- The names that the Azure CLI uses for the same clouds, and common shorts.
local ALIASES = { azurecloud = "public", azureusgovernment = "usgov", azurechinacloud = "china",
  azurepublic = "public", usgovernment = "usgov" }

-- Microsoft closed it in 2021.
local GERMANY = { azuregermancloud = true, germany = true,
  ["https://login.microsoftonline.de"] = true }

local CLOSED = "Microsoft's cloud for Germany was closed in 2021"

local FIELDS = { name = true, authority = true, resource_manager = true, audience = true,
  relay_suffix = true, ssh_scope = true, ca = true, credential = true }
local REQUIRED = { "name", "authority", "resource_manager" }
local MAX_SIZE = 65536

local function refuse(what, why)
  return errors.fail { code = "config", op = "cloud", message = ("%s: %s"):format(what, why) }
end

--- The origin of a service: https, a host, perhaps a port and nothing else. Errors: config.
---@param url string
---@return string|nil, arclua.Error?
function clouds.origin(url)
  local text = url:find "://" and url or "https://" .. url
  local what = "'" .. url:gsub("//[^/]*@", "//***@") .. "'"
  local rest = text:match "^https://(.*)$"
  if not rest then
    return refuse(what, "https://HOST[:PORT] expected; only https will do, as secrets go there")
  elseif rest:match "^[^/?#]*@" then
    return refuse(what, "https://HOST[:PORT] expected; no user or password belongs into it")
  end
  local host, port = rest:match "^([%w.-]+)(:?%d*)/*$"
  if not host or port == ":" then
    return refuse(what, "https://HOST[:PORT] expected")
  end
  return "https://" .. host:lower() .. port
end

--- Whether a tenant can stand in a URL, and as a word of a command line. Errors: config.
---@return string|nil, arclua.Error?
function clouds.tenant(tenant)
  if not tenant:find "^%w[%w.-]*$" then
    return refuse("tenant '" .. tenant .. "'", "a GUID or a domain name expected")
  end
  return tenant
end

--- The tenant of whoever signs in, when none is named.
---@param cloud arclua.Cloud
---@return string
function clouds.any_tenant(cloud)
  return cloud.adfs and "adfs" or "organizations"
end

local function check_fields(cloud, path)
  for key, value in pairs(cloud) do
    if not FIELDS[key] then
      return refuse(path, "unknown member '" .. tostring(key) .. "'")
    elseif type(value) ~= "string" or value == "" then
      return refuse(path, "member '" .. key .. "' must be a string")
    end
  end
  for _, key in ipairs(REQUIRED) do
    if not cloud[key] then
      return refuse(path, "member '" .. key .. "' is missing")
    end
  end
  if not cloud.name:find "^[%w-]+$" then
    return refuse(path, "'name' may hold letters, digits and '-'")
  end
  return true
end

-- A cloud file of our own kind.
local function check_own(cloud, path)
  local ok, err = check_fields(cloud, path)
  if not ok then
    return nil, err
  end
  for _, key in ipairs { "authority", "resource_manager" } do
    cloud[key], err = clouds.origin(cloud[key])
    if not cloud[key] then
      return refuse(path, key .. " " .. err.message)
    end
  end
  if cloud.ca and not cloud.ca:find "^/" then
    cloud.ca = (path:match "^(.*/)" or "./") .. cloud.ca
  end
  return cloud
end

-- The parsed and checked content of a cloud file.
local function read(path)
  local text, err = core.sys.read_file(path, MAX_SIZE)
  if not text then
    return nil, errors.with(err, { message = "option '--cloud': " .. err.message,
      remedy = "name a cloud (public, usgov, china) or an existing cloud file" })
  end
  local cloud
  cloud, err = cloud_metadata.decode(text)
  if type(cloud) ~= "table" then
    return refuse(path, err and err.message or "an object expected")
  elseif cloud_metadata.is(cloud) then
    cloud, err = cloud_metadata.cloud(cloud, path, { origin = clouds.origin })
  else
    cloud, err = check_own(cloud, path)
  end
  if cloud then
    cloud.file = path
  end
  return cloud, err
end

-- AZURE_AUTHORITY_HOST as an origin, nil when unset.
local function environment_authority()
  local host = paths.env "AZURE_AUTHORITY_HOST"
  if not host then
    return nil
  end
  return clouds.origin(host)
end

-- Without an explicit choice AZURE_AUTHORITY_HOST picks a cloud, or another authority.
local function default_cloud()
  local authority, err = environment_authority()
  if err then
    return nil, errors.with(err, { message = "AZURE_AUTHORITY_HOST: " .. err.message })
  end
  if GERMANY[authority or ""] then
    return refuse("AZURE_AUTHORITY_HOST", CLOSED)
  end
  for _, known in pairs(BUILTIN) do
    if known.authority == authority then
      return known
    end
    for _, alias in ipairs(known.aliases) do
      if authority == "https://" .. alias then
        return known, nil, authority
      end
    end
  end
  return BUILTIN.public, nil, authority
end

-- A cloud that was named: by a name of ours or of the Azure CLI, a file, or an ARM's address.
local function named(choice)
  local name = choice:lower()
  local listed = paths.env "ARM_CLOUD_METADATA_URL"
  if GERMANY[name] then
    return refuse("option '--cloud'", CLOSED)
  elseif BUILTIN[ALIASES[name] or name] then
    return BUILTIN[ALIASES[name] or name]
  elseif choice:find "^%a+://" then
    return cloud_metadata.fetch(choice, clouds.origin)
  elseif choice:find "[/.]" then
    return read(choice)
  elseif listed then
    return cloud_metadata.fetch(listed .. "#" .. choice, clouds.origin)
  end
  return refuse("option '--cloud'", ("public, usgov, china, a file or the https address of an "
    .. "ARM expected, got '%s'"):format(choice))
end

--- A cloud by name, file or the address of its ARM, which is then asked; nil = the default.
--- Errors: config, notfound, io, and the network's.
---@param choice string?
---@return arclua.Cloud|nil, arclua.Error?
function clouds.load(choice)
  local source, err, authority
  if choice then
    source, err = named(choice)
  else
    source, err, authority = default_cloud()
  end
  if not source then
    return nil, err
  end
  local cloud = {}
  for key, value in pairs(source) do
    cloud[key] = value
  end
  cloud.authority = authority or cloud.authority
  cloud.scope = (cloud.audience or cloud.resource_manager) .. "/.default"
  return cloud
end

local function is_loopback(origin)
  local host = origin:match "^https://([^:]+)"
  return host == "localhost" or host:find "%.localhost$" ~= nil
    or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

-- "credential": "environment" is believed only where it cannot be used to lure a secret off
-- this machine: loopback services, in a file that nobody else can have written.
local function own_loopback(cloud)
  local stat = core.sys.stat(cloud.file)
  return cloud.credential == "environment" and is_loopback(cloud.authority)
    and is_loopback(cloud.resource_manager) and stat ~= nil
    and (stat.uid == core.sys.getuid() or stat.uid == 0) and stat.mode & 18 == 0
end

--- Whether what the environment or the Azure CLI holds may be sent to this cloud.
--- Errors: config (cred.untrusted-cloud).
---@param cloud arclua.Cloud
---@param trusted boolean?  the user said --trust-cloud
---@return true|nil, arclua.Error?
function clouds.may_use_environment(cloud, trusted)
  local given = cloud.file or cloud.url
  if not given or trusted or cloud.authority == environment_authority()
    or cloud.file and own_loopback(cloud) then
    return true
  end
  return errors.fail { reason = "cred.untrusted-cloud", op = "credential",
    message = ("the cloud %s %s names the authority %s, which is not AZURE_AUTHORITY_HOST")
      :format(cloud.file and "file" or "of", given, cloud.authority) }
end

---@class arclua.Cloud
---@field name string
---@field authority string          origin of Entra
---@field resource_manager string   origin of ARM
---@field scope string              of ARM tokens
---@field relay_suffix string?
---@field ssh_scope string?         the older scope of SSH certificates
---@field ca string?                PEM file trusted for this cloud's hosts
---@field file string?              where it was read from; nil for the built-in ones
---@field url string?               or the address that told of it
---@field adfs boolean?             its directory is AD FS
---@field aliases string[]?         other hosts of the authority
---@field azure_name string?        the Azure CLI's name of a built-in cloud

return clouds
