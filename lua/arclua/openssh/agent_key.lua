-- SPDX-License-Identifier: MIT
-- Entra's certificate, with its key, in the user's SSH agent: there OpenSSH finds it, in memory
-- only, until its end. One that is there already and of the same sign-in serves again.
local errors = require "arclua.errors"
local paths = require "arclua.paths"

local agent_key = {}

local LIST, KEYS, SUCCESS = 11, 12, 6
local MAX_ANSWER = 256 * 1024
local TIMEOUT = 10 -- seconds, for an agent to answer
local MARGIN = 300 -- a certificate is not used in its last minutes
local COMMENT = "arclua"
local AT = "@sshservice.azure.net"

local function failed(why)
  return errors.fail { reason = "ssh.agent-failed", op = "proxy",
    message = "the SSH agent " .. why }
end

-- Exactly n bytes | nil, err.
local function read(stream, n)
  local text = ""
  while #text < n do
    local chunk, err = stream:read(n - #text)
    if not chunk then
      return nil, err or select(2, failed "closed the connection")
    end
    text = text .. chunk
  end
  return text
end

-- What the agent answers to a message (text, or a secret).
local function ask(stream, message)
  local ok, err = stream:write(message)
  local head = ok and nil
  if ok then
    head, err = read(stream, 4)
  end
  if not head then
    return nil, err
  end
  local n = string.unpack(">I4", head)
  if n < 1 or n > MAX_ANSWER then
    return failed "broke its protocol"
  end
  return read(stream, n)
end

-- The blobs and comments of its keys | nil, err.
local function list(stream)
  local answer, err = ask(stream, string.pack(">I4B", 1, LIST))
  if not answer then
    return nil, err
  end
  local ok, found = pcall(function()
    local kind, n, at = string.unpack(">BI4", answer)
    local keys = {}
    for i = 1, kind == KEYS and n or 0 do
      keys[i] = {}
      keys[i].blob, keys[i].comment, at = string.unpack(">s4s4", answer, at)
    end
    return kind == KEYS and keys
  end)
  if not ok or not found then
    return failed "did not tell its keys"
  end
  return found
end

-- Whether a key of the agent is a certificate of this account that we have put there.
local function is_ours(core, key, account)
  if key.comment ~= COMMENT then
    return false
  end
  local cert = core.crypto.ssh_certificate(core.crypto.base64(key.blob))
  if not cert then
    return false
  end
  local says, now = cert:extensions(), core.time()
  local from, to = cert:validity()
  cert:close()
  return says["oid" .. AT] == account.oid and says["tid" .. AT] == account.tid and now >= from
    and to - now > MARGIN
end

local function has(core, keys, account)
  for _, key in ipairs(account and keys or {}) do
    if is_ours(core, key, account) then
      return true
    end
  end
  return false
end

local function add(core, stream, certificate, info)
  local left = math.floor(info.expires_on - core.time())
  local message <close> = core.ssh.agent_message(certificate, COMMENT, left)
  local answer, err = core.timeout(TIMEOUT, ask, stream, message)
  if not answer then
    return nil, err
  elseif answer:byte() ~= SUCCESS then
    return failed "took no certificate"
  end
  return true
end

-- Who is signed in, by the token that the sign-in has anyway; nil = it does not tell.
local function account_of(core, azure)
  local token = azure:token()
  local claims = token and core.token.claims(token)
  return claims and claims.oid and claims.tid and claims or nil
end

--- Puts the certificate of a sign-in into the agent of SSH_AUTH_SOCK.
--- Errors: auth (ssh.agent-failed), and those of azure:ssh_certificate.
---@param core table
---@param azure arclua.Azure
---@return true|nil, arclua.Error?
function agent_key.provide(core, azure)
  local path = paths.env "SSH_AUTH_SOCK"
  if not path then
    return errors.fail { reason = "ssh.agent-failed", op = "proxy",
      message = "option '--entra' gives the certificate to the SSH agent, and SSH_AUTH_SOCK names "
        .. "none", remedy = "start one (eval `ssh-agent`), or write the certificate with `arclua "
        .. "cert`, which docs/cert.md shows for ssh_config" }
  end
  local stream <close>, err = core.ssh.agent(path)
  local keys
  if stream then
    keys, err = core.timeout(TIMEOUT, list, stream)
  end
  if not keys then
    return nil, err
  elseif has(core, keys, account_of(core, azure)) then
    return true
  end
  local certificate, info = azure:ssh_certificate()
  if not certificate then
    return nil, info
  end
  return add(core, stream, certificate, info)
end

return agent_key
