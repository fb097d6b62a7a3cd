-- SPDX-License-Identifier: MIT
-- By which credential the emulator's clients sign in: what it makes and what it exports.
local assertions = require "arclua.emulator.assertions"
local core = require "arclua.core"
local identity = require "arclua.emulator.identity"
local roles = require "arclua.emulator.roles"

local signin = {}

--- What sign_in may be; the first is the default.
signin.WAYS = { "secret", "certificate", "workload", "github", "imds", "app-service",
  "cloud-shell", "azure-cli" }

local ISSUER = "arc.localhost"

-- Set, but empty: what the caller's own environment says does not count.
local ABSENT = ""

local WAYS = {}

WAYS.secret = {
  env = function(self)
    return { AZURE_CLIENT_SECRET = self.state.client_secret }
  end,
}

WAYS.certificate = {
  make = function(state)
    state.certificate = core.crypto.make_client_certificate("arclua emulator's application")
  end,
  write = function(self)
    local certificate = self.state.certificate
    return core.sys.write_file(self.client_dir .. "/client.pem", certificate.cert
      .. certificate.key, 384)
  end,
  env = function(self)
    return { AZURE_CLIENT_SECRET = ABSENT, AZURE_CLIENT_CERTIFICATE_PASSWORD = ABSENT,
      AZURE_CLIENT_CERTIFICATE_PATH = self.client_dir .. "/client.pem" }
  end,
}

-- The platform that vouches for the workload is the emulator, too.
local function federate(state, subject)
  state.federation = { issuer = "https://oidc." .. ISSUER, subject = subject }
end

WAYS.workload = {
  make = function(state)
    federate(state, "system:serviceaccount:default:arclua")
  end,
  write = function(self)
    return core.sys.write_file(self.client_dir .. "/federated-token",
      assertions.issue(self.state), 384)
  end,
  env = function(self)
    return { AZURE_CLIENT_SECRET = ABSENT, AZURE_CLIENT_CERTIFICATE_PATH = ABSENT,
      AZURE_FEDERATED_TOKEN_FILE = self.client_dir .. "/federated-token" }
  end,
}

WAYS.github = {
  make = function(state)
    federate(state, "repo:arclua@1/emulator@2:ref:refs/heads/main")
    state.federation.bearer = core.crypto.base64url(core.crypto.random(30))
  end,
  env = function(self)
    return { AZURE_CLIENT_SECRET = ABSENT, AZURE_CLIENT_CERTIFICATE_PATH = ABSENT,
      AZURE_FEDERATED_TOKEN_FILE = ABSENT,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN = self.state.federation.bearer,
      ACTIONS_ID_TOKEN_REQUEST_URL = self.state.cloud.authority
        .. "/oidc/token?api-version=2.0" }
  end,
}

-- What runs in Azure: who it is, it is told by a service. The Arc agent's keys must lie where
-- root puts them, so that one is for specs only.
local function told(kind, variables)
  return {
    make = function(state)
      identity.make(state, kind)
    end,
    write = identity.listen,
    env = function(self)
      local env = { AZURE_CLIENT_SECRET = ABSENT, AZURE_CLIENT_ID = ABSENT,
        AZURE_CLIENT_CERTIFICATE_PATH = ABSENT, AZURE_FEDERATED_TOKEN_FILE = ABSENT,
        IDENTITY_ENDPOINT = ABSENT, IDENTITY_HEADER = ABSENT, IMDS_ENDPOINT = ABSENT,
        MSI_ENDPOINT = ABSENT, MSI_SECRET = ABSENT }
      for name, value in pairs(variables(self.state.identity)) do
        env[name] = value
      end
      return env
    end,
  }
end

WAYS.imds = told("imds", function(service)
  return { AZURE_POD_IDENTITY_AUTHORITY_HOST = service.base }
end)

WAYS["app-service"] = told("app-service", function(service)
  return { IDENTITY_ENDPOINT = service.base .. "/msi/token", IDENTITY_HEADER = service.header }
end)

WAYS["cloud-shell"] = told("cloud-shell", function(service)
  return { MSI_ENDPOINT = service.base .. "/oauth2/token" }
end)

WAYS.arc = told("arc", function(service)
  return { IDENTITY_ENDPOINT = service.base .. "/metadata/identity/oauth2/token",
    IMDS_ENDPOINT = service.base }
end)

-- Whoever is signed in to az: it is put on the path by az.lua.
WAYS["azure-cli"] = {
  env = function()
    return { AZURE_CLIENT_SECRET = ABSENT, AZURE_CLIENT_ID = ABSENT,
      AZURE_CLIENT_CERTIFICATE_PATH = ABSENT, AZURE_FEDERATED_TOKEN_FILE = ABSENT,
      ARCLUA_CREDENTIAL = "azure_cli" }
  end,
}

--- Checks a way; nil is the default. Raises: there is no such way.
function signin.check(way)
  if not WAYS[way or "secret"] then
    error(("option 'sign_in': %s expected, got '%s'"):format(table.concat(signin.WAYS, ", "),
      way), 3)
  end
end

--- Makes the secrets of the way.
function signin.make(state, way)
  state.sign_in = WAYS[way or "secret"]
  if state.sign_in.make then
    state.sign_in.make(state)
  end
  return true
end

--- Makes another application with a secret: its variables, its object ID.
--- Raises: an unknown role.
---@param names string[]  of roles
---@param scope string    "/" or a resource ID
---@return table<string, string>, string
function signin.principal(state, names, scope)
  local app = { client_id = core.crypto.uuid(), object_id = core.crypto.uuid(),
    secret = core.crypto.base64url(core.crypto.random(30)) }
  state.apps[app.client_id] = app
  for _, name in ipairs(names) do
    local role = roles.find(name) or error("there is no role '" .. tostring(name) .. "'", 0)
    roles.assign(state, role, app.object_id, scope)
  end
  return { AZURE_CLIENT_ID = app.client_id, AZURE_CLIENT_SECRET = app.secret }, app.object_id
end

--- Ends what it has opened.
function signin.stop(self)
  local service = self.state.identity
  if service and service.server then
    service.server:close()
  end
end

--- Writes its files, opens its service, and adds its variables to emulator.env.
function signin.export(self)
  local way = self.state.sign_in
  if way.write then
    local ok, err = way.write(self)
    if not ok then
      return nil, err
    end
  end
  for name, value in pairs(way.env(self)) do
    self.env[name] = value
  end
  return true
end

return signin
