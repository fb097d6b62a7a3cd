-- SPDX-License-Identifier: MIT
-- A person with a browser anywhere: the device code flow (RFC 8628).
local clouds = require "arclua.clouds"
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local output = require "arclua.output"
local real = require "arclua.core"
local refresh = require "arclua.credential.refresh"

local Source = {}
Source.__index = Source

local SLOWER = 5 -- seconds more between polls at each slow_down
local SLOWEST = 60 -- between polls, while the network fails

local function on_stderr(device)
  output.standard(2):line(escape.text(device.message
    or ("open %s and enter the code %s"):format(device.verification_uri, device.user_code), true))
end

---@param spec arclua.UserSpec with prompt: fun(device: table)?  told the code and where to enter it
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "device code", spec = spec, core = primitives or real,
    prompt = spec.prompt or on_stderr }, Source)
end

local function ask(self, code, opts)
  local spec = self.spec
  return self.core.token.request { url = refresh.url(spec, "token"), ca = spec.cloud.ca,
    ssh_key = opts.ssh_key,
    form = { grant_type = "urn:ietf:params:oauth:grant-type:device_code",
      client_id = spec.client_id, device_code = code, claims = opts.claims } }
end

-- The seconds until the next poll after an answer that is not the last; nil = it is.
local function pace(err, interval)
  if err.reason == "entra.pending" then
    return interval
  elseif err.reason == "entra.slow-down" then
    return interval + SLOWER
  elseif err.retryable then
    return math.max(math.min(2 * interval, SLOWEST), err.retry_after or 0)
  end
end

local function poll(self, code, device, opts)
  local interval, core = device.interval, self.core
  while true do
    local left = device.expires_on - core.time()
    if left <= 0 then
      return errors.fail { reason = "entra.code-expired", op = "credential",
        message = "nobody has signed in with the code" }
    end
    local ok, err = core.sleep(math.min(interval, left))
    if not ok then
      return nil, err
    end
    local secret, info = ask(self, code, opts)
    interval = secret and interval or pace(info, interval)
    if secret or not interval then
      return secret, info
    end
  end
end

local function sign_in(self, scope, opts)
  local spec = self.spec
  local claims, err = endpoint.claims(self.core, opts.claims)
  if err then
    return nil, err
  end
  local code, device = self.core.token.device { url = refresh.url(spec, "devicecode"),
    ca = spec.cloud.ca,
    form = { client_id = spec.client_id, scope = refresh.scope(scope), claims = claims } }
  if not code then
    return nil, device
  end
  local held <close> = code
  self.prompt(device)
  return poll(self, held, device, { ssh_key = opts.ssh_key, claims = claims })
end

--- Asks the person once; later tokens come from the refresh token, while that is good.
function Source:fetch(scope, opts)
  return refresh.fetch(self, sign_in, scope, opts)
end

function Source:close()
  if self.refresh then
    self.refresh:close()
  end
end

--- One for the tenant of a context, else for whatever tenant the person has.
---@return arclua.TokenSource|nil, arclua.Error?
local function open(context, client_id, prompt)
  local tenant, err = clouds.tenant(context.tenant or clouds.any_tenant(context.cloud))
  if not tenant then
    return nil, err
  end
  return new({ cloud = context.cloud, tenant = tenant, client_id = client_id or refresh.CLIENT,
    prompt = prompt }, context.core)
end

return { new = new, open = open }
