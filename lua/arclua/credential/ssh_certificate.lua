-- SPDX-License-Identifier: MIT
-- Entra's SSH certificates. A sign-in has one key pair, in memory only, and one certificate at a
-- time, which the credential keeps and renews as it does with tokens.
local errors = require "arclua.errors"
local real = require "arclua.core"

local SshCertificate = {}
SshCertificate.__index = SshCertificate

-- "Azure Linux VM Sign-In", the application that every directory knows by this ID. Its older names
-- are the clouds' ssh_scope.
local APP_SCOPE = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0/.default"

---@param spec { credential: table, cloud: arclua.Cloud }
---@param primitives table?
local function new(spec, primitives)
  return setmetatable({ credential = spec.credential, cloud = spec.cloud,
    core = primitives or real }, SshCertificate)
end

-- Made at the first use, in a thread; whoever comes meanwhile waits for it.
local function own_key(self)
  while self.making do
    local ok, err = self.making:wait()
    if not ok then
      return nil, err
    end
  end
  if self.key then
    return self.key
  end
  local waiting = self.core.cond()
  self.making = waiting
  local key, err = self.core.crypto.ssh_key()
  self.key, self.making = key, nil
  waiting:broadcast()
  return key, err
end

local function scopes(self)
  if self.scope then
    return { self.scope }
  end
  return { APP_SCOPE, self.cloud.ssh_scope }
end

-- By the application's ID, and where the directory does not know that by its older name.
local function ask(self, key)
  local certificate, info
  for _, scope in ipairs(scopes(self)) do
    certificate, info = self.credential:certificate(scope, key)
    if certificate then
      self.scope = scope
      return certificate, info
    elseif info.reason ~= "entra.bad-scope" then
      break
    end
  end
  return nil, info
end

--- A certificate for the key of this sign-in, or for a given one: from memory until 5 minutes
--- before its end.
---@param key arclua.SshKey?
---@return arclua.SshCertificate|nil, { user: string, expires_on: number }|arclua.Error
function SshCertificate:get(key)
  if not self.credential.certificate then
    return errors.fail { reason = "cred.no-certificate", op = "credential",
      message = "this credential can give no SSH certificates" }
  end
  local err
  if not key then
    key, err = own_key(self)
  end
  if not key then
    return nil, err
  end
  local certificate, info = ask(self, key)
  if not certificate then
    return nil, info
  end
  return certificate, { user = certificate:principals()[1]:lower(), expires_on = info.expires_on }
end

--- Wipes the key pair of this sign-in.
function SshCertificate:close()
  if self.key then
    self.key:close()
    self.key = nil
  end
end

return { new = new }
