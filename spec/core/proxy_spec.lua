-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local certs = require "certs"
local dialler = require "dialler"
local ends = require("harness").ends

local NAME = "ns.arc.test"
local ours, corp = certs.authority "/CN=Ours", certs.authority "/CN=Corp Proxy CA/O=Corp"
teardown(function()
  certs.remove(ours)
  certs.remove(corp)
end)

-- A TLS server of that authority, one request a connection, each answered by answer(conn).
local function serve(authority, answer)
  local cert, key = certs.issue(authority, { names = "DNS:" .. NAME })
  local server = assert(core.server.listen { cert = core.sys.read_file(cert),
    key = core.sys.read_file(key) })
  local far = core.spawn(function()
    for conn in function() return (server:accept()) end do
      local request = conn:request()
      if request then
        answer(conn, request)
        conn:request(5)
      end
      conn:abort()
    end
  end)
  return server, function()
    far:cancel()
    far:await()
    server:close()
  end
end

-- Runs fn(its URL) beside a proxy that connects everybody to port.
local function proxied(port, fn)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local far = core.spawn(function()
    for stream in function() return (listener:accept()) end do
      local head = ""
      repeat
        head = head .. (stream:read() or "\r\n\r\n")
      until head:find("\r\n\r\n", 1, true)
      stream:write "HTTP/1.1 200 Connection established\r\n\r\n"
      core.splice(stream, assert(core.tcp.connect("127.0.0.1", port)))
    end
  end)
  fn("http://127.0.0.1:" .. listener:port())
  far:cancel()
  far:await()
  listener:close()
end

describe("proxy", function()
  ends("tunnels, and the certificate is still the server's", function()
    local server, stop = serve(ours, function(conn) conn:respond(200, "OK", {}, "through") end)
    proxied(server:port(), function(url)
      assert.equal("200\tthrough\n", dialler.dial({ ALL_PROXY = url }, NAME, 443,
        { ca = ours.ca }).text)
      local err = dialler.dial({ ALL_PROXY = url }, "other.arc.test", 443, { ca = ours.ca })
      assert.equal("tls.wrong-name", err.reason)
      assert.truthy(err.message:find("is for ns.arc.test, not for", 1, true), err.message)
    end)
    stop()
  end)

  ends("that inspects TLS is named, with the authority to add; then it works", function()
    local server, stop = serve(corp, function(conn) conn:respond(200, "OK", {}, "inspected") end)
    proxied(server:port(), function(url)
      for _, kind in ipairs { "http", "relay" } do
        local err = dialler.dial({ https_proxy = url }, NAME, 443, { ca = ours.ca, kind = kind })
        assert.equal("tls.untrusted", err.reason)
        assert.is_false(err.retryable)
        assert.truthy(err.message:find(NAME .. " (through the proxy " .. url:sub(8) .. "): ", 1,
          true), err.message)
        assert.truthy(err.message:find("signed by 'CN = Corp Proxy CA, O = Corp', which is not " ..
          "known here: a TLS-inspecting proxy?", 1, true), err.message)
      end
      assert.truthy(core.reasons["tls.untrusted"].remedy:find("SSL_CERT_FILE", 1, true))
      assert.equal("200\tinspected\n", dialler.dial({ https_proxy = url, SSL_CERT_FILE = corp.ca },
        NAME, 443, { ca = ours.ca }).text)
    end)
    stop()
  end)

  ends("that strips Upgrade is named (400_upgrade_stripped)", function()
    local server, stop = serve(corp, function(conn)
      conn:respond(400, "This endpoint is only for web-socket requests. TrackingId:1_G2")
    end)
    proxied(server:port(), function(url)
      local err = dialler.dial({ https_proxy = url, SSL_CERT_FILE = corp.ca }, NAME, 443,
        { ca = ours.ca, kind = "relay" })
      assert.equal("net.proxy-answer", err.reason)
      assert.is_false(err.retryable)
    end)
    stop()
  end)

  ends("that also says it in its own words, as squid does, is named", function()
    local server, stop = serve(corp, function(conn)
      conn:respond(400, "Bad Request", { Via = "1.1 px (squid/5.7)" .. ("x"):rep(999) })
    end)
    proxied(server:port(), function(url)
      local err = dialler.dial({ https_proxy = url, SSL_CERT_FILE = corp.ca }, NAME, 443,
        { ca = ours.ca, kind = "relay" })
      assert.equal("net.proxy-answer", err.reason)
      assert.equal(400, err.status)
      assert.truthy(err.message:find("a TLS-inspecting proxy, '1.1 px (squid/5.7)x", 1,
        true), err.message)
      assert.truthy(#err.message < 400)
    end)
    stop()
  end)

  ends("is not asked for loopback and link-local hosts, nor for what NO_PROXY names", function()
    local env = { HTTPS_PROXY = "http://127.0.0.1:1", NO_PROXY = "x.test, .invalid,10.0.0.0/8" }
    local function at(host)
      return dialler.dial(env, host, 1, { ca = ours.ca, seconds = 1 })
    end
    for _, host in ipairs { "localhost", "x.arc.localhost", "127.0.0.2" } do
      local err = at(host)
      assert.equal("refused", err.code)
      assert.is_nil(err.message:find("proxy", 1, true))
    end
    assert.is_nil(at("169.254.1.1").message:find("the proxy", 1, true))
    assert.equal("dns", at("far.arc.invalid").code)
    assert.truthy(at("far.example").message:find("connect to the proxy 127.0.0.1:1", 1, true))
  end)
end)
