-- SPDX-License-Identifier: MIT
-- Entra's refusals by number: which status, word and hint come with each, for those that do not
-- arise by themselves (fault at=entra,kind=answer,number=N).
local aadsts = {}

-- Number -> { error, message, suberror?, status? (400) }.
local ROWS = {
  [16000] = { "interaction_required", "Either multiple user identities are available for the "
    .. "current request or selected account is not supported for the scenario." },
  [50011] = { "invalid_request", "The redirect URI specified in the request does not match." },
  [50012] = { "invalid_client", "Client assertion contains an invalid signature.", status = 401 },
  [50013] = { "invalid_grant", "Assertion failed signature validation." },
  [50020] = { "invalid_grant", "User account does not exist in tenant and cannot access the "
    .. "application in that tenant." },
  [50027] = { "invalid_client", "JWT token is invalid or malformed.", status = 401 },
  [50034] = { "invalid_grant", "The user account does not exist in the directory." },
  [50053] = { "invalid_grant", "The account is locked, you've tried to sign in too many times." },
  [50055] = { "invalid_grant", "The password is expired.", "user_password_expired" },
  [50057] = { "invalid_grant", "The user account is disabled." },
  [50058] = { "login_required", "A silent sign-in request was sent but no user is signed in." },
  [50059] = { "invalid_request", "No tenant-identifying information found in the request." },
  [50072] = { "interaction_required", "Due to a configuration change made by your administrator, "
    .. "you must enroll in multi-factor authentication to access the resource.", "basic_action" },
  [50074] = { "interaction_required", "Strong Authentication is required.", "basic_action" },
  [50076] = { "interaction_required", "Due to a configuration change made by your administrator, "
    .. "or because you moved to a new location, you must use multi-factor authentication to "
    .. "access the resource.", "basic_action" },
  [50078] = { "interaction_required", "Presented multi-factor authentication has expired due to "
    .. "policies configured by your administrator.", "basic_action" },
  [50079] = { "interaction_required", "Due to a configuration change made by your administrator, "
    .. "you must enroll in multi-factor authentication.", "basic_action" },
  [50089] = { "invalid_grant", "Flow token expired.", "token_expired" },
  [50097] = { "interaction_required", "Device authentication is required.",
    "device_authentication_failed" },
  [50105] = { "invalid_grant", "The signed in user is not assigned to a role for the "
    .. "application." },
  [50126] = { "invalid_grant", "Error validating credentials due to invalid username or "
    .. "password." },
  [50128] = { "invalid_request", "Invalid domain name - no tenant-identifying information found." },
  [50131] = { "interaction_required", "Device is not in required device state.", "message_only" },
  [50132] = { "invalid_grant", "The session is not valid due to password expiration or recent "
    .. "password change.", "bad_token" },
  [50133] = { "invalid_grant", "Session is invalid due to expiration or recent password change.",
    "bad_token" },
  [50140] = { "interaction_required", "This error occurred due to 'Keep me signed in' interrupt "
    .. "when the user was signing-in." },
  [50144] = { "invalid_grant", "User's Active Directory password has expired.",
    "user_password_expired" },
  [50148] = { "invalid_grant", "The code_verifier does not match the code_challenge supplied in "
    .. "the authorization request for PKCE." },
  [50158] = { "interaction_required", "External security challenge not satisfied.",
    "basic_action" },
  [50173] = { "invalid_grant", "The provided grant has expired due to it being revoked, a fresh "
    .. "auth token is needed.", "bad_token" },
  [50194] = { "invalid_request", "Application is not configured as a multi-tenant application." },
  [50196] = { "invalid_grant", "The server terminated an operation because it encountered a client "
    .. "request loop." },
  [53000] = { "interaction_required", "Device is not in required device state: compliant.",
    "message_only" },
  [53001] = { "interaction_required", "Device is not in required device state: domain_joined.",
    "message_only" },
  [53003] = { "interaction_required", "Access has been blocked by Conditional Access policies. The "
    .. "access policy does not allow token issuance.", "message_only" },
  [53004] = { "interaction_required", "Proof up of multi-factor authentication is required.",
    "basic_action" },
  [54005] = { "invalid_grant", "OAuth2 Authorization code was already redeemed." },
  [65001] = { "invalid_grant", "The user or administrator has not consented to use the "
    .. "application.", "consent_required" },
  [65002] = { "invalid_grant", "Consent between first party application and first party resource "
    .. "must be configured via preauthorization." },
  [65004] = { "access_denied", "User declined to consent to access the app." },
  [70001] = { "unauthorized_client", "The application was not found in the directory." },
  [70008] = { "invalid_grant", "The provided authorization code or refresh token has expired due "
    .. "to inactivity.", "token_expired" },
  [70011] = { "invalid_scope", "The provided value for the input parameter 'scope' is not valid." },
  [70016] = { "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. "
    .. "Continue polling." },
  [70018] = { "bad_verification_code", "Invalid verification code." },
  [70019] = { "expired_token", "Verification code expired." },
  [70020] = { "expired_token", "The provided value for the input parameter 'device_code' is not "
    .. "valid. This device code has expired." },
  [70021] = { "invalid_client", "No matching federated identity record found for presented "
    .. "assertion.", status = 401 },
  [70043] = { "invalid_grant", "The refresh token has expired or is invalid due to sign-in "
    .. "frequency checks by Conditional Access.", "token_expired" },
  [90002] = { "invalid_request", "Tenant not found." },
  [90013] = { "invalid_request", "Invalid input received from the user." },
  [90014] = { "invalid_request", "The required field is missing." },
  [90019] = { "invalid_request", "No tenant-identifying information found in the request." },
  [90023] = { "invalid_request", "Invalid STS request." },
  [90033] = { "temporarily_unavailable", "A transient error has occurred. Please try again.",
    status = 503 },
  [90038] = { "temporarily_unavailable", "Tenant request is being processed by another region.",
    status = 503 },
  [90055] = { "temporarily_unavailable", "The tenant has too many requests.", status = 429 },
  [90072] = { "invalid_grant", "User account from identity provider does not exist in tenant and "
    .. "cannot access the application in that tenant." },
  [90094] = { "consent_required", "Admin consent is required.", "consent_required" },
  [90123] = { "invalid_request", "The token can't be issued because the identity or claim issuance "
    .. "provider denied the request." },
  [100007] = { "invalid_request", "Only managed identities and Microsoft internal service "
    .. "identities are supported." },
  [500011] = { "invalid_resource", "The resource principal was not found in the tenant." },
  [501481] = { "invalid_grant", "The code_verifier does not match the code_challenge supplied in "
    .. "the authorization request." },
  [530034] = { "interaction_required", "A delegated administrator was blocked from accessing the "
    .. "tenant.", "message_only" },
  [530035] = { "interaction_required", "Access has been blocked by security defaults.",
    "message_only" },
  [650052] = { "invalid_grant", "The app is trying to access a service that your organization "
    .. "lacks a service principal for." },
  [650057] = { "invalid_resource", "Invalid resource. The client has requested access to a "
    .. "resource which is not listed in the requested permissions." },
  [700016] = { "unauthorized_client", "Application was not found in the directory." },
  [700021] = { "invalid_client", "Client assertion application identifier doesn't match "
    .. "'client_id' parameter.", status = 401 },
  [700023] = { "invalid_client", "Client assertion audience claim does not match Realm issuer.",
    status = 401 },
  [700024] = { "invalid_client", "Client assertion is not within its valid time range.",
    status = 401 },
  [700025] = { "invalid_client", "Client is public so neither 'client_assertion' nor "
    .. "'client_secret' should be presented.", status = 401 },
  [700027] = { "invalid_client", "The certificate with identifier used to sign the client "
    .. "assertion is not registered on application.", status = 401 },
  [700030] = { "invalid_client", "Invalid certificate - subject name in certificate is not "
    .. "authorized.", status = 401 },
  [700082] = { "invalid_grant", "The refresh token has expired due to inactivity.",
    "token_expired" },
  [700084] = { "invalid_grant", "The refresh token was issued to a single page app (SPA), and "
    .. "therefore has a fixed, limited lifetime.", "token_expired" },
  [700211] = { "invalid_client", "No matching federated identity record found for presented "
    .. "assertion issuer.", status = 401 },
  [700212] = { "invalid_client", "No matching federated identity record found for presented "
    .. "assertion audience.", status = 401 },
  [700213] = { "invalid_client", "No matching federated identity record found for presented "
    .. "assertion subject.", status = 401 },
  [900023] = { "invalid_request", "Specified tenant identifier is neither a valid DNS name, nor a "
    .. "valid external domain." },
  [900144] = { "invalid_request", "The request body must contain the parameter." },
  [1002012] = { "invalid_scope", "The provided value for scope is not valid. Client credential "
    .. "flows must have a scope value with /.default suffixed to the resource identifier." },
  [7000112] = { "unauthorized_client", "Application is disabled." },
  [7000215] = { "invalid_client", "Invalid client secret provided.", status = 401 },
  [7000218] = { "invalid_client", "The request body must contain the following parameter: "
    .. "'client_assertion' or 'client_secret'.", status = 401 },
  [7000222] = { "invalid_client", "The provided client secret keys are expired.", status = 401 },
  [7002131] = { "invalid_client", "No matching federated identity record found for presented "
    .. "assertion claims matching expression.", status = 401 },
  [9001023] = { "invalid_request", "The grant type is not supported over the /common or /consumers "
    .. "endpoints." },
}

-- What a new sign-in must bring, for those that a person can do something about.
local CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["%s"]}}}'
local POLICY = "a5c1e000-0000-4000-8000-00000000ca01"

--- What a refusal of this number is: { status, error, message, suberror?, claims? }; nil = unknown.
function aadsts.find(number)
  local row = ROWS[number]
  if not row then
    return nil
  end
  return { status = row.status or 400, error = row[1], message = row[2], suberror = row[3],
    claims = row[1] == "interaction_required" and CLAIMS:format(POLICY) or nil }
end

return aadsts
