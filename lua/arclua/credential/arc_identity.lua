-- SPDX-License-Identifier: MIT
-- The identity of a machine with the Azure Arc agent (himds): whoever can read the file that it
-- names may ask for a token.
local errors = require "arclua.errors"

local arc_identity = {}

local DIRECTORY = "/var/opt/azcmagent/tokens"
local DEFAULT = "http://127.0.0.1:40342/metadata/identity/oauth2/token"

local function refuse(message, cause)
  return errors.fail { reason = "cred.identity-failed", op = "credential", cause = cause,
    message = "the Azure Arc agent: " .. message }
end

-- Whatever listens on the port could name any file: core.token.arc_key reads the agent's alone.
local function read_key(core, challenge, directory)
  local key, err = core.token.arc_key(challenge, directory)
  if key then
    return key
  elseif err.code ~= "denied" then
    return refuse(err.message, err)
  end
  -- Not set up for this user, who may well have signed in otherwise.
  return errors.fail { reason = "cred.unavailable", op = "credential", cause = err,
    message = "the Azure Arc agent: " .. err.message,
    remedy = "add your user to the group himds, or run it as root" }
end

local function challenge_of(core, url)
  local answer, err = core.http.request { url = url, headers = { Metadata = "true" } }
  if not answer then
    return errors.fail { reason = "cred.unavailable", op = "credential", cause = err,
      message = "the Azure Arc agent does not answer: " .. err.message,
      remedy = "start it: systemctl start himdsd" }
  elseif answer.status ~= 401 then
    return refuse(("a challenge (status 401) expected, got status %d"):format(answer.status))
  end
  return answer.headers["www-authenticate"] or ""
end

-- Agents before 2026 ignore a choice and give the machine's own token: one that does not name
-- the identity is not the one that was asked for.
local function check_choice(info, choice)
  for name, wanted in pairs(choice) do
    if (info[name] or ""):lower() ~= wanted:lower() then
      return refuse(("it gave the token of another identity than the one with the %s '%s': it is "
        .. "too old to choose one"):format(name:gsub("_", " "), wanted))
    end
  end
  return true
end

local function is_local(endpoint)
  local host = endpoint:match "^http://([^/:]+):%d+/" or endpoint:match "^http://(%[::1%]):%d+/"
  return host == "localhost" or host == "127.0.0.1" or host == "[::1]"
end

--- A token for the resource. endpoint: what IDENTITY_ENDPOINT says, or nil. choice: which identity
--- as { client_id | object_id | msi_res_id = ... }, empty for the machine's own. directory: of the
--- keys, other than the agent's only in specs: no variable and no option of the program sets it.
function arc_identity.fetch(core, endpoint, query, choice, directory)
  endpoint = endpoint or DEFAULT
  if not is_local(endpoint) then
    return refuse("IDENTITY_ENDPOINT is not an http address of this machine")
  end
  local url = endpoint .. "?api-version=2020-06-01&" .. query
  local challenge, err = challenge_of(core, url)
  if not challenge then
    return nil, err
  end
  local key <close>, why = read_key(core, challenge, directory or DIRECTORY)
  if not key then
    return nil, why
  end
  local secret, info = core.token.request { url = url,
    headers = { Metadata = "true", Authorization = { "Basic ", key } } }
  local ok, wrong = true, nil
  if secret then
    ok, wrong = check_choice(info, choice)
  end
  if not ok then
    secret:close()
    return nil, wrong
  end
  return secret, info
end

return arc_identity
