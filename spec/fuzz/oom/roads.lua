-- SPDX-License-Identifier: MIT
-- Roads on which allocations fail, to an sshd beside us: what a login may be, and a channel.
-- Each is { name, run = fn(), before = fn()?, after = fn()? }; only run is short of memory, and
-- gives whether all went well, or nil, err.
local core = require "arclua.core"
local json = require "arclua.json"
local ssh_ca = require "arclua.emulator.ssh_ca"
local sshlab = require "sshlab"

local sys = core.sys
local roads = {}

local LIMIT = 20            -- seconds for one run
local FLOOD = 200 * 1024    -- bytes: more than a channel holds itself
local RIGHT = "open sesame" -- password and passphrase

local function tool(args, env)
  env = env or {}
  env.LD_PRELOAD = false
  local p <close> = assert(core.process.spawn { args = args, stdin = "null", stdout = "null",
    stderr = "null", env = env })
  assert(assert(p:wait()).status == 0, args[1])
end

-- A prompt function that answers wrong at first.
local function answers()
  local words = { "no", RIGHT, RIGHT }
  return function()
    local word = table.remove(words, 1)
    return word and core.secret(word)
  end
end

-- A road that logs in with these options (made anew for each run) to an sshd with these settings.
local function login(name, lab, options, settings)
  local sshd
  return { name = name,
    before = function() sshd = lab:start(settings) end,
    run = function()
      local changes = options()
      changes.timeout = LIMIT
      local session, err = core.ssh.connect(sshd:stream(), lab:options(changes))
      if session then
        session:close()
      end
      return session ~= nil or nil, err
    end,
    after = function() sshd:close() end }
end

-- Sends a word through the channel and takes a flood back.
local function talk(channel, listener)
  local peer <close>, err = listener:accept()
  local ok = peer
  for _, step in ipairs { function() return channel:write("word") end,
    function() return peer:read() end, function() return peer:write(("x"):rep(FLOOD)) end } do
    if ok then
      ok, err = step()
    end
  end
  if not ok then
    return nil, err
  end
  peer:close()
  local got, part = 0
  repeat
    part, err = channel:read()
    got = got + #(part or "")
  until not part
  return not err and got == FLOOD or nil, err or got
end

local function forwarding(lab)
  local sshd, session, listener
  return { name = "a forwarded connection",
    before = function()
      session, sshd = assert(lab:connect({ timeout = LIMIT }))
      listener = assert(core.tcp.listen("127.0.0.1", 0))
    end,
    run = function()
      local channel <close>, err = session:direct_tcpip("127.0.0.1", listener:port(),
        { timeout = LIMIT })
      if not channel then
        return nil, err
      end
      return talk(channel, listener)
    end,
    after = function()
      listener:close()
      session:close()
      core.linger()
      sshd:close()
    end }
end

-- A road over a session of its own: run(session).
local function over_session(name, lab, run)
  local sshd, session
  return { name = name,
    before = function() session, sshd = assert(lab:connect { timeout = LIMIT }) end,
    run = function() return run(session) end,
    after = function()
      session:close()
      core.linger()
      sshd:close()
    end }
end

local function shell(lab)
  return over_session("a shell", lab, function(session)
    local held <close>, err = session:shell { command = "cat; ssh-add -l >&2",
      env = { LAB_X = "1" }, agent = lab:path "agent" }
    if not held then
      return nil, err
    end
    local stream <close> = held:stream()
    local errors <close> = held:stderr()
    local got, result
    local ok = true
    for _, step in ipairs { function() return stream:write "word" end,
      function()
        stream:shutdown()
        got, err = stream:read()
        return got, err
      end,
      function()
        repeat
          ok, err = errors:read()
        until not ok
        return not err or nil, err
      end,
      function()
        result, err = held:wait()
        return result, err
      end } do
      if ok then
        ok, err = step()
      end
    end
    return got == "word" and result and result.state == "ok" or nil, err
      or result and result.err
  end)
end

local function listening(lab)
  return over_session("a port there", lab, function(session)
    local remote <close>, err = session:listen("127.0.0.1", 0, { timeout = LIMIT })
    local ours, theirs, ok
    if remote then
      ours, err = core.tcp.connect("127.0.0.1", remote:port(), { timeout = LIMIT })
    end
    if ours then
      theirs, err = core.timeout(1, remote.accept, remote) -- one that was refused does not come
    end
    if theirs then
      ok, err = theirs:write "word"
    end
    ok = ok and ours:read() == "word"
    for _, stream in ipairs { ours or nil, theirs or nil } do
      stream:close()
    end
    return ok or nil, err or "nothing came"
  end)
end

-- A login with a key pair in memory and its certificate, which is read anew each time.
local function certified()
  local lab, key, ca = sshlab.new(), assert(core.crypto.ssh_key(2048)),
    assert(core.crypto.ssh_key(2048))
  local jwk, now = json.decode(key:jwk()), math.floor(core.time())
  local text = ssh_ca.sign(ca, { e = core.crypto.unbase64(jwk.e),
    n = "\0" .. core.crypto.unbase64(jwk.n), key_id = "road", principals = { lab.user },
    valid_after = now - 60, valid_before = now + 86400, extensions = "" })
  assert(sys.write_file(lab:path "ca.pub", ca:public() .. "\n", 420))
  local sshd
  return { name = "a certificate in memory",
    before = function() sshd = lab:start { "TrustedUserCAKeys=" .. lab:path "ca.pub" } end,
    run = function()
      local certificate <close>, err = core.crypto.ssh_certificate(text, key)
      if not certificate then
        return nil, err
      end
      local session
      session, err = core.ssh.connect(sshd:stream(), lab:options { identities = {},
        certificate = certificate, timeout = LIMIT })
      if session then
        session:close()
      end
      return session ~= nil or nil, err
    end,
    after = function() sshd:close() end }, lab
end

-- Relay credentials to a file and back, and what ARM says of an error.
local function kept(lab)
  local dir = lab:path "kept"
  local info = assert(core.relayinfo [[{"relay":{"namespaceName":"ns","namespaceNameSuffix":"s.net",
    "hybridConnectionName":"a/b","accessKey":"k","expiresOn":5,"serviceConfigurationToken":"t"}}]])
  return { name = "kept credentials", run = function()
    local ok, err = core.relaycache.write(dir, "key", info, 22)
    if not ok then
      return nil, err
    end
    local got, port = core.relaycache.read(dir, "key")
    if not got then
      return nil, port
    end
    got:close()
    err = core.arm.failure(404, '{"error":{"code":"X","details":[{"message":"y","target":"z"}]}}')
    return err.service_code == "X" or nil, err
  end }
end

-- A lab whose user has a locked key, and one in the agent.
local function with_keys()
  local lab = sshlab.new()
  local socket = lab:path "agent"
  tool { "ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", RIGHT, "-f", lab:path "locked" }
  assert(sys.write_file(lab:path "authorized",
    lab.public .. "\n" .. assert(sys.read_file(lab:path "locked.pub")), 420))
  local agent = lab:agent { args = { "ssh-agent", "-D", "-a", socket }, stdin = "null",
    stdout = "null", stderr = "null" }
  tool({ "ssh-add", "-q", lab:path "id" }, { SSH_AUTH_SOCK = socket })
  return lab, agent
end

--- All roads; their labs and the agent live until roads.close().
function roads.open()
  local keys, agent = with_keys()
  local words = sshlab.new()
  words:password(RIGHT)
  local certificate, trusting = certified()
  roads.things = { agent, keys, words, trusting }
  local list = {
    kept(keys),
    login("a locked key", keys, function()
      return { identities = { keys:path "locked" }, prompt = answers() }
    end),
    login("an agent", keys, function()
      return { identities = {}, agent = keys:path "agent" }
    end),
    login("a password", words, function()
      return { identities = {}, password = core.secret "wrong", prompt = answers() }
    end),
    forwarding(keys),
    shell(keys),
    listening(keys),
    certificate,
  }
  if sshlab.has_pam() then
    local asks = sshlab.new()
    asks:pam(RIGHT, { "123456" })
    roads.things[#roads.things + 1] = asks
    table.insert(list, login("questions", asks, function()
      return { identities = {}, password = core.secret(RIGHT), methods = { "keyboard-interactive" },
        prompt = function() return core.secret "123456" end }
    end))
  end
  return list
end

function roads.close()
  for _, thing in ipairs(roads.things) do
    thing:close()
  end
end

return roads
