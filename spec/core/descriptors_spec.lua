-- SPDX-License-Identifier: MIT
-- Descriptors: children get none of ours, and running out of them is an error value.
local core = require "arclua.core"
local harness = require "harness"
local peer = require "peer"
local sshlab = require "sshlab"
local both = harness.both

-- The inodes of the TCP sockets of this machine.
local function tcp_inodes()
  local inodes = {}
  for line in io.lines "/proc/net/tcp" do
    local inode = line:match "^%s*%d+:%s+%x+:%x+ %x+:%x+ 01 %S+ %S+ %S+%s+%d+%s+%d+%s+(%d+)"
    inodes[inode or ""] = true
  end
  return inodes
end

-- Those of them that a child of a shell's listing has open.
local function inherited(listing)
  local inodes, found = tcp_inodes(), {}
  for inode in listing:gmatch "socket:%[(%d+)%]" do
    found[#found + 1] = inodes[inode] and inode or nil
  end
  return found
end

local LIST = "ls -l /proc/self/fd"

describe("a child", function()
  both("has no connection of ours, whoever starts it", function()
    local spawned, popened
    local results = peer.serve(function(stream)
      local process <close> = assert(core.process.spawn { args = { "sh", "-c", LIST } })
      local output <close> = process:stdout()
      spawned = ""
      for chunk in function() return output:read() end do
        spawned = spawned .. chunk
      end
      local pipe <close> = io.popen(LIST)
      popened = pipe:read "a"
      stream:write(peer.answer("200 OK"))
    end, function(url) return core.http.request { url = url } end)
    assert.equal(200, results[1].status)
    assert.matches("/proc/", spawned, 1, true)
    assert.is_nil(spawned:find("socket:", 1, true))
    assert.same({}, inherited(popened))
  end)
end)

-- Each way to a descriptor, tried while there are only n left; must give a value or an error.
local CHILD = [[
  local core = require "arclua.core"
  local dir, n = ...
  local function held() -- all but n descriptors
    local files = {}
    while true do
      local file = io.open "/dev/null"
      if not file then
        break
      end
      files[#files + 1] = file
    end
    for _ = 1, math.min(tonumber(n), #files) do
      files[#files]:close()
      files[#files] = nil
    end
    return files
  end
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local port = listener:port()
  local a, b = core.pair()
  local c, d = core.pair()
  local info = assert(core.relayinfo(('{"relay":{"namespaceName":"ns","namespaceNameSuffix":'
    .. '"servicebus.localhost:%d","hybridConnectionName":"p","accessKey":"k","expiresOn":1,'
    .. '"serviceConfigurationToken":"t"}}'):format(port)))
  local WAYS = {
    pair = core.pair,
    listen = function() return core.tcp.listen("127.0.0.1", 0) end,
    connect = function() return core.tcp.connect("127.0.0.1", port) end,
    name = function() return core.tcp.connect("no-such-host.invalid", 1) end,
    spawn = function() return core.process.spawn { args = { "true" }, stdin = "pipe" } end,
    socket = function() return core.process.spawn { args = { "true" }, socket = true } end,
    http = function()
      return core.http.request { url = "http://127.0.0.1:" .. port, timeout = 0.2 }
    end,
    named = function()
      return core.http.request { url = "http://localhost:" .. port, timeout = 0.2 }
    end,
    relay = function() return core.relay.connect(info, { port = 22, connect_timeout = 0.2 }) end,
    command = function() return core.token.command { args = { "true" }, timeout = 5 } end,
    ssh = function() return core.ssh.connect(a, { user = "u", alias = "a.arc", timeout = 0.2,
      known_hosts = { dir .. "/known" }, identities = { dir .. "/id" }, agent = false }) end,
    agent = function() return core.ssh.connect(c, { user = "u", alias = "a.arc", timeout = 0.2,
      known_hosts = { dir .. "/known" }, agent = dir .. "/none" }) end,
    keygen = function() return core.ssh.keygen(dir .. "/new") end,
    server = function()
      local made = core.crypto.make_ca { "localhost" }
      return core.server.listen { cert = made.cert, key = made.key }
    end,
    stdio = function() return core.stdio(0) end,
  }
  local files = held()
  for name, way in pairs(WAYS) do
    local out = table.pack(core.timeout(20, way))
    if out[1] == nil and type(out[2]) ~= "table" then
      io.write(name, ": ", tostring(out[2]), "\n")
    end
    if out[2] and type(out[2]) == "table" and out[2].code == "unknown" then
      io.write(name, ": ", tostring(out[2]), "\n")
    end
    for i = 1, out.n do
      local close = type(out[i]) == "userdata" and out[i].close
      if close then
        close(out[i])
      end
    end
  end
  for _, file in ipairs(files) do
    file:close()
  end
  for _, one in ipairs { listener, a, b, c, d } do
    one:close()
  end
  assert(core.sleep(0))
  local p = assert(core.process.spawn { args = { "true" } })
  assert(p:wait().status == 0)
  p:close()
  core.shutdown()
  for kind, count in pairs(core.stats()) do
    if count ~= 0 then
      io.write(kind, "=", count, "\n")
    end
  end
  io.write "done\n"
]]

describe("without descriptors", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  for left = 0, 5 do
    it(("(%d left) everything gives an error or works"):format(left), function()
      local path = lab:path "child.lua"
      assert(core.sys.write_file(path, CHILD))
      local process <close> = assert(core.process.spawn { stderr = "inherit", args = {
        "sh", "-c", 'ulimit -n 60; exec lua5.4 "$@"', "sh", path, lab.dir, tostring(left) } })
      local output <close> = process:stdout()
      local said = ""
      core.timeout(2 * harness.LIMIT, function()
        for chunk in function() return output:read() end do
          said = said .. chunk
        end
      end)
      assert.equal("done\n", said)
      assert.same({ status = 0 }, process:wait())
    end)
  end
end)
