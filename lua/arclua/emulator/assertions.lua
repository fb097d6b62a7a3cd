-- SPDX-License-Identifier: MIT
-- Client assertions: a token signed with the key of the application's certificate, checked as
-- Entra checks it.
local core = require "arclua.core"
local json = require "arclua.json"

local assertions = {}

local TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
local SKEW = 300 -- seconds that clocks may differ

local function invalid(number, message)
  return { 401, "invalid_client", number, message }
end

-- The first two parts of a token as tables; nil when it is none.
local function parts_of(token)
  local parts = {}
  for part in token:gmatch "[^.]+" do
    local text = #parts < 2 and core.crypto.unbase64(part)
    parts[#parts + 1] = text and json.decode(text) or {}
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

--- The refusal of a form with an assertion, nil when it is good.
function assertions.refusal(state, form)
  local header, claims = parts_of(form.client_assertion)
  if form.client_assertion_type ~= TYPE then
    return { 400, "invalid_request", 900144,
      "The request body must contain the following parameter: 'client_assertion_type'." }
  elseif not header then
    return invalid(50027, "JWT token is invalid or malformed.")
  end
  return by_certificate(state, form.client_assertion, header, claims)
end

return assertions
