-- SPDX-License-Identifier: MIT
---@meta arclua.core
-- The primitives of the network: HTTP, tokens, ARM, the relay.
local core = {}
---------------------------------------------------------------- HTTP (lhttp.c)
core.http = {}
---@class arclua.HttpRequest
---@field url string                     https only, but http for loopback and link-local addresses
---@field method string?                 default GET
---@field headers table<string,string|arclua.Secret|table>?  a Secret is sent as "Bearer <secret>", { prefix, Secret } as they are
---@field body string|arclua.Secret|nil
---@field timeout number?                whole exchange, default 30
---@field connect_timeout number?        default 10
---@field max_body integer?              default 8 MiB; larger answers fail with http.too-large
---@field ca string?                     PEM file added to the trust store for this request
--- One exchange; a status of 400 and more is an answer, not an error. Header names come in lower case.
---@param opts arclua.HttpRequest
---@return { status: integer, headers: table<string,string>, body: string }|nil, arclua.Error?
function core.http.request(opts) end
--- Ends the connections that are kept for further requests.
function core.http.close_idle() end
---------------------------------------------------------------- Entra, ARM (lazure.c, on core/azure)
core.token = {}
--- One POST of a form to a token endpoint, or without a form a GET. form values: strings or Secrets; headers: see http.request.
--- assertion: the answer is {"value": token}, as GitHub's service gives; info then tells only when it came.
--- ssh_key: it is certified: the three fields of token_type=ssh-cert are added, and the certificate, checked, is the value.
--- Errors then also: protocol (entra.bad-certificate), auth (entra.no-certificate: another token came; entra.certificate-time).
---@param opts { url: string, form: table<string,string|arclua.Secret>?, headers: table?, assertion: boolean?, ssh_key: arclua.SshKey?, ca: string?, timeout: number? }
---@return arclua.Secret|arclua.SshCertificate|nil secret, table|arclua.Error info   { expires_on=, refresh_on=?, token_type=, scope=?, refresh_token=Secret?, id_token=Secret?,
---   client_id=?, object_id=?, msi_res_id=? (of a managed identity), skew=? (seconds that our clock is ahead) }; a refusal's error has claims=?, correlation_id=?
function core.token.request(opts) end
--- One POST that asks for a device code; the secret is the code that is polled with.
---@param opts { url: string, form: table<string,string|arclua.Secret>, ca: string?, timeout: number? }
---@return arclua.Secret|nil, table|arclua.Error   { user_code=, verification_uri=, message=?, interval=, expires_on= }
function core.token.device(opts) end
--- Runs a command (argv, no shell) whose stdout is az-like JSON {accessToken, expiresOn|expires_on, tenant, subscription}.
--- The error's message holds stderr, tokens redacted; code notfound when the program is absent.
---@param opts { args: string[], timeout: number? }
---@return arclua.Secret|nil, table|arclua.Error   { expires_on=, tenant=?, subscription=? }
function core.token.command(opts) end
--- The unverified claims of a JWT that may be shown: { tid=, oid=, appid=, upn=, aud=, exp=, iss=, sub=, nonce=, preferred_username= } | nil.
function core.token.claims(secret) end
--- The claims of a request whose sender can answer challenges (CP1), with a challenge's own: JSON | nil (it is no object).
---@param challenge string?  JSON
---@return string|nil
function core.token.declare(challenge) end

--- What a request to the loopback port says of the sign-in that has this state: the status to answer with (200, 400,
--- 404, 405, 500), and with 200 the code, or nil and what Entra says.
---@param request arclua.Secret
---@param port integer
---@param state string
---@return integer, arclua.Secret?, arclua.Error?
function core.token.redirect(request, port, state) end
--- The claims that a WWW-Authenticate header asks for (Bearer), as JSON text; nil: none.
---@param header string
---@return string?
function core.token.challenge_claims(header) end
--- The key that the Azure Arc agent's challenge names: of a file right in directory, no link, of at most 4096 bytes,
--- the agent's own. Errors: config, limit, notfound, denied (this user may not read it).
---@param challenge string   WWW-Authenticate
---@param directory string
---@return arclua.Secret|nil, arclua.Error?
function core.token.arc_key(challenge, directory) end
--- A secret as a JSON string with its quotes: Secret | nil, err.
function core.token.quote(secret) end

---------------------------------------------------------------- stored sign-ins (lstore.c, on core/azure/store.c)
--- One file in a directory of ours (0700): JSON, 0600, replaced as a whole, changed under a lock. A change while another
--- process makes one fails with code conflict, at once: try again. Errors: config (others may read or write it, damaged), io.
core.store = {}
--- Everything but the secrets.
---@return { default: string?, accounts: table<string,string>[] }|nil, arclua.Error?   every account with its id
function core.store.read(dir) end
--- The secret of an account: secret | nil (it has none) | nil, err (cred.locked: it is encrypted). key: of core.keyring.key.
function core.store.secret(dir, id, key) end
--- Adds or replaces an account; the first one, and with make_default any, becomes the default. key: encrypts the secret.
---@param fields table<string,string>
---@param secret arclua.Secret?
---@return true|nil, arclua.Error?
function core.store.put(dir, id, fields, secret, make_default, key) end
function core.store.renew(dir, id, secret, key) end  -- another secret for an account that is there: boolean | nil, err
function core.store.remove(dir, id) end           -- boolean | nil, err
function core.store.choose(dir, id) end           -- makes it the default: boolean | nil, err

---------------------------------------------------------------- kept relay credentials (lrelaycache.c, on core/azure/relaycache.c)
--- One file (0600) for each key in a directory of ours (0700); a key says whose and for what they are.
core.relaycache = {}
--- What is kept, and the port it leads to: relayinfo, port | nil (nothing) | nil, err (something that cannot be used).
---@return arclua.RelayInfo|nil, integer|arclua.Error|nil
function core.relaycache.read(dir, key) end
--- Keeps credentials that have an expiry.
---@return true|nil, arclua.Error?
function core.relaycache.write(dir, key, info, port) end
function core.relaycache.remove(dir, key) end     -- true | nil, err
function core.relaycache.prune(dir, seconds) end  -- removes what was written longer ago: true | nil, err
core.msal = {}
--- The newest refresh token of a user in a cache file of Microsoft's libraries (MSAL), which is only read. hosts: the cloud's
--- authority and its other names. Errors: notfound (no file, no such user), protocol (no such cache, or just being written),
--- denied, limit.
---@param opts { username: string, tenant: string?, home_tenant: string?, client_id: string, hosts: string[] }
---@return arclua.Secret|nil, arclua.Error?
function core.msal.refresh_token(path, opts) end

core.keyring = {}
--- The key that the desktop's secret service keeps for the store of that directory; create: makes one where there is none.
--- The service may ask its user. Errors: notfound (no desktop session, no libsecret), unavailable (the service refuses), timeout.
---@param opts { create: boolean?, timeout: number? }?  timeout: default 60
---@return arclua.Secret|nil, arclua.Error?   nil alone: there is none
function core.keyring.key(dir, opts) end
--- Takes it out of the service again. Errors: as core.keyring.key.
---@param opts { timeout: number? }?
---@return true|nil, arclua.Error?
function core.keyring.forget(dir, opts) end

core.arm = {}
---@class arclua.ArmPage
---@field status integer
---@field next_link string?
---@field retry_after number?
---@field request_id string?
---@field correlation_id string?
---@field headers table<string,string>   x-ms-ratelimit-*, x-ms-user-quota-*, x-ms-tenant-*, location,
---   azure-asyncoperation, etag, www-authenticate only
--- One request. value: the decoded JSON (null = absent, integers stay integers), true when there is no body.
--- An error has status, reason by ARM's error.code, message "CODE: text", retry_after, tracking_id = x-ms-request-id (of ours
--- when ARM did not answer), correlation_id, and ARM's own words service_code and target.
--- once: over a connection of its own, since a pooled one that turns out to be dead is replaced, and the request sent again.
---@param opts { url: string, token: arclua.Secret, method: string?, body: string?, headers: table?, ca: string?, timeout: number?, once: boolean? }
---@return any value, arclua.Error? err, arclua.ArmPage? page
function core.arm.request(opts) end
--- POST listCredentials; the answer reaches Lua only as relayinfo.
---@param opts { url: string, token: arclua.Secret, headers: table?, ca: string?, timeout: number? }
---@return arclua.RelayInfo|nil, arclua.Error?, arclua.ArmPage?
function core.arm.relay_credentials(opts) end
--- The error of an answer that came inside another (of a batch, of an operation): its status and its body as text.
---@return arclua.Error
function core.arm.failure(status, text) end

---@class arclua.RelayInfo   prints "<redacted>"; wiped on :close(); may be used for many connections until it expires
local RelayInfo = {}
function RelayInfo:host() end         -- "ns.servicebus.windows.net[:port]"
function RelayInfo:path() end         -- hybrid connection name
function RelayInfo:expires_on() end   -- seconds since 1970, or nil
--- Into a file (0600) of a directory of ours (0700, made), as the official clients give it to their proxy.
---@return true|nil, arclua.Error?
function RelayInfo:export(dir, name) end
function RelayInfo:has_token() end    -- whether a service configuration token is among them
--- From the JSON text of ARM's answer, also in base64 (given credentials; specs). text: string or Secret.
---@return arclua.RelayInfo|nil, arclua.Error?
function core.relayinfo(text) end
---------------------------------------------------------------- relay (lrelay.c, on core/relay)
core.relay = {}
--- One attempt: TCP, TLS, upgrade. A fresh id each call.
---@param info arclua.RelayInfo
---@param opts { port: integer, ca: string?, connect_timeout: number?, answer_timeout: number? }  defaults 15, 35
---@return arclua.Stream|nil, arclua.Error?
function core.relay.connect(info, opts) end
--- The second half of connect alone: the upgrade over a stream that reaches the relay some other way; takes it over.
---@param opts { port: integer, answer_timeout: number? }
---@return arclua.Stream|nil, arclua.Error?
function core.relay.upgrade(stream, info, opts) end
--- A stream of binary WebSocket messages over a stream whose upgrade is done; takes the stream over.
---@param role "client"|"server"   default client
---@return arclua.Stream
function core.relay.websocket(stream, role) end

return core
