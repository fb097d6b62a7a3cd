-- SPDX-License-Identifier: MIT
-- The token by which a platform vouches for a workload: from a file that the platform keeps
-- fresh, or from GitHub's service. Got anew for each use, as it lives for minutes.
local endpoint = require "arclua.credential.endpoint"
local errors = require "arclua.errors"
local percent = require "arclua.percent"

local assertion = {}

--- The variable that lets a job ask GitHub's service.
assertion.BEARER = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

-- Whom the token is meant for, by cloud.
local AUDIENCES = { public = "api://AzureADTokenExchange",
  usgov = "api://AzureADTokenExchangeUSGov",
  china = "api://AzureADTokenExchangeChina" }

--- From a file; a link is followed, as Kubernetes mounts it by links.
---@return fun(core: table): arclua.Secret?, arclua.Error?
function assertion.file(path)
  return function(core)
    local secret, info = core.secret_file(path, { follow = true })
    if secret and info.size > 0 then
      return secret
    end
    return errors.fail { reason = "cred.bad-token-file", op = "credential", cause = info,
      message = "the federated token: " .. (secret and path .. " is empty" or info.message) }
  end
end

--- From GitHub's service for a job. url: what the job's environment says; what it says to prove it
--- with is read at each use.
---@return fun(core: table): arclua.Secret?, arclua.Error?
function assertion.github(url, cloud)
  local glue = url:find("?", 1, true) and "&" or "?"
  local audience = AUDIENCES[cloud.name] or AUDIENCES.public
  local asked = url .. glue .. "audience=" .. percent.encode(audience)
  local own = url:sub(1, #cloud.authority + 1) == cloud.authority .. "/"
  return function(core)
    local bearer <close> = core.secret_env(assertion.BEARER)
    local secret, err = endpoint.retry(core, function()
      return core.token.request { url = asked, assertion = true,
        headers = { Authorization = bearer }, ca = own and cloud.ca or nil }
    end)
    if secret then
      return secret
    end
    -- Tried enough: what has asked for the token does not begin again.
    return nil, errors.with(err, { op = "credential", retryable = false,
      message = "GitHub's token service: " .. err.message,
      remedy = not err.retryable and "check that the job has `permissions: id-token: write`"
        or err.remedy })
  end
end

return assertion
