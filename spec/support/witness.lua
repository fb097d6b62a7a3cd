-- SPDX-License-Identifier: MIT
-- Hears every secret that passes between the emulator of a spec and its clients.
local arm = require "arclua.emulator.arm"
local entra = require "arclua.emulator.entra"
local identity = require "arclua.emulator.identity"
local text = require "arclua.emulator.text"

local witness = {}

local SENT = { "client_secret", "client_assertion", "code", "code_verifier", "refresh_token",
  "device_code" }
local GIVEN = { "access_token", "refresh_token", "id_token", "device_code", "value" }

-- The part that is a secret: the signature of a token.
local function core_of(secret)
  return secret:match "[?& ]sig=([^&]*)" or secret:match "^eyJ[^.]*%.[^.]*%.(.*)$" or secret
end

local function hear_request(heard, request)
  local form = request.method == "POST" and text.pairs(request.body or "", true, true) or {}
  for _, name in ipairs(SENT) do
    if form[name] and #form[name] >= 16 then -- not a person's code
      heard(name, form[name])
    end
  end
end

local function hear_answer(heard, headers, body)
  local relay = type(body) == "table" and body.relay or {}
  heard("access key", relay.accessKey)
  heard("service configuration token", relay.serviceConfigurationToken)
  for _, name in ipairs(type(body) == "table" and GIVEN or {}) do
    local public = name == "access_token" and body.token_type == "ssh-cert"
    if type(body[name]) == "string" and not public then
      heard(name, body[name])
    end
  end
  heard("code", headers and headers.Location and headers.Location:match "[?&]code=([^&]*)")
end

--- Runs fn(secrets) with a table that is filled as they pass: label -> secret.
function witness.hear(fn)
  local secrets, count = {}, 0
  local function heard(label, secret)
    if secret then
      count = count + 1
      secrets[label .. " " .. count] = core_of(secret)
    end
  end
  local old = { entra = entra.handle, arm = arm.handle, issue = identity.issue }
  local function wrap(handle)
    return function(state, request)
      hear_request(heard, request)
      local status, headers, body = handle(state, request)
      hear_answer(heard, headers, body)
      return status, headers, body
    end
  end
  entra.handle, arm.handle = wrap(old.entra), wrap(old.arm)
  identity.issue = function(...)
    local jwt = old.issue(...)
    heard("access_token", jwt)
    return jwt
  end
  local out = table.pack(pcall(fn, secrets))
  entra.handle, arm.handle, identity.issue = old.entra, old.arm, old.issue
  if not out[1] then
    error(out[2], 0)
  end
  return table.unpack(out, 2, out.n)
end

return witness
