-- SPDX-License-Identifier: MIT
-- The files of a running emulator, and the guardian that removes them.
local core = require "arclua.core"
local account = require "arclua.emulator.account"
local ssh_ca = require "arclua.emulator.ssh_ca"

local files = {}

--- Runs the steps until one fails.
function files.all(steps)
  for _, step in ipairs(steps) do
    local ok, err = step()
    if not ok then
      return nil, err
    end
  end
  return true
end

--- The directory: what clients may read in client/, what the machines' user may in machines/.
--- As root with another user for the machines, that user must be able to pass through the top.
function files.make_dirs(self, opts)
  local sys = core.sys
  local dir, err = sys.mkdtemp "arclua-emulator"
  if not dir then
    return nil, err
  end
  self.dir = dir
  self.client_dir, self.machines_dir = dir .. "/client", dir .. "/machines"
  self.mark = "ARCLUA_EMULATOR=" .. dir
  return files.all {
    function()
      local guardian, why = core.server.guardian { dir = dir, mark = self.mark,
        bound = self.bound }
      self.guardian = guardian
      return guardian, why
    end,
    function() return sys.mkdir(self.client_dir .. "/state", 448) end,
    function() return sys.chmod(self.client_dir, 448) end,
    function() return sys.mkdir(self.machines_dir, 448) end,
    function() return sys.getuid() ~= 0 or opts.as_root or sys.chmod(dir, 457) end,
    function()
      return sys.getuid() ~= 0 or opts.as_root or sys.chown(self.machines_dir, 65534, 65534)
    end,
    function()
      local who, why = account.choose(opts.as_root, self.machines_dir, opts.way)
      self.who = who
      return who, why
    end,
  }
end

--- As root, sshd wants its directory for the part that is not trusted yet.
function files.make_privsep(self)
  if self.who.uid ~= 0 or core.sys.stat "/run/sshd" then
    return true
  end
  return core.sys.mkdir("/run/sshd", 493)
end

-- The login's own, so that its sshd may read it.
local function give(self, path)
  return not self.who.drop or core.sys.chown(path, self.who.uid, self.who.gid)
end

-- Which principal of a certificate opens which account.
local function make_principals(self)
  local dir = self.machines_dir .. "/principals"
  local ok, err = core.sys.mkdir(dir, 448)
  for _, who in pairs(ssh_ca.people(self.state)) do
    if ok then
      ok, err = core.sys.write_file(dir .. "/" .. who.name, who.principal .. "\n", 384)
    end
    if ok then
      ok, err = give(self, dir .. "/" .. who.name)
    end
  end
  if ok then
    ok, err = give(self, dir)
  end
  return ok, err
end

--- The key by which clients log in, and the authority that certifies others.
function files.make_identity(self)
  self.state.ssh_ca = ssh_ca.new(self.machines_dir .. "/user_ca.pub", function(path)
    return give(self, path)
  end)
  local key = self.client_dir .. "/id_ed25519"
  return files.all {
    function() return core.ssh.keygen(key, "arclua emulator") end,
    function() return make_principals(self) end,
    function()
      local public, err = core.sys.read_file(key .. ".pub")
      if not public then
        return nil, err
      end
      local path = self.machines_dir .. "/authorized_keys"
      return files.all {
        function() return core.sys.write_file(path, public, 384) end,
        function() return give(self, path) end,
      }
    end,
    function() return core.sys.write_file(self.client_dir .. "/known_hosts", "", 384) end,
  }
end

return files
