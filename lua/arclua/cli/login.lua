-- SPDX-License-Identifier: MIT
-- arclua login
local accounts = require "arclua.accounts"
local ask = require "arclua.openssh.ask"
local command = require "arclua.cli.command"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local defaults = require "arclua.defaults"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local paths = require "arclua.paths"

local login = { name = "login", summary = "sign in to Entra, for this and later runs" }

local USAGE = "arclua login [--device | --browser] [--tenant ID]\n"
  .. "       arclua login --service-principal --tenant ID --client-id ID [--secret-file FILE]"

local function parser()
  local it = options.parser("arclua login", "Signs in and stores it below ARCLUA_STATE.", USAGE)
  it:group("How to sign in",
    it:flag("--device", "As a person, with a code and any browser (default)."),
    it:flag("--browser", "As a person, with a browser on this machine (BROWSER, xdg-open)."),
    it:flag("--service-principal", "As an application with a secret."),
    it:option("--client-id", "The application's ID (AZURE_CLIENT_ID)."):argname "ID",
    it:option("--secret-file", "The application's secret is in FILE; without it "
      .. "AZURE_CLIENT_SECRET, else it is asked for at the terminal."):argname "FILE")
  return it
end

-- Never from the command line, which others can read.
local function secret_of(values)
  if values.secret_file then
    return core.secret_file(values.secret_file)
  end
  local secret = core.secret_env("AZURE_CLIENT_SECRET", true)
  if secret then
    return secret
  end
  local err
  secret, err = ask.new(core, function() end):line "Secret of the application: "
  if not secret and err.code == "config" then
    err = errors.with(err, { remedy = "pass --secret-file, or set AZURE_CLIENT_SECRET" })
  end
  return secret, err
end

local function application(values, merged)
  local tenant = merged.tenant or paths.env "AZURE_TENANT_ID"
  local client_id = values.client_id or paths.env "AZURE_CLIENT_ID"
  if not tenant or not client_id then
    return nil, command.usage("login", (tenant and "option '--client-id'" or "option '--tenant'")
      .. " is needed with --service-principal")
  end
  local secret, err = secret_of(values)
  if not secret then
    return nil, command.fail(err)
  end
  return { method = "client_secret", tenant = tenant, client_id = client_id,
    client_secret = secret }
end

local function person(values, merged)
  if values.secret_file then
    return nil, command.usage("login", "option '--secret-file' is of --service-principal")
  end
  return { method = values.browser and "browser" or "device_code",
    tenant = merged.tenant or defaults.config.tenant,
    client_id = values.client_id }
end

-- What is set in the environment goes before any stored sign-in.
local function warn()
  local wins = paths.env "AZURE_ACCESS_TOKEN" and "AZURE_ACCESS_TOKEN"
    or paths.env "AZURE_CLIENT_ID" and paths.env "AZURE_TENANT_ID"
      and paths.env "AZURE_CLIENT_SECRET" and "AZURE_CLIENT_SECRET"
  if wins then
    output.standard(2):line(("arclua: while %s is set that is used, unless --credential login "
      .. "is given"):format(wins))
  end
end

local function ways(values)
  return (values.device and 1 or 0) + (values.browser and 1 or 0)
    + (values.service_principal and 1 or 0)
end

function login.run(argv, base)
  local values, merged = command.parse(parser(), "login", argv, base)
  if not values then
    return merged
  elseif ways(values) > 1 then
    return command.usage("login", "--device, --browser and --service-principal exclude each other")
  end
  warn()
  local method = values.service_principal and application or person
  local how, status = method(values, merged)
  if not how then
    return status
  end
  how.cloud = merged.cloud or defaults.config.cloud
  local account, err = accounts.sign_in(how)
  if not account then
    return command.fail(err)
  end
  output.standard(2):line(("signed in as %s (tenant %s)"):format(
    escape.text(account.username), escape.text(account.tenant)))
  return 0
end

return login
