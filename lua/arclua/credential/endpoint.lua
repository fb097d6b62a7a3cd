-- SPDX-License-Identifier: MIT
-- Entra's endpoints: their addresses, and one token from them, which is asked for again where that
-- helps and not asked for where that is known not to.
local backoff = require "arclua.backoff"
local errors = require "arclua.errors"
local paths = require "arclua.paths"
local tenants = require "arclua.credential.tenants"
local throttle = require "arclua.credential.throttle"

local endpoint = {}

local RETRY = { retries = 3, base = 0.8, cap = 60, max_wait = 60 }

--- Whether it is a directory of AD FS, which has addresses and signatures of its own.
---@param cloud arclua.Cloud
---@param tenant string
function endpoint.is_adfs(cloud, tenant)
  return cloud.adfs or tenant:lower() == "adfs"
end

--- The address of an endpoint ("token", "devicecode", "authorize").
---@return string
function endpoint.url(cloud, tenant, name)
  if endpoint.is_adfs(cloud, tenant) then
    return ("%s/adfs/oauth2/%s"):format(cloud.authority, name)
  end
  return ("%s/%s/oauth2/v2.0/%s"):format(cloud.authority, tenant, name)
end

--- What a form's claims say: that we can answer challenges, and what one asks for.
--- Errors: protocol (the challenge is no JSON object).
---@param challenge string?
---@return string|nil, arclua.Error?
function endpoint.claims(core, challenge)
  local off = paths.env "AZURE_IDENTITY_DISABLE_CP1"
  local claims = core.token.declare(challenge)
  if not claims then
    return errors.fail { reason = "http.bad-answer", op = "credential",
      message = "the service's claims challenge is no JSON object" }
  elseif off and off ~= "0" and off:lower() ~= "false" then
    return challenge
  end
  return claims
end

--- try() again while that may help; once: never.
function endpoint.retry(core, try, once)
  return backoff.run({ retries = once and 0 or RETRY.retries, base = RETRY.base, cap = RETRY.cap,
    max_wait = RETRY.max_wait, sleep = core.sleep }, try)
end

-- Who was refused what: the text that helps to find it in Entra's logs.
local function explain(source, tenant, scope, err)
  if not err.status or err.status >= 500 or err.status == 429 then
    return err
  end
  return errors.with(err, { op = "credential",
    message = ("%s; %s of application %s in tenant %s, for %s%s"):format(err.message, source.name,
      source.spec.client_id, tenant, scope,
      err.correlation_id and not err.tracking_id -- else errors.describe tells both
        and "; correlation ID " .. err.correlation_id or "") })
end

-- The form of one try, with what all have.
local function complete(source, form, scope, claims)
  form.client_id, form.claims = source.spec.client_id, claims
  form.scope = form.scope or scope
  return form
end

-- One try. call: { source, request, scope, claims, make }.
local function ask(call)
  local source, request = call.source, call.request
  local form, mark = call.make(request.url)
  if not form then
    return nil, mark
  end
  local assertion <close> = form.client_assertion -- luacheck: ignore (made for this try)
  request.form = complete(source, form, call.scope, call.claims)
  if not call.key then
    call.key = throttle.key(source.core, request, mark)
    call.known = throttle.known(source.core, call.key)
  end
  if call.known then
    return nil, errors.with(call.known, { retryable = false })
  end
  return source.core.token.request(request)
end

--- One token for a source { core, name, spec = { cloud, tenant, client_id }, public? }.
--- make(url) gives the form of one try: what proves who we are; and by what to know that proof
--- again, where the form holds an assertion.
---@param source table
---@param scope string
---@param opts { claims: string?, tenant: string?, early: boolean?, ssh_key: arclua.SshKey? }
---@param make fun(url: string): table|nil, string|arclua.Secret|arclua.Error|nil
---@return arclua.Secret|nil, table|arclua.Error
function endpoint.token(source, scope, opts, make)
  local spec, core = source.spec, source.core
  local tenant, err = tenants.choose(spec, opts.tenant)
  if not tenant then
    return nil, err
  end
  local claims
  claims, err = endpoint.claims(core, opts.claims)
  if err then
    return nil, err
  end
  local call = { source = source, scope = scope, claims = claims, make = make,
    request = { url = endpoint.url(spec.cloud, tenant, "token"), ca = spec.cloud.ca,
      ssh_key = opts.ssh_key } }
  local secret, info = endpoint.retry(core, function() return ask(call) end, opts.early)
  if secret then
    return secret, info
  elseif not call.known then
    call.known = explain(source, tenant, scope, info)
    throttle.note(core, call.key, call.known, source.public)
  end
  return nil, call.known
end

return endpoint
