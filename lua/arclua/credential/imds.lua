-- SPDX-License-Identifier: MIT
-- The metadata service of an Azure virtual machine: who it is, asked at a link-local address.
local backoff = require "arclua.backoff"
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local imds = {}

local HOST = "http://169.254.169.254"
local PATH = "/metadata/identity/oauth2/token"
local PROBE = 1 -- seconds: it answers at once where it exists

-- The service is away for up to 70 s while it is updated; the sum of the waits is above that.
local RETRY = { retries = 6, base = 2, cap = 25, max_wait = 60 }
local PASSING = { [404] = true, [410] = true, [429] = true }

local function address()
  return (paths.env "AZURE_POD_IDENTITY_AUTHORITY_HOST" or HOST):gsub("/+$", "") .. PATH
end

local function absent(message, cause)
  return errors.fail { reason = "cred.unavailable", op = "credential", cause = cause,
    message = message, remedy = "run it on an Azure virtual machine that has an identity" }
end

--- Whether there is such a service. Without its header it refuses, and that is the sign.
---@return true|nil, arclua.Error?
function imds.probe(core)
  local answer, err = core.http.request { url = address(), timeout = PROBE,
    connect_timeout = PROBE, max_body = 65536 }
  if not answer then
    return absent("this is no Azure virtual machine: the metadata service does not answer", err)
  elseif answer.status ~= 400 and not PASSING[answer.status] and answer.status < 500 then
    -- A portal or a proxy that forbids the way: no reason not to try the next credential.
    return absent(("this is no Azure virtual machine: something else answers for its metadata, "
      .. "with status %d"):format(answer.status))
  end
  return true
end

local function try(core, url)
  local secret, info = core.token.request { url = url, headers = { Metadata = "true" } }
  if not secret and info.status then
    local passing = PASSING[info.status] or info.status >= 500
    info = errors.with(info, { retryable = passing or false })
  end
  return secret, info
end

-- Docker Desktop answers for a network that it does not have.
local function unreachable(info)
  return info.status == 403 and info.message:find("unreachable", 1, true) ~= nil
end

local function not_found(info)
  return info.status == 400 and info.message:find("Identity not found", 1, true) ~= nil
end

--- A token; chosen: a certain identity was asked for, not the machine's own. early: the old token
--- is good yet, so one try is enough.
function imds.fetch(core, query, chosen, early)
  local url = address() .. "?api-version=2018-02-01&" .. query
  local secret, info = backoff.run({ retries = early and 0 or RETRY.retries, base = RETRY.base,
    cap = RETRY.cap, max_wait = RETRY.max_wait, sleep = core.sleep }, function()
    return try(core, url)
  end)
  if secret then
    return secret, info
  elseif unreachable(info) then
    return absent("this is no Azure virtual machine: its metadata service cannot be reached", info)
  elseif not_found(info) and not chosen then
    return absent("this virtual machine has no identity", info)
  elseif not_found(info) then
    info = errors.with(info, { reason = "cred.identity-failed", code = "auth",
      message = "this virtual machine has no such identity: " .. info.message,
      remedy = "assign the identity to the machine, or check AZURE_CLIENT_ID" })
  elseif info.status then
    info = errors.with(info, { retryable = false }) -- enough was tried
  end
  return nil, info
end

return imds
