-- SPDX-License-Identifier: MIT
-- Our client against a relay that is written on npm ws.
local core = require "arclua.core"
local harness = require "harness"
local json = require "arclua.json"
local peers = require "peers"
local sshlab = require "sshlab"

local NAME = "ns.relay.localhost"
local SIZES = { 0, 1, 125, 126, 127, 65535, 65536, 65537, 32 * 1024, 3 * 1024 * 1024 }

-- Runs fn(relayinfo, ca, relay) with a relay that joins each sender with this command.
local function with_relay(command, fn, changes)
  local dir <close> = peers.directory()
  local made = core.crypto.make_ca { NAME }
  for name, text in pairs(made) do
    assert(core.sys.write_file(dir.path .. "/" .. name, text))
  end
  local relay <close> = peers.start(peers.command("relay.mjs", dir.path .. "/cert",
    dir.path .. "/key", table.unpack(command)))
  local fields = {
    namespaceName = "ns", namespaceNameSuffix = "relay.localhost:" .. relay.line().port,
    hybridConnectionName = "microsoft.hybridcompute/machines/ab/17/v2",
    accessKey = "SharedAccessSignature sr=x&sig=y&se=1&skn=z", expiresOn = 4102444800,
    serviceConfigurationToken = "a.b.c",
  }
  for name, value in pairs(changes or {}) do
    fields[name] = value
  end
  local info <close> = assert(core.relayinfo(json.encode { relay = fields }))
  return fn(info, dir.path .. "/ca", relay)
end

local function echoed(stream, data)
  local writer = core.spawn(function()
    assert(stream:write(data))
  end)
  local parts, n = {}, 0
  while n < #data do
    local chunk = assert(stream:read())
    parts[#parts + 1] = chunk
    n = n + #chunk
  end
  writer:await()
  return table.concat(parts)
end

describe("a relay on npm ws", function()
  harness.ends("echoes messages of every size", function()
    with_relay({ "cat" }, function(info, ca, relay)
      local stream = assert(core.relay.connect(info, { port = 22, ca = ca }))
      assert.equal("connect", relay.line().event)
      for _, size in ipairs(SIZES) do
        local data = peers.random(size)
        assert.equal(core.crypto.sha256(data), core.crypto.sha256(echoed(stream, data)))
      end
      stream:shutdown()
      assert.is_nil(stream:read())
      stream:close()
      core.linger()
      assert.same({ event = "closed", code = 1000 }, relay.line())
    end)
  end)

  harness.ends("carries SSH", function()
    local lab = sshlab.new()
    local script = lab:path "sshd.sh"
    assert(core.sys.write_file(script, ("exec %s -i -f /dev/null -o UsePAM=no -o StrictModes=no "
      .. "-o HostKey=%s -o AuthorizedKeysFile=%s 2>/dev/null\n"):format("/usr/sbin/sshd",
      lab:path "host", lab:path "authorized")))
    with_relay({ "sh", script }, function(info, ca)
      local stream = assert(core.relay.connect(info, { port = 22, ca = ca }))
      local session = assert(core.ssh.connect(stream, lab:options()))
      local result = assert(session:exec "echo over npm; exit 3")
      assert.equal("over npm\n", result.stdout)
      assert.equal(3, result.status)
      session:close()
      core.linger()
    end)
    lab:close()
  end)

  harness.ends("refuses what is wrong, and is understood", function()
    with_relay({ "cat" }, function(info, ca)
      local stream, err = core.relay.connect(info, { port = 22, ca = ca })
      assert.is_nil(stream)
      assert.equal("relay.denied", err.reason)
      assert.equal("MissingToken: Relay security token is required. (401)", err.message)
      assert.truthy(err.tracking_id:match "^%x+%-.*_G0$")
    end, { accessKey = "nothing" })
  end)
end)
