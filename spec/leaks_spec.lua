-- SPDX-License-Identifier: MIT
-- Leak canaries: no secret of a run is found where it must not be.
local canary = require "canary"
local core = require "arclua.core"
local emulated = require "emulated"
local program = require "program"
local sshlab = require "sshlab"
local sshtcp = require "sshtcp"
local witness = require "witness"

local LEAKER = "spec/support/leaker.lua"
local ASAN = os.getenv "ARCLUA_PRELOAD" ~= nil
-- Memory that is given back stays as it was: what was not wiped before is found.
--
-- Known exceptions, and why:
-- * The environment block: whoever started the program has put the secret there, and it stands
--   there as long as the process. It is not looked through.
-- * What libssh frees while it reads a key file in OpenSSH's own format: it does not wipe these
--   buffers. Looked for with the usual allocator, which has used them anew by then.
-- * A module in a process that has used libcurl or OpenSSL before us: their allocators are then
--   not ours to choose.
-- * Secrets that a script itself makes strings of Lua of: client_secret = "text".
local NOFREE = (program.path:gsub("bin/arclua$", "nofree.so"))

-- How the same program is run: by the host, and as a module.
local RUNNERS = { host = { program.path, "run", LEAKER }, module = { "lua5.4", LEAKER } }

local function environment(e, changes)
  local env = { LD_PRELOAD = NOFREE, ARCLUA_CONFIG = "none", SSL_CERT_FILE = false }
  for _, source in ipairs { e and e.env or {}, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return env
end

-- The next line of a program's output.
local function lines_of(stream)
  local got = ""
  return function()
    while true do
      local line, rest = got:match "^([^\n]*)\n(.*)$"
      if line then
        got = rest
        return line
      end
      local chunk = stream:read()
      if not chunk then
        return nil
      end
      got = got .. chunk
    end
  end
end

-- Runs a way of the leaker to where it stands still: what is found in its memory.
-- each(line): told what it prints before.
local function memory(runner, way, e, changes, secrets, each)
  local args = table.move({ way }, 1, 1, #RUNNERS[runner] + 1,
    table.move(RUNNERS[runner], 1, #RUNNERS[runner], 1, {}))
  local child <close> = assert(core.process.spawn { args = args, stdin = "pipe",
    env = environment(e, changes) })
  local input, out = child:stdin(), child:stdout()
  local said
  for line in lines_of(out) do
    said = line
    if line == "closed" or line:find "^failed" then
      break
    end
    each(line)
  end
  assert.equal("closed", said)
  local needles = canary.needles(secrets)
  assert.truthy(#needles > 0)
  local found = canary.memory(child:pid(), needles)
  input:write "\n"
  input:close()
  out:close()
  child:wait()
  return found
end

local function none() end

-- A private key's numbers: as DER, and as the limbs of a library's big numbers.
local function note_key(secrets, pem)
  local der = core.crypto.unbase64((pem:match "KEY%-%-%-%-%-\n(.-)\n%-%-%-%-%-END"
    :gsub("%s", "")))
  -- The second half of an RSA key's; of OpenSSH's format the seed, behind the second public key.
  local private = der:find "^openssh%-key%-v1"
    and der:match ".*ssh%-ed25519(.*)$":sub(41, 72) or der:sub(#der // 2 + 1)
  for at = 1, #private - 20, 60 do
    secrets["key at " .. at] = private:sub(at, at + 19)
    secrets["key's limbs at " .. at] = private:sub(at, at + 19):reverse()
  end
end

-- Runs openssl with a password on its standard input.
local function openssl(args, password)
  local p <close> = assert(core.process.spawn { args = table.move(args, 1, #args, 2, { "openssl" }),
    stdin = "pipe", stdout = "null" })
  local input = p:stdin()
  assert(input:write(password .. "\n"))
  input:close()
  assert.equal(0, p:wait().status)
end

local function percent(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- A proxy that wants this password, and knows the emulator alone: its URL.
local function proxy(e, password)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local task
  local function serve(stream)
    local head = ""
    repeat
      head = head .. (stream:read() or "\r\n\r\n")
    until head:find("\r\n\r\n", 1, true)
    assert.truthy(head:find("Basic " .. core.crypto.base64("user:" .. password), 1, true))
    stream:write "HTTP/1.1 200 Connection established\r\n\r\n"
    core.splice(stream, assert(core.tcp.connect("127.0.0.1", e.port)))
  end
  task = core.spawn(function()
    for stream in function() return (listener:accept()) end do
      core.spawn(serve, stream)
    end
    e.open[task] = nil
    listener:close()
  end)
  e.open[task] = task
  return ("http://user:%s@127.0.0.1:%d"):format(percent(password), listener:port())
end

if not ASAN then -- its memory is not that of the program
  describe("the scanner", function()
    it("finds what is kept, and what was freed without being wiped", function()
      local secret = canary.new "planted"
      local path = os.tmpname()
      assert(core.sys.write_file(path, secret, 384))
      for runner in pairs(RUNNERS) do
        for _, way in ipairs { "kept", "forgotten" } do
          local found = memory(runner, way, nil, { PLANTED = path }, { planted = secret }, none)
          assert.truthy(#found > 0, runner .. " " .. way)
        end
        assert.same({}, memory(runner, "nothing", nil, {}, { planted = secret }, none))
      end
      os.remove(path)
    end)

    it("knows a secret in every form", function()
      local secret = canary.new "x"
      local needles = canary.needles { it = secret }
      for shift = 0, 5 do
        local text = core.crypto.base64(("q"):rep(shift) .. secret .. "tail")
        assert.same({ "it" }, canary.find("user " .. text, needles))
        assert.same({ "it" }, canary.find(core.crypto.base64url(("q"):rep(shift) .. secret),
          needles))
      end
      assert.same({}, canary.find(canary.new "x", needles))
    end)
  end)

  describe("the memory after close", function()
    -- prepare(e, secrets) plants more; it may give variables, what hears the program's lines, and
    -- what cleans up.
    local function spec(name, sign_in, way, prepare, more)
      more = more or {}
      local opts = { machines = more.machines or 1, sign_in = sign_in, domain = more.domain }
      for runner in pairs(RUNNERS) do
        emulated.spec(("%s [%s]"):format(name, runner), opts, function(e)
          witness.hear(function(secrets)
            local changes, each, clean = prepare(e, secrets)
            local found = memory(runner, way, e, changes, secrets, each or none)
            if clean then
              clean()
            end
            assert.equal("", canary.describe(found))
          end)
        end)
      end
    end

    local function write(e, name, text)
      local path = e.client_dir .. "/" .. name
      assert(core.sys.write_file(path, text, 384))
      return path
    end

    spec("holds no client secret, token or relay key", "secret", "login", function(e, secrets)
      e.state.client_secret = canary.new "client-secret"
      secrets["client secret"] = e.state.client_secret
      return { AZURE_CLIENT_SECRET = e.state.client_secret }
    end)

    spec("holds no password of a proxy", "secret", "login", function(e, secrets)
      secrets["proxy password"] = canary.new "proxy"
      local url = proxy(e, secrets["proxy password"])
      return { HTTPS_PROXY = url, NO_PROXY = false, no_proxy = false }
    end, { domain = "arc.test" })

    spec("holds no certificate's key or password", "certificate", "token", function(e, secrets)
      local password = canary.new "certificate"
      secrets.password = password
      note_key(secrets, e.state.certificate.key)
      local path = e.client_dir .. "/locked.pem"
      openssl({ "pkcs8", "-topk8", "-passout", "stdin", "-out", path .. ".key", "-in",
        e.client_dir .. "/client.pem" }, password)
      write(e, "locked.pem", e.state.certificate.cert
        .. core.sys.read_file(path .. ".key", 65536))
      return { AZURE_CLIENT_CERTIFICATE_PATH = path, AZURE_CLIENT_CERTIFICATE_PASSWORD = password }
    end)

    spec("holds no key of a certificate in the clear", "certificate", "token", function(e, secrets)
      note_key(secrets, e.state.certificate.key)
    end)

    spec("holds no key of a PKCS #12 file", "certificate", "token", function(e, secrets)
      local password = canary.new "certificate"
      secrets.password = password
      note_key(secrets, e.state.certificate.key)
      local path = e.client_dir .. "/client.pfx"
      openssl({ "pkcs12", "-export", "-passout", "stdin", "-out", path, "-in",
        e.client_dir .. "/client.pem" }, password)
      return { AZURE_CLIENT_CERTIFICATE_PATH = path, AZURE_CLIENT_CERTIFICATE_PASSWORD = password }
    end)

    spec("holds no token of a platform's file", "workload", "token", function(e, secrets)
      secrets.assertion = core.sys.read_file(e.env.AZURE_FEDERATED_TOKEN_FILE, 65536)
        :match "%.(.*)$"
    end)

    spec("holds no token of GitHub's service", "github", "token", function(e, secrets)
      secrets.bearer = e.state.federation.bearer
    end)

    spec("holds no header of App Service", "app-service", "token", function(e, secrets)
      secrets.header = e.state.identity.header
    end)

    spec("holds no token of az", "azure-cli", "token", function() end)

    spec("holds no secret after a login with Entra", "secret", "entra", function() end,
      { machines = { { name = "web-01", login = "entra" } } })

    spec("holds no token of a virtual machine", "imds", "token", function() end)

    spec("holds no key of the Arc agent", "arc", "arc_agent", function(e, secrets)
      e.state.identity.pending = setmetatable({}, { __newindex = function(pending, key, path)
        secrets["challenge file"] = key
        rawset(pending, key, path)
      end })
      return { KEYS = e.state.identity.keys }
    end)

    local NOBODY = { AZURE_CLIENT_ID = false, AZURE_CLIENT_SECRET = false, AZURE_TENANT_ID = false }

    spec("holds no device code or refresh token", "secret", "device", function(e)
      e.state.users.interval = 1
      return NOBODY, function(user_code)
        assert(core.http.request { method = "POST", url = e.env.ARCLUA_EMULATOR_SIGNIN,
          ca = e.state.cloud.ca, body = ("code=%s&answer=approve"):format(user_code) })
      end
    end)

    spec("holds no authorization code or verifier", "secret", "browser", function(e)
      return NOBODY, function(url)
        assert.equal(200, emulated.browse(e, url, "approve"))
      end
    end)

    spec("holds no stored sign-in", "secret", "stored", function(e, secrets)
      e.state.client_secret = canary.new "stored"
      secrets.stored = e.state.client_secret
      local ended = program.run({ "login", "--service-principal", "--tenant",
        e.env.AZURE_TENANT_ID, "--client-id", e.env.AZURE_CLIENT_ID },
        { env = environment(e, { AZURE_CLIENT_SECRET = secrets.stored, LD_PRELOAD = false }) })
      assert.equal(0, ended.status, ended.err)
      return NOBODY
    end)

    spec("holds no stored certificate's key or password", "certificate", "stored",
      function(e, secrets)
        local password = canary.new "certificate"
        secrets.password = password
        note_key(secrets, e.state.certificate.key)
        local path = e.client_dir .. "/client.pfx"
        openssl({ "pkcs12", "-export", "-passout", "stdin", "-out", path, "-in",
          e.client_dir .. "/client.pem" }, password)
        local ended = program.run({ "login", "--service-principal", "--tenant",
          e.env.AZURE_TENANT_ID, "--client-id", e.env.AZURE_CLIENT_ID, "--certificate", path },
          { env = environment(e, { AZURE_CLIENT_CERTIFICATE_PASSWORD = password,
            LD_PRELOAD = false }) })
        assert.equal(0, ended.status, ended.err)
        return NOBODY
      end)

    spec("holds no static token", "secret", "static", function(e, secrets)
      secrets["static token"] = emulated.token(e):match "%.(.*)$"
      return { TOKEN = write(e, "token", emulated.token(e)), AZURE_CLIENT_ID = false,
        AZURE_CLIENT_SECRET = false }
    end)

    spec("holds no passphrase or SSH key", "secret", "passphrase", function(e, secrets)
      secrets.passphrase = canary.new "passphrase"
      note_key(secrets, core.sys.read_file(e.env.ARCLUA_IDENTITY, 65536))
      local path = e.client_dir .. "/locked"
      write(e, "locked", core.sys.read_file(e.env.ARCLUA_IDENTITY, 65536))
      local p <close> = assert(core.process.spawn { stdout = "null", args = { "ssh-keygen", "-q",
        "-p", "-N", secrets.passphrase, "-f", path } })
      assert.equal(0, p:wait().status)
      return { LD_PRELOAD = false, KEY = path,
        PASSPHRASE = write(e, "passphrase", secrets.passphrase) }
    end)

    spec("holds no SSH key in the clear", "secret", "login", function(e, secrets)
      note_key(secrets, core.sys.read_file(e.env.ARCLUA_IDENTITY, 65536))
      return { LD_PRELOAD = false }
    end)

    spec("holds no SSH password", "secret", "password", function(e, secrets)
      secrets["SSH password"] = canary.new "ssh"
      local lab = sshlab.new()
      lab:password(secrets["SSH password"])
      local server = sshtcp.start(lab, { "PasswordAuthentication=yes" })
      return { PORT = tostring(server.port), WHO = lab.user,
        PASSWORD = write(e, "password", secrets["SSH password"]) }, none, function()
        server:close()
        lab:close()
      end
    end)
  end)
end
