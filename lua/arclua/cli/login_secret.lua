-- SPDX-License-Identifier: MIT
-- The secrets of `arclua login`: never from the command line, which others can read.
local ask = require "arclua.openssh.ask"
local core = require "arclua.core"
local errors = require "arclua.errors"

local login_secret = {}

local function from_person(question, remedy)
  local secret, err = ask.new(core, function() end):line(question)
  if not secret and err.code == "config" then
    err = errors.with(err, { remedy = remedy })
  end
  return secret, err
end

--- An application's secret: of a file, of the environment, from who sits at the terminal.
---@param file string?
---@return arclua.Secret|nil, arclua.Error?
---@return boolean?  whether it is the environment's
function login_secret.secret(file)
  if file then
    local secret, info = core.secret_file(file)
    return secret, not secret and info or nil
  end
  local secret = core.secret_env("AZURE_CLIENT_SECRET", true)
  if secret then
    return secret, nil, true
  end
  return from_person("Secret of the application: ",
    "pass --secret-file, or set AZURE_CLIENT_SECRET")
end

--- The password of a certificate's file; nil alone when it needs none. What is wrong with the file
--- is said by whoever signs in with it.
---@param file string
---@return arclua.Secret|nil, arclua.Error?
function login_secret.password(file)
  local password = core.secret_env("AZURE_CLIENT_CERTIFICATE_PASSWORD", true)
  if password then
    return password
  end
  local certificate, err = core.crypto.client_certificate(file)
  if certificate then
    certificate:close()
  elseif err.reason == "cred.bad-certificate"
    and err.message:find("no password was given", 1, true) then
    return from_person(("Password of %s: "):format(file),
      "set AZURE_CLIENT_CERTIFICATE_PASSWORD")
  end
end

return login_secret
