-- SPDX-License-Identifier: MIT
-- A Windows-like machine's logins: a real sshd whose forced command answers as cmd.exe or
-- PowerShell does. sshd refuses signals for forced commands, as Windows' delivers none.
local windows = {}

--- Where distributions have OpenSSH's SFTP server.
windows.SFTP_SERVERS = { "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server" }

--- What a login runs: shell is "cmd" or "powershell"; the command comes from sshd. Does not return.
function windows.login(shell)
  local commands = require "arclua.emulator.windows.commands"
  local self, line = commands.new(), os.getenv "SSH_ORIGINAL_COMMAND"
  io.stdout:setvbuf "full"
  local status
  if shell == "powershell" then
    local powershell = require "arclua.emulator.windows.powershell"
    status = line and powershell.run(self, line) or not line and powershell.talk(self)
  else
    status = require("arclua.emulator.windows.cmd").main(self, line)
  end
  os.exit(status & 0xff, true)
end

local FILES = { "init", "cmd", "cmdlets", "commands", "pieces", "powershell" }

-- Copies our files to where the machine's login may read them. False: they are in the program.
local function copy(dir)
  local core = require "arclua.core"
  local from = package.searchpath("arclua.emulator.windows", package.path)
  if not from then
    return false
  end
  for _, name in ipairs(FILES) do
    local text, err = core.sys.read_file((from:gsub("init%.lua$", name .. ".lua")))
    if not text then
      return nil, err
    end
    local path = dir .. "/arclua.emulator.windows" .. (name == "init" and "" or "." .. name)
      .. ".lua"
    local ok
    ok, err = core.sys.write_file(path, text, 420)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Finds a module by its whole name, since a copy needs no directories.
local SEARCH = "package.searchers[#package.searchers+1]=function(n) "
  .. "return loadfile(%q..n..'.lua') end;"

-- Whether any user may run a program: all directories on the way let them through.
local function is_open(core, path)
  local at = 1
  while at do
    local stat = core.sys.stat(at == 1 and "/" or path:sub(1, at - 1), true)
    if not stat or stat.mode & 1 == 0 then
      return false
    end
    at = path:find("/", at + 1, true)
  end
  local stat = core.sys.stat(path, true)
  return stat ~= nil and stat.mode & 1 == 1
end

local PROGRAM_MAX = 256 * 1024 * 1024

-- The program that runs us, where a machine's login may run it: a copy when it stands in
-- somebody's private directory.
local function program(core, dir)
  local self = core.sys.self()
  if is_open(core, self) then
    return self
  end
  local bytes, err = core.sys.read_file(self, PROGRAM_MAX)
  local ok
  if bytes then
    ok, err = core.sys.write_file(dir .. "/program", bytes, 493)
  end
  return ok and dir .. "/program" or nil, err
end

--- Writes the program that a login of this machine runs: dir/shell.
---@param shell string  "cmd" or "powershell"
---@return true|nil, arclua.Error?
function windows.make(dir, shell)
  local core = require "arclua.core"
  local copied, err = copy(dir)
  if copied == nil then
    return nil, err
  end
  local self
  self, err = program(core, dir)
  if not self then
    return nil, err
  end
  local chunk = (copied and SEARCH:format(dir .. "/") or "")
    .. ("require('arclua.emulator.windows').login('%s')"):format(shell)
  local lines = { "#!/bin/sh", "case $SSH_ORIGINAL_COMMAND in",
    "internal-sftp*) options=${SSH_ORIGINAL_COMMAND#internal-sftp}" }
  for _, path in ipairs(windows.SFTP_SERVERS) do
    lines[#lines + 1] = ("[ -x %s ] && exec %s $options"):format(path, path)
  end
  lines[#lines + 1] = "exit 1;;"
  -- A disk that is full: emulator/machine.lua.
  lines[#lines + 1] = "'/bin/sh '*/full-disk*) eval \"exec $SSH_ORIGINAL_COMMAND\";; esac"
  lines[#lines + 1] = "exec " .. quote(self) .. " -e " .. quote(chunk) -- lua and arclua alike
  return core.sys.write_file(dir .. "/shell", table.concat(lines, "\n") .. "\n", 493)
end

return windows
