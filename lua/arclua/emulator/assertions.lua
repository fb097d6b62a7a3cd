-- SPDX-License-Identifier: MIT
-- Client assertions, checked as Entra checks them: a token signed with the key of the
-- application's certificate, or by an issuer that the application trusts (federation).
local core = require "arclua.core"
local json = require "arclua.json"
local text = require "arclua.emulator.text"

local assertions = { AUDIENCE = "api://AzureADTokenExchange" }

local LIFETIME = 24 * 60 * 60 -- of a platform's token: the file is not written again

local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
local SKEW = 300 -- seconds that clocks may differ

local function invalid(number, message)
  return { 401, "invalid_client", number, message }
end

-- The first two parts of a token as tables; nil when it is none.
local function parts_of(token)
  local parts = {}
  for part in token:gmatch "[^.]+" do
    local raw = #parts < 2 and core.crypto.unbase64(part)
    parts[#parts + 1] = raw and json.decode(raw) or {}
  end
  if #parts == 3 and type(parts[1]) == "table" and type(parts[2]) == "table" then
    return parts[1], parts[2]
  end
end

local function der_of(pem)
  return core.crypto.unbase64((pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", "")))
end

local function outside_of_time(claims, now)
  local from, to = tonumber(claims.nbf) or now, tonumber(claims.exp) or 0
  if now > to + SKEW or now < from - SKEW then
    return invalid(700024, "Client assertion is not within its valid time range.")
  end
end

local function wrong_claims(state, claims)
  if claims.iss ~= state.client_id or claims.sub ~= state.client_id then
    return invalid(700021, "Client assertion application identifier doesn't match 'client_id' "
      .. "parameter.")
  elseif claims.aud ~= ("%s/%s/oauth2/v2.0/token"):format(state.cloud.authority, state.tenant) then
    return invalid(700023, "Client assertion audience claim does not match Realm issuer.")
  elseif type(claims.jti) ~= "string" then
    return invalid(50027, "JWT token is invalid or malformed.")
  end
end

-- By the thumbprint Entra finds the certificate; a chain must begin with it.
local function wrong_certificate(state, header)
  local pem = state.certificate and state.certificate.cert
  local der = pem and der_of(pem)
  if not der or header["x5t#S256"] ~= core.crypto.base64url(core.crypto.sha256(der)) then
    return invalid(700027, "The certificate with identifier used to sign the client assertion is "
      .. "not registered on application.")
  elseif type(header.x5c) == "table" and header.x5c[1] ~= core.crypto.base64(der) then
    return invalid(700030, "Invalid certificate - the chain does not begin with it.")
  end
end

local function by_certificate(state, token, header, claims)
  local refusal = wrong_certificate(state, header)
  if refusal then
    return refusal
  elseif header.alg ~= "PS256"
    or not core.crypto.jwt_verify_certificate(state.certificate.cert, token) then
    return invalid(700027, "The key used to sign the client assertion was found, and the "
      .. "signature is invalid.")
  end
  return wrong_claims(state, claims) or outside_of_time(claims, state.faults:time())
end

local function wrong_federation(state, claims)
  local trusted = state.federation
  if not trusted or claims.iss ~= trusted.issuer then
    return invalid(700211, ("No matching federated identity record found for presented assertion "
      .. "issuer '%s'."):format(text.plain(tostring(claims.iss), 200)))
  elseif claims.sub ~= trusted.subject then
    return invalid(700213, ("No matching federated identity record found for presented assertion "
      .. "subject '%s'."):format(text.plain(tostring(claims.sub), 200)))
  elseif claims.aud ~= assertions.AUDIENCE then
    return invalid(700212, ("No matching federated identity record found for presented assertion "
      .. "audience '%s'."):format(text.plain(tostring(claims.aud), 200)))
  end
end

local function by_federation(state, token, claims)
  if state.federation and not core.crypto.jwt_verify(state.key, token) then
    return invalid(50012, "Client assertion contains an invalid signature.")
  end
  return wrong_federation(state, claims) or outside_of_time(claims, state.faults:time())
end

--- A token of the platform for the workload that the application trusts. changes: claims laid
--- over the usual ones.
function assertions.issue(state, changes)
  local now = math.floor(state.faults:time())
  local claims = { iss = state.federation.issuer, sub = state.federation.subject,
    aud = assertions.AUDIENCE, iat = now, nbf = now, exp = now + LIFETIME }
  for name, value in pairs(changes or {}) do
    claims[name] = value
  end
  return core.crypto.jwt_sign(state.key,
    json.encode { alg = "RS256", typ = "JWT", kid = state.kid }, json.encode(claims))
end

--- GitHub's service: a token for the audience in the query.
function assertions.github(state, request)
  local bearer = (request.headers.authorization or ""):match "^Bearer (.+)$"
  if not state.federation or not state.federation.bearer
    or not core.crypto.equal(bearer or "", state.federation.bearer) then
    return 401, {}, { message = "the bearer token is not valid" }
  end
  local audience = text.pairs(request.query, true).audience
  local token = assertions.issue(state, { aud = audience or "https://github.com/arclua" })
  state.log:add("oidc", { audience = audience and text.plain(audience, 200) })
  return 200, {}, { count = #token, value = token }
end

--- The refusal of a form with an assertion, nil when it is good.
function assertions.refusal(state, form)
  local header, claims = parts_of(form.client_assertion)
  if form.client_assertion_type ~= TYPE then
    return { 400, "invalid_request", 900144,
      "The request body must contain the following parameter: 'client_assertion_type'." }
  elseif not header then
    return invalid(50027, "JWT token is invalid or malformed.")
  end
  if header["x5t#S256"] or header.alg ~= "RS256" then
    return by_certificate(state, form.client_assertion, header, claims)
  end
  return by_federation(state, form.client_assertion, claims)
end

return assertions
