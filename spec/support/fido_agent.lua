-- SPDX-License-Identifier: MIT
-- An SSH agent whose keys are those of FIDO devices, made of software. Its public keys and
-- signatures are as OpenSSH's PROTOCOL.u2f says; openssl signs. As a program it serves one
-- connection on its standard input and output with the keys of the directory that it is given.
local fido = {}

local LIST, KEYS, SIGN, SIGNED, FAILURE = 11, 12, 13, 14, 5
local APPLICATION = "ssh:"

local KINDS = {
  ["sk-ssh-ed25519@openssh.com"] = { openssl = "-algorithm ed25519", point = 32,
    sign = "openssl pkeyutl -sign -rawin -inkey %s -in %s" },
  ["sk-ecdsa-sha2-nistp256@openssh.com"] = { curve = "nistp256", point = 65,
    openssl = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    sign = "openssl dgst -sha256 -sign %s %s" },
}

local function str(text)
  return string.pack(">s4", text)
end

local function run(command, ...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = "'" .. word .. "'"
  end
  local p = assert(io.popen(command:format(table.unpack(words)), "r"))
  local out = p:read("a")
  assert(p:close(), command)
  return out
end

local function write(path, text)
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(text))
end

local function read(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function sha256(text, path)
  write(path, text)
  return run("openssl dgst -sha256 -binary %s", path)
end

-- Makes the key dir/NAME of this kind; its public half goes to dir/NAME.pub. That line.
function fido.make(dir, name, kind)
  local path, how = dir .. "/" .. name, KINDS[kind]
  run("openssl genpkey " .. how.openssl .. " -out %s", path .. ".sk")
  local point = run("openssl pkey -in %s -pubout -outform DER", path .. ".sk"):sub(-how.point)
  local blob = str(kind) .. (how.curve and str(how.curve) or "") .. str(point) .. str(APPLICATION)
  write(path .. ".blob", blob)
  local line = kind .. " " .. run("openssl base64 -A -in %s", path .. ".blob")
  write(path .. ".pub", line .. "\n")
  return line
end

-- The agent holds the key dir/NAME from now on; flags are those of its signatures (1: was touched).
function fido.hold(dir, name, flags)
  local f <close> = assert(io.open(dir .. "/held", "a"))
  f:write(name, " ", flags or 1, "\n")
end

local function held(dir)
  local keys = {}
  for name, flags in read(dir .. "/held"):gmatch("(%S+) (%d+)\n") do
    keys[#keys + 1] = { path = dir .. "/" .. name, flags = tonumber(flags),
      blob = read(dir .. "/" .. name .. ".blob") }
  end
  return keys
end

-- An ECDSA signature's two numbers, from DER; the same bytes are mpints.
local function numbers(der)
  local _, _, r, _, s = string.unpack("BxBs1Bs1", der) -- SEQUENCE of two INTEGERs
  return r, s
end

local function sign(key, data)
  local kind = string.unpack(">s4", key.blob)
  local scratch = os.tmpname()
  local tail = string.pack(">BI4", key.flags, 7)
  write(scratch .. ".m", sha256(APPLICATION, scratch) .. tail .. sha256(data, scratch))
  local raw = run(KINDS[kind].sign, key.path .. ".sk", scratch .. ".m")
  os.remove(scratch)
  os.remove(scratch .. ".m")
  if KINDS[kind].curve then
    local r, s = numbers(raw)
    raw = str(r) .. str(s)
  end
  return str(kind) .. str(raw) .. tail
end

local function answer(dir, message)
  local keys = held(dir)
  if message:byte() == LIST then
    local parts = { string.pack(">BI4", KEYS, #keys) }
    for _, key in ipairs(keys) do
      parts[#parts + 1] = str(key.blob) .. str("device")
    end
    return table.concat(parts)
  end
  if message:byte() == SIGN then
    local blob, data = string.unpack(">s4s4", message, 2)
    for _, key in ipairs(keys) do
      if key.blob == blob then
        return string.char(SIGNED) .. str(sign(key, data))
      end
    end
  end
  return string.char(FAILURE)
end

local function serve(dir)
  io.stdout:setvbuf("no")
  while true do
    local head = io.read(4)
    local message = head and io.read((string.unpack(">I4", head)))
    if not message then
      return
    end
    io.write(str(answer(dir, message)))
  end
end

if arg and arg[0] and arg[0]:find("fido_agent%.lua$") then
  serve(arg[1])
end

return fido
