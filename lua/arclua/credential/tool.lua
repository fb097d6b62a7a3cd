-- SPDX-License-Identifier: MIT
-- What the credentials of other command-line tools share: one run of the tool, and what to do
-- when it gives no token.
local errors = require "arclua.errors"
local tenants = require "arclua.credential.tenants"

local tool = {}

-- They take one to three seconds to start on a slow machine.
local TIMEOUT = 15

---@class arclua.Tool
---@field title string    "Azure CLI"
---@field program string  "az"
---@field login string    the command that signs in
---@field check string    the command that shows what is wrong
---@field noise string?   remedy where it prints other text as well; default az's settings
---@field hints string[]  what its messages say when nobody is signed in

--- What may be asked of it: the tenant to name, nil for its own. Errors: config, auth.
---@return string|nil, arclua.Error?
function tool.tenant(how, spec, scope, wanted)
  if not scope:find "^%w[%w:/._-]*$" then
    return errors.fail { code = "config", op = "credential",
      message = ("scope '%s' cannot be asked of the %s"):format(scope, how.title),
      remedy = "write RESOURCE/.default, with letters, digits and :/._- only" }
  end
  return tenants.choose(spec, wanted)
end

local function unavailable(how, message, cause)
  return errors.fail { reason = "cred.unavailable", op = "credential", message = message,
    cause = cause, remedy = how.remedy }
end

local function says_signed_out(how, message)
  for _, hint in ipairs(how.hints) do
    if message:find(hint, 1, true) then
      return true
    end
  end
  return false
end

--- Runs it: a token, or why there is none. Errors: auth (cred.unavailable, cred.az-failed).
---@param how arclua.Tool
---@param args string[]
---@return arclua.Secret|nil, table|arclua.Error
function tool.run(core, how, args)
  local secret, info = core.token.command { args = args, timeout = TIMEOUT }
  if secret then
    return secret, info
  elseif info.code == "notfound" then
    return unavailable({ remedy = ("install the %s and run `%s`"):format(how.title, how.login) },
      ("the program %s is not installed"):format(how.program), info)
  elseif info.code == "timeout" then
    return errors.fail { reason = "cred.az-failed", op = "credential", cause = info,
      message = ("%s did not answer within %d s"):format(how.program, TIMEOUT),
      remedy = ("run `%s` to see what it waits for"):format(how.check) }
  elseif says_signed_out(how, info.message) then
    return unavailable({ remedy = ("run `%s`"):format(how.login) },
      ("the %s is not signed in"):format(how.title), info)
  elseif info.reason == "cred.az-failed" then
    local usual = core.reasons["cred.az-failed"].remedy
    info = errors.with(info, { op = "credential", message = info.message:gsub("^the command",
      how.program), remedy = info.remedy ~= usual and (how.noise or info.remedy)
      or ("run `%s` to see what is wrong; often `%s` mends it"):format(how.check, how.login) })
  end
  return nil, info
end

return tool
