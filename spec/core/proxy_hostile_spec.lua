-- SPDX-License-Identifier: MIT
-- Proxies that are not, or will not (row 27 of the relay's list).
local core = require "arclua.core"
local ends = require("harness").ends
local dialler = require "dialler"

local NAME = "ns.arc.test"
local made = core.crypto.make_ca { NAME }
local ca = os.tmpname()
setup(function() assert(core.sys.write_file(ca, made.ca)) end)
teardown(function() os.remove(ca) end)

-- A proxy of one connection that reads a CONNECT (or what SOCKS begins with), then serves.
-- Returns the error of a client that goes by scheme://user@it, what it read, its "host:port".
local function meet(serve, opts)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local far = core.spawn(function()
    local stream <close> = assert(listener:accept())
    local head = ""
    repeat
      head = head .. (stream:read() or "\r\n\r\n")
    until opts.socks or head:find("\r\n\r\n", 1, true)
    serve(stream)
    return head
  end)
  local at = "127.0.0.1:" .. listener:port()
  local err = dialler.dial({ HTTPS_PROXY = (opts.scheme or "http") .. "://" .. (opts.user or "") ..
    at }, NAME, 443, { kind = opts.kind, ca = ca, seconds = opts.seconds })
  far:cancel()
  local head = far:await()
  listener:close()
  return err, head, at
end

local function says(text)
  return function(stream)
    stream:write(text)
    stream:shutdown()
    stream:read()
  end
end

-- Says text, then nothing more until the client goes.
local function holds(text)
  return function(stream)
    stream:write(text)
    repeat until not stream:read()
  end
end

local function endless(first, more)
  return function(stream)
    stream:write(first)
    repeat until not stream:write(more)
  end
end

local function drips(text)
  return function(stream)
    repeat core.sleep(0.02) until not stream:write(text)
  end
end

local OK = "HTTP/1.1 200 Connection established\r\n"
local ALERT = "\x15\x03\x03\x00\x02\x02\x28" -- handshake_failure
local BODY = "Content-Length: 5\r\n\r\nhello"
local BASIC = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n"
local LINES = ("X: " .. ("y"):rep(60) .. "\r\n"):rep(500)
local WITH = { user = "jo%40e:s3cret@" }

local cases = {
  { "proxy_200_pipelined_tls", holds(OK .. "\r\n" .. ALERT), "tls", "tls.failed",
    "handshake failure" },
  { "proxy_200_chunked", says(OK .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "protocol", "net.not-tls", "does not speak TLS" },
  { "proxy_200_html", says("HTTP/1.1 200 OK\r\n\r\n<html>Sign in to the network</html>"),
    "protocol", "net.not-tls", "does not speak TLS" },
  { "proxy_200_close", says(OK .. "\r\n"), "closed", "nil", "TLS handshake" },
  { "proxy_302_portal", says("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n" .. BODY),
    "protocol", "net.proxy-answer", "answered 302 to CONNECT ns.arc.test:443", { status = 302 } },
  { "proxy_511", says("HTTP/1.1 511 Network Authentication Required\r\n" .. BODY),
    "protocol", "net.proxy-answer", "answered 511", { status = 511 } },
  { "proxy_400", says("HTTP/1.1 400 Bad\r\n" .. BODY), "protocol", "net.proxy-answer", "400" },
  { "proxy_403", says("HTTP/1.1 403 Filtered\r\n" .. BODY), "denied", "net.proxy-refused",
    "does not allow connections to ns.arc.test:443", { status = 403 } },
  { "proxy_502", says("HTTP/1.1 502 Bad Gateway\r\n" .. BODY), "unavailable", "net.proxy-failed",
    "could not connect to ns.arc.test:443 (502)", { status = 502, retryable = true } },
  { "proxy_503_chunked", says("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"),
    "unavailable", "net.proxy-failed", "(503)" },
  { "proxy_407 without credentials", says(BASIC .. "Proxy-Authenticate: NTLM\r\n" .. BODY),
    "auth", "net.proxy-auth", "wants a user name and a password (407)", { status = 407 } },
  { "proxy_407 with credentials", says(BASIC .. BODY), "auth", "net.proxy-auth",
    "refused the user name and password of HTTPS_PROXY", WITH },
  { "proxy_401, tinyproxy's for a wrong password", says("HTTP/1.1 401 No\r\n" .. BODY), "auth",
    "net.proxy-auth", "refused the user name and password of HTTPS_PROXY (401)", WITH },
  { "proxy_407 without Basic", says("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n" .. BODY),
    "auth", "net.proxy-auth", "does not offer Basic" },
  { "proxy_407 without the body it announces", holds(BASIC ..
    "Content-Length: 9999\r\n\r\n"), "auth", "net.proxy-auth", "wants a user", { seconds = 0.5 } },
  { "proxy_407 with a body without end", endless(BASIC ..
    "Transfer-Encoding: chunked\r\n\r\n", ("5\r\nhello\r\n"):rep(500)), "auth", "net.proxy-auth",
    "wants a user" },
  { "proxy_close", says "", "closed", "nil", "closed the connection instead" },
  { "proxy_close with credentials", says "", "closed", "nil", "closed the connection instead",
    WITH },
  { "proxy_close in the header", says "HTTP/1.1 200 OK\r\nX:", "closed", "nil",
    "closed the connection instead" },
  { "proxy_reset", function(stream) stream:abort() end, "closed", "nil",
    "closed the connection instead" },
  { "proxy_mute", holds "", "timeout", "nil", "did not connect to ns.arc.test:443 in time",
    { seconds = 0.3, retryable = true } },
  { "proxy_mute after 200", holds(OK .. "\r\n"), "timeout", "nil", "no connection to ns.arc.test",
    { seconds = 0.3 } },
  { "proxy_drip of a status line", drips "H", "timeout", "nil", "in time", { seconds = 0.5 } },
  { "proxy_drip of header lines", drips "X: y\r\n", "timeout", "nil", "in time",
    { seconds = 0.5 } },
  { "proxy_giant_header", says(OK .. "X: " .. ("y"):rep(100000) .. "\r\n\r\n"), "protocol",
    "net.proxy-answer", "does not speak HTTP" },
  { "proxy_endless_headers", endless(OK, LINES), "protocol", "net.proxy-answer",
    "does not speak HTTP" },
  { "proxy that speaks SSH", says "SSH-2.0-OpenSSH_9.2\r\n\r\n", "protocol", "net.proxy-answer",
    "does not speak HTTP" },
}

local function check_http(case, kind)
  local _, serve, code, reason, text, opts = table.unpack(case)
  opts = opts or {}
  local err, head, at = meet(serve, setmetatable({ kind = kind }, { __index = opts }))
  assert.same({ code, reason }, { err.code, err.reason }, err.message or err.text)
  assert.truthy(err.message:find(text, 1, true), err.message)
  assert.truthy(err.message:find("the proxy", 1, true), err.message)
  assert.truthy(err.message:find(at, 1, true), err.message)
  assert.is_nil(err.message:find("s3cret", 1, true))
  assert.equal(opts.status or err.status, err.status)
  assert.equal(opts.retryable or err.retryable, err.retryable)
  assert.truthy(head:find("^CONNECT ns%.arc%.test:443 HTTP/1%.1\r\nHost: ns%.arc%.test:443\r\n"))
  for _, private in ipairs { "hush", "secret/path", "ServiceBus", "User-Agent", "s3cret" } do
    assert.is_nil(head:find(private, 1, true))
  end
  local basic = head:match "\r\nProxy%-Authorization: Basic (%S+)\r\n"
  assert.equal(opts.user and core.crypto.base64 "jo@e:s3cret" or nil, basic)
end

describe("hostile http proxy:", function()
  for _, case in ipairs(cases) do
    ends(case[1], function()
      local tasks = {}
      for _, kind in ipairs { "http", "relay" } do
        tasks[#tasks + 1] = core.spawn(check_http, case, kind)
      end
      for _, task in ipairs(tasks) do
        task:await()
      end
    end)
  end
end)

describe("hostile socks proxy:", function()
  -- Answers each message of the client with the next text, then closes.
  local function replies(...)
    local texts = { ... }
    return function(stream)
      for i, text in ipairs(texts) do
        stream:write(text)
        if i < #texts then
          stream:read()
        end
      end
      stream:shutdown()
      stream:read()
    end
  end
  local function reply(code)
    return replies("\5\0", "\5" .. string.char(code) .. "\0\1\0\0\0\0\0\0")
  end
  local socks = {
    { "no method", replies "\5\255", "auth", "net.proxy-auth", "wants a user name" },
    { "user rejected", replies("\5\2", "\1\1"), "auth", "net.proxy-auth",
      "refused the user name and password of HTTPS_PROXY", WITH },
    { "not allowed", reply(2), "denied", "net.proxy-refused", "does not allow" },
    { "host unreachable", reply(4), "unavailable", "net.proxy-failed", "unreachable" },
    { "refused", reply(5), "unavailable", "net.proxy-failed", "SOCKS: refused" },
    { "general failure", reply(1), "unavailable", "net.proxy-failed", "SOCKS: failed" },
    { "unknown failure", reply(99), "protocol", "net.proxy-answer", "SOCKS" },
    { "an HTTP server", replies "HTTP/1.1 400 Bad Request\r\n\r\n", "protocol",
      "net.proxy-answer", "does not speak SOCKS" },
    { "closes", replies "", "closed", "nil", "closed the connection" },
    { "mute", function(stream) repeat until not stream:read() end, "timeout", "nil", "in time",
      { seconds = 0.3 } },
  }
  for _, case in ipairs(socks) do
    local name, serve, code, reason, text, opts = table.unpack(case)
    ends(name, function()
      local err, head, at = meet(serve, setmetatable({ scheme = "socks5", socks = true },
        { __index = opts or {} }))
      assert.same({ code, reason }, { err.code, err.reason }, err.message or err.text)
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.truthy(err.message:find("the proxy " .. at, 1, true), err.message)
      assert.is_nil(err.message:find("s3cret", 1, true))
      assert.truthy(head:find "^\5")
    end)
  end
end)

describe("proxy variable", function()
  local bad = { "ftp://127.0.0.1:1", "http://", "http://u:s3cret@", "//x", "http://u:s3cret@ho st",
    "quic://u:s3cret@127.0.0.1:1", "http://u:s3cret@127.0.0.1:99999" }
  for _, value in ipairs(bad) do
    ends("that holds no proxy: " .. value, function()
      local err = dialler.dial({ all_proxy = value }, NAME, 443, { ca = ca })
      assert.same({ "config", "net.bad-proxy" }, { err.code, err.reason })
      assert.truthy(err.message:find("all_proxy does not hold", 1, true), err.message)
      assert.is_nil(err.message:find("s3cret", 1, true))
    end)
  end

  ends("may leave out scheme and port", function()
    local err = dialler.dial({ HTTPS_PROXY = "127.0.0.1:1" }, NAME, 443, { ca = ca })
    assert.equal("refused", err.code)
    assert.truthy(err.message:find("the proxy 127.0.0.1:1", 1, true), err.message)
    for value, port in pairs { ["ftp.localhost"] = 80, ["http://localhost"] = 80,
      ["https://localhost"] = 443, ["socks5h://localhost"] = 1080 } do
      err = dialler.dial({ HTTPS_PROXY = value }, NAME, 443, { ca = ca, seconds = 2 })
      assert.truthy(err.message:find("localhost:" .. port, 1, true), err.message)
    end
    err = dialler.dial({ HTTPS_PROXY = "http://[::1]:1" }, NAME, 443, { ca = ca, seconds = 2 })
    assert.truthy(err.message:find("the proxy [::1]:1", 1, true), err.message)
  end)

  ends("in lower case wins; an empty one means none; HTTP_PROXY does not count", function()
    local closed = "http://127.0.0.1:1"
    for _, env in ipairs { { https_proxy = closed, HTTPS_PROXY = "http://127.0.0.1:2" },
      { HTTPS_PROXY = closed, ALL_PROXY = "http://127.0.0.1:2" },
      { https_proxy = "", HTTPS_PROXY = "http://127.0.0.1:2", all_proxy = closed } } do
      assert.truthy(dialler.dial(env, NAME, 443, { ca = ca }).message:find("127.0.0.1:1", 1, true))
    end
    for _, env in ipairs { { http_proxy = closed, HTTP_PROXY = closed },
      { HTTPS_PROXY = closed, https_proxy = "" }, { ALL_PROXY = closed, no_proxy = "arc.test" } } do
      assert.equal("dns", dialler.dial(env, NAME, 443, { ca = ca }).code)
    end
  end)

  ends("whose proxy has no address says so", function()
    local err = dialler.dial({ HTTPS_PROXY = "http://proxy.invalid:1" }, NAME, 443, { ca = ca })
    assert.equal("dns", err.code)
    assert.truthy(err.message:find("the proxy", 1, true), err.message)
    assert.truthy(err.message:find("proxy.invalid", 1, true), err.message)
  end)
end)
