-- SPDX-License-Identifier: MIT
-- arclua login
local accounts = require "arclua.accounts"
local command = require "arclua.cli.command"
local core = require "arclua.core"
local defaults = require "arclua.defaults"
local escape = require "arclua.report.escape"
local login_secret = require "arclua.cli.login_secret"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local paths = require "arclua.paths"

local login = { name = "login", summary = "sign in to Entra, for this and later runs" }

local USAGE = "arclua login [--device | --browser] [--tenant ID] [--client-id ID]\n"
  .. "       arclua login --service-principal --tenant ID --client-id ID [--secret-file FILE]\n"
  .. "       arclua login --service-principal --tenant ID --client-id ID --certificate FILE\n"
  .. "       arclua login --federated --tenant ID --client-id ID [--token-file FILE]\n"
  .. "       arclua login --identity [--client-id ID | --object-id ID | --resource-id ID]"

local function parser()
  local it = options.parser("arclua login", "Signs in and stores it below ARCLUA_STATE.", USAGE)
  it:group("How to sign in",
    it:flag("--device", "As a person, with a code and any browser (default)."),
    it:flag("--browser", "As a person, with a browser on this machine (BROWSER, xdg-open)."),
    it:flag("--service-principal", "As an application with a secret or a certificate."),
    it:flag("--federated", "As an application that trusts the platform this runs on."),
    it:flag("--identity", "As the managed identity that Azure gave to what this runs on."))
  it:group("With what",
    it:option("--client-id", "The application's ID (AZURE_CLIENT_ID), or the identity's.")
      :argname "ID",
    it:option("--secret-file", "The application's secret is in FILE; without it "
      .. "AZURE_CLIENT_SECRET, else it is asked for at the terminal."):argname "FILE",
    it:option("--certificate", "The application's certificate and key, PEM or PKCS #12; its "
      .. "password is AZURE_CLIENT_CERTIFICATE_PASSWORD, else asked for."):argname "FILE",
    it:flag("--send-chain", "Send the certificate with those of its issuers."),
    it:option("--token-file", "The platform's token is in FILE (AZURE_FEDERATED_TOKEN_FILE); "
      .. "else GitHub's service gives it."):argname "FILE",
    it:option("--object-id", "The managed identity's object ID."):argname "ID",
    it:option("--resource-id", "The managed identity's resource ID."):argname "ID",
    it:option("--claims-challenge", "What the sign-in must satisfy, as an error has said it.")
      :argname "BASE64",
    it:option("--encrypt", "auto (default: where the desktop has a secret service), always or "
      .. "never (ARCLUA_ENCRYPT)."):argname "WHEN")
  return it
end

-- Which options are of which ways.
local WAYS = { "device", "browser", "service_principal", "federated", "identity" }
local OF = {
  { "secret_file", "service_principal" }, { "certificate", "service_principal" },
  { "send_chain", "service_principal" }, { "token_file", "federated" },
  { "object_id", "identity" }, { "resource_id", "identity" },
  { "claims_challenge", "device", "browser" },
}

local function option(name)
  return "--" .. name:gsub("_", "-")
end

-- What is wrong with the options beside a way; nil = nothing.
local function stray(values, chosen)
  for _, of in ipairs(OF) do
    if values[of[1]] and chosen ~= of[2] and chosen ~= of[3] then
      return ("option '%s' is of %s%s"):format(option(of[1]), option(of[2]),
        of[3] and " and " .. option(of[3]) or "")
    end
  end
end

-- The way that was chosen | nil, what is wrong.
local function way_of(values)
  local chosen
  for _, way in ipairs(WAYS) do
    if values[way] and chosen then
      return nil, ("%s and %s exclude each other"):format(option(chosen), option(way))
    end
    chosen = values[way] and way or chosen
  end
  chosen = chosen or "device"
  local wrong = stray(values, chosen)
  return not wrong and chosen, wrong
end

local function application(values, merged, way)
  local tenant = merged.tenant or paths.env "AZURE_TENANT_ID"
  local client_id = values.client_id ~= "" and values.client_id or paths.env "AZURE_CLIENT_ID"
  if not tenant or not client_id then
    return nil, command.usage("login", ("option '%s' is needed with %s"):format(
      tenant and "--client-id" or "--tenant", option(way)))
  end
  return { tenant = tenant, client_id = client_id }
end

local ways = {}

function ways.service_principal(values, merged, way)
  local how, status = application(values, merged, way)
  if not how then
    return nil, status
  elseif values.secret_file and values.certificate then
    return nil, command.usage("login", "--secret-file and --certificate exclude each other")
  elseif values.send_chain and not values.certificate then
    return nil, command.usage("login", "option '--send-chain' is of --certificate")
  end
  local err
  if values.certificate then
    how.method, how.certificate = "client_certificate", values.certificate
    how.send_chain = values.send_chain
    how.password, err = login_secret.password(values.certificate)
  else
    how.method = "client_secret"
    how.client_secret, err, how.borrowed = login_secret.secret(values.secret_file)
  end
  if err then
    return nil, command.fail(err)
  end
  return how
end

function ways.federated(values, merged, way)
  local how, status = application(values, merged, way)
  if how then
    how.method, how.token_file = "workload_identity", values.token_file
  end
  return how, status
end

function ways.identity(values)
  local given = 0
  for _, name in ipairs { "client_id", "object_id", "resource_id" } do
    given = given + (values[name] and 1 or 0)
  end
  if given > 1 then
    return nil, command.usage("login", "--client-id, --object-id and --resource-id exclude each "
      .. "other")
  end
  return { method = "managed_identity", client_id = values.client_id,
    object_id = values.object_id, resource_id = values.resource_id }
end

local function person(values, merged, way)
  local claims = values.claims_challenge and core.crypto.unbase64(values.claims_challenge)
  if values.claims_challenge and not (claims and core.token.declare(claims)) then
    return nil, command.usage("login", "option '--claims-challenge': base64 of a JSON object "
      .. "expected, as the error has it")
  end
  return { method = way == "browser" and "browser" or "device_code", claims = claims or nil,
    tenant = merged.tenant or defaults.config.tenant, client_id = values.client_id }
end

ways.device, ways.browser = person, person

local function say(text)
  output.standard(2):line("arclua: " .. escape.text(text))
end

-- What is set in the environment goes before any stored sign-in.
local BEFORE = { "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
  "AZURE_FEDERATED_TOKEN_FILE", "ACTIONS_ID_TOKEN_REQUEST_TOKEN" }

-- The variable by which later runs sign in otherwise; nil = none.
local function winner()
  local wish = paths.env "AZURE_TOKEN_CREDENTIALS"
  local known = paths.env "AZURE_CLIENT_ID" and paths.env "AZURE_TENANT_ID"
  if wish then -- "dev" passes the environment's credential by, all others the sign-in
    return wish:lower() ~= "dev" and "AZURE_TOKEN_CREDENTIALS" or nil
  elseif paths.has_secret "AZURE_ACCESS_TOKEN" then
    return "AZURE_ACCESS_TOKEN"
  end
  for _, name in ipairs(known and BEFORE or {}) do
    if paths.has_secret(name) then
      return name
    end
  end
end

-- What accounts.sign_in needs | nil, exit status.
local function options_of(values, merged)
  local way, wrong = way_of(values)
  if not way then
    return nil, command.usage("login", wrong)
  end
  local how, status = ways[way](values, merged, way)
  if how then
    how.cloud = merged.cloud or defaults.config.cloud
    how.encrypt, how.log, how.trust_cloud = values.encrypt, say, merged.trust_cloud
  end
  return how, status
end

function login.run(argv, base)
  local values, merged = command.parse(parser(), "login", argv, base)
  if not values then
    return merged
  end
  local wins = merged.credential ~= "login" and winner() -- before its secret is taken
  local how, status = options_of(values, merged)
  if not how then
    return status
  end
  local account, err = accounts.sign_in(how)
  if not account then
    return command.fail(err)
  end
  output.standard(2):line(("signed in as %s (tenant %s)%s"):format(
    escape.text(account.username), escape.text(account.tenant),
    account.sealed and ", stored encrypted" or ""))
  if wins then
    say(("while %s is set that decides, unless --credential login is given"):format(wins))
  end
  return 0
end

login.parser = parser -- for completion

return login
