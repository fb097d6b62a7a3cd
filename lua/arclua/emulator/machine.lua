-- SPDX-License-Identifier: MIT
-- A machine's side: its agent, which judges a connection, and its sshd, one `sshd -i` each.
local core = require "arclua.core"
local json = require "arclua.json"
local account = require "arclua.emulator.account"
local passwords = require "arclua.emulator.passwords"
local ssh_ca = require "arclua.emulator.ssh_ca"
local text = require "arclua.emulator.text"
local windows = require "arclua.emulator.windows"

local machine = {}

local PARTING = 10 -- seconds that sshd gets to end by itself when its connection has ended

-- Quoted for sshd_config.
local function word(value)
  return '"' .. value:gsub('["\\]', "\\%0") .. '"'
end

-- The same of a path in which sshd would expand %u and the like; tail: where it is to.
local function path_word(path, tail)
  return word(path:gsub("%%", "%%%%") .. (tail or ""))
end

-- SetEnv for the sessions of an account, whose passwd file names it.
local function environment(emulator, m, passwd)
  local env = { "ARC_MACHINE=" .. m.name, emulator.mark }
  if emulator.who.way == "plain" then
    env[#env + 1] = "HOME=" .. m.home
  end
  for name, value in pairs(passwd and account.session_env(emulator.who, passwd) or {}) do
    env[#env + 1] = name .. "=" .. value
  end
  table.sort(env)
  for i, entry in ipairs(env) do
    env[i] = word(entry)
  end
  return "SetEnv " .. table.concat(env, " ")
end

-- Whom sshd lets in.
local function trust(emulator, m)
  local lines = { "AuthorizedKeysFile " .. (m.login == "entra" and "none"
    or path_word(emulator.machines_dir .. "/authorized_keys")) }
  if m.login ~= "key" then
    lines[2] = "TrustedUserCAKeys " .. word(emulator.state.ssh_ca.path)
    lines[3] = "AuthorizedPrincipalsFile " .. path_word(emulator.machines_dir .. "/principals",
      "/%u")
  end
  return table.concat(lines, "\n")
end

-- What an account of Entra's sees of itself: `id` shows its name.
local function matches(emulator, m)
  local lines = {}
  for kind, who in pairs(m.login ~= "key" and ssh_ca.people(emulator.state) or {}) do
    lines[#lines + 1] = ("Match User %s\n  %s"):format(who.name,
      environment(emulator, m, m.dir .. "/passwd." .. kind))
  end
  return table.concat(lines, "\n")
end

local function config_of(emulator, m)
  local dir = m.dir
  return table.concat({
    "HostKey " .. word(dir .. "/host_key"),
    trust(emulator, m),
    environment(emulator, m),
    m.words and passwords.settings(m) or "",
    "UsePAM no",
    "StrictModes no",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PidFile none",
    "PrintMotd no",
    "PrintLastLog no",
    "UseDNS no",
    "X11Forwarding no",
    "AcceptEnv LANG LC_*",
    "MaxSessions 512",
    "LogLevel VERBOSE",
    "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
      .. "ecdh-sha2-nistp384,sntrup761x25519-sha512@openssh.com",
    m.os == "windows" and "ForceCommand " .. word(dir .. "/shell") or "",
    matches(emulator, m),
    "",
  }, "\n")
end

-- Makes what belongs to the login belong to it.
function machine.own(emulator, path)
  local who = emulator.who
  return not who.drop or core.sys.chown(path, who.uid, who.gid)
end

-- The machine's passwd file: who may log in. Who comes first is whom the user id means.
local function make_passwd(emulator, m)
  local who, people = emulator.who, ssh_ca.people(emulator.state)
  local names = { { name = who.user, gecos = "arclua emulator" } }
  if m.login ~= "key" then
    names[2], names[3] = people.person, people.application
  end
  if m.login == "entra" then
    names = { names[2], names[3], names[1] }
  end
  return core.sys.write_file(m.dir .. "/passwd", account.passwd(who, m.home, names), 420)
end

-- What the accounts of Entra see of it: made when there are certificates.
local function make_accounts(emulator, m)
  if m.accounts or m.login == "key" or not emulator.state.ssh_ca.key then
    return true
  end
  local who = emulator.who
  for kind, first in pairs(ssh_ca.people(emulator.state)) do
    local ok, err = core.sys.write_file(m.dir .. "/passwd." .. kind,
      account.passwd(who, m.home, { first, { name = who.user, gecos = "arclua emulator" } }), 420)
    if not ok then
      return nil, err
    end
  end
  m.accounts = true
  return true
end

local function make(emulator, m)
  local dir = ("%s/%04d-%s"):format(emulator.machines_dir, m.index, m.name)
  m.dir, m.home = dir, dir .. "/home"
  local ok, err = core.sys.mkdir(m.home, 448)
  for _, step in ipairs {
    function() return core.ssh.keygen(dir .. "/host_key", m.name) end,
    function() return core.sys.write_file(dir .. "/sshd_config", config_of(emulator, m), 384) end,
    function() return make_passwd(emulator, m) end,
    function() return core.sys.write_file(dir .. "/sshd.log", "", 384) end,
    function() return m.os ~= "windows" or windows.make(dir, m.shell) end,
    function() return not m.words or passwords.prepare(emulator, m) end,
  } do
    if ok then
      ok, err = step()
    end
  end
  for _, name in ipairs { "", "/home", "/host_key", "/host_key.pub", "/sshd_config", "/passwd",
    "/sshd.log" } do
    if ok then
      ok, err = machine.own(emulator, dir .. name)
    end
  end
  return ok, err
end

-- Once a machine, at its first connection; who comes meanwhile waits.
local function prepare(emulator, m)
  while m.preparing do
    local ok, err = m.preparing:wait()
    if not ok then
      return nil, err
    end
  end
  if m.prepared then
    return true
  end
  m.preparing = core.cond()
  local ok, err = make(emulator, m)
  m.prepared = ok and true or false
  local waiting = m.preparing
  m.preparing = nil
  waiting:broadcast()
  if not ok then
    emulator.log:add("machine-failed", { machine = m.name, message = tostring(err) })
  end
  return ok, err
end

--- The directory that a machine's logins start in; made when it is not there yet.
function machine.home(emulator, m)
  local ok, err = prepare(emulator, m)
  return ok and m.home, err
end

--- Judges the sender's two headers as the agent does: the port to dial, or nil and why not.
function machine.judge(emulator, m, token, target)
  local state = emulator.state
  local port = target and math.tointeger(tonumber(target:match "^localhost:(%d+)$"))
  local raw = token and core.crypto.jwt_verify(state.key, token)
  local claims = raw and json.decode(raw)
  if not port then
    return nil, "no target"
  elseif type(claims) ~= "table" or claims.aud ~= "arclua-emulator-agent" then
    return nil, "no valid service configuration token"
  elseif claims.sub ~= m.id:lower() then
    return nil, "the token is for another machine"
  elseif claims.exp <= state.faults:time(m.name) then
    return nil, "the token has expired"
  elseif claims.port ~= port then
    return nil, "the port is not the token's"
  end
  return port
end

local UNIT = 512 -- of sh's ulimit -f
local FULL = 64 * 1024 -- bytes of a file, when a fault says that the disk is full

-- What runs an SFTP server that finds the disk full once a file has so many bytes: a script.
local function full_disk(m, bytes)
  for _, path in ipairs(windows.SFTP_SERVERS) do
    if core.sys.stat(path) then
      local script = m.dir .. "/full-disk"
      if core.sys.write_file(script, ("trap '' XFSZ\nulimit -f %d\nexec %s\n"):format(
        bytes // UNIT, path), 493) then
        return "/bin/sh " .. text.quote(script)
      end
    end
  end
  return "internal-sftp"
end

-- The line of sshd_config for SFTP, by the fault that is due; none: there is no SFTP.
local function subsystem(emulator, m)
  local fault = emulator.state.faults:take("sftp", m.name)
  if not fault then
    return "Subsystem sftp internal-sftp"
  elseif fault.kind == "full" then
    return "Subsystem sftp " .. full_disk(m, fault.bytes or FULL)
  end
  return fault.kind == "read-only" and "Subsystem sftp internal-sftp -R" or nil
end

--- Starts an sshd for one connection. watch = true: its log comes through process:stderr().
---@return arclua.Process|nil, arclua.Error?
function machine.start_sshd(emulator, m, watch)
  local ok, err = prepare(emulator, m)
  if ok then
    ok, err = make_accounts(emulator, m)
  end
  if not ok then
    return nil, err
  end
  local args = { emulator.who.sshd, "-i", "-f", m.dir .. "/sshd_config" }
  local sftp = subsystem(emulator, m)
  if sftp then
    args[#args + 1] = "-o"
    args[#args + 1] = sftp
  end
  if watch then
    args[#args + 1] = "-e"
  else
    args[#args + 1] = "-E"
    args[#args + 1] = m.dir .. "/sshd.log"
  end
  local how = account.command(emulator.who, m.dir .. "/passwd", m.program or args)
  local name, value = emulator.mark:match "^([^=]+)=(.*)$"
  how.env[name] = value
  how.clear_env, how.cwd, how.socket = true, "/", true
  how.stderr = watch and "pipe" or "null"
  how.hostname = m.name
  how.session, how.die_with_parent = true, true
  passwords.environment(m, how.env)
  local process
  process, err = core.process.spawn(how)
  if process then
    passwords.started(emulator, m, process)
  end
  return process, err
end

--- Lets sshd end by itself, as it does when its connection has ended.
function machine.part(process)
  core.timeout(PARTING, function()
    return process:wait()
  end)
  process:close()
end

--- The lines of sshd's log that begin a session: "Starting session: command for …", each one
--- command, shell or subsystem that was really started.
---@return string[]
function machine.sessions(m)
  local found = {}
  local log = m.dir and core.sys.read_file(m.dir .. "/sshd.log") or ""
  for line in log:gmatch "Starting session: [^\r\n]+" do
    found[#found + 1] = line
  end
  return found
end

return machine
