-- SPDX-License-Identifier: MIT
-- arclua cert: an SSH certificate of Entra's in a file, for OpenSSH and what is built on it.
local command = require "arclua.cli.command"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local json = require "arclua.json"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local paths = require "arclua.paths"

local cert = { name = "cert", summary = "write an Entra SSH certificate for OpenSSH" }

local USAGE = "arclua cert --file F [--public-key F] [--renew | -o text|json]\n"
  .. "       arclua cert --public-key F [-o text|json]"
local EPILOG = [[
ssh then needs the key and the user's name, which are printed:
  arclua cert --file ~/.ssh/entra-cert.pub
  ssh -i ~/.ssh/entra -l you@contoso.com HOST]]

local TAIL = "-cert.pub"
local MAX_KEY = 65536
-- A certificate is renewed so many seconds before its end.
local MARGIN = 300

local function parser()
  local it = options.parser("arclua cert", "Writes an SSH certificate of Entra's, good for an "
    .. "hour, by which you log in to Linux machines.", USAGE):epilog(EPILOG)
  it:option("-p --public-key", "Certify this RSA public key; the certificate goes beside it.")
    :argname "F"
  it:option("-f --file", "Write the certificate here (NAME-cert.pub); without --public-key for the "
    .. "key NAME beside it, which is made when it is not there."):argname "F"
  it:flag("--renew", "Only when the certificate there has less than five minutes left; silent.")
  it:option("-o --output", "text (default) or json."):argname "FORMAT"
  return it
end

local function exists(path)
  return core.sys.stat(path, true) ~= nil
end

-- Which files: the certificate's, and the key's without ".pub".
local function plan_of(values)
  if values.public_key then
    local public = paths.expand(values.public_key)
    local base = public:match "^(.*)%.pub$" or public
    return { public = public, key = base,
      file = paths.expand(values.file or base .. TAIL) }
  end
  local file = paths.expand(values.file)
  local named = file:sub(-#TAIL) == TAIL and file:sub(1, -#TAIL - 1)
  local key = named or (file:match "^(.*/)" or "") .. "id_rsa"
  return { public = key .. ".pub", key = key, file = file, own = true }
end

local function read_public(plan)
  local text, err = core.sys.read_file(plan.public, MAX_KEY)
  if not text then
    return nil, errors.with(err, { message = "the public key: " .. err.message })
  end
  return core.crypto.ssh_public_key(text, plan.public)
end

-- The key to certify, and whether it is new.
local function key_of(plan)
  if plan.file == plan.public or plan.file == plan.key then
    return errors.fail { code = "config", op = "cert",
      message = ("option '--file': %s is the key's own file"):format(plan.file),
      remedy = "name it NAME-cert.pub" }
  elseif not plan.own or exists(plan.public) then
    return read_public(plan)
  elseif exists(plan.key) then
    return errors.fail { code = "conflict", op = "cert",
      message = ("%s is there, but its public key %s is not"):format(plan.key, plan.public),
      remedy = ("make it (ssh-keygen -y -f %s > %s), or choose another --file"):format(plan.key,
        plan.public) }
  end
  local key, err = core.crypto.ssh_key()
  return key, err, key ~= nil
end

local function write(plan, key, made, certificate)
  if made then
    local pem <close> = key:pem()
    local ok, err = core.ssh.write_pair(plan.key, pem, key:public "arclua")
    if not ok then
      return nil, err
    end
  end
  return core.sys.write_file(plan.file, certificate:line() .. "\n")
end

-- The certificate in the file, while it is this key's and good for some minutes more.
local function good(plan, key)
  local text = core.sys.read_file(plan.file, MAX_KEY)
  local certificate = text and core.crypto.ssh_certificate(text, key)
  if not certificate then
    return nil
  end
  local _, to = certificate:validity()
  return to - MARGIN > core.time() and certificate or nil
end

local function tell(plan, certificate, user, made)
  local from, to = certificate:validity()
  return { file = plan.file, key = exists(plan.key) and plan.key or nil, made = made,
    user = user, principals = certificate:principals(), valid_after = from, valid_before = to }
end

--- Signs in, certifies, writes the files. Errors: config, auth, and what writing gives.
---@param values { file: string?, public_key: string?, renew: boolean? }
---@return { file: string, key: string?, made: boolean?, user: string, principals: string[],
---   valid_after: number, valid_before: number }|nil, arclua.Error?
function cert.make(values)
  local plan = plan_of(values)
  local key, err, made = key_of(plan)
  local kept = key and values.renew and good(plan, key)
  if kept then
    return tell(plan, kept, kept:principals()[1]:lower())
  end
  local azure, certificate, info, ok
  if key then
    azure, err = command.login()
  end
  if azure then
    certificate, info = azure:ssh_certificate(key)
    err = info
  end
  if certificate then
    ok, err = write(plan, key, made, certificate)
  end
  if not ok then
    return nil, err
  end
  return tell(plan, certificate, info.user, made)
end

local function utc(seconds)
  return core.sys.utc(math.floor(seconds))
end

local function as_text(told)
  local lines = { ("%s: %s, until %s"):format(told.file, told.user, utc(told.valid_before)) }
  if told.key then
    lines[2] = ("log in with: ssh -i %s -l %s HOST"):format(told.key, told.user)
  end
  if told.made then
    lines[#lines + 1] = ("%s is a new private key: remove it when it is not needed any more")
      :format(told.key)
  end
  return escape.text(table.concat(lines, "\n"), true)
end

local function as_json(told)
  return json.encode { file = told.file, private_key = told.key, user = told.user,
    principals = json.array(told.principals), valid_after = utc(told.valid_after),
    valid_before = utc(told.valid_before) }
end

-- What is wrong with the options; nil = nothing.
local function complaint(values)
  local format = values.output or "text"
  if not values.file and not values.public_key then
    return "name the file to write (--file NAME-cert.pub), or the key to certify (--public-key)"
  elseif format ~= "text" and format ~= "json" then
    return ("option '--output': text or json expected, got '%s'"):format(format)
  elseif values.file == "" or values.public_key == "" then
    return "the name of a file is empty"
  elseif values.renew and values.output then
    return "options '--renew' and '--output' exclude each other: nothing is printed"
  end
end

function cert.run(argv, base)
  local values, merged = command.parse(parser(), "cert", argv, base)
  if not values then
    return merged
  end
  local wrong = complaint(values)
  if wrong then
    return command.usage("cert", wrong)
  end
  local told, err = cert.make(values)
  if not told then
    return command.fail(err)
  elseif values.renew then
    return 0
  end
  output.standard(1):line((values.output == "json" and as_json or as_text)(told))
  return 0
end

cert.parser = parser -- for completion

return cert
