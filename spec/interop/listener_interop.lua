-- SPDX-License-Identifier: MIT
-- Listeners that are not ours attach to machines of the emulator: npm ws, and Microsoft's hyco-ws.
local core = require "arclua.core"
local emulated = require "emulated"
local peers = require "peers"
local program = require "program"
local sshlab = require "sshlab"

local EXTERNAL = { machines = 1, machine_agent = "external" }
local ENOUGH = 50 * 64 * 1024 -- bytes of one long answer

-- A shell script that is the machine's sshd: the client's key opens it.
local function sshd_of(e, lab)
  local key = assert(core.sys.read_file(e.env.ARCLUA_IDENTITY .. ".pub"))
  assert(core.sys.write_file(lab:path "authorized", key, 420))
  local script = lab:path "sshd.sh"
  assert(core.sys.write_file(script, ("exec /usr/sbin/sshd -i -f /dev/null -o UsePAM=no "
    .. "-o StrictModes=no -o HostKey=%s -o AuthorizedKeysFile=%s 2>/dev/null\n"):format(
    lab:path "host", lab:path "authorized")))
  return { "sh", script }
end

local function environment(e, lab)
  local env = { NODE_EXTRA_CA_CERTS = e.state.cloud.ca }
  for name, value in pairs(e.env) do
    env[name] = value
  end
  env.ARCLUA_USER = lab and lab.user or env.ARCLUA_USER
  return env
end

local function await(peer, event)
  repeat
    local got = peer.line()
    assert.not_equal("error", got.event)
    if got.event == event then
      return got
    end
  until false
end

local function exec(env, command)
  return program.run({ "exec", "web-01", "--", command }, { env = env })
end

for name, file in pairs { ["npm ws"] = "listener.mjs", ["hyco-ws"] = "hyco/hyco.cjs" } do
  describe(name .. " as a listener", function()
    emulated.spec("carries arclua exec, many at once", EXTERNAL, function(e)
      local lab = sshlab.new()
      local env = environment(e, lab)
      local peer <close> = peers.start(peers.command(file, table.unpack(sshd_of(e, lab))), env)
      await(peer, "listening")
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = core.spawn(exec, env, ("echo run %d; head -c %d /dev/zero | tr '\\0' x; exit %d")
          :format(i, ENOUGH, i))
      end
      for i, task in ipairs(tasks) do
        local ended = task:await()
        assert.truthy(ended.out:find("run " .. i, 1, true), ended.err)
        assert.equal(5, ended.status)
        assert.truthy(#ended.out > 1 << 20)
      end
      lab:close()
    end)
  end)
end

describe("npm ws as a listener", function()
  emulated.spec("is told all but the token, and its reject is told", EXTERNAL, function(e)
    local peer <close> = peers.start(peers.command("listener.mjs", "reject"), environment(e))
    await(peer, "listening")
    local ended = exec(environment(e), "true")
    assert.equal(4, ended.status)
    assert.truthy((ended.out .. ended.err):find("connection to localhost:22 failed", 1, true))
    assert.same({ event = "accept", isBinary = false, target = "localhost:22", secrets = 0 },
      await(peer, "accept"))
    assert.equal(410, await(peer, "rejected").status)
  end)

  emulated.spec("is closed by the peer's orderly end", EXTERNAL, function(e)
    local lab = sshlab.new()
    local env = environment(e, lab)
    local peer <close> = peers.start(peers.command("listener.mjs",
      table.unpack(sshd_of(e, lab))), env)
    await(peer, "listening")
    assert.equal(0, exec(env, "true").status)
    assert.equal(1000, await(peer, "closed").code)
    lab:close()
  end)
end)
