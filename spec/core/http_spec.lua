-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local both = require("harness").both
local peer = require "peer"

local function get(text, opts)
  local results, head, body = peer.serve(text, function(url)
    opts = opts or {}
    opts.url = url
    return core.http.request(opts)
  end)
  return results[1], results[2], head, body
end

describe("http request", function()
  both("sends what was asked and returns status, headers, body", function()
    local r, err, head, body = get(peer.answer("201 Created", { ["X-Two"] = "b" }, "made\0it"),
      { method = "PATCH", body = "sent", headers = { ["X-One"] = "a", ["X-None"] = "",
        Authorization = core.secret "tok" } })
    assert(r, err)
    assert.equal(201, r.status)
    assert.equal("made\0it", r.body)
    assert.equal("b", r.headers["x-two"])
    assert.equal("sent", body)
    assert.truthy(head:find("^PATCH /x%?y=1 HTTP/1.1\r\n"))
    for _, line in ipairs { "X-One: a", "X-None:", "Authorization: Bearer tok",
      "User-Agent: arclua/" .. core.version, "Content-Length: 4" } do
      assert.truthy(head:find("\r\n" .. line .. "\r\n", 1, true), line)
    end
    for _, name in ipairs { "Cookie", "Expect", "Content-Type", "Accept-Encoding" } do
      assert.is_nil(head:find("\r\n" .. name, 1, true), name)
    end
  end)

  both("joins repeated headers and forgets those of a 100", function()
    local r = get("HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\n" ..
      "HTTP/1.1 200 OK\r\nVia: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n")
    assert.equal("a, b", r.headers.via)
    assert.is_nil(r.headers["x-old"])
  end)

  both("forgets a header that cannot be one", function()
    local r = get("HTTP/1.1 200 OK\r\nA: b\rc\r\nD: e\r\nContent-Length: 0\r\n\r\n")
    assert.same({ d = "e", ["content-length"] = "0" }, r.headers)
  end)

  both("follows no redirect", function()
    local r = get(peer.answer("302 Found", { Location = "http://127.0.0.1:1/" }))
    assert.equal(302, r.status)
  end)

  both("sends a secret body, an empty body, and HEAD", function()
    local _, _, _, body = get(peer.answer "200 OK", { method = "POST", body = core.secret "hush" })
    assert.equal("hush", body)
    local _, _, head = get(peer.answer "200 OK", { method = "POST", body = "" })
    assert.truthy(head:find("Content-Length: 0\r\n", 1, true))
    local r = get("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", { method = "HEAD" })
    assert.equal("", r.body)
  end)

  local failures = {
    { "a body over the cap", peer.answer("200 OK", {}, ("x"):rep(1001)), "limit",
      "http.too-large" },
    { "endless headers", "HTTP/1.1 200 OK\r\n" .. ("X: " .. ("y"):rep(90) .. "\r\n"):rep(1000),
      "limit", "http.too-large" },
    { "another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "protocol", "http.bad-answer" },
    { "no answer", "", "closed" },
    { "a version that is none", "HTTP/21.1 200 OK\r\nContent-Length: 0\r\n\r\n", "protocol",
      "http.bad-answer" },
    { "half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "closed" },
  }
  for _, case in ipairs(failures) do
    both("fails by " .. case[1], function()
      local r, err = get(case[2], { max_body = 1000 })
      assert.is_nil(r)
      assert.equal(case[3], err.code)
      assert.equal(case[4], err.reason)
      assert.equal("http.request", err.op)
    end)
  end

  both("keeps its deadline, and can be cancelled", function()
    local r, err = get(function() core.sleep(0.2) end, { timeout = 0.05 })
    assert.is_nil(r)
    assert.equal("timeout", err.code)
    local results = peer.serve(function() core.sleep(0.05) end, function(url)
      local task = core.spawn(core.http.request, { url = url })
      core.sleep(0.02)
      task:cancel()
      return task:await()
    end)
    assert.equal("cancelled", results[2].code)
  end)

  it("refuses what must not be sent", function()
    local function refused(opts)
      local r, err = core.http.request(opts)
      assert.is_nil(r)
      assert.equal("config", err.code)
    end
    refused { url = "http://example.com/" }
    refused { url = "ftp://localhost/" }
    refused { url = "https://user:pw@localhost/" }
    refused { url = "not a url" }
    refused { url = "https://localhost/", ca = "/nonexistent" }
    refused { url = "http://localhost:1/", method = "GET / HTTP/1.1\r\nX:" }
    refused { url = "http://localhost:1/", headers = { ["A: b\r\nC"] = "d" } }
    refused { url = "http://localhost:1/", headers = { A = "b\r\nC: d" } }
    refused { url = "http://localhost:1/", headers = { Authorization = core.secret "b\nC: d" } }
    refused { url = "http://localhost:1/",
      headers = { Authorization = { "Basic ", core.secret "b\nC: d" } } }
    refused { url = "http://localhost:1/",
      headers = { Authorization = { "Basic\r\nX: ", core.secret "b" } } }
  end)

  it("raises on misuse", function()
    for _, opts in ipairs { {}, { url = 1 }, { url = "x", tiemout = 1 }, { url = "x", body = 1 },
      { url = "x", headers = 1 }, { url = "x", headers = { 1 } },
      { url = "x", headers = { a = 1 } }, { url = "x", headers = { a = "b\0c" } } } do
      assert.has_error(function() core.http.request(opts) end)
    end
  end)

  both("says refused and dns", function()
    local listener = core.tcp.listen("127.0.0.1", 0)
    local port = listener:port()
    listener:close()
    local _, err = core.http.request { url = "http://localhost:" .. port .. "/" }
    assert.equal("refused", err.code)
    assert.equal("connect", err.phase)
    _, err = core.http.request { url = "https://no-such-host.invalid/", timeout = 10 }
    assert.truthy(err.code == "dns" or err.code == "timeout")
  end)
end)

describe("https request", function()
  local NAME = "x.arc.localhost"
  local made = core.crypto.make_ca { NAME }
  local ca = os.tmpname()
  setup(function() assert(core.sys.write_file(ca, made.ca)) end)
  teardown(function() os.remove(ca) end)

  local function serve(n, fn)
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local far = core.spawn(function()
      local conns = 0
      for _ = 1, n do
        local conn <close> = server:accept()
        conns = conns + (conn and 1 or 0)
        for _ in function() return conn and conn:request() end do
          conn:respond(200, "OK", {}, "hello")
        end
      end
      return conns
    end)
    fn(server:port())
    server:close()
    return far
  end

  both("verifies with the file it was given, and reuses the connection", function()
    serve(1, function(port)
      local url = ("https://%s:%d/"):format(NAME, port)
      for _ = 1, 3 do
        local r, err = core.http.request { url = url, ca = ca }
        assert(r, err)
        assert.equal("hello", r.body)
      end
    end):cancel()
  end)

  both("does not trust without the file, nor another name", function()
    serve(2, function(port)
      local r, err = core.http.request { url = ("https://%s:%d/"):format(NAME, port) }
      assert.is_nil(r)
      assert.equal("tls.untrusted", err.reason)
      r, err = core.http.request { url = ("https://y.arc.localhost:%d/"):format(port), ca = ca }
      assert.is_nil(r)
      assert.equal("tls.wrong-name", err.reason)
    end):await()
  end)
end)
