-- SPDX-License-Identifier: MIT
-- A token that somebody else got: used as it is until it expires.
local real = require "arclua.core"
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

-- Life assumed for a token that does not tell.
local UNKNOWN_LIFE = 3600

---@param spec { token: arclua.Secret, expires_on: number? }
---@param primitives table?
---@return arclua.TokenSource
local function new(spec, primitives)
  local core = primitives or real
  local claims = not spec.expires_on and core.token.claims(spec.token) or {}
  return setmetatable({ name = "static token", static = true, core = core, token = spec.token,
    expires_on = spec.expires_on or claims.exp or core.time() + UNKNOWN_LIFE }, Source)
end

-- A token is for one resource: the first that is asked for.
function Source:fetch(scope, opts)
  self.scope = self.scope or scope
  if opts and opts.ssh_key then
    return errors.fail { reason = "cred.no-certificate", op = "credential",
      message = "an access token cannot be exchanged for an SSH certificate" }
  elseif scope ~= self.scope then
    return errors.fail { code = "config", op = "credential",
      message = ("the given access token is used for %s, so it is none for %s"):format(self.scope,
        scope), remedy = "sign in in another way for that: --credential" }
  elseif self.refused then
    return errors.fail { reason = "arm.token-refused", op = "credential",
      message = "the given access token was refused",
      remedy = "get a new token: a static one cannot be renewed" }
  elseif self.expires_on <= self.core.time() then
    return errors.fail { reason = "arm.token-refused", op = "credential",
      message = "the given access token has expired",
      remedy = "get a new token: a static one cannot be renewed" }
  end
  return self.token, { expires_on = self.expires_on }
end

function Source:forget()
  self.refused = true
end

function Source:close()
  self.token:close()
end

return { new = new }
