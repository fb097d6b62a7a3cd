-- SPDX-License-Identifier: MIT
-- An emulator for a spec, and the primitives pointed at it.
local core = require "arclua.core"
local emulator = require "arclua.emulator"
local json = require "arclua.json"
local harness = require "harness"
local raw = require "raw"
local text = require "arclua.emulator.text"

local emulated = {}

local VERSION = "2023-03-15"

--- Starts an emulator, runs fn(emulator), stops it (also when fn raises).
function emulated.with(opts, fn)
  local running <close> = assert(emulator.start(opts))
  return fn(running)
end

-- Sets the wall clock to that of other programs: one that ran fast before is ahead.
local base = 0
local function set_clock()
  core.skew(0)
  base = os.time() - core.time()
  core.skew(base)
end

--- Moves the wall clock of a spec so many seconds on from where it began.
function emulated.later(seconds)
  core.skew(base + seconds)
end

--- Declares a spec that drives one emulator in a task, and must leave nothing behind.
function emulated.spec(name, opts, fn)
  local it = _G.it or require("busted").it -- a module does not see the spec's globals
  it(name, function()
    set_clock()
    local ok, err = pcall(function()
      core.spawn(core.timeout, harness.LIMIT, emulated.with, opts, fn):await()
    end)
    core.skew(0)
    if not ok then
      error(err, 0)
    end
    require("luassert").equal("", harness.leftovers())
  end)
end

--- What a page that passes a code on would post, as a browser does: where to, the form.
function emulated.form_of(page)
  local out = {}
  for name, value in page:gmatch '<input type="hidden" name="([^"]*)" value="([^"]*)">' do
    value = value:gsub("&#(%d+);", function(n) return string.char(tonumber(n)) end)
    out[#out + 1] = name .. "=" .. text.encode(value)
  end
  return page:match 'action="([^"]*)"', table.concat(out, "&")
end

--- Answers the page of an authorize address as its person, and follows it: the last status.
---@param decision "approve"|"decline"
function emulated.browse(e, url, decision)
  local page = assert(core.http.request { method = "POST", url = url, ca = e.state.cloud.ca,
    body = ("answer=%s&password=%s"):format(decision, e.state.users.page_key) })
  local where, body = emulated.form_of(page.body)
  return assert(core.http.request { method = "POST", url = where, body = body }).status
end

--- The form that its token endpoint accepts; changes are laid over it (false removes).
function emulated.form(e, changes)
  local form = { grant_type = "client_credentials", client_id = e.env.AZURE_CLIENT_ID,
    client_secret = e.env.AZURE_CLIENT_SECRET, scope = e.state.cloud.audience .. "/.default" }
  for key, value in pairs(changes or {}) do
    form[key] = value or nil
  end
  return form
end

local function urlencode(form)
  local parts = {}
  for key, value in pairs(form) do
    parts[#parts + 1] = key .. "=" .. value:gsub("[^%w]", function(c)
      return ("%%%02X"):format(c:byte())
    end)
  end
  return table.concat(parts, "&")
end

--- POSTs a form to the token endpoint: status, decoded body, headers.
function emulated.post(e, changes, tenant)
  local answer = assert(core.http.request { method = "POST", ca = e.state.cloud.ca,
    url = ("%s/%s/oauth2/v2.0/token"):format(e.state.cloud.authority,
      tenant or e.env.AZURE_TENANT_ID), body = urlencode(emulated.form(e, changes)),
    headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } })
  return answer.status, answer.body ~= "" and json.decode(answer.body) or nil, answer.headers
end

--- A token for ARM, kept with the emulator.
function emulated.token(e)
  if not e.spec_token then
    local _, body = emulated.post(e)
    e.spec_token = body.access_token
  end
  return e.spec_token
end

local function url_of(e, path, version)
  local url = path:find "^https:" and path or e.state.cloud.resource_manager .. path
  if version ~= false and not url:find "api%-version=" then
    local mark = url:find("?", 1, true) and "&" or "?"
    url = ("%s%sapi-version=%s"):format(url, mark, version or VERSION)
  end
  return url
end

--- One ARM request: status, decoded body, headers. opts: token (false = none), version (false =
--- none), body, headers.
function emulated.arm(e, method, path, opts)
  opts = opts or {}
  local headers = opts.headers or {}
  if opts.token ~= false then
    headers.Authorization = "Bearer " .. (opts.token or emulated.token(e))
  end
  local answer = assert(core.http.request { method = method, url = url_of(e, path, opts.version),
    body = opts.body, headers = headers, ca = e.state.cloud.ca })
  return answer.status, answer.body ~= "" and json.decode(answer.body) or nil, answer.headers
end

--- The path of a machine's default endpoint.
function emulated.endpoint(e, name)
  return e:machine(name).id .. "/providers/Microsoft.HybridConnectivity/endpoints/default"
end

--- listCredentials: status, decoded body.
function emulated.credentials(e, name)
  return emulated.arm(e, "POST", emulated.endpoint(e, name) .. "/listCredentials?expiresin=3600",
    { body = '{"serviceName":"SSH"}' })
end

--- The credentials as the relay primitive wants them.
function emulated.relayinfo(e, name)
  local _, body = emulated.credentials(e, name)
  return assert(core.relayinfo(json.encode(body)))
end

--- A stream to the machine's sshd, or nil, err.
function emulated.connect(e, name, port)
  local info <close> = emulated.relayinfo(e, name)
  return core.relay.connect(info, { port = port or 22, ca = e.state.cloud.ca })
end

--- A session on the machine, or nil, err.
function emulated.session(e, name)
  local stream, err = emulated.connect(e, name)
  if not stream then
    return nil, err
  end
  return core.ssh.connect(stream, { user = e.env.ARCLUA_USER, alias = name .. ".spec",
    known_hosts = { e.env.ARCLUA_KNOWN_HOSTS }, identities = { e.env.ARCLUA_IDENTITY },
    agent = false })
end

--- A sender's upgrade request by hand: the whole head of the answer. changes: headers laid over
--- (false removes); opts.path, opts.query instead of the usual ones (query = false: none).
function emulated.upgrade(e, credentials, changes, opts)
  opts = opts or {}
  local headers = { Host = ("%s:%d"):format(e.state.relay_host, e.port), Upgrade = "websocket",
    Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    ServiceBusAuthorization = credentials.accessKey,
    ["Service-Configuration-Token"] = credentials.serviceConfigurationToken,
    ["Microsoft-Guestgateway-Target"] = "localhost:22" }
  for name, value in pairs(changes or {}) do
    headers[name] = value or nil
  end
  local query = opts.query
  if query == nil then
    query = "sb-hc-action=connect&sb-hc-id=11111111-2222-4333-8444-555555555555"
  end
  local head = ("GET %s%s HTTP/1.1\r\n"):format(
    opts.path or "/$hc/" .. credentials.hybridConnectionName, query and "?" .. query or "")
  for name, value in pairs(headers) do
    head = head .. name .. ": " .. value .. "\r\n"
  end
  return raw.exchange(e.port, e.state.cloud.ca, e.state.relay_host, head .. "\r\n", "\r\n\r\n")
end

return emulated
