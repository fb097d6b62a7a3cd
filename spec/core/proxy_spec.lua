-- SPDX-License-Identifier: MIT
-- Proxies come from the environment, so the client is a child with its own.
local core = require "arclua.core"
local both = require("harness").both

local NAME = "far.arc.test"
local made = core.crypto.make_ca { NAME }
local ca = os.tmpname()
setup(function() assert(core.sys.write_file(ca, made.ca)) end)
teardown(function() os.remove(ca) end)

local SCRIPT = [[
local core = require "arclua.core"
local r, err = core.http.request { url = %q, ca = %q, timeout = 20 }
io.write(r and r.body or ("%%s %%s %%s"):format(err.code, err.reason, err.status))
]]

-- What a child prints that asks for url with this environment.
local function ask(url, env)
  for _, name in ipairs { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
    "NO_PROXY" } do
    env[name] = env[name] or false
  end
  local child = assert(core.process.spawn { env = env,
    args = { "lua5.4", "-" }, stdin = "pipe" })
  local to <close> = child:stdin()
  local from <close> = child:stdout()
  to:write(SCRIPT:format(url, ca))
  to:close()
  local got = ""
  for chunk in function() return from:read() end do
    got = got .. chunk
  end
  child:wait()
  child:close()
  return got
end

-- A proxy that reads one CONNECT and does what serve(stream) does.
local function proxy(serve, fn)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local far = core.spawn(function()
    local stream = assert(listener:accept())
    local head = ""
    repeat
      head = head .. (stream:read() or "\r\n\r\n")
    until head:find("\r\n\r\n", 1, true)
    serve(stream)
    return head
  end)
  local got = fn(listener:port())
  local head = far:await()
  listener:close()
  return got, head
end

local function answer(text)
  return function(stream)
    stream:write(text)
    stream:close()
  end
end

describe("proxy", function()
  local cases = {
    { "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
      "auth net.proxy-auth 407" },
    { "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", "unavailable net.proxy-failed 502" },
    { "HTTP/1.1 302 Go\r\nLocation: http://x/\r\n\r\n", "protocol net.proxy-answer 302" },
  }
  for _, case in ipairs(cases) do
    both("that answers " .. case[1]:sub(10, 12), function()
      local got, head = proxy(answer(case[1]), function(port)
        return ask("https://" .. NAME .. "/", { https_proxy = "http://localhost:" .. port })
      end)
      assert.equal(case[2], got)
      assert.truthy(head:find("^CONNECT " .. NAME:gsub("%.", "%%.") .. ":443 HTTP/1.1\r\n"))
    end)
  end

  both("tunnels, and the certificate is still the server's", function()
    local server = assert(core.server.listen { cert = made.cert, key = made.key })
    local far = core.spawn(function()
      local conn <close> = assert(server:accept())
      conn:request()
      conn:respond(200, "OK", {}, "through")
    end)
    local got = proxy(function(stream)
      stream:write("HTTP/1.1 200 Connection established\r\n\r\n")
      core.splice(stream, assert(core.tcp.connect("127.0.0.1", server:port())))
    end, function(port)
      return ask("https://" .. NAME .. "/", { ALL_PROXY = "http://127.0.0.1:" .. port })
    end)
    assert.equal("through", got)
    far:await()
    server:close()
  end)

  both("is not asked for loopback, nor for what NO_PROXY names", function()
    local env = { HTTPS_PROXY = "http://127.0.0.1:1", NO_PROXY = "x.test, .invalid,10.0.0.0/8" }
    assert.equal("refused nil 111", ask("https://localhost:1/", env))
    assert.truthy(ask("https://far.arc.invalid:1/", env):find("^dns "))
    assert.equal("refused nil 111", ask("https://far.example:1/", env))
  end)
end)
