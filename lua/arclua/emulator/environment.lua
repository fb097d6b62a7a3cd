-- SPDX-License-Identifier: MIT
-- How clients find an emulator: the names of its hosts, its cloud file, their variables.
local users = require "arclua.emulator.users"

local environment = {}

local DOMAIN = "arc.localhost"

--- The names of its hosts.
function environment.names(domain, namespace)
  domain = domain or DOMAIN
  return { domain = domain, login = "login." .. domain, management = "management." .. domain,
    relay = namespace .. "." .. domain }
end

--- What a cloud file says of it: state.cloud.
function environment.cloud(self, namespace)
  local s, port, names = self.state, self.port, self.names
  s.cloud = {
    name = "arclua-emulator",
    authority = ("https://%s:%d"):format(names.login, port),
    resource_manager = ("https://%s:%d"):format(names.management, port),
    audience = "https://" .. names.management,
    relay_suffix = ("%s:%d"):format(names.domain, port),
    ssh_scope = ("https://pas.%s/CheckMyAccess/Linux/.default"):format(names.domain),
    ca = self.client_dir .. "/ca.pem",
    credential = "environment",
  }
  s.relay_namespace, s.relay_host = namespace, names.relay
  s.relay_hosts = { [names.relay] = true, localhost = true, [self.advertise] = true }
end

local function no_proxy(domain)
  local old = os.getenv "NO_PROXY" or os.getenv "no_proxy" or ""
  return (old ~= "" and old .. "," or "") .. domain .. ",." .. domain
end

--- What a client needs in its environment: self.env.
function environment.fill(self)
  local s, dir = self.state, self.client_dir
  self.cloud = dir .. "/cloud.json"
  self.env = {
    ARCLUA_CLOUD = self.cloud,
    AZURE_TENANT_ID = s.tenant, AZURE_CLIENT_ID = s.client_id,
    AZURE_AUTHORITY_HOST = s.cloud.authority,
    ARCLUA_USER = self.who.user, ARCLUA_IDENTITY = dir .. "/id_ed25519",
    ARCLUA_KNOWN_HOSTS = dir .. "/known_hosts", ARCLUA_SSH_CONFIG = "none",
    ARCLUA_STATE = dir .. "/state", ARCLUA_ENCRYPT = "never",
    ARCLUA_EMULATOR_SIGNIN = users.page(s),
    NO_PROXY = no_proxy(self.names.domain),
  }
end

return environment
