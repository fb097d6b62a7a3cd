-- SPDX-License-Identifier: MIT
-- TLS of the client against openssl's server (rows 25 and 26 of the relay's list).
local core = require "arclua.core"
local harness = require "harness"
local certs = require "certs"
local sserver = require "sserver"

local both, ends = harness.both, harness.ends

local NAME = "ns.servicebus.localhost"
local known, unknown = certs.authority "/CN=Known CA", certs.authority "/CN=Corp Prôxy CA/O=Corp"
teardown(function()
  certs.remove(known)
  certs.remove(unknown)
end)

local function issue(authority, opts)
  opts.names = opts.names or "DNS:" .. NAME
  local cert, key = certs.issue(authority, opts)
  return { "-cert", cert, "-key", key }
end

local function with(args, ...)
  return table.move({ ... }, 1, select("#", ...), #args + 1, table.move(args, 1, #args, 1, {}))
end

local function request(port, name)
  return core.http.request { url = ("https://%s:%d/path"):format(name or NAME, port), ca = known.ca,
    headers = { Authorization = core.secret "hush" } }
end

local function connect(port)
  local info <close> = assert(core.relayinfo(([[{"relay":{"namespaceName":"ns",
    "namespaceNameSuffix":"servicebus.localhost:%d","hybridConnectionName":"h/17/v2",
    "accessKey":"SharedAccessSignature sr=x&sig=y","expiresOn":1790003600}}]]):format(port)))
  return core.relay.connect(info, { port = 22, ca = known.ca })
end

local good = issue(known, {})
-- OpenSSL's own security level forbids what is so old, unless told.
local OLD = with(issue(known, {}), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")

describe("tls refuses", function()
  local cases = {
    { "tls_expired_chain", issue(known, { to = "20210101000000Z" }), "tls.expired",
      "'CN = a server' expired at 2021%-01%-01T00:00:00Z; this machine's clock says 20%d%d" },
    { "tls_not_yet_valid", issue(known, { from = "21000101000000Z" }), "tls.not-yet-valid",
      "valid only from 2100%-01%-01T00:00:00Z; this machine's clock says" },
    { "tls_wrong_name", issue(known, { names = "DNS:a.test,DNS:*.b.test" }), "tls.wrong-name",
      "is for a%.test, %*%.b%.test, not for this host %(signed by 'CN = Known CA'%)" },
    { "tls_self_signed", issue(known, { self_signed = true }), "tls.untrusted",
      "'CN = a server' is self%-signed" },
    { "tls_unknown_issuer", issue(unknown, {}), "tls.untrusted",
      "signed by 'CN = Corp Prôxy CA, O = Corp', which is not known here: a TLS%-inspecting" },
    { "tls_unknown_root_sent_along", with(issue(unknown, {}), "-cert_chain", unknown.ca),
      "tls.untrusted", "signed by 'CN = Corp Prôxy CA, O = Corp', which is not known here" },
    { "tls1_1_only", OLD, "tls.too-old", "1%.2 and 1%.3" },
    { "tls_no_common_group", with(good, "-groups", "X448"), "tls.failed", "handshake failure" },
  }
  for _, case in ipairs(cases) do
    local name, args, reason, text = table.unpack(case)
    ends(name .. " with its reason, for good, before anything is sent", function()
      for _, ask in ipairs { request, connect } do
        local answer, err
        local seen = sserver.run(args, 1, function(port)
          answer, err = ask(port)
        end)
        assert.is_nil(answer)
        assert.equal(reason, err.reason)
        assert.equal("tls", err.code)
        assert.equal("tls", err.phase)
        assert.is_false(err.retryable)
        assert.truthy(err.remedy)
        assert.truthy(err.message:find(NAME .. ": ", 1, true), err.message)
        assert.truthy(err.message:find(text), err.message)
        local _, hellos = seen:gsub("ClientHello", "")
        assert.equal(1, hellos)
        for _, secret in ipairs { "hush", "path", "HTTP/1.1", "SharedAccess" } do
          assert.is_nil(seen:find(secret, 1, true))
        end
      end
    end)
  end

  both("an issuer's name that would steer a terminal, made harmless", function()
    local hostile = certs.authority "/CN=\27]0;x\7 two\nlines"
    local answer, err
    sserver.run(issue(hostile, {}), 1, function(port)
      answer, err = request(port)
    end)
    certs.remove(hostile)
    assert.is_nil(answer)
    assert.equal("tls.untrusted", err.reason)
    assert.truthy(err.message:find("two", 1, true), err.message)
    assert.is_nil(err.message:find "%c")
  end)

  for name, text in pairs { ["an HTTP server"] = "HTTP/1.1 302 Found\r\nLocation: /portal\r\n\r\n",
    ["an SSH server"] = "SSH-2.0-OpenSSH_9.2\r\n" } do
    both(name .. " on the port, by name", function()
      local listener = assert(core.tcp.listen("127.0.0.1", 0))
      local far = core.spawn(function()
        local stream <close> = assert(listener:accept())
        stream:read()
        stream:write(text)
        stream:shutdown()
        stream:read()
      end)
      local answer, err = request(listener:port())
      far:await()
      listener:close()
      assert.is_nil(answer)
      assert.equal("net.not-tls", err.reason)
      assert.is_false(err.retryable)
      assert.truthy(err.message:find(NAME, 1, true))
      assert.truthy(err.remedy:find("captive portal", 1, true))
    end)
  end
end)

describe("tls works", function()
  local cases = {
    { "with a private_CA", {}, "TLSv1.3", 1 },
    { "with a TLS 1.2 only server", { "-tls1_2" }, "TLSv1.2", 1 },
    { "with a TLS 1.3 only server", { "-tls1_3" }, "TLSv1.3", 1 },
    { "with a P-384 only server of TLS 1.2", { "-tls1_2", "-groups", "P-384" }, "TLSv1.2", 1 },
    { "with a P-384 only server (HelloRetryRequest)", { "-groups", "P-384" }, "TLSv1.3", 2 },
    { "with a P-521 only server (HelloRetryRequest)", { "-groups", "P-521" }, "TLSv1.3", 2 },
    { "with a server that would like P-384 better", { "-groups", "P-384:X25519" }, "TLSv1.3", 1 },
  }
  for _, case in ipairs(cases) do
    local name, args, version, hellos = table.unpack(case)
    both(name .. ", and knows its key share the second time", function()
      local list = with(good, "-www")
      local seen = sserver.run(with(list, table.unpack(args)), 2, function(port)
        for _ = 1, 2 do
          local answer, err = request(port)
          assert(answer, err)
          assert.equal(200, answer.status)
          assert.truthy(answer.body:find("Protocol  : " .. version, 1, true), answer.body)
        end
      end)
      local _, n = seen:gsub("ClientHello", "")
      assert.equal(hellos + 1, n)
    end)
  end

  -- Of so many hosts the key share is remembered; then the oldest are forgotten.
  local MOST = 64

  ends("with very many hosts, and does not remember all of them", function()
    local all = with(issue(known, { names = "DNS:*.bus.localhost" }), "-www", "-groups", "P-521")
    local seen = sserver.run(all, MOST + 3, function(port)
      for i = 1, MOST + 1 do
        assert(request(port, ("n%d.bus.localhost"):format(i)))
      end
      assert(request(port, ("N%d.bus.localhost"):format(MOST + 1)))
      assert(request(port, "n1.bus.localhost"))
    end)
    local _, n = seen:gsub("ClientHello", "")
    assert.equal(2 * (MOST + 1) + 1 + 2, n)
  end)

  both("for the relay with a P-384 only server, too: one flight less", function()
    local seen = sserver.run(with(good, "-groups", "P-384"), 3, function(port, to)
      for _ = 1, 3 do
        local attempt = core.spawn(connect, port)
        core.sleep(0.2)
        to:write "HTTP/1.1 404 Endpoint does not exist.\r\nContent-Length: 0\r\n\r\n"
        local _, err = attempt:await()
        assert.equal("relay.no-endpoint", err.reason)
      end
    end)
    local _, n = seen:gsub("ClientHello", "")
    assert.equal(4, n)
    assert.truthy(seen:find("GET /$hc/h/17/v2?", 1, true))
  end)
end)

describe("trust", function()
  local SCRIPT = [[
    local core = require "arclua.core"
    for i = 1, #arg, 2 do
      local r, err = core.http.request { url = arg[i], ca = arg[i + 1] ~= "" and arg[i + 1] or nil }
      print(r and r.status or err.reason or err.message)
    end]]

  -- What a child with this environment says of url, ca, url, ca ...
  local function child(env, ...)
    local path = os.tmpname()
    assert(core.sys.write_file(path, SCRIPT))
    local process = assert(core.process.spawn { env = env, args = { "lua5.4", path, ... } })
    local from <close> = process:stdout()
    local got = ""
    for chunk in function() return from:read() end do
      got = got .. chunk
    end
    process:wait()
    process:close()
    os.remove(path)
    return got
  end

  ends("is given by SSL_CERT_FILE and SSL_CERT_DIR, instead of the system's", function()
    local hashed = known.dir .. "/hashed"
    os.execute(("mkdir -p %s; cp %s %s; openssl rehash %s"):format(hashed, known.ca, hashed,
      hashed))
    sserver.run(with(good, "-www"), 3, function(port)
      local url = ("https://%s:%d/"):format(NAME, port)
      assert.equal("200\n", child({ SSL_CERT_FILE = known.ca }, url, ""))
      assert.equal("200\n", child({ SSL_CERT_DIR = hashed }, url, ""))
      assert.equal("tls.untrusted\n", child({ SSL_CERT_FILE = unknown.ca }, url, ""))
    end)
  end)

  ends("of a cloud's file counts for its own requests only", function()
    sserver.run(with(good, "-www"), 4, function(port)
      local url = ("https://%s:%d/"):format(NAME, port)
      assert.equal("200\ntls.untrusted\n200\ntls.untrusted\n",
        child({}, url, known.ca, url, "", url, known.ca, url, unknown.ca))
    end)
  end)

  ends("of a file that is none is an error that names it", function()
    local said = child({ SSL_CERT_FILE = "/etc/hostname" }, "https://localhost:1/", "")
    assert.truthy(said:find("certificates of SSL_CERT_FILE", 1, true), said)
    local answer, err = core.http.request { url = "https://localhost:1/", ca = "/etc/hostname" }
    assert.is_nil(answer)
    assert.equal("config", err.code)
    assert.truthy(err.message:find("/etc/hostname", 1, true))
  end)
end)
