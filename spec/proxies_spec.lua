-- SPDX-License-Identifier: MIT
-- The whole way (Entra, ARM, relay) through real proxies: a command on a machine of an emulator
-- whose hosts only the proxies know.
local core = require "arclua.core"
local certs = require "certs"
local emulator = require "arclua.emulator"
local forwarders = require "forwarders"
local harness = require "harness"
local json = require "arclua.json"
local program = require "program"

local DOMAIN = "arc.test"
local HOSTS = { "login.arc.test", "management.arc.test", "azgn-emulator.arc.test" }
local PROXY = "proxy.arc.localhost"
local NONE = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" }

local hosts = forwarders.hosts(HOSTS)
local corp = certs.authority "/CN=Proxy CA"
local cert, key = certs.issue(corp, { names = "DNS:" .. PROXY })
teardown(function()
  certs.remove(corp)
  os.remove(hosts)
end)

local function run(e, env, args)
  local all = {}
  for _, name in ipairs(NONE) do
    all[name] = false
  end
  for _, more in ipairs { e.env, { NO_PROXY = false }, env } do
    for name, value in pairs(more) do
      all[name] = value
    end
  end
  args = args or { "--", "echo", "there" }
  return program.run({ "exec", e.state.machines[1].name, table.unpack(args) }, { env = all })
end

local function emulated(fn)
  local e <close> = assert(emulator.start { machines = 1, domain = DOMAIN })
  fn(e)
end

-- A command ran, and each kind of connection went by this proxy.
local function works(e, env, proxy)
  local before = #proxy.log
  local ended = run(e, env)
  assert.equal(0, ended.status, ended.err)
  assert.truthy(ended.out:find("there", 1, true), ended.out)
  local log = proxy.log:sub(before + 1)
  for _, host in ipairs(HOSTS) do
    local _, n = log:gsub(host:gsub("%p", "%%%0") .. ":" .. e.port, "")
    assert.equal(1, n, log) -- one tunnel for all requests to ARM
  end
end

-- What a machine was sent through a tunnel comes back through it.
local function carries(e, env)
  local path = os.tmpname()
  local text = core.crypto.base64(core.crypto.random(600000))
  assert(core.sys.write_file(path, text))
  local ended = run(e, env, { "-o", "jsonl", "--stdin", path, "--", "cat" })
  os.remove(path)
  assert.equal(0, ended.status, ended.err)
  local got = json.decode(ended.out).stdout
  assert.equal(#text, #got)
  assert.equal(core.crypto.sha256(text), core.crypto.sha256(got))
end

local function fails(e, env, ...)
  local ended = run(e, env)
  assert.not_equal(0, ended.status)
  for _, text in ipairs { ... } do
    assert.truthy(ended.err:find(text, 1, true), ended.err)
  end
  assert.is_nil((ended.out .. ended.err):find("pa55", 1, true))
end

describe("Entra, ARM and relay go by", function()
  harness.ends("an HTTP proxy, and one that wants a user name and a password", function()
    emulated(function(e)
      local open <close> = forwarders.http(hosts)
      works(e, { HTTPS_PROXY = "http://127.0.0.1:" .. open.port }, open)
      works(e, { all_proxy = "127.0.0.1:" .. open.port }, open)
      carries(e, { all_proxy = "127.0.0.1:" .. open.port })
      local shut <close> = forwarders.http(hosts, "jo", "pa55_x")
      local at = "127.0.0.1:" .. shut.port
      works(e, { https_proxy = "http://jo:pa55%5fx@" .. at, HTTPS_PROXY = "http://no" }, shut)
      fails(e, { HTTPS_PROXY = "http://jo:pa55%20@" .. at },
        "the proxy " .. at .. " refused the user name and password of HTTPS_PROXY",
        "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT")
      fails(e, { HTTPS_PROXY = "http://" .. at }, "the proxy " .. at .. " wants a user name")
    end)
  end)

  harness.ends("an HTTPS proxy, whose certificate is verified", function()
    emulated(function(e)
      local inner <close> = forwarders.http(hosts, "jo", "pa55")
      local outer <close> = forwarders.tls(hosts, inner, cert, key)
      local url = ("https://jo:pa55@%s:%d"):format(PROXY, outer.port)
      works(e, { HTTPS_PROXY = url, SSL_CERT_FILE = corp.ca }, inner)
      carries(e, { HTTPS_PROXY = url, SSL_CERT_FILE = corp.ca })
      fails(e, { HTTPS_PROXY = url }, ("the proxy %s:%d: "):format(PROXY, outer.port),
        "signed by 'CN = Proxy CA'")
      fails(e, { HTTPS_PROXY = ("https://jo:pa55@localhost:%d"):format(outer.port),
        SSL_CERT_FILE = corp.ca }, "the proxy localhost:" .. outer.port,
        "is for " .. PROXY .. ", not for this host")
      -- a cloud's own authority is trusted for its hosts alone
      local e_cert, e_key = e.dir .. "/cert", e.dir .. "/key"
      local made = core.crypto.make_ca { PROXY }
      assert(core.sys.write_file(e_cert, made.cert))
      assert(core.sys.write_file(e_key, made.key))
      assert(core.sys.write_file(e.state.cloud.ca, core.sys.read_file(e.state.cloud.ca) .. made.ca))
      local imposter <close> = forwarders.tls(hosts, inner, e_cert, e_key)
      fails(e, { HTTPS_PROXY = ("https://jo:pa55@%s:%d"):format(PROXY, imposter.port) },
        ("the proxy %s:%d: "):format(PROXY, imposter.port), "not known here")
    end)
  end)

  harness.ends("a SOCKS proxy, which also finds the names", function()
    emulated(function(e)
      local open <close> = forwarders.socks(hosts)
      works(e, { ALL_PROXY = "socks5://127.0.0.1:" .. open.port }, open)
      works(e, { HTTPS_PROXY = "socks5h://127.0.0.1:" .. open.port }, open)
      carries(e, { ALL_PROXY = "socks5://127.0.0.1:" .. open.port })
      local shut <close> = forwarders.socks(hosts, "jo", "pa55@")
      local at = "127.0.0.1:" .. shut.port
      works(e, { ALL_PROXY = "socks5://jo:pa55%40@" .. at }, shut)
      fails(e, { ALL_PROXY = "socks5://jo:pa55@" .. at },
        "the proxy " .. at .. " refused the user name and password of ALL_PROXY")
      fails(e, { ALL_PROXY = "socks5://" .. at }, "the proxy " .. at .. " wants a user name")
    end)
  end)

  harness.ends("a proxy to an untrusted server once, without another try", function()
    emulated(function(e)
      local proxy <close> = forwarders.http(hosts)
      assert(core.sys.write_file(e.state.cloud.ca, core.sys.read_file(corp.ca)))
      fails(e, { HTTPS_PROXY = "http://127.0.0.1:" .. proxy.port },
        "login.arc.test (through the proxy 127.0.0.1:" .. proxy.port .. "): ",
        "signed by 'CN = \"arclua emulator, one day\"', which is not known here")
      local _, n = proxy.log:gsub("CONNECT login%.arc%.test:", "")
      assert.equal(1, n)
      assert.is_nil(proxy.log:find("management", 1, true))
    end)
  end)

  harness.ends("none for the names in NO_PROXY", function()
    emulated(function(e)
      fails(e, { HTTPS_PROXY = "http://127.0.0.1:1", NO_PROXY = e.env.NO_PROXY },
        "cannot find the address of login.arc.test")
    end)
  end)
end)
