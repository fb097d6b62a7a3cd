-- SPDX-License-Identifier: MIT
-- An SSH certificate by the Azure CLI: `az ssh cert`, of its extension ssh. Only the public half of
-- the key is ever in a file.
local errors = require "arclua.errors"

local az_certificate = {}

-- az takes seconds to start, and more with an extension.
local TIMEOUT = 60
local MAX_STDERR = 65536

local ADVICE = "run `arclua login`, or `az extension add --name ssh`"

-- What az says that has no extension of that name, by version.
local NO_EXTENSION = { "'ssh' is misspelled", "'ssh' is not in the 'az' command group",
  "requires the extension ssh", "not recognized by the system" }

local function refuse(message, remedy, cause)
  return errors.fail { reason = "cred.no-certificate", op = "credential", message = message,
    remedy = remedy or ADVICE, cause = cause }
end

local function read_all(pipe)
  local parts, size = {}, 0
  for chunk in function() return pipe:read() end do
    size = size + #chunk
    parts[#parts + 1] = size <= MAX_STDERR and chunk or nil
  end
  return table.concat(parts)
end

-- Runs az; its stderr and how it ended | nil, err.
local function run(core, args)
  local process <close>, err = core.process.spawn { args = args, stdin = "null", stdout = "null",
    stderr = "pipe", session = true, env = { AZURE_EXTENSION_USE_DYNAMIC_INSTALL = "no",
      AZURE_CORE_NO_COLOR = "1", AZURE_CLIENT_SECRET = false, AZURE_ACCESS_TOKEN = false,
      AZURE_CLIENT_CERTIFICATE_PASSWORD = false, AZURE_PASSWORD = false,
      SSHPROXY_RELAY_INFO = false } }
  if not process then
    return nil, err
  end
  local pipe <close> = process:stderr()
  local text, ended
  local ok, why = core.timeout(TIMEOUT, function()
    text = read_all(pipe)
    ended, err = process:wait()
    return ended, err
  end)
  if not ok then
    process:kill "KILL"
    return nil, why
  end
  return text, ended
end

-- The last line that says something, without what could be a token.
local function last_line(text)
  local last = "it says nothing"
  for line in text:gmatch "[^\r\n]+" do
    last = line:find "%S" and line or last
  end
  return (last:gsub("eyJ[%w_-]+%.?[%w_-]*%.?[%w_-]*", "<redacted>"):gsub("^ERROR:%s*", ""))
end

local function explain(text)
  for _, sign in ipairs(NO_EXTENSION) do
    if text:find(sign, 1, true) then
      return refuse "the Azure CLI has no extension ssh, which gets certificates"
    end
  end
  if text:find("az login", 1, true) then
    return errors.fail { reason = "cred.az-failed", op = "credential",
      message = "az ssh cert: " .. last_line(text),
      remedy = "run `arclua login`, or `az login` as the message says" }
  end
  return refuse("az ssh cert: " .. last_line(text))
end

-- az takes the tenant of its own default account.
local function check_tenant(certificate, tenant)
  local tid = certificate:extensions()["tid@sshservice.azure.net"]
  if not tenant or not tenant:find "^%x+%-%x+%-%x+%-%x+%-%x+$" or not tid
    or tid:lower() == tenant:lower() then
    return true
  end
  certificate:close()
  return refuse(("az ssh cert: its certificate is of the tenant %s"):format(tid),
    "choose another account (az account set), or run `arclua login --tenant " .. tenant .. "`")
end

local function fetch(core, dir, key, tenant)
  local public, file = dir .. "/key.pub", dir .. "/key-cert.pub"
  local ok, err = core.sys.write_file(public, key:public "arclua" .. "\n", 384)
  if not ok then
    return nil, err
  end
  local text, ended = run(core, { "az", "ssh", "cert", "--public-key-file", public, "--file",
    file, "--only-show-errors" })
  if not text then
    err = ended
    return nil, err.code == "notfound" and errors.new { reason = "cred.unavailable",
      op = "credential", message = "the program az is not installed", cause = err,
      remedy = "run `arclua login`" } or err
  elseif ended.status ~= 0 then
    return explain(text)
  end
  local line, certificate
  line, err = core.sys.read_file(file, MAX_STDERR)
  if line then
    certificate, err = core.crypto.ssh_certificate(line, key)
  end
  if not certificate then
    return refuse("az ssh cert: " .. err.message, nil, err)
  end
  ok, err = check_tenant(certificate, tenant)
  if not ok then
    return nil, err
  end
  local _, ends = certificate:validity()
  return certificate, { expires_on = ends }
end

--- A certificate for the key, of whoever is signed in to the Azure CLI.
---@param core table
---@param key arclua.SshKey
---@param tenant string?
---@return arclua.SshCertificate|nil, { expires_on: number }|arclua.Error
function az_certificate.fetch(core, key, tenant)
  local dir, err = core.sys.mkdtemp "arclua-cert"
  if not dir then
    return nil, err
  end
  local certificate, info = fetch(core, dir, key, tenant)
  core.sys.remove(dir)
  return certificate, info
end

return az_certificate
