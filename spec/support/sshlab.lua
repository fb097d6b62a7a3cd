-- SPDX-License-Identifier: MIT
-- A real sshd for specs: one `sshd -i` on a socket pair a connection.
local core = require "arclua.core"

local sys = core.sys
local lab = {}
lab.__index = lab

local SSHD = "/usr/sbin/sshd"
local LIBS = "/usr/lib/x86_64-linux-gnu/"
local WRAPPER, PAM = LIBS .. "libnss_wrapper.so", LIBS .. "libpam_wrapper.so"
local MATRIX = LIBS .. "pam_wrapper/pam_matrix.so"
local NOBODY = 65534

-- A directory with a host key, a user's key and its authorized_keys.
function lab.new()
  local self = setmetatable({ dir = assert(sys.mkdtemp("arclua-ssh-")) }, lab)
  self.user = sys.user()
  assert(core.ssh.keygen(self:path "host"))
  self.public = assert(core.ssh.keygen(self:path "id", "spec"))
  assert(sys.write_file(self:path "authorized", self.public .. "\n", 420))
  if sys.getuid() == 0 then
    assert(sys.mkdir("/run/sshd", 493))
  elseif sys.stat(WRAPPER) then
    -- Without a group tty: where devpts gives it no gid, sshd ends a session that asks for a pty.
    self:account(self.user, sys.getuid())
  end
  return self
end

-- sshd sees a passwd file with this one user, and no groups.
function lab:account(user, uid)
  assert(sys.write_file(self:path "passwd",
    ("%s:x:%d:%d::%s:/bin/sh\n"):format(user, uid, uid, self.dir), 420))
  assert(sys.write_file(self:path "group", ("%s:x:%d:\n"):format(user, uid), 420))
  self.wrapped = true
end

-- True where sshd can run as an ordinary user besides us (or we are one).
function lab.has_ordinary()
  return sys.getuid() ~= 0 or sys.stat(WRAPPER) ~= nil
end

-- From now on sshd runs as an ordinary user, and logs that user in.
function lab:ordinary()
  if sys.getuid() ~= 0 then
    return
  end
  self.user, self.uid = "somebody", NOBODY
  self:account(self.user, self.uid)
  assert(sys.chown(self:path "host", NOBODY, NOBODY))
  assert(sys.chmod(self.dir, 493))
end

-- From now on sshd knows this password of an ordinary user (its setting UsePAM is no).
function lab:password(text)
  self:ordinary()
  if not self.wrapped then
    self:account(self.user, sys.getuid())
  end
  local openssl <close> = assert(core.process.spawn { stdin = "pipe", stdout = "pipe",
    args = { "openssl", "passwd", "-6", "-stdin" }, env = { LD_PRELOAD = false } })
  local to, from = openssl:stdin(), openssl:stdout()
  assert(to:write(text .. "\n"))
  to:close()
  local hash = assert(from:read()):match("%S+")
  from:close()
  assert(sys.write_file(self:path "shadow", ("%s:%s:19000:0:99999:7:::\n"):format(self.user, hash),
    420))
end

-- From now on sshd asks an ordinary user by PAM for these passwords, one after the other; one in a
-- table is echoed.
function lab:pam(...)
  self:ordinary()
  if not self.wrapped then
    self:account(self.user, sys.getuid())
  end
  self.service, self.pids = self:path "pam", {}
  assert(sys.mkdir(self.service, 493))
  local lines, module = {}, MATRIX .. " passdb=" .. self:path "passdb"
  for i, word in ipairs { ... } do
    local echo = type(word) == "table"
    assert(sys.write_file(self:path("passdb" .. i),
      ("%s:%s:sshd\n"):format(self.user, echo and word[1] or word), 420))
    lines[i] = ("auth required %s%d%s"):format(module, i, echo and " echo" or "")
  end
  lines[#lines + 1] = ("account required %s1\nsession required %s1\n"):format(module, module)
  for _, name in ipairs { "sshd", "other" } do
    assert(sys.write_file(self.service .. "/" .. name, table.concat(lines, "\n"), 420))
  end
end

-- True where sshd can ask by PAM.
function lab.has_pam()
  return sys.stat(PAM) and sys.stat(MATRIX) and sys.stat(WRAPPER)
end

function lab:path(name)
  return self.dir .. "/" .. name
end

-- What sshd is told of its user, and by which libraries.
function lab:environment()
  if not self.wrapped then
    return { LD_PRELOAD = false }
  end
  local shadow = self:path "shadow"
  return { LD_PRELOAD = self.service and PAM .. ":" .. WRAPPER or WRAPPER,
    PAM_WRAPPER = self.service and "1", PAM_WRAPPER_SERVICE_DIR = self.service,
    NSS_WRAPPER_PASSWD = self:path "passwd", NSS_WRAPPER_GROUP = self:path "group",
    NSS_WRAPPER_SHADOW = sys.stat(shadow) and shadow or nil }
end

-- Starts `sshd -i`; settings are lines of sshd_config ("MaxSessions=1").
-- Its log goes to the file of that name, if one is given.
function lab:start(settings, log)
  local args = { SSHD, "-i", "-f", "/dev/null" }
  args[#args + 1] = log and "-E" or "-e"
  args[#args + 1] = log
  local function set(line)
    args[#args + 1] = "-o"
    args[#args + 1] = line
  end
  for _, line in ipairs(settings or {}) do
    set(line)
  end
  for _, line in ipairs { "UsePAM=" .. (self.service and "yes" or "no"), "StrictModes=no",
      "LogLevel=QUIET",
      "HostKey=" .. (self.host or self:path "host"), "AcceptEnv=LAB_*", "SetEnv=HOME=/nonexistent",
      "AuthorizedKeysFile=" .. self:path "authorized" } do
    set(line)
  end
  local sshd = assert(core.process.spawn { args = args, socket = true, env = self:environment(),
    stderr = self.stderr or "null",
    uid = self.uid, gid = self.uid, session = true }) -- killed with all its processes
  if self.service then
    self.pids[tostring(sshd:pid())] = true
  end
  return sshd
end

-- libpam-wrapper's directory is /tmp/pam.X; a process that is killed leaves it.
function lab:tidy()
  for code = ("0"):byte(), ("z"):byte() do
    local letter = string.char(code)
    local pid = sys.read_file("/tmp/pam." .. letter .. "/pid")
    if pid and self.pids[pid:match("%d+")] then
      assert(sys.remove("/tmp/pam." .. letter))
    end
  end
end

-- The options of a login that works, with changes.
function lab:options(changes)
  local opts = { user = self.user, alias = "lab.arc", known_hosts = { self:path "known" },
    identities = { self:path "id" }, agent = false }
  for key, value in pairs(changes or {}) do
    opts[key] = value
  end
  return opts
end

-- Logs in: session, or nil, err; and the sshd, to be closed.
function lab:connect(changes, settings)
  local sshd = self:start(settings)
  local session, err = core.ssh.connect(sshd:stream(), self:options(changes))
  if not session then
    sshd:close()
    return nil, err
  end
  return session, sshd
end

-- Runs fn(session, sshd), then ends both.
function lab:with(fn, changes, settings)
  local session, sshd = assert(self:connect(changes, settings))
  fn(session, sshd)
  session:close()
  while core.stats().lingers > 0 do
    core.sleep(0.01)
  end
  sshd:close()
end

-- Starts an agent, which makes the socket path "agent" of the lab; to be closed.
function lab:agent(opts)
  opts.env = { LD_PRELOAD = false }
  local agent = assert(core.process.spawn(opts))
  local there
  repeat -- the socket is there before anybody listens
    core.sleep(0.005)
    there = core.unix.connect(self:path "agent")
  until there
  there:close()
  return agent
end

function lab:close()
  if self.service then
    self:tidy()
  end
  assert(sys.remove(self.dir))
end

return lab
