-- SPDX-License-Identifier: MIT
-- The identity that Azure has given to what this runs on. Which service tells is decided by
-- variables, the first that fits, in the order of Microsoft's libraries.
local arc_identity = require "arclua.credential.arc_identity"
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local imds = require "arclua.credential.imds"
local paths = require "arclua.paths"
local percent = require "arclua.percent"
local real = require "arclua.core"

local Source = {}
Source.__index = Source

local LONG = 7200 -- a token that lives as long is renewed at half of its life
local HIMDS = { "/opt/azcmagent/bin/himds", "/var/opt/azcmagent/bin/himds" }

-- "resource=…", and which identity by the service's own names for it.
local function query_of(spec, resource, names)
  local query = "resource=" .. percent.encode(resource)
  for key, name in pairs(names) do
    if spec[key] then
      query = ("%s&%s=%s"):format(query, name, percent.encode(spec[key]))
    end
  end
  return query
end

local function refuse(message, remedy)
  return errors.fail { code = "config", op = "credential", message = message, remedy = remedy }
end

-- App Service and Cloud Shell: they say little of what is wrong with a request.
local function ask(self, opts, title, request)
  local core = self.core
  local secret, info = endpoint.retry(core, function() return core.token.request(request) end,
    opts.early)
  if secret or not info.status then
    return secret, info
  end
  return nil, errors.with(info, { reason = "cred.identity-failed", code = "auth", op = "credential",
    retryable = false, message = title .. ": " .. info.message,
    remedy = "check the scope, and that this app was given an identity" })
end

local function get(self, opts, url, query, headers)
  return ask(self, opts, "the service that tells who this app is", { headers = headers,
    url = ("%s%s%s"):format(url, url:find("?", 1, true) and "&" or "?", query) })
end

-- Each: fetch(self, resource, opts); chooses: which selectors it knows, by its names for them.
local KINDS = {}

KINDS.service_fabric = { fetch = function()
  return refuse("the identity of Service Fabric is not supported",
    "sign in with a certificate or a workload's identity")
end }

KINDS.app_service = {
  chooses = { client_id = "client_id", object_id = "principal_id", resource_id = "mi_res_id" },
  fetch = function(self, resource, opts)
    return get(self, opts, paths.env "IDENTITY_ENDPOINT", "api-version=2019-08-01&"
      .. query_of(self.spec, resource, KINDS.app_service.chooses), { Metadata = "true",
      ["X-IDENTITY-HEADER"] = { "", self.core.secret_env "IDENTITY_HEADER" } })
  end,
}

KINDS.machine_learning = {
  chooses = { client_id = "clientid" },
  fetch = function(self, resource, opts)
    return get(self, opts, paths.env "MSI_ENDPOINT", "api-version=2017-09-01&"
      .. query_of(self.spec, resource, KINDS.machine_learning.chooses),
      { secret = { "", self.core.secret_env "MSI_SECRET" } })
  end,
}

-- A person sits there: for a certificate it takes the scope as it is.
KINDS.cloud_shell = { chooses = {}, certifies = true, fetch = function(self, resource, opts)
  return ask(self, opts, "Cloud Shell", { url = paths.env "MSI_ENDPOINT",
    headers = { Metadata = "true" }, ssh_key = opts.ssh_key,
    form = { resource = opts.ssh_key and resource .. "/.default" or resource } })
end }

-- himds knows the names of IMDS (not App Service's mi_res_id, which it would ignore).
local METADATA = { client_id = "client_id", object_id = "object_id", resource_id = "msi_res_id" }

KINDS.arc = { chooses = METADATA, fetch = function(self, resource)
  local choice = {}
  for key, name in pairs(METADATA) do
    choice[name] = self.spec[key]
  end
  return arc_identity.fetch(self.core, paths.env "IDENTITY_ENDPOINT",
    query_of(self.spec, resource, METADATA), choice, self.spec.directory)
end }

KINDS.imds = { chooses = METADATA, fetch = function(self, resource, opts)
  local spec = self.spec
  if spec.probe and not self.probed then
    local ok, err = imds.probe(self.core)
    if not ok then
      return nil, err
    end
    self.probed = true
  end
  return imds.fetch(self.core, query_of(spec, resource, METADATA),
    spec.client_id or spec.object_id or spec.resource_id, opts.early)
end }

local function has_himds(core)
  return core.sys.stat(HIMDS[1]) or core.sys.stat(HIMDS[2])
end

local function kind_of(core)
  local env = paths.env
  if env "IDENTITY_ENDPOINT" and paths.has_secret("IDENTITY_HEADER", core) then
    return env "IDENTITY_SERVER_THUMBPRINT" and "service_fabric" or "app_service"
  elseif env "MSI_ENDPOINT" then
    return paths.has_secret("MSI_SECRET", core) and "machine_learning" or "cloud_shell"
  elseif (env "IDENTITY_ENDPOINT" and env "IMDS_ENDPOINT") or has_himds(core) then
    return "arc"
  end
  return "imds"
end

---@param spec { client_id: string?, object_id: string?, resource_id: string?, probe: boolean?,
---   directory: string? }  of the three at most one; directory: of Arc's keys, for specs only
---@param primitives table?
---@return arclua.TokenSource|nil, arclua.Error?
local function new(spec, primitives)
  local core = primitives or real
  local kind = kind_of(core)
  for key in pairs(METADATA) do
    if spec[key] and KINDS[kind].chooses and not KINDS[kind].chooses[key] then
      return errors.fail { reason = "cred.unavailable", op = "credential",
        message = "the identity cannot be chosen here: there is one only",
        remedy = "leave AZURE_CLIENT_ID and the like away" }
    end
  end
  return setmetatable({ name = "managed identity", kind = kind, spec = spec, core = core },
    Source)
end

function Source:fetch(scope, opts)
  opts = opts or {}
  if opts.ssh_key and not KINDS[self.kind].certifies then
    return errors.fail { reason = "cred.no-certificate", op = "credential",
      message = "Entra gives managed identities no SSH certificates, only persons and applications",
      remedy = "sign in with `arclua login` and pass --credential login, or as an application "
        .. "(AZURE_CLIENT_ID); or log in with a local user (-l) and its key (-i)" }
  end
  local resource = scope:match "^(.*)/%.default$"
  if not resource then
    return refuse(("scope '%s': RESOURCE/.default expected"):format(scope))
  end
  local asked = self.core.time()
  local secret, info = KINDS[self.kind].fetch(self, resource, opts)
  if secret and not info.refresh_on and info.expires_on - asked >= LONG then
    info.refresh_on = asked + (info.expires_on - asked) / 2
  end
  return secret, info
end

return { new = new }
