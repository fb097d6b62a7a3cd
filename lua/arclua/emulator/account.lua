-- SPDX-License-Identifier: MIT
-- As whom the machines' sshd runs, and how the login gets a home directory of its own.
--
-- sshd takes user, home and shell from the passwd database, so a machine needs an entry of
-- its own there. Three ways, the first that works:
--   wrapper  libnss_wrapper.so (Debian: libnss-wrapper) in sshd's LD_PRELOAD answers from a
--            passwd file of the machine. Tried with OpenSSH 9.2 as root, as an ordinary user
--            and as uid 65534: login, command, pty and sftp work. sshd makes a new environment
--            for the login, so the preload does not reach the user's commands (there `id`
--            shows the name that the real passwd file has for the uid), but those of Entra's
--            accounts: SetEnv hands it on to them.
--   mount    root only: a mount namespace of its own in which the file covers /etc/passwd (and
--            one without the group tty covers /etc/group, see below).
--   plain    sshd runs as the caller with the caller's entry; HOME is set, but the login
--            starts in the caller's real home. Not for root without as_root.
local core = require "arclua.core"
local errors = require "arclua.errors"
local text = require "arclua.emulator.text"

local account = {}

local NOBODY = 65534
account.PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
local PRELOAD = "libnss_wrapper.so"
local SSHD = { "/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/local/bin/sshd", "/sbin/sshd" }

local function exists(path)
  return core.sys.stat(path) ~= nil
end

local function find_sshd()
  for _, path in ipairs(SSHD) do
    if exists(path) then
      return path
    end
  end
end

local function shell()
  return exists "/bin/bash" and "/bin/bash" or "/bin/sh"
end

--- The passwd file for logins whose home is `home`: their entries (the first is the one that the
--- user id means), then the system's others.
---@param names { name: string, gecos: string }[]
function account.passwd(who, home, names)
  local lines, own = {}, {}
  for i, entry in ipairs(names) do
    lines[i] = ("%s:x:%d:%d:%s:%s:%s\n"):format(entry.name, who.uid, who.gid, entry.gecos, home,
      who.shell)
    own[entry.name] = true
  end
  for line in (core.sys.read_file("/etc/passwd") or ""):gmatch "[^\n]+" do
    local name = line:match "^([^:]+):"
    if name and not own[name] then
      lines[#lines + 1] = line .. "\n"
    end
  end
  return table.concat(lines)
end

-- stdout of a command, or nil.
local function output_of(args, env, who)
  local process <close> = core.process.spawn { args = args, env = env, clear_env = true,
    stderr = "null", uid = who.drop and who.uid or nil, gid = who.drop and who.gid or nil }
  if not process then
    return nil
  end
  local out, pipe <close> = {}, process:stdout()
  while true do
    local chunk = pipe:read()
    if not chunk then
      break
    end
    out[#out + 1] = chunk
  end
  local ended = process:wait()
  return ended and ended.status == 0 and table.concat(out) or nil
end

-- The caller's group, as passwd has it.
local function group_of_caller()
  local out = output_of({ "id", "-g" }, { PATH = account.PATH }, {})
  return math.tointeger(tonumber(out)) or core.sys.getuid()
end

-- The system's groups but tty: sshd gives a terminal to the group of that name, which an
-- ordinary user may not do unless devpts is mounted so; without the group it takes the user's.
local function groups()
  local lines = {}
  for line in (core.sys.read_file("/etc/group") or ""):gmatch "[^\n]+" do
    if not line:find "^tty:" then
      lines[#lines + 1] = line .. "\n"
    end
  end
  return table.concat(lines)
end

local function wrapper_env(who, passwd)
  return { LD_PRELOAD = PRELOAD, NSS_WRAPPER_PASSWD = passwd,
    NSS_WRAPPER_GROUP = who.groups, PATH = account.PATH }
end

--- What commands of a login need to see the accounts of that passwd file: what sshd's own
--- environment has, unless the file is at its place anyway.
function account.session_env(who, passwd)
  local env = who.way == "wrapper" and wrapper_env(who, passwd) or {}
  env.PATH = nil
  return env
end

local function mount_args(passwd, who, args)
  local line = ("mount --bind %s /etc/passwd && mount --bind %s /etc/group && exec "):format(
    text.quote(passwd), text.quote(who.groups))
  if who.drop then
    line = line .. ("setpriv --reuid %d --regid %d --clear-groups --pdeathsig KILL "):format(
      who.uid, who.gid)
  end
  local words = {}
  for i, arg in ipairs(args) do
    words[i] = text.quote(arg)
  end
  return { "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
    line .. table.concat(words, " ") }
end

-- Whether each way is possible here: asks the passwd database for a home that only our file
-- names.
local POSSIBLE = {
  { name = "wrapper", try = function(who, passwd, query)
    return output_of(query, wrapper_env(who, passwd), who)
  end },
  { name = "mount", try = function(who, passwd, query)
    return core.sys.getuid() == 0
      and output_of(mount_args(passwd, who, query), { PATH = account.PATH }, {})
  end },
}

local function find_way(who, dir, wanted)
  local passwd, home = dir .. "/passwd.probe", dir .. "/probe"
  who.groups = dir .. "/group"
  local ok, err = core.sys.write_file(passwd, account.passwd(who, home, { { name = who.user,
    gecos = "arclua emulator" } }), 420)
  if ok then
    ok, err = core.sys.write_file(who.groups, groups(), 420)
  end
  if not ok then
    return nil, err
  end
  for _, way in ipairs(POSSIBLE) do
    local out = (not wanted or wanted == way.name)
      and way.try(who, passwd, { "getent", "passwd", who.user })
    if out and out:find(home, 1, true) then
      return way.name
    end
  end
  return not who.drop and (not wanted or wanted == "plain") and "plain" or nil
end

--- Finds out as whom and how. dir: a directory that the login may enter; wanted: only this way.
---@return { user: string, uid: integer, gid: integer, drop: boolean, shell: string, way: string,
---   sshd: string }|nil, arclua.Error?
function account.choose(as_root, dir, wanted)
  local uid = core.sys.getuid()
  local drop = uid == 0 and not as_root
  local who = { user = drop and "arclua" or core.sys.user(), uid = drop and NOBODY or uid,
    gid = drop and NOBODY or group_of_caller(), drop = drop,
    shell = shell(), sshd = find_sshd() }
  if not who.sshd then
    return errors.fail { code = "config", op = "emulator.start",
      message = "the machines need sshd, and there is none",
      remedy = "install the OpenSSH server (Debian: apt-get install openssh-server)" }
  end
  local way, err = find_way(who, dir, wanted)
  if err then
    return nil, err
  elseif not way then
    return errors.fail { code = "config", op = "emulator.start", message = "the machines cannot "
      .. "be given a user of their own: that needs libnss_wrapper.so, or root and the right to "
      .. "mount",
      remedy = "install libnss-wrapper, start it as an ordinary user, or pass --as-root" }
  end
  who.way = way
  return who
end

--- What process.spawn needs to run sshd for a machine: args, env, uid, gid.
function account.command(who, passwd, args)
  if who.way == "wrapper" then
    return { args = args, env = wrapper_env(who, passwd), uid = who.drop and who.uid or nil,
      gid = who.drop and who.gid or nil }
  elseif who.way == "mount" then
    return { args = mount_args(passwd, who, args), env = { PATH = account.PATH } }
  end
  return { args = args, env = { PATH = account.PATH } }
end

return account
