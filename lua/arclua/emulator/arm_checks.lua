-- SPDX-License-Identifier: MIT
-- What ARM checks before it looks at a resource: api-version, token, registration, throttling.
-- Each check returns nil, or the answer { status, headers, body }.
local claims_challenge = require("arclua.emulator.claims").challenge
local core = require "arclua.core"
local json = require "arclua.json"
local connectivity = require "arclua.emulator.arm_connectivity"
local providers = require "arclua.emulator.arm_providers"
local reply = require "arclua.emulator.arm_reply"
local roles = require "arclua.emulator.roles"
local text = require "arclua.emulator.text"
local throttle = require "arclua.emulator.throttle"

local checks = {}

local MACHINES = "Microsoft.HybridCompute/machines"
local OLDEST_COMPUTE = "2020-08-02"

local function unauthorized(state, code, message, description)
  return { reply.fail(401, code, message, { headers = {
    ["WWW-Authenticate"] = ('Bearer authorization_uri="%s/%s", error="invalid_token", '
      .. 'error_description="%s"'):format(state.cloud.authority, state.tenant, description),
  } }) }
end

-- A token of before a moment, where its client can get another.
local function challenged(state, claims)
  local since, note = state.faults:challenge()
  local header = since and claims_challenge(state, claims, since)
  if not header then
    return nil
  end
  note()
  return { reply.fail(401, "TokenCreatedWithOutdatedPolicies", "The access token was created with "
    .. "outdated policies; a new one is needed.", { headers = { ["WWW-Authenticate"] = header } }) }
end

--- The bearer token: 401s.
function checks.token(state, request)
  local header = request.headers.authorization
  if not header then
    return unauthorized(state, "AuthenticationFailed",
      "Authentication failed. The 'Authorization' header is missing.",
      "The authentication failed because of missing 'Authorization' header.")
  end
  local token = header:match "^[Bb]earer%s+(%S+)$"
  local raw = token and core.crypto.jwt_verify(state.key, token)
  local claims = raw and json.decode(raw)
  if not claims then
    return unauthorized(state, "InvalidAuthenticationToken",
      "The access token is invalid.", "The access token is invalid.")
  end
  local audience = tostring(claims.aud):gsub("/$", "")
  local now = state.faults:time()
  if audience ~= state.cloud.audience and audience ~= state.cloud.resource_manager then
    return unauthorized(state, "InvalidAuthenticationTokenAudience",
      "The access token has been obtained for wrong audience or resource.",
      "The access token has been obtained for wrong audience or resource.")
  elseif claims.tid ~= state.tenant then
    return unauthorized(state, "InvalidAuthenticationTokenTenant",
      "The access token is from the wrong issuer.", "The access token is from the wrong issuer.")
  elseif claims.exp <= now then
    return unauthorized(state, "ExpiredAuthenticationToken",
      ("The access token expiry UTC time '%s' is earlier than current UTC time '%s'."):format(
        os.date("!%m/%d/%Y %I:%M:%S %p", math.floor(claims.exp)),
        os.date("!%m/%d/%Y %I:%M:%S %p", math.floor(now))), "The access token has expired.")
  end
  request.principal = claims.oid or claims.sub or "unknown"
  return challenged(state, claims)
end

--- The api-version parameter: 400s.
function checks.version(request)
  local version = request.query_table["api-version"]
  if not version or version == "" then
    return { reply.fail(400, "MissingApiVersionParameter", "The api-version query parameter "
      .. "(?api-version=) is required for all requests.", { cause = "gateway" }) }
  elseif not version:match "^%d%d%d%d%-%d%d%-%d%d$"
      and not version:match "^%d%d%d%d%-%d%d%-%d%d%-%a+$" then
    return { reply.fail(400, "InvalidApiVersionParameter",
      ("The api-version '%s' is invalid."):format(text.plain(version, 40)),
      { cause = "gateway" }) }
  end
end

local function wrong_version(namespace, kind, version, supported)
  return { reply.fail(400, "InvalidResourceType", ("The resource type '%s' could not be found "
    .. "in the namespace '%s' for api version '%s'. The supported api-versions are '%s'.")
    :format(kind, namespace, version, supported), { cause = "gateway" }) }
end

--- Whether the provider offers the type in this version: 400.
---@param namespace "compute"|"connect"|nil
function checks.type_version(namespace, kind, version)
  if namespace == "compute" and version < OLDEST_COMPUTE then
    return wrong_version("Microsoft.HybridCompute", kind, version, OLDEST_COMPUTE)
  elseif namespace ~= "connect" then
    return nil
  end
  local known = false
  for _, offered in ipairs(connectivity.versions) do
    known = known or offered == version
  end
  if not known or (kind == "serviceConfigurations" and not connectivity.has_services(version)) then
    return wrong_version("Microsoft.HybridConnectivity", kind, version,
      table.concat(connectivity.versions, ","))
  end
end

--- The provider's registration: 404 for reads, 409 for the rest.
function checks.registered(subscription, method)
  if providers.state(subscription, "Microsoft.HybridConnectivity") == "Registered" then
    return nil
  elseif method == "GET" then
    return { reply.fail(404, "NoRegisteredProviderFound", "No registered resource provider "
      .. "found for location 'westeurope' and API version '2023-03-15' for type 'endpoints'. "
      .. "The supported api-versions are ''. The supported locations are ''.",
      { cause = "gateway" }) }
  end
  local message = "The subscription is not registered to use namespace "
    .. "'Microsoft.HybridConnectivity'. See https://aka.ms/rps-not-found for how to register "
    .. "subscriptions."
  return { reply.fail(409, "MissingSubscriptionRegistration", message, { cause = "gateway",
    details = json.array { { code = "MissingSubscriptionRegistration", message = message,
      target = "Microsoft.HybridConnectivity" } } }) }
end

--- The ARM id of the machine, group or subscription that a path is about.
---@param at { s: string?, g: string?, m: string?, scope: string? }
---@return string
function checks.scope(at)
  if at.scope or not at.s then
    return at.scope or "/"
  end
  local scope = "/subscriptions/" .. at.s
  if at.g then
    scope = scope .. "/resourceGroups/" .. at.g
  end
  return at.m and ("%s/providers/%s/%s"):format(scope, at.type or MACHINES, at.m) or scope
end

local VERBS = { GET = "read", PUT = "write", PATCH = "write", DELETE = "delete", POST = "action" }

--- The caller's right to what the route does: 403. It comes before existence.
function checks.right(state, request, route, at)
  local action = route.action and route.action(request.method, at)
    or route.resource and ("%s/%s"):format(route.resource, VERBS[request.method] or "action")
  local scope = checks.scope(at)
  if not action or roles.allowed(state, request.principal, scope, action) then
    return nil
  end
  state.log:add("denied", { action = action, scope = scope })
  return { reply.fail(403, "AuthorizationFailed", ("The client '%s' with object id '%s' does not "
    .. "have authorization to perform action '%s' over scope '%s' or the scope is invalid. If "
    .. "access was recently granted, please refresh your credentials."):format(request.principal,
    request.principal, action, scope), { cause = "gateway" }) }
end

--- Locks: a read-only one forbids all but reading, also actions; 409.
---@param at table  at.machine: the machine, when the path names one
function checks.lock(request, at)
  local lock = at.machine and at.machine.lock
  if not lock or request.method == "GET" or lock ~= "ReadOnly" and request.method ~= "DELETE" then
    return nil
  end
  local scope = at.machine.id
  return { reply.fail(409, "ScopeLocked", ("The scope '%s' cannot perform %s operation because "
    .. "following scope(s) are locked: '%s'. Please remove the lock and try again."):format(
    scope .. request.path:sub(#scope + 1), request.method == "DELETE" and "delete" or "write",
    scope), { cause = "gateway" }) }
end

--- The token buckets: 429. Sets the headers that tell what is left. scope: a subscription's ID, or
--- "tenant".
function checks.throttled(state, scope, request, headers)
  local kind = throttle.kind(request.method)
  local level = scope == "tenant" and "tenant" or "subscription"
  local left, all = state.throttle:take(scope, request.principal, kind)
  local prefix = "x-ms-ratelimit-remaining-" .. level
  headers[prefix .. "-" .. kind] = ("%d"):format(left or 0)
  if not left then
    state.log:add("throttled", { kind = kind, subscription = scope })
    return { reply.fail(429, "SubscriptionRequestsThrottled", ("Number of '%s' requests for "
      .. "%s '%s' actor '%s' exceeded. Please try again after '%d' seconds."):format(
      kind:sub(1, -2), level, scope, request.principal, all),
      { cause = "gateway", headers = { ["Retry-After"] = ("%d"):format(all) } }) }
  end
  headers[prefix .. "-global-" .. kind] = ("%d"):format(all)
end

return checks
