-- SPDX-License-Identifier: MIT
-- The services that tell what runs in Azure who it is: of virtual machines (IMDS), App Service,
-- Cloud Shell and the Arc agent. They know no secret, so they stand behind a path that is one,
-- on a plain listener of their own: clients speak http to them.
local core = require "arclua.core"
local http = require "arclua.emulator.http"
local ssh_ca = require "arclua.emulator.ssh_ca"
local text = require "arclua.emulator.text"

local identity = {}

local LIFETIME = 86400
local METADATA = "/metadata/identity/oauth2/token"

local function refuse(status, name, description)
  return status, {}, { error = name, error_description = description }
end

-- The identity meant: the machine's own, or the one that was put on it.
local function wrong_identity(state, query)
  local chosen = query.client_id or query.object_id or query.principal_id or query.msi_res_id
    or query.mi_res_id
  return chosen and chosen ~= state.client_id and chosen ~= state.object_id
end

-- selector: { name, value } that the answer echoes, as the Arc agent's does since 2026.
local function issue(state, query, selector)
  local resource = query.resource or ""
  local bare = resource:gsub("/$", "")
  if bare ~= state.cloud.audience and bare ~= state.cloud.resource_manager then
    return refuse(400, "invalid_resource", "AADSTS500011: The resource principal named "
      .. text.plain(resource, 200) .. " was not found in the tenant.")
  elseif wrong_identity(state, query) then
    return refuse(400, "invalid_request", "Identity not found")
  end
  local now = math.floor(state.faults:time())
  state.log:add("identity", { resource = resource, client_id = query.client_id })
  local body = { access_token = identity.issue(state, resource, LIFETIME),
    client_id = state.client_id, expires_in = tostring(LIFETIME),
    expires_on = tostring(now + LIFETIME), not_before = tostring(now), resource = resource,
    token_type = "Bearer" }
  if selector then
    body[selector[1]] = selector[2]
  end
  return 200, {}, body
end

local ROUTES = {}

ROUTES.imds = function(state, request, query)
  if request.method ~= "GET" or request.path ~= METADATA then
    return 404, {}, ""
  elseif request.headers.metadata ~= "true" then
    return refuse(400, "bad_request_102", "Required metadata header not specified")
  end
  return issue(state, query)
end

ROUTES["app-service"] = function(state, request, query)
  if request.method ~= "GET" or request.path ~= "/msi/token" then
    return 404, {}, ""
  elseif not core.crypto.equal(request.headers["x-identity-header"] or "",
    state.identity.header) then
    return 401, {}, { statusCode = 401, message = "the header X-IDENTITY-HEADER is wrong" }
  end
  local status, headers, body = issue(state, query)
  body.expires_in = nil
  return status, headers, body
end

-- Whoever sits in Cloud Shell is a person. The resource is the scope as it is.
local function certify(state, form)
  local body, refusal = ssh_ca.answer(state, form, ssh_ca.people(state).person)
  if not body then
    return refusal[1], {}, { error = { code = refusal[2], message = refusal[4] } }
  end
  return 200, {}, body
end

ROUTES["cloud-shell"] = function(state, request)
  if request.method ~= "POST" or request.path ~= "/oauth2/token"
    or request.headers.metadata ~= "true" then
    return 404, {}, ""
  end
  local form = text.pairs(request.body, true, true)
  if ssh_ca.wants(form) then
    return certify(state, form)
  end
  return issue(state, form)
end

-- A new file for each challenge; it is good once.
local function challenge(state)
  local name = core.crypto.uuid() .. ".key"
  local key = core.crypto.base64url(core.crypto.random(48))
  local path = state.identity.keys .. "/" .. name
  assert(core.sys.write_file(path, key, 384))
  state.identity.pending[key] = path
  return 401, { ["WWW-Authenticate"] = "Basic realm=" .. path }, ""
end

-- Which identity is asked for; an agent before 2026 (identity.old) does not look.
local function selector_of(state, query)
  for _, name in ipairs { "client_id", "object_id", "msi_res_id" } do
    if query[name] and not state.identity.old then
      return { name, query[name] }
    end
  end
end

ROUTES.arc = function(state, request, query)
  local key = (request.headers.authorization or ""):match "^Basic (.+)$"
  if request.method ~= "GET" or request.path ~= METADATA
    or request.headers.metadata ~= "true" then
    return refuse(400, "invalid_request", "Required metadata header not specified")
  elseif not key then
    return challenge(state)
  end
  local path = state.identity.pending[key]
  if not path then
    return refuse(401, "unauthorized", "the key is not valid")
  end
  state.identity.pending[key] = nil
  os.remove(path)
  local selector = selector_of(state, query)
  return issue(state, selector and query or { resource = query.resource }, selector)
end

local function handle(state, request)
  local fault = state.faults:take("entra", nil, request)
  if fault and fault.kind == "answer" then
    return fault.status or 500, {}, { error = fault.error or "server_error",
      error_description = fault.message or "A transient error has occurred." }
  elseif fault then
    return nil, fault
  end
  local at = "/" .. state.identity.path
  if not core.crypto.equal(request.path:sub(1, #at), at) then
    return 404, {}, ""
  end
  request.path = request.path:sub(#at + 1)
  return ROUTES[state.identity.kind](state, request, text.pairs(request.query, true, true))
end

--- Makes what the service of this kind needs.
function identity.make(state, kind)
  state.identity = { kind = kind, path = core.crypto.base64url(core.crypto.random(24)),
    header = core.crypto.base64url(core.crypto.random(24)), pending = {} }
end

--- Opens the plain listener; its base URL.
function identity.listen(self)
  local server, err = core.server.listen {}
  if not server then
    return nil, err
  end
  local known = self.state.identity
  known.server, known.keys = server, self.client_dir .. "/keys"
  local service = { handle = handle }
  local place = setmetatable({ server = server, port = server:port(),
    services = { ["127.0.0.1"] = service, localhost = service } }, { __index = self })
  local task = core.spawn(http.run, place)
  self.open[task] = task
  known.base = ("http://127.0.0.1:%d/%s"):format(place.port, known.path)
  return core.sys.mkdir(known.keys, 448)
end

return identity
