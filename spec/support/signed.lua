-- SPDX-License-Identifier: MIT
-- A sign-in to an emulator, as a script makes it.
local arc = require "arclua"
local clouds = require "arclua.clouds"

local signed = {}

--- What arc.login gives. env: another principal's (e:principal); more: login options.
function signed.in_to(e, env, more)
  env = env or e.env
  local opts = { cloud = e.cloud, config = "none", known_hosts = e.env.ARCLUA_KNOWN_HOSTS,
    all_subscriptions = true,
    credential = assert(arc.credential.client_secret { cloud = assert(clouds.load(e.cloud)),
      tenant = e.env.AZURE_TENANT_ID, client_id = env.AZURE_CLIENT_ID,
      client_secret = env.AZURE_CLIENT_SECRET }) }
  for key, value in pairs(more or {}) do
    opts[key] = value
  end
  return assert(arc.login(opts))
end

return signed
