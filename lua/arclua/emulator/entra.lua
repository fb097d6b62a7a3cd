-- SPDX-License-Identifier: MIT
-- The token endpoint: client credentials of one application in one tenant, and sign-ins of one
-- person (emulator/users.lua).
local aadsts = require "arclua.emulator.aadsts"
local assertions = require "arclua.emulator.assertions"
local claims_of = require("arclua.emulator.claims").of
local core = require "arclua.core"
local discovery = require "arclua.emulator.discovery"
local identity = require "arclua.emulator.identity"
local json = require "arclua.json"
local ssh_ca = require "arclua.emulator.ssh_ca"
local text = require "arclua.emulator.text"
local users = require "arclua.emulator.users"
local users_page = require "arclua.emulator.users_page"

local entra = {}

local RESERVED = { openid = true, profile = true, offline_access = true }
local LOGIN_APP = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0"
local SKEW = 300 -- seconds that a token is valid before it was made

local function stamp(seconds)
  return os.date("!%Y-%m-%d %H:%M:%SZ", math.floor(seconds))
end

local function refuse(status, name, number, message, retry_after, suberror, claims)
  local now = stamp(core.time())
  local trace, correlation = core.crypto.uuid(), core.crypto.uuid()
  return status, {
    ["Retry-After"] = retry_after and ("%d"):format(retry_after) or nil,
  }, {
    error = name,
    suberror = suberror,
    claims = claims,
    error_description = ("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s"):format(
      number, message, trace, correlation, now),
    error_codes = json.array { number },
    timestamp = now,
    trace_id = trace,
    correlation_id = correlation,
    error_uri = ("https://login.arc.localhost/error?code=%d"):format(number),
  }
end

-- Resources with and without a slash at the end.
local function is_arm(cloud, resource)
  local bare = resource:gsub("/$", "")
  return bare == cloud.audience or bare == cloud.resource_manager
end

-- "Azure Linux VM Sign-In", by its ID, and as it was named before.
local function is_login(cloud, resource)
  return resource == LOGIN_APP or resource .. "/.default" == cloud.ssh_scope
end

-- The one resource that a scope asks for, or the refusal. certificate: one is asked for; nil: that
-- comes later.
local function resource_of(cloud, scope, certificate)
  local wanted = {}
  for word in scope:gmatch "%S+" do
    if not RESERVED[word] then
      wanted[#wanted + 1] = word
    end
  end
  if #wanted ~= 1 then
    return nil, { 400, "invalid_scope", 70011,
      "The provided value for the input parameter 'scope' is not valid." }
  end
  local resource = wanted[1]:match "^(.*)/%.default$"
  if not resource then
    return nil, { 400, "invalid_scope", 1002012, ("The provided value for scope %s is not "
      .. "valid. Client credential flows must have a scope value with /.default suffixed to "
      .. "the resource identifier."):format(text.plain(wanted[1], 200)) }
  end
  if not (certificate ~= true and is_arm(cloud, resource)
    or certificate ~= false and is_login(cloud, resource)) then
    return nil, { 400, "invalid_resource", 500011, ("The resource principal named %s was not "
      .. "found in the tenant."):format(text.plain(resource, 200)) }
  end
  return resource
end

local function check_client(state, form)
  local app = state.apps[form.client_id or ""]
  if not form.grant_type then
    return { 400, "invalid_request", 900144,
      "The request body must contain the following parameter: 'grant_type'." }
  elseif form.grant_type ~= "client_credentials" then
    return { 400, "unsupported_grant_type", 70003,
      "The app requested an unsupported grant type." }
  elseif form.client_id ~= state.client_id and not app then
    return { 400, "unauthorized_client", 700016, ("Application with identifier '%s' was not "
      .. "found in the directory."):format(text.plain(form.client_id or "", 100)) }
  elseif form.client_assertion then
    return assertions.refusal(state, form)
  elseif not form.client_secret then
    return { 401, "invalid_client", 7000218, "The request body must contain the following "
      .. "parameter: 'client_assertion' or 'client_secret'." }
  elseif not core.crypto.equal(form.client_secret, app and app.secret
    or state.client_secret) then
    return { 401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the "
      .. "secret being sent in the request is the client secret value, not the client secret "
      .. "ID." }
  end
end

local function issue(state, resource, lifetime, more, app)
  app = app or state
  local now = math.floor(state.faults:time())
  more = more or {}
  local header = json.encode { alg = "RS256", typ = "JWT", kid = state.kid }
  local claims = json.encode {
    aud = resource, iss = ("%s/%s/v2.0"):format(state.cloud.authority, state.tenant), iat = now,
    nbf = more.nbf or now - SKEW, xms_cc = more.xms_cc, exp = now + math.floor(lifetime),
    appid = app.client_id, appidacr = "1", idtyp = "app", oid = app.object_id,
    sub = app.object_id,
    tid = state.tenant, uti = core.crypto.base64url(core.crypto.random(16)), ver = "1.0",
  }
  return core.crypto.jwt_sign(state.key, header, claims)
end

identity.issue = issue

-- A person's request; ask(state, tenant, form, resource, lifetime) gives a body | nil, refusal.
local function for_user(state, tenant, request, form, ask)
  local resource, body
  local more, refusal = claims_of(form.claims)
  if more and form.scope then
    resource, refusal = resource_of(state.cloud, form.scope, ssh_ca.wants(form) or nil)
  end
  if not refusal then
    form.more = more
    body, refusal = ask(state, tenant, form, resource, request.lifetime or state.token_lifetime)
  end
  if refusal then
    state.log:add("token-refused", { number = refusal[3], error = refusal[2] })
    return refuse(table.unpack(refusal, 1, 6))
  end
  return 200, { ["Cache-Control"] = "no-store" }, body
end

local function device_code(state, tenant, request)
  local form = text.pairs(request.body, true, true)
  if not form.scope then
    return refuse(400, "invalid_request", 900144,
      "The request body must contain the following parameter: 'scope'.")
  end
  return for_user(state, tenant, request, form, users.device_code)
end

local function token(state, tenant, request)
  local form = text.pairs(request.body, true, true)
  if users.wants(form) then
    return for_user(state, tenant, request, form, users.token)
  end
  if tenant ~= state.tenant then
    return refuse(400, "invalid_request", 90002, ("Tenant '%s' not found. Check to make sure "
      .. "you have the correct tenant ID and are signing into the correct cloud."):format(
      text.plain(tenant, 100)))
  end
  local refusal = check_client(state, form)
  if not refusal and not form.scope then
    refusal = { 400, "invalid_request", 900144,
      "The request body must contain the following parameter: 'scope'." }
  end
  local resource, more
  if not refusal then
    resource, refusal = resource_of(state.cloud, form.scope, ssh_ca.wants(form))
  end
  local certificate
  if not refusal and ssh_ca.wants(form) then
    certificate, refusal = ssh_ca.answer(state, form, ssh_ca.people(state).application)
  end
  if not refusal then
    more, refusal = claims_of(form.claims)
  end
  if refusal then
    state.log:add("token-refused", { number = refusal[3] })
    return refuse(table.unpack(refusal))
  elseif certificate then
    return 200, {}, certificate
  end
  local lifetime = state.token_lifetime
  local jwt = issue(state, resource, request.lifetime or lifetime, more,
    state.apps[form.client_id])
  state.log:add("token", { client_id = form.client_id, resource = resource,
    claims = form.claims })
  return 200, {}, { token_type = "Bearer", expires_in = math.floor(lifetime),
    ext_expires_in = math.floor(lifetime), access_token = jwt }
end

local function openid_configuration(state, tenant)
  local body, refusal = discovery.tenant(state, tenant)
  if not body then
    return refuse(table.unpack(refusal))
  end
  return 200, {}, body
end

local function instance(state, tenant, request)
  local body, refusal = discovery.instance(state, text.pairs(request.query or "", false, true))
  if tenant ~= "common" then
    return 404, {}, ""
  elseif not body then
    return refuse(table.unpack(refusal))
  end
  return 200, {}, body
end

local function keys(state)
  return 200, {}, discovery.keys(state)
end

-- A number of Entra's list brings its usual status and words, unless the fault has others.
local function answer_of(fault)
  local number = fault.number or 90033
  local usual = aadsts.find(number) or { status = 400, error = "invalid_request",
    message = "The request was refused." }
  if not fault.number then
    usual = { status = 500, error = "server_error", message = usual.message }
  end
  return refuse(fault.status or usual.status, fault.error or usual.error, number,
    fault.message or usual.message, fault.retry_after, usual.suberror, usual.claims)
end

local ROUTES = {
  ["POST /oauth2/v2.0/token"] = token,
  ["POST /oauth2/v2.0/devicecode"] = device_code,
  ["GET /oauth2/deviceauth"] = users_page.elsewhere,
  ["GET /oauth2/v2.0/authorize"] = users_page.authorize,
  ["POST /oauth2/v2.0/authorize"] = users_page.authorized,
  ["GET /device"] = users_page.ask,
  ["POST /device"] = users_page.answer,
  ["GET /v2.0/.well-known/openid-configuration"] = openid_configuration,
  ["GET /discovery/instance"] = instance,
  ["GET /discovery/v2.0/keys"] = keys,
}

--- Answers one request: status, headers, body (a table, written as JSON); or nil and the fault
--- to act out.
function entra.handle(state, request)
  local fault = state.faults:take("entra", nil, request)
  if fault and fault.kind == "answer" then
    return answer_of(fault)
  elseif fault and fault.kind == "short-lived" then
    request.lifetime = fault.lifetime or 0
  elseif fault then
    return nil, fault
  end
  if request.path == "/oidc/token" and request.method == "GET" then
    return assertions.github(state, request)
  end
  local tenant, rest = request.path:match "^/([^/]+)(/.*)$"
  local route = ROUTES[request.method .. " " .. (rest or "")]
  if not route then
    return 404, {}, ""
  end
  return route(state, tenant, request)
end

return entra
