-- SPDX-License-Identifier: MIT
-- An application's certificate: files of every kind, what is signed, and Entra's refusals.
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local credential = require "arclua.credential"
local emulated = require "emulated"
local environment = require "arclua.credential.environment"
local fake = require "fake"
local json = require "arclua.json"
local program = require "program"

local NAMES = { "rsa", "other", "ec", "ca" }
local dir, at

local function sh(line)
  assert(os.execute(("cd %s && { %s; } 2>/dev/null"):format(dir, line)))
end

local function load(name, password)
  return core.crypto.client_certificate(dir .. "/" .. name, password and core.secret(password))
end

local function refused(pattern, name, password)
  local certificate, err = load(name, password)
  assert.is_nil(certificate)
  assert.equal("cred.bad-certificate", err.reason)
  assert.matches(pattern, err.message)
end

describe("client certificate", function()
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    at = dir .. "/"
    for _, name in ipairs(NAMES) do
      local made = core.crypto.make_client_certificate(name)
      assert(core.sys.write_file(at .. name .. ".crt", made.cert))
      assert(core.sys.write_file(at .. name .. ".key", made.key))
    end
    sh [[cat rsa.key ca.crt rsa.crt >both.pem; sed 's/$/\r/' both.pem >crlf.pem
      openssl rsa -traditional -in rsa.key -out p1.key; cat rsa.crt p1.key >p1.pem
      openssl pkcs8 -topk8 -in rsa.key -out enc.key -passout pass:p; cat enc.key rsa.crt >enc.pem
      openssl pkcs12 -export -inkey rsa.key -in rsa.crt -certfile ca.crt -out a.pfx -passout pass:p
      openssl pkcs12 -export -inkey rsa.key -in rsa.crt -out empty.pfx -passout pass:
      openssl pkcs12 -export -legacy -inkey rsa.key -in rsa.crt -out old.pfx -passout pass:p
      openssl pkcs12 -export -nokeys -in rsa.crt -out nokey.pfx -passout pass:p
      cat rsa.key other.crt >mixed.pem; cat rsa.key other.key rsa.crt >two.pem
      openssl ecparam -name prime256v1 -genkey -noout -out ec.key; cat ec.key rsa.crt >ec.pem
      openssl genrsa -out small.key 1024; cat small.key rsa.crt >small.pem
      sed '2,$s/[^-]/A/g
        $s/.*/-----END PRIVATE KEY-----/' rsa.key >broken.key
      cat rsa.crt broken.key >broken.pem
      sed 's/^M/?/' rsa.crt >broken.crt; cat broken.crt rsa.key >brokencrt.pem
      head -c 40 a.pfx >cut.pfx; : >empty; mkfifo fifo; ln -s both.pem link.pem
      echo hello >text; head -c 300000 /dev/zero >huge]]
  end)

  teardown(function() core.sys.remove(dir) end)

  it("is read from PEM in any order and form, and from PKCS #12", function()
    local wanted = assert(load "both.pem"):thumbprint()
    assert.equal(43, #wanted)
    for name, password in pairs { ["both.pem"] = "", ["crlf.pem"] = "", ["p1.pem"] = "",
      ["link.pem"] = "", ["enc.pem"] = "p", ["a.pfx"] = "p", ["empty.pfx"] = "" } do
      local certificate <close> = assert(load(name, password ~= "" and password or nil), name)
      assert.equal(wanted, certificate:thumbprint())
    end
    assert.truthy(load("empty.pfx", ""))
  end)

  it("is refused with the reason, one for each", function()
    refused("more than one", "two.pem")
    refused("no private key", "rsa.crt")
    refused("no private key", "nokey.pfx", "p")
    refused("no certificate", "rsa.key")
    refused("does not belong", "mixed.pem")
    refused("not an RSA key", "ec.pem")
    refused("less than 2048", "small.pem")
    refused("no password", "enc.pem")
    refused("password is wrong", "enc.pem", "x")
    refused("password is wrong", "enc.pem", ("x"):rep(2000))
    refused("no password", "a.pfx")
    refused("password is wrong", "a.pfx", "x")
    refused("too old", "old.pfx", "p")
    refused("key in it cannot be read", "broken.pem")
    refused("certificate in it cannot be read", "brokencrt.pem")
    refused("neither PEM", "cut.pfx", "p")
    refused("neither PEM", "text")
    refused("is empty", "empty")
  end)

  it("is a file, and no larger than such a file is", function()
    local cases = { absent = "notfound", fifo = "config", huge = "limit", ["."] = "config" }
    for name, code in pairs(cases) do
      local certificate, err = load(name)
      assert.is_nil(certificate)
      assert.equal(code, err.code)
      assert.truthy(err.message:find("read " .. dir, 1, true))
    end
  end)

  it("signs what OpenSSL verifies, and nobody else's", function()
    local certificate = assert(load "both.pem")
    local signed = certificate:sign('{"alg":"PS256"}', '{"a":1}')
    assert.equal("<redacted>", tostring(signed))
    local rsa, other = core.sys.read_file(at .. "rsa.crt"), core.sys.read_file(at .. "other.crt")
    assert.equal('{"a":1}', core.crypto.jwt_verify_certificate(rsa, signed))
    for pem, code in pairs { [other] = "auth", junk = "config" } do
      local claims, err = core.crypto.jwt_verify_certificate(pem, signed)
      assert.is_nil(claims)
      assert.equal(code, err.code)
    end
    for _, token in ipairs { "", "a", "a.b", ".." } do
      assert.is_nil((core.crypto.jwt_verify_certificate(rsa, token)))
    end
    certificate:close()
    assert.has_error(function() certificate:thumbprint() end)
  end)

  it("sends its own certificate first, then its issuers only", function()
    sh [[cp ca.crt root.crt; openssl req -new -key other.key -subj /CN=leaf -out leaf.csr
      openssl x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -days 1 -out leaf.crt
      cat rsa.crt ca.crt leaf.crt other.key >chain.pem]]
    local chain = assert(load "chain.pem"):chain()
    assert.equal(2, #chain)
    local function der(name)
      local pem = core.sys.read_file(at .. name)
      return (pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", ""))
    end
    assert.equal(der "leaf.crt", chain[1])
    assert.equal(der "ca.crt", chain[2])
  end)

  local function source_at(time, request)
    return require("arclua.credential.client_certificate").new({ cloud = fake.CLOUD,
      tenant = "contoso.com", client_id = "app", path = at .. "both.pem", send_chain = true },
      fake.core { time = function() return time end, token = { request = request } })
  end

  it("makes a new assertion for each request", function()
    local seen = {}
    local rsa = core.sys.read_file(at .. "rsa.crt")
    local function request(sent)
      assert.equal("https://login.test/contoso.com/oauth2/v2.0/token", sent.url)
      assert.is_nil(sent.form.client_secret)
      seen[#seen + 1] = json.decode(core.crypto.jwt_verify_certificate(rsa,
        sent.form.client_assertion))
      return "secret", { expires_on = 1 }
    end
    local now = math.floor(core.time())
    local source = assert(source_at(now, request))
    source:fetch("s", {})
    source:fetch("s", {})
    assert.equal(2, #seen)
    assert.not_equal(seen[1].jti, seen[2].jti)
    assert.equal("app", seen[1].iss)
    assert.equal("app", seen[1].sub)
    assert.equal("https://login.test/contoso.com/oauth2/v2.0/token", seen[1].aud)
    assert.equal(600, seen[1].exp - seen[1].nbf)
    assert.equal(now, seen[1].iat)
  end)

  it("speaks the older way to AD FS (§8 row 20)", function()
    local sent, jwt
    local source = assert(require("arclua.credential.client_certificate").new({ tenant = "adfs",
      cloud = fake.CLOUD, client_id = "app", path = at .. "both.pem" }, fake.core {
      token = { request = function(request)
        sent, jwt = request, fake.text(request.form.client_assertion)
        return "secret", { expires_on = 1 }
      end } }))
    assert.truthy(source:fetch("s", {}))
    assert.equal("https://login.test/adfs/oauth2/token", sent.url)
    local head, claims, sig = jwt:match "^([^.]+)%.([^.]+)%.([^.]+)$"
    local header = json.decode(core.crypto.unbase64(head))
    assert.equal("RS256", header.alg)
    assert.equal(27, #header.x5t)
    assert.is_nil(header["x5t#S256"])
    assert.equal(sent.url, json.decode(core.crypto.unbase64(claims)).aud)
    assert(core.sys.write_file(at .. "signed", head .. "." .. claims))
    assert(core.sys.write_file(at .. "sig", core.crypto.unbase64(sig)))
    sh [[openssl x509 -in rsa.crt -noout -pubkey >pub.pem
      openssl dgst -sha256 -verify pub.pem -signature sig signed >/dev/null]]
    local sha1 = io.popen(("cd %s && openssl x509 -in rsa.crt -outform DER | openssl sha1 -binary")
      :format(dir)):read "a"
    assert.equal(core.crypto.base64url(sha1), header.x5t)
  end)

  it("goes with its issuers when that is said (§8 row 18)", function()
    for value, sent in pairs { ["1"] = true, ["true"] = true, TRUE = true, ["0"] = false,
      ["false"] = false, [""] = false } do
      local source = fake.env({ AZURE_TENANT_ID = "t", AZURE_CLIENT_ID = "c",
        AZURE_CLIENT_CERTIFICATE_PATH = at .. "both.pem",
        AZURE_CLIENT_SEND_CERTIFICATE_CHAIN = value }, environment.certificate,
        { cloud = fake.CLOUD, core = core })
      assert.equal(sent, source.spec.send_chain)
    end
  end)

  it("that has expired, or is not valid yet, asks for nothing", function()
    for shift, pattern in pairs { [3 * 86400] = "expired", [-86400] = "not valid before" } do
      local source = assert(source_at(core.time() + shift, function() error "asked" end))
      local secret, err = source:fetch("s", {})
      assert.is_nil(secret)
      assert.equal("cred.certificate-expired", err.reason)
      assert.matches(pattern, err.message)
    end
  end)

  local function open(e, changes)
    local opts = { cloud = assert(clouds.load(e.cloud)), tenant = e.env.AZURE_TENANT_ID,
      client_id = e.env.AZURE_CLIENT_ID, certificate = e.env.AZURE_CLIENT_CERTIFICATE_PATH }
    for key, value in pairs(changes or {}) do
      opts[key] = value
    end
    return assert(credential.client_certificate(opts)), opts.cloud.scope
  end

  emulated.spec("signs in at the emulator, with the chain and without", { machines = 1,
    sign_in = "certificate" }, function(e)
    for _, chain in ipairs { false, true } do
      local it_, scope = open(e, { send_chain = chain })
      local secret, info = it_:token(scope)
      assert.equal("<redacted>", tostring(assert(secret, tostring(info))))
    end
    local it_, scope = open(e, { certificate = at .. "both.pem" })
    local secret, err = it_:token(scope)
    assert.is_nil(secret)
    assert.equal("entra.bad-client", err.reason)
    assert.matches("AADSTS700027", err.message)
  end)

  emulated.spec("is checked there for real", { machines = 1, sign_in = "certificate" }, function(e)
    local path = e.env.AZURE_CLIENT_CERTIFICATE_PATH
    local certificate <close> = assert(core.crypto.client_certificate(path))
    local url = ("%s/%s/oauth2/v2.0/token"):format(e.state.cloud.authority, e.env.AZURE_TENANT_ID)
    local function post(header, claims, form)
      local now, id = math.floor(core.time()), e.env.AZURE_CLIENT_ID
      local h = { alg = "PS256", ["x5t#S256"] = certificate:thumbprint() }
      local c = { aud = url, iss = id, sub = id, jti = "j", nbf = now, exp = now + 600 }
      for to, from in pairs { [h] = header, [c] = claims } do
        for key, value in pairs(from) do
          to[key] = value
        end
      end
      local sent = { grant_type = "client_credentials", client_id = id,
        client_assertion = certificate:sign(json.encode(h), json.encode(c)),
        client_assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        scope = e.state.cloud.audience .. "/.default" }
      for key, value in pairs(form or {}) do
        sent[key] = value
      end
      local secret, err = core.token.request { url = url, form = sent, ca = e.state.cloud.ca }
      return secret and 200 or tonumber(err.message:match "AADSTS(%d+)")
    end
    assert.equal(200, post({}, {}))
    assert.equal(700027, post({ alg = "RS256" }, {}))
    assert.equal(700027, post({ ["x5t#S256"] = "x" }, {}))
    assert.equal(700030, post({ x5c = { "x" } }, {}))
    assert.equal(700021, post({}, { iss = "x" }))
    assert.equal(700023, post({}, { aud = "x" }))
    assert.equal(700024, post({}, { exp = 1000 }))
    assert.equal(700024, post({}, { nbf = core.time() + 1000 }))
    assert.equal(50027, post({}, { jti = 1 }))
    assert.equal(50027, post({}, {}, { client_assertion = "x.y" }))
    assert.equal(900144, post({}, {}, { client_assertion_type = "x" }))
  end)

  emulated.spec("is what the environment says", { machines = 1, sign_in = "certificate" },
    function(e)
      assert.equal("", e.env.AZURE_CLIENT_SECRET)
      local ended = program.run({ "machines", "--all" }, { env = e.env })
      assert.equal(0, ended.status, ended.err)
      assert.matches("web%-01", ended.out)
    end)

  it("must be told which, whose and where", function()
    assert.has_error(function() credential.client_certificate { tenant = "t", client_id = "c" } end)
    local it_, err = credential.client_certificate { cloud = fake.CLOUD, tenant = "common",
      client_id = "c", certificate = at .. "both.pem" }
    assert.is_nil(it_)
    assert.equal("config", err.code)
    for _, opts in ipairs { { tenant = "a/b", certificate = at .. "both.pem" },
      { tenant = "t", certificate = at .. "rsa.crt" } } do
      opts.cloud, opts.client_id = fake.CLOUD, "c"
      it_, err = credential.client_certificate(opts)
      assert.is_nil(it_)
      assert.equal("config", err.code)
    end
  end)
end)
