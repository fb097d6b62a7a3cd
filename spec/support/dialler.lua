-- SPDX-License-Identifier: MIT
-- A client with an environment of its own (proxies, SSL_CERT_FILE): a child process.
local core = require "arclua.core"

local dialler = {}

local SCRIPT = [[
local core = require "arclua.core"
local kind, host, port, ca, seconds = table.unpack(arg)
local r, err
seconds = tonumber(seconds)
if kind == "relay" then
  local ns, suffix = host:match "^([^.]+)%.(.+)$"
  local info = assert(core.relayinfo(('{"relay":{"namespaceName":"%s","namespaceNameSuffix":' ..
    '"%s:%d","hybridConnectionName":"secret/path","accessKey":"hush","expiresOn":1790003600}}')
    :format(ns, suffix, port)))
  r, err = core.relay.connect(info, { port = 22, ca = ca, connect_timeout = seconds })
else
  r, err = core.http.request { url = ("https://%s:%d/secret/path"):format(host, port), ca = ca,
    timeout = 20, connect_timeout = seconds, headers = { Authorization = core.secret "hush" } }
end
if r then
  print(r.status or "connected", r.body)
else
  print(table.concat({ err.code, tostring(err.reason), tostring(err.phase),
    tostring(err.retryable), tostring(err.status), err.message }, "\n"))
end
]]

local VARIABLES = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
  "http_proxy", "HTTP_PROXY" }

--- What a child prints that is run with no proxy variables but those of env.
function dialler.output(env, args)
  for _, name in ipairs(VARIABLES) do
    env[name] = env[name] or false
  end
  local child = assert(core.process.spawn { env = env, args = args })
  local from <close> = child:stdout()
  local got = ""
  for chunk in function() return from:read() end do
    got = got .. chunk
  end
  child:wait()
  child:close()
  return got
end

--- Dials host:port by opts.kind ("http", "relay"), opts.ca, opts.seconds (to connect).
--- Returns an error's fields, or { text = what it got }.
function dialler.dial(env, host, port, opts)
  local path = os.tmpname()
  assert(core.sys.write_file(path, SCRIPT))
  local got = dialler.output(env, { "lua5.4", path, opts.kind or "http", host, tostring(port),
    opts.ca, tostring(opts.seconds or 10) })
  os.remove(path)
  local code, reason, phase, retryable, status, message =
    got:match "^(%l+)\n([^\n]+)\n([^\n]+)\n([^\n]+)\n([^\n]+)\n([^\n]*)\n$"
  return { text = not code and got or nil, code = code, reason = reason, phase = phase,
    retryable = retryable == "true", status = tonumber(status), message = message }
end

return dialler
