-- SPDX-License-Identifier: MIT
-- The authority that certifies keys for SSH, as Entra does; the machines' sshd trust it. Its key is
-- made at the first certificate.
local core = require "arclua.core"
local json = require "arclua.json"

local ssh_ca = {}

local TYPE = "ssh-rsa-cert-v01@openssh.com"
local LIFE, SKEW = 3600, 300 -- seconds
local BITS, BITS_MIN = 2048, 2048
local USER = 1
local AT = "@sshservice.azure.net"

--- Who may have certificates: the account's name is the principal in lower case.
---@return { person: table, application: table }  each { name, principal, gecos, oid }
function ssh_ca.people(state)
  local person = state.users
  return {
    person = { name = person.principal:lower(), principal = person.principal,
      gecos = person.name, oid = person.oid },
    application = { name = state.object_id, principal = state.object_id,
      gecos = "arclua emulator's application", oid = state.object_id },
  }
end

--- path: where sshd looks for whom to trust; own: makes the file the machines' login's.
function ssh_ca.new(path, own)
  return { path = path, own = own }
end

local function make(ca)
  local key, err = core.crypto.ssh_key(BITS)
  local ok = key
  if ok then
    ok, err = core.sys.write_file(ca.path, key:public "arclua emulator" .. "\n", 384)
  end
  if ok then
    ok, err = ca.own(ca.path)
  end
  if not ok then
    return nil, err
  end
  ca.key = key
  return true
end

-- Whoever comes while it is made waits for it.
local function ready(ca)
  while ca.making do
    local ok, err = ca.making:wait()
    if not ok then
      return nil, err
    end
  end
  if ca.key then
    return ca.key
  end
  local waiting = core.cond()
  ca.making = waiting
  local ok, err = make(ca)
  ca.making = nil
  waiting:broadcast()
  return ok and ca.key, err
end

local function refuse(text)
  return nil, { 400, "invalid_request", 900144, text }
end

-- A number of a JWK as SSH writes it: some clients keep the leading zero, or the padding.
local function number(text)
  local bytes = type(text) == "string" and core.crypto.unbase64((text:gsub("=+$", "")))
  bytes = bytes and bytes:gsub("^\0+", "")
  if not bytes or bytes == "" then
    return nil
  end
  return bytes:byte() >= 128 and "\0" .. bytes or bytes
end

-- The numbers of the key to certify | nil, refusal.
local function key_of(form)
  local jwk = form.req_cnf and json.decode(form.req_cnf)
  if not form.key_id or type(jwk) ~= "table" then
    return refuse "The request body must contain the following parameters: 'req_cnf', 'key_id'."
  end
  local e, n = number(jwk.e), number(jwk.n)
  if jwk.kty ~= "RSA" or not e or not n or 8 * #n < BITS_MIN then
    return refuse "The key in 'req_cnf' is not an RSA key of 2048 bits or more."
  end
  return { e = e, n = n }
end

local function strings(list)
  local out = {}
  for i, text in ipairs(list) do
    out[i] = string.pack(">s4", text)
  end
  return table.concat(out)
end

local function extensions(state, who)
  local given = { ["displayname" .. AT] = who.gecos, ["oid" .. AT] = who.oid,
    ["tid" .. AT] = state.tenant }
  for _, name in ipairs { "X11-forwarding", "agent-forwarding", "port-forwarding", "pty",
    "user-rc" } do
    given["permit-" .. name] = ""
  end
  local names, list = {}, {}
  for name in pairs(given) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = name
    list[#list + 1] = given[name] ~= "" and string.pack(">s4", given[name]) or ""
  end
  return strings(list)
end

local function public_blob(key)
  return core.crypto.unbase64(key:public():match " (%S+)$")
end

--- A certificate: base64 of its blob (OpenSSH's PROTOCOL.certkeys).
---@param ca arclua.SshKey  who signs
---@param plan { e: string, n: string, key_id: string, principals: string[], valid_after: integer,
---   valid_before: integer, extensions: string }
---@return string
function ssh_ca.sign(ca, plan)
  local body = string.pack(">s4s4s4s4I8I4s4s4I8I8s4s4s4s4", TYPE, core.crypto.random(32), plan.e,
    plan.n, 0, USER, plan.key_id, strings(plan.principals), plan.valid_after, plan.valid_before,
    "", plan.extensions, "", public_blob(ca))
  return core.crypto.base64(body .. string.pack(">s4", ca:sign(body)))
end

-- A stranger's key, when that is the fault.
local function signer(state, fault)
  if fault and fault.kind == "foreign" then
    return core.crypto.ssh_key(BITS)
  end
  return ready(state.ssh_ca)
end

local function validity(state, fault)
  local now = math.floor(state.faults:time())
  if fault and fault.kind == "expired" then
    return now - LIFE - SKEW, now - SKEW // 5
  end
  return now - SKEW, now + math.floor(fault and fault.lifetime or LIFE)
end

--- The members of the answer to a form that asks for one's certificate | nil, refusal.
---@param who table  of ssh_ca.people
function ssh_ca.answer(state, form, who)
  local key, refusal = key_of(form)
  if not key then
    return nil, refusal
  end
  local fault = state.faults:take "certificate"
  local ca, err = signer(state, fault)
  if not ca then
    return nil, { 500, "server_error", 90033, tostring(err) }
  end
  local from, to = validity(state, fault)
  local certificate = ssh_ca.sign(ca, { e = key.e, n = key.n,
    key_id = who.oid .. "@" .. state.tenant, principals = { who.principal }, valid_after = from,
    valid_before = to, extensions = extensions(state, who) })
  state.log:add("certificate", { principal = who.principal, key_id = form.key_id })
  local left = math.max(to - math.floor(state.faults:time()), 0)
  return { token_type = "ssh-cert", access_token = certificate, expires_in = left,
    ext_expires_in = left }
end

--- Whether a form asks for one.
function ssh_ca.wants(form)
  return form.token_type == "ssh-cert"
end

return ssh_ca
