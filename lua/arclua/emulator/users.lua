-- SPDX-License-Identifier: MIT
-- Sign-ins of a person: device codes and refresh tokens of a public client.
local core = require "arclua.core"
local json = require "arclua.json"
local ssh_ca = require "arclua.emulator.ssh_ca"
local text = require "arclua.emulator.text"

local users = {}

-- The Azure CLI's application: the public client that every tenant knows.
local PUBLIC_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
local LETTERS = "BCDFGHJKLMNPQRSTVWXZ" -- of user codes: no words, nothing alike
local ANY_TENANT = { common = true, organizations = true }
local LIFE, INTERVAL = 900, 5 -- seconds, of device codes
local SKEW = 300

local MODES = { query = true, form_post = true }

local DEVICE_GRANTS = { ["urn:ietf:params:oauth:grant-type:device_code"] = true,
  device_code = true }

local function random_text()
  return core.crypto.base64url(core.crypto.random(32))
end

--- What the state of an emulator holds for these sign-ins.
function users.new()
  return { oid = core.crypto.uuid(), name = "Test User", upn = "user@arclua.test",
    principal = "User@arclua.test",
    page_key = random_text(), devices = {}, codes = {}, refresh = {}, interval = INTERVAL,
    life = LIFE }
end

users.CLIENT = PUBLIC_CLIENT

--- A refresh token of the person, as of a sign-in that was made before.
function users.sign_in(state)
  local token = random_text()
  state.users.refresh[token] = { scope = "openid profile offline_access" }
  return token
end

--- The address where a person approves; only who started the emulator is told.
function users.page(state)
  return ("%s/%s/device"):format(state.cloud.authority, state.users.page_key)
end

-- Why this tenant and client have no sign-ins of persons; nil when they have.
local function refusal_of(state, tenant, form)
  if tenant ~= state.tenant and not ANY_TENANT[tenant] then
    return { 400, "invalid_request", 90002, ("Tenant '%s' not found. Check to make sure you "
      .. "have the correct tenant ID and are signing into the correct cloud."):format(
      text.plain(tenant, 100)) }
  elseif form.client_id == state.client_id then
    return { 401, "invalid_client", 7000218, "The request body must contain the following "
      .. "parameter: 'client_assertion' or 'client_secret'." }
  elseif form.client_id ~= PUBLIC_CLIENT then
    return { 400, "unauthorized_client", 700016, ("Application with identifier '%s' was not "
      .. "found in the directory."):format(text.plain(form.client_id or "", 100)) }
  end
end

local function user_code(devices)
  while true do
    local code = core.crypto.random(9):gsub(".", function(byte)
      local at = byte:byte() % #LETTERS + 1
      return LETTERS:sub(at, at)
    end)
    if not users.by_code(devices, code) then
      return code
    end
  end
end

--- The sign-in under way that has this user code; nil = none.
function users.by_code(devices, code)
  code = code:upper():gsub("[^%u]", "")
  for _, device in pairs(devices) do
    if device.user_code == code then
      return device
    end
  end
end

--- Answers POST /devicecode: a body | nil, refusal.
function users.device_code(state, tenant, form, resource)
  local refusal = refusal_of(state, tenant, form)
  if refusal then
    return nil, refusal
  end
  local u = state.users
  local code = random_text()
  local device = { user_code = user_code(u.devices), scope = form.scope, resource = resource,
    ends = state.faults:time() + u.life, interval = u.interval }
  u.devices[code] = device
  local where = state.cloud.authority .. "/common/oauth2/deviceauth"
  state.log:add("device-code", { user_code = device.user_code, claims = form.claims })
  return { device_code = code, user_code = device.user_code, verification_uri = where,
    expires_in = math.floor(u.life), interval = u.interval,
    message = ("To sign in, use a web browser to open the page %s and enter the code %s to "
      .. "authenticate."):format(where, device.user_code) }
end

local function sign(state, claims)
  local header = json.encode { alg = "RS256", typ = "JWT", kid = state.kid }
  local now = math.floor(state.faults:time())
  claims.iat, claims.tid, claims.ver = now, state.tenant, "2.0"
  claims.nbf = claims.nbf or now - SKEW
  claims.iss = ("%s/%s/v2.0"):format(state.cloud.authority, state.tenant)
  claims.oid, claims.sub = state.users.oid, state.users.oid
  return core.crypto.jwt_sign(state.key, header, json.encode(claims))
end

-- The body with the certificate in place of its token | nil, refusal.
local function instead(body, certificate, refusal)
  if not certificate then
    return nil, refusal
  end
  for name, value in pairs(certificate) do
    body[name] = value
  end
  return body
end

-- The answer to a person who is signed in: tokens, and a new refresh token. form.more: what its
-- claims lay over those of the token.
local function tokens(state, form, resource, scope, lifetime, nonce)
  local u, ends = state.users, math.floor(state.faults:time() + lifetime)
  local body = { token_type = "Bearer", expires_in = math.floor(state.token_lifetime),
    scope = resource .. "/user_impersonation " .. resource .. "/.default",
    access_token = sign(state, { aud = resource, exp = ends, appid = PUBLIC_CLIENT,
      appidacr = "0", idtyp = "user", upn = u.upn, scp = "user_impersonation",
      nbf = form.more.nbf, xms_cc = form.more.xms_cc }) }
  if scope:find("openid", 1, true) then
    body.id_token = sign(state, { aud = PUBLIC_CLIENT, exp = ends, name = u.name,
      nonce = nonce,
      preferred_username = u.upn })
  end
  if scope:find("offline_access", 1, true) then
    body.refresh_token = random_text()
    u.refresh[body.refresh_token] = { scope = scope }
  end
  state.log:add("token", { client_id = PUBLIC_CLIENT, resource = resource, user = u.upn })
  if ssh_ca.wants(form) then
    return instead(body, ssh_ca.answer(state, form, ssh_ca.people(state).person))
  end
  return body
end

-- Why a device's poll gets no token yet, or never.
local function waiting(device, now)
  if now >= device.ends then
    return { 400, "expired_token", 70020, "The provided value for the input parameter "
      .. "'device_code' is not valid. This device code has expired." }
  elseif device.answer == "decline" then
    return { 400, "authorization_declined", 70000, "The end user declined the request." }
  elseif device.asked and now - device.asked < device.interval - 1 then
    device.interval = device.interval + INTERVAL
    return { 400, "slow_down", 70016, "Polling too often." }
  elseif device.answer ~= "approve" then
    return { 400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization "
      .. "is pending. Continue polling." }
  end
end

local function poll(state, form, _, lifetime)
  local code = form.device_code or form.code or ""
  local device = state.users.devices[code]
  if not device then
    return nil, { 400, "bad_verification_code", 70000, "The device code is not known." }
  end
  local now = state.faults:time()
  local refusal = waiting(device, now)
  device.asked = now
  if refusal then
    return nil, refusal
  end
  state.users.devices[code] = nil -- good for one sign-in
  return tokens(state, form, device.resource, device.scope, lifetime)
end

local function refresh(state, form, resource, lifetime)
  local held = state.users.refresh[form.refresh_token or ""]
  if not held or not resource then
    return nil, { 400, "invalid_grant", 70000, "The provided value for the input parameter "
      .. "'refresh_token' is not valid." }
  elseif held.revoked then
    return nil, { 400, "invalid_grant", 50173, "The provided grant has expired due to it being "
      .. "revoked, a fresh auth token is needed.", nil, "bad_token" }
  end
  return tokens(state, form, resource, form.scope, lifetime)
end

--- Ends all sign-ins: no refresh token that was given out is good any more.
function users.revoke(state)
  for _, held in pairs(state.users.refresh) do
    held.revoked = true
  end
end

--- What a browser is sent back with: the address and the fields; or nil and what is wrong with the
--- request.
function users.authorize(state, tenant, query)
  local refusal = refusal_of(state, tenant, query)
  if refusal then
    return nil, refusal[4]
  elseif not (query.redirect_uri or ""):find "^http://localhost:?%d*/?$" then
    return nil, "AADSTS50011: The redirect URI does not match those of the application."
  elseif not MODES[query.response_mode or "query"] then
    return nil, "AADSTS900144: response_mode must be query or form_post."
  elseif query.response_type ~= "code" or query.code_challenge_method ~= "S256"
    or not query.code_challenge or not query.scope then
    return nil, "AADSTS900144: response_type, scope and code_challenge (S256) are needed."
  end
  local fields = { { "state", query.state or "" } }
  if query.answer == "decline" then
    fields[2] = { "error", "access_denied" }
    fields[3] = { "error_description", "The user declined the request." }
    return query.redirect_uri, fields
  end
  local code = random_text()
  state.users.codes[code] = { challenge = query.code_challenge, nonce = query.nonce,
    redirect_uri = query.redirect_uri, ends = state.faults:time() + LIFE }
  fields[2] = { "code", code }
  return query.redirect_uri, fields
end

local function by_code(state, form, resource, lifetime)
  local held = state.users.codes[form.code or ""]
  state.users.codes[form.code or ""] = nil -- good for one try
  if not held or not resource or state.faults:time() >= held.ends
    or held.redirect_uri ~= form.redirect_uri then
    return nil, { 400, "invalid_grant", 70008, "The provided authorization code has expired or "
      .. "is not of this request." }
  elseif core.crypto.base64url(core.crypto.sha256(form.code_verifier or "")) ~= held.challenge then
    return nil, { 400, "invalid_grant", 501481, "The code_verifier does not match the "
      .. "code_challenge supplied in the authorization request." }
  end
  return tokens(state, form, resource, form.scope, lifetime, held.nonce)
end

local GRANTS = { refresh_token = refresh, authorization_code = by_code }
for name in pairs(DEVICE_GRANTS) do
  GRANTS[name] = poll
end

--- Whether a form asks for a person's tokens.
function users.wants(form)
  return GRANTS[form.grant_type or ""] ~= nil
end

--- Answers such a form: a body | nil, refusal.
function users.token(state, tenant, form, resource, lifetime)
  local refusal = refusal_of(state, tenant, form)
  if refusal then
    return nil, refusal
  end
  local body
  body, refusal = GRANTS[form.grant_type](state, form, resource, lifetime)
  if body and form.client_info == "1" then -- Microsoft's libraries name accounts by it
    body.client_info = core.crypto.base64url(json.encode { uid = state.users.oid,
      utid = state.tenant })
  end
  return body, refusal
end

return users
