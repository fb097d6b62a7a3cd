-- SPDX-License-Identifier: MIT
-- A person with a browser on this machine: authorization code with PKCE (RFC 7636), redirected to
-- a port of loopback (RFC 8252).
local callback = require "arclua.credential.callback"
local clouds = require "arclua.clouds"
local endpoint = require "arclua.credential.endpoint"
local id_token = require "arclua.credential.id_token"
local output = require "arclua.output"
local paths = require "arclua.paths"
local percent = require "arclua.percent"
local real = require "arclua.core"
local refresh = require "arclua.credential.refresh"

local Source = {}
Source.__index = Source

local PATIENCE = 300 -- seconds for the person
local ADFS_PORT = 8400 -- the Azure CLI's, as it is registered there

-- BROWSER's first program, which may hold "%s" for the address; else xdg-open. No shell reads it.
-- setsid lets the browser live on when this program ends.
local function command(url)
  local args, placed = { "setsid", "-f" }, false
  for word in (paths.env "BROWSER" or "xdg-open"):match("^[^:]*"):gmatch "%S+" do
    local filled, n = word:gsub("%%s", function() return url end)
    args[#args + 1], placed = filled, placed or n > 0
  end
  if not placed then
    args[#args + 1] = url
  end
  return args
end

-- Whether it was started or not, the address is shown: the person may open it elsewhere.
local function show(core, url)
  output.standard(2):line("To sign in, use the web browser that opens now, or open this address on "
    .. "this machine:\n" .. url)
  local process = core.process.spawn { args = command(url), stdin = "null", stdout = "null",
    stderr = "null", without_secrets = true }
  if process then
    process:wait()
    process:close()
  end
end

---@param spec arclua.UserSpec with open: fun(url: string)?  instead of starting a browser
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  return setmetatable({ name = "browser", spec = spec, core = primitives or real }, Source)
end

local function random_text(core)
  return core.crypto.base64url(core.crypto.random(32))
end

local function address(self, request, scope, claims)
  local crypto = self.core.crypto
  local parts = {}
  for _, pair in ipairs {
    { "client_id", self.spec.client_id }, { "response_type", "code" },
    { "response_mode", "form_post" }, { "redirect_uri", request.redirect_uri },
    { "scope", refresh.scope(scope) }, { "state", request.state }, { "nonce", request.nonce },
    { "code_challenge", crypto.base64url(crypto.sha256(request.verifier)) },
    { "code_challenge_method", "S256" }, { "prompt", "select_account" },
    claims and { "claims", claims },
  } do
    parts[#parts + 1] = pair[1] .. "=" .. percent.encode(pair[2])
  end
  return refresh.url(self.spec, "authorize") .. "?" .. table.concat(parts, "&")
end

local function redeem(self, request, code, scope, opts)
  local spec, core = self.spec, self.core
  local secret, info = core.token.request { url = refresh.url(spec, "token"), ca = spec.cloud.ca,
    ssh_key = opts.ssh_key,
    form = { grant_type = "authorization_code", client_id = spec.client_id,
      code = code, redirect_uri = request.redirect_uri, code_verifier = request.verifier,
      scope = refresh.scope(scope), claims = opts.claims } }
  if not secret then
    return nil, info
  end
  local ok, err = id_token.check(core, info, spec, request.nonce)
  if not ok then
    secret:close()
    return nil, err
  end
  return secret, info
end

-- AD FS compares the port, too.
local function port_of(spec)
  return endpoint.is_adfs(spec.cloud, spec.tenant) and ADFS_PORT or 0
end

local function sign_in(self, scope, opts)
  local core = self.core
  local claims, err = endpoint.claims(core, opts.claims)
  if err then
    return nil, err
  end
  local verifier <close> = core.secret_random(32)
  local request = { state = random_text(core), nonce = random_text(core), verifier = verifier }
  local server <close>, why = callback.listen(core, request.state, port_of(self.spec))
  if not server then
    return nil, why
  end
  request.redirect_uri = "http://localhost:" .. server.port
  local url = address(self, request, scope, claims)
  if self.spec.open then
    self.spec.open(url)
  else
    show(core, url)
  end
  local code <close>, failed = core.timeout(PATIENCE, server.wait, server)
  if not code then
    return nil, failed
  end
  return redeem(self, request, code, scope, { ssh_key = opts.ssh_key, claims = claims })
end

--- Asks the person once; later tokens come from the refresh token, while that is good.
function Source:fetch(scope, opts)
  return refresh.fetch(self, sign_in, scope, opts)
end

function Source:close()
  if self.refresh then
    self.refresh:close()
  end
end

--- One for the tenant of a context, else for whatever tenant the person has.
---@return arclua.TokenSource|nil, arclua.Error?
local function open(context, client_id, open_url)
  local tenant, err = clouds.tenant(context.tenant or clouds.any_tenant(context.cloud))
  if not tenant then
    return nil, err
  end
  return new({ cloud = context.cloud, tenant = tenant, client_id = client_id or refresh.CLIENT,
    open = open_url }, context.core)
end

return { new = new, open = open }
