-- SPDX-License-Identifier: MIT
-- Whether stored sign-ins are encrypted, and with which key: the desktop's secret service keeps it.
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local keyring = {}

local WISHES = { auto = true, always = true, never = true }
local REMEDY = "install libsecret-1-0 and run it in your desktop's session, or pass --encrypt never"

--- What was wished for: "auto" (where there is a secret service), "always" or "never".
--- Errors: config.
---@param given string?  instead of ARCLUA_ENCRYPT
---@return string|nil, arclua.Error?
function keyring.wish(given)
  local wish = given or paths.env "ARCLUA_ENCRYPT" or "auto"
  if WISHES[wish] then
    return wish
  end
  return errors.fail { code = "config", op = "login",
    message = ("%s: auto, always or never expected, got '%s'"):format(
      given and "option '--encrypt'" or "ARCLUA_ENCRYPT", wish) }
end

--- The key for a new sign-in: nil alone when it is kept as it is. told(text): why, where somebody
--- could wish otherwise.
--- Errors: config, unavailable, notfound, timeout, cancelled.
---@param context { core: table }
---@param dir string
---@param wish string
---@param told fun(text: string)
---@return arclua.Secret|nil, arclua.Error?
function keyring.for_new(context, dir, wish, told)
  if wish == "never" then
    return nil
  end
  local key, err = context.core.keyring.key(dir, { create = true })
  if key or err.code == "cancelled" then
    return key, err
  elseif wish == "always" then
    return nil, errors.with(err, { remedy = REMEDY })
  elseif err.code ~= "notfound" then
    told(("the sign-in is stored without encryption: %s"):format(err.message))
  end
  return nil
end

--- The key of what is stored: asked for once a run.
--- Errors: auth (cred.locked), cancelled.
---@param context { core: table, keys: table? }
---@return arclua.Secret|nil, arclua.Error?
function keyring.of_stored(context, dir)
  context.keys = context.keys or {}
  if not context.keys[dir] then
    local key, err = context.core.keyring.key(dir)
    if err and err.code == "cancelled" then
      return nil, err
    elseif not key then
      return errors.fail { reason = "cred.locked", op = "credential", cause = err,
        message = "the stored sign-in is encrypted: " .. (err and err.message
          or "the desktop's secret service has no key for it") }
    end
    context.keys[dir] = key
  end
  return context.keys[dir]
end

--- Wipes the keys that of_stored has got for a context.
function keyring.close(context)
  for _, key in pairs(context.keys or {}) do
    key:close()
  end
  context.keys = nil
end

return keyring
