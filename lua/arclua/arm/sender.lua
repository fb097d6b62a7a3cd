-- SPDX-License-Identifier: MIT
-- One logical request to ARM: its URL, the token, pacing, repetition. The token goes to the cloud's
-- ARM host only.
local real = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"
local pace = require "arclua.arm.pace"
local resource_id = require "arclua.resource_id"
local retry = require "arclua.arm.retry"

local Sender = {}
Sender.__index = Sender

local TIMEOUT = 60

---@class arclua.ArmSpec
---@field cloud arclua.Cloud
---@field credential arclua.Credential
---@field log fun(level: string, text: string)?
---@field primitives table?

---@param spec arclua.ArmSpec
local function new(spec)
  local core = spec.primitives or real
  return setmetatable({ cloud = spec.cloud, credential = spec.credential, core = core,
    pace = pace.new(core), log = spec.log or function() end, run = core.crypto.uuid() }, Sender)
end

local function query_of(query)
  if type(query) ~= "table" then
    return query
  end
  local parts = {}
  for name, value in pairs(query) do
    parts[#parts + 1] = resource_id.clean(name) .. "=" .. resource_id.segment(tostring(value))
  end
  table.sort(parts)
  return table.concat(parts, "&")
end

-- The URL of a path on this cloud's ARM.
function Sender:url(path, api_version, query)
  query = query_of(query)
  return ("%s%s?api-version=%s%s"):format(self.cloud.resource_manager, resource_id.clean(path),
    api_version, query and query ~= "" and "&" .. query or "")
end

--- Whether a link leads to the host that may see the token.
function Sender:owns(url)
  local origin = self.cloud.resource_manager
  return url:sub(1, #origin):lower() == origin:lower() and url:sub(#origin + 1, #origin + 1) == "/"
end

-- Signed links hold what only ARM needs to see.
local function shown(url)
  local version = url:match "[?&](api%-version=[^&]*)"
  return url:match "^[^?]*" .. (version and "?" .. version or "")
end

local function challenge(page)
  return page and page.headers and page.headers["www-authenticate"] or ""
end

local function claims_of(core, page)
  return core.token.challenge_claims(challenge(page))
end

-- One exchange, when its bucket lets it.
local function paced(self, call, secret)
  local ticket, refused = self.pace:enter(call.subscription, call.kind)
  if not ticket then
    return nil, refused
  end
  local value, err, page = call.send(secret, call.headers)
  if value == nil and not err then
    err = errors.new { reason = "http.bad-answer", op = "arm.request",
      message = "ARM answered without a value" }
  end
  local throttled = value == nil and err.code == "throttled" and retry.pause(err) or nil
  self.pace:leave(ticket, page and page.headers, throttled)
  return value, err, page
end

-- With the current token; a refused token is replaced once, by one that meets ARM's claims.
local function authorised(self, call)
  local secret, info = self.credential:token(self.cloud.scope)
  if not secret then
    return nil, info
  end
  local value, err, page = paced(self, call, secret)
  if value ~= nil or err.status ~= 401 or err.reason == "arm.wrong-tenant" or call.renewed then
    return value, err, page
  end
  call.renewed = true
  secret, info = self.credential:token(self.cloud.scope,
    { stale = secret, claims = claims_of(self.core, page) })
  if not secret then
    return nil, info
  end
  return paced(self, call, secret)
end

-- What only this request's answer tells: which tenant, which provider.
local function explained(err, page)
  local tenant = err.reason == "arm.wrong-tenant"
    and challenge(page):match 'authorization_uri="[^"]-/([^/"]+)"'
  if tenant then
    return errors.with(err, { remedy = "sign in to the tenant of the subscription: --tenant "
      .. tenant })
  elseif err.reason == "arm.provider-not-registered" and err.target then
    return errors.with(err, { remedy = "an Owner registers it once: az provider register "
      .. "--namespace " .. err.target })
  end
  return err
end

local function identify(self, headers)
  local out = { ["x-ms-client-request-id"] = self.core.crypto.uuid(),
    ["x-ms-correlation-request-id"] = self.run }
  for name, value in pairs(headers or {}) do
    out[name] = value
  end
  return out
end

---@class arclua.ArmCall
---@field url string
---@field method string
---@field replay boolean        it may be sent twice
---@field headers table?
---@field send fun(secret: arclua.Secret, headers: table): any, arclua.Error?, arclua.ArmPage?

--- Sends it, and again while that makes sense.
---@param call arclua.ArmCall
---@return any value, arclua.Error? err, arclua.ArmPage? page
function Sender:send(call)
  local state = retry.new(self.core, call.replay)
  call.subscription, call.kind = pace.classify(call.method, call.url)
  call.headers = identify(self, call.headers)
  self.log("debug", call.method .. " " .. shown(call.url))
  while true do
    local value, err, page = authorised(self, call)
    if value ~= nil then
      return value, nil, page
    end
    local delay, why = retry.next(state, err)
    if not delay then
      return nil, explained(why, page), page
    end
    self.log("info", ("ARM: %s; trying again%s"):format(err.message, delay > 0
      and (" in %.1f s"):format(delay) or ""))
    local ok, ended = self.core.sleep(delay)
    if not ok then
      return nil, ended
    end
  end
end

-- A PUT of a run command runs it, each time.
local function may_replay(method, url)
  local path = url:lower():match "^[^?]*"
  if method == "POST" then
    return path:find "/providers/microsoft%.resourcegraph/" ~= nil
  end
  return method ~= "PATCH" and not (method == "PUT" and path:find "/runcommands/[^/]+$")
end

local function headers_of(opts)
  local headers = { ["If-Match"] = opts.if_match, ["If-None-Match"] = opts.if_none_match }
  for name, value in pairs(opts.headers or {}) do
    headers[name] = value
  end
  return headers
end

-- One logical request of a URL of ours, no operation followed.
function Sender:exchange(opts)
  local method = opts.method or "GET"
  local body = opts.body
  if type(body) == "table" then
    body = json.encode(body)
  end
  local replay = opts.replay
  if replay == nil then
    replay = may_replay(method, opts.url)
  end
  local value, err, page = self:send { url = opts.url, method = method, replay = replay,
    headers = headers_of(opts), send = function(secret, headers)
      return self.core.arm.request { url = opts.url, method = method, token = secret,
        ca = self.cloud.ca, body = body, headers = headers, timeout = opts.timeout or TIMEOUT,
        once = not replay }
    end }
  if page and page.headers then
    page.etag = page.headers.etag
  end
  return value, err, page
end

-- GET of a URL of ours.
function Sender:get(url)
  return self:exchange { url = url }
end

-- POST listCredentials: relayinfo | nil, err.
function Sender:relay_credentials(url)
  return self:send { url = url, method = "POST", replay = true,
    send = function(secret, headers)
      return self.core.arm.relay_credentials { url = url, token = secret, ca = self.cloud.ca,
        headers = headers }
    end }
end

return { new = new, Sender = Sender }
