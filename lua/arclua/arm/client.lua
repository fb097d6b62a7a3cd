-- SPDX-License-Identifier: MIT
-- Requests to ARM: token, pacing, retries, pages. The token goes to the cloud's ARM host only.
local backoff = require "arclua.backoff"
local real = require "arclua.core"
local errors = require "arclua.errors"
local json = require "arclua.json"
local pace = require "arclua.arm.pace"

local Client = {}
Client.__index = Client
Client.__name = "arclua.arm"

local RETRIES, BASE, CAP, MAX_WAIT = 4, 0.8, 60, 300
-- More pages than any subscription has; an endless chain of links ends here.
local MAX_PAGES = 10000

---@class arclua.ArmSpec
---@field cloud arclua.Cloud
---@field credential arclua.Credential
---@field log fun(level: string, text: string)?
---@field primitives table?

---@param spec arclua.ArmSpec
---@return arclua.ArmClient
local function new(spec)
  local core = spec.primitives or real
  return setmetatable({ cloud = spec.cloud, credential = spec.credential, core = core,
    pace = pace.new(core), log = spec.log or function() end }, Client)
end

local function challenge(core, page)
  local header = page and page.headers and page.headers["www-authenticate"]
  local encoded = header and header:match 'claims="([^"]+)"'
  return encoded and core.crypto.unbase64(encoded) or nil
end

-- A request with the current token; a refused token is replaced once.
local function authorised(self, send)
  local secret, info = self.credential:token(self.cloud.scope)
  if not secret then
    return nil, info
  end
  local value, err, page = send(secret)
  if value ~= nil or err.status ~= 401 then
    return value, err, page
  end
  secret, info = self.credential:token(self.cloud.scope,
    { stale = secret, claims = challenge(self.core, page) })
  if not secret then
    return nil, info
  end
  return send(secret)
end

-- send(token) with pacing and retries, and the shared pause when ARM says "too many".
local function repeated(self, subscription, kind, send)
  local function paced(secret)
    local ok, err = self.pace:take(subscription, kind)
    if not ok then
      return nil, err
    end
    local value, why, page = send(secret)
    if value == nil and why.code == "throttled" and why.retry_after then
      self.pace:pause(subscription, kind, math.min(why.retry_after, MAX_WAIT))
    end
    return value, why, page
  end
  return backoff.run({
    retries = RETRIES, base = BASE, cap = CAP, max_wait = MAX_WAIT, sleep = self.core.sleep,
    before = function(delay, err)
      self.log("info", ("ARM: %s; trying again in %.1f s"):format(tostring(err), delay))
    end,
  }, function()
    return authorised(self, paced)
  end)
end

--- The URL of a path on this cloud's ARM.
---@return string
function Client:url(path, api_version, query)
  return ("%s%s?api-version=%s%s"):format(self.cloud.resource_manager, path, api_version,
    query and "&" .. query or "")
end

-- Whether a link leads to the host that may see the token.
local function own(self, url)
  local origin = self.cloud.resource_manager
  return url:sub(1, #origin):lower() == origin:lower() and url:sub(#origin + 1, #origin + 1) == "/"
end

local function subscription_of(url)
  return (url:lower():match "/subscriptions/([^/?]+)") or "tenant"
end

local function answered(value, err, page)
  if value == nil then
    return nil, err or errors.new { reason = "http.bad-answer", op = "arm.request",
      message = "ARM answered without a value" }, page
  end
  return value, nil, page
end

--- One logical request: { url, method = "GET", body = table?, bucket = "graph"? }. bucket: what
--- its pace is kept by, when that is not the method.
---@return any value, arclua.Error? err, arclua.ArmPage? page
function Client:request(opts)
  local method = opts.method or "GET"
  local kind = opts.bucket or (method == "GET" and "read" or "write")
  return repeated(self, subscription_of(opts.url), kind, function(secret)
    self.log("debug", method .. " " .. opts.url)
    return answered(self.core.arm.request {
      url = opts.url, method = method, token = secret, ca = self.cloud.ca,
      body = opts.body and json.encode(opts.body),
    })
  end)
end

--- POST listCredentials: relayinfo | nil, err.
---@return arclua.RelayInfo|nil, arclua.Error?
function Client:relay_credentials(url)
  return repeated(self, subscription_of(url), "write", function(secret)
    self.log("debug", "POST " .. url)
    return self.core.arm.relay_credentials { url = url, token = secret, ca = self.cloud.ca }
  end)
end

-- The link to the next page, nil on the last: link | nil, what is wrong.
local function next_link(self, value, page, seen, count)
  if type(value) ~= "table" or type(value.value) ~= "table" then
    return nil, "a list has no 'value'"
  end
  local link = value.nextLink or page and page.next_link
  if not link then
    return nil
  elseif seen[link] then
    return nil, "a nextLink leads back to an earlier page"
  elseif count > MAX_PAGES then
    return nil, "more than " .. MAX_PAGES .. " pages"
  elseif not own(self, link) then
    return nil, "a nextLink leads to another host"
  end
  return link
end

local function add(out, entries, each)
  for _, entry in ipairs(entries) do
    if each then
      entry = each(entry)
    end
    out[#out + 1] = entry
  end
end

--- All entries of a paged list. each(entry) may translate; nil leaves an entry out.
---@param url string
---@param each (fun(entry: table): any)?
---@return any[]|nil, arclua.Error?
function Client:list(url, each)
  local out, seen, count = {}, {}, 0
  while url do
    local value, err, page = self:request { url = url }
    if value == nil then
      return nil, err
    end
    seen[url], count = true, count + 1
    local link, why = next_link(self, value, page, seen, count)
    if why then
      return errors.fail { reason = "http.bad-answer", op = "arm.list", message = why }
    end
    add(out, value.value, each)
    url = link
  end
  return out
end

return { new = new }
