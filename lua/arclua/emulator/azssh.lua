-- SPDX-License-Identifier: MIT
-- `az ssh cert` of the emulator's az, in the words of the extension.
local core = require "arclua.core"
local json = require "arclua.json"
local percent = require "arclua.percent"

local azssh = {}

-- "Azure Linux VM Sign-In", by the ID of the application.
local SCOPE = "ce6ff14a-7fdc-4685-bbe0-f6afdfcfa8e0/.default"

local function fail(text)
  io.stderr:write("ERROR: ", text, "\n")
  return 1
end

-- The JWK of a line of an RSA public key; nil for another key.
local function jwk_of(line, key_id)
  local blob = line:match "^ssh%-rsa ([%w+/=]+)"
  blob = blob and core.crypto.unbase64(blob)
  local ok, kind, e, n = pcall(string.unpack, ">s4s4s4", blob or "")
  if not ok or kind ~= "ssh-rsa" then
    return nil
  end
  return json.encode { kty = "RSA", n = core.crypto.base64url((n:gsub("^\0+", ""))),
    e = core.crypto.base64url(e), kid = key_id }
end

-- The public key's file: the one that is named, else that of a new pair.
local function public_key(given)
  if given then
    return given
  end
  local dir = assert(core.sys.mkdtemp "aadsshcert")
  local child <close> = assert(core.process.spawn { stdout = "null", args = { "ssh-keygen", "-q",
    "-t", "rsa", "-b", "3072", "-N", "", "-f", dir .. "/id_rsa" } })
  child:wait()
  io.stderr:write("WARNING: ", dir, " contains sensitive information (id_rsa, id_rsa.pub). Please "
    .. "delete once this certificate is no longer being used.\n")
  return dir .. "/id_rsa.pub"
end

local function encode(form)
  local parts = {}
  for name, value in pairs(form) do
    parts[#parts + 1] = name .. "=" .. percent.encode(value)
  end
  return table.concat(parts, "&")
end

-- The service's answer: a table; nil and an error.
local function ask(session, jwk, key_id)
  local answer, err = core.http.request { method = "POST", ca = session.ca,
    url = ("%s/%s/oauth2/v2.0/token"):format(session.authority, session.tenant),
    headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    body = encode { grant_type = "refresh_token", client_id = session.client_id,
      refresh_token = session.refresh_token, scope = SCOPE .. " openid profile offline_access",
      token_type = "ssh-cert", key_id = key_id, req_cnf = jwk } }
  if not answer then
    return nil, err
  end
  local body = json.decode(answer.body) or {}
  if body.token_type ~= "ssh-cert" then
    return nil, { message = body.error_description or "the answer is no certificate" }
  end
  return body
end

--- Runs the command: its exit status. refused(err, scope) says that a sign-in is needed.
function azssh.cert(self, refused)
  local path = public_key(self.options["public-key-file"])
  local line = core.sys.read_file(path, 65536)
  if not line then
    return fail("Public key " .. path .. " not found")
  end
  local key_id = core.crypto.hex(core.crypto.sha256(line))
  local jwk = jwk_of(line, key_id)
  if not jwk then
    return fail("Couldn't parse public key " .. path)
  end
  local body, err = ask(self.session, jwk, key_id)
  if not body then
    return refused(err, SCOPE)
  end
  local file = self.options.file or path .. "-aadcert.pub"
  local ok, why = core.sys.write_file(file, "ssh-rsa-cert-v01@openssh.com " .. body.access_token,
    420)
  if not ok then
    return fail(why.message)
  end
  io.stderr:write(("Generated SSH certificate %s is valid until %s in local time.\n"):format(file,
    os.date("%Y-%m-%d %I:%M:%S %p", math.floor(core.time()) + body.expires_in)))
  return 0
end

return azssh
