-- SPDX-License-Identifier: MIT
-- Real proxies on loopback (tinyproxy, microsocks, socat), which know names of our choosing.
local core = require "arclua.core"

local forwarders = {}

local function free_port()
  local listener <close> = assert(core.tcp.listen("127.0.0.1", 0))
  return listener:port()
end

-- Its own address for names: only this process sees it.
local function environment(hosts)
  return { LD_PRELOAD = "libnss_wrapper.so", NSS_WRAPPER_HOSTS = hosts }
end

local Forwarder = {}
Forwarder.__index = Forwarder

local function launch(hosts, args)
  local port = free_port()
  local process = assert(core.process.spawn { env = environment(hosts),
    args = { "sh", "-c", 'exec "$@" 2>&1', "sh", table.unpack(args(port)) } })
  local self = setmetatable({ port = port, process = process, log = "" }, Forwarder)
  self.reader = core.spawn(function()
    local from <close> = process:stdout()
    for chunk in function() return from:read() end do
      self.log = self.log .. chunk
    end
    self.ended = true
  end)
  return self
end

function Forwarder:__close()
  self.process:kill "TERM"
  self.process:wait()
  self.process:close()
  self.reader:await()
  if self.conf then
    os.remove(self.conf)
  end
end

local function answers(self)
  for _ = 1, 500 do
    local stream = core.tcp.connect("127.0.0.1", self.port)
    if stream then
      stream:close()
      return true
    end
    if self.ended then
      return false
    end
    core.sleep(0.02)
  end
  return false
end

-- Starts args(port), a list; what it says is in self.log. None of these programs takes "any
-- port", so somebody else may get ours first: then with another.
local function start(hosts, args)
  local log
  for _ = 1, 5 do
    local self = launch(hosts, args)
    if answers(self) then
      return self
    end
    self:__close()
    log = self.log
  end
  error("it does not start: " .. log)
end

--- A file for LD_PRELOAD=libnss_wrapper.so that puts names on 127.0.0.1.
function forwarders.hosts(names)
  local path = os.tmpname()
  assert(core.sys.write_file(path, "127.0.0.1 " .. table.concat(names, " ") .. "\n"))
  return path
end

--- An HTTP proxy; user and password are asked for when given.
function forwarders.http(hosts, user, password)
  local conf = os.tmpname()
  local self = start(hosts, function(port)
    assert(core.sys.write_file(conf, ("Port %d\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\n" ..
      "LogLevel Connect\n%s\n"):format(port, user and
      ("BasicAuth %s %s"):format(user, password) or "")))
    return { "stdbuf", "-oL", "tinyproxy", "-d", "-c", conf }
  end)
  self.conf = conf
  return self
end

--- A SOCKS5 server, likewise.
function forwarders.socks(hosts, user, password)
  return start(hosts, function(port)
    local args = { "microsocks", "-i", "127.0.0.1", "-p", tostring(port) }
    if user then
      table.move({ "-u", user, "-P", password }, 1, 4, #args + 1, args)
    end
    return args
  end)
end

--- TLS in front of another.
function forwarders.tls(hosts, behind, cert, key)
  return start(hosts, function(port)
    return { "socat", ("OPENSSL-LISTEN:%d,bind=127.0.0.1,fork,reuseaddr,verify=0,cert=%s,key=%s")
      :format(port, cert, key), "TCP:127.0.0.1:" .. behind.port }
  end)
end

return forwarders
