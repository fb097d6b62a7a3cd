-- SPDX-License-Identifier: MIT
-- What both shells of a Windows-like machine share: its environment, its files, its programs.
-- Runs as a process of its own, without the core. Only the home is there to be looked into.
local commands = {}

local HOME = "C:\\Users\\arc"
local NO_PATH = "The system cannot find the path specified."
local NO_FILE = "The system cannot find the file specified."

--- The state of one login: environment (names in capitals), directory below the home.
function commands.new()
  local name, terminal = os.getenv "ARC_MACHINE" or "windows", os.getenv "SSH_TTY"
  -- The terminal's driver adds the CR by itself.
  local function writer(file)
    return function(text) file:write(terminal and (text:gsub("\r\n", "\n")) or text) end
  end
  return {
    console = terminal ~= nil,
    home = os.getenv "HOME" or "/", dir = "", status = 0,
    env = { COMPUTERNAME = name:upper(), USERNAME = "arc", OS = "Windows_NT",
      USERPROFILE = HOME, HOMEDRIVE = "C:", SYSTEMROOT = "C:\\Windows", ARC_MACHINE = name,
      COMSPEC = "C:\\Windows\\system32\\cmd.exe", TEMP = HOME .. "\\AppData\\Local\\Temp",
      PATH = "C:\\Windows\\system32;C:\\Windows" },
    out = writer(io.stdout), err = writer(io.stderr),
  }
end

--- Text with Windows' ends of lines.
function commands.say(self, text)
  self.out((text .. "\n"):gsub("\r?\n", "\r\n"))
end

function commands.complain(self, text)
  self.err((text .. "\n"):gsub("\r?\n", "\r\n"))
end

--- The directory as its users know it.
function commands.cwd(self)
  return HOME .. (self.dir ~= "" and "\\" .. self.dir:gsub("/", "\\") or "")
end

--- Where a path is below the home, "" = the home itself; nil: it is not there.
function commands.locate(self, path)
  path = path:gsub('"', ""):gsub("/", "\\")
  local rest = path:match "^[Cc]:(.*)$" or path
  if rest:sub(1, 1) == "\\" then
    if rest:sub(1, 10):lower() ~= "\\users\\arc" then
      return nil
    end
    rest = rest:sub(11)
  else
    rest = self.dir:gsub("/", "\\") .. "\\" .. rest
  end
  local parts = {}
  for part in rest:gmatch "[^\\]+" do
    if part == ".." then
      if #parts == 0 then
        return nil
      end
      table.remove(parts)
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

--- The real path.
function commands.real(self, path)
  local below = commands.locate(self, path)
  return below and self.home .. "/" .. below
end

local function sh(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function is_dir(path)
  return os.execute("test -d " .. sh(path)) == true
end

function commands.pause(seconds)
  io.stdout:flush()
  os.execute(("sleep %d"):format(math.min(math.max(seconds, 0), 86400) // 1))
end

local programs = {}

function programs.hostname(self)
  commands.say(self, self.env.COMPUTERNAME)
  return 0
end

function programs.whoami(self)
  commands.say(self, (self.env.COMPUTERNAME .. "\\" .. self.env.USERNAME):lower())
  return 0
end

-- timeout /t N [/nobreak]: refuses an input that is no console, as the real one does.
function programs.timeout(self, words)
  local seconds = 0
  for i, word in ipairs(words) do
    seconds = tonumber(word) or (word:lower() == "/t" and tonumber(words[i + 1])) or seconds
  end
  if not self.console then
    commands.complain(self, "ERROR: Input redirection is not supported, exiting the process "
      .. "immediately.")
    return 1
  end
  commands.pause(seconds)
  return 0
end

-- ping -n N HOST: N - 1 seconds.
function programs.ping(self, words)
  local count, host = 4, "127.0.0.1"
  for i, word in ipairs(words) do
    if word:lower() == "-n" or word:lower() == "/n" then
      count = tonumber(words[i + 1]) or count
    elseif not tonumber(word) then
      host = word
    end
  end
  commands.say(self, ("\nPinging %s with 32 bytes of data:"):format(host))
  for i = 1, count do
    commands.say(self, ("Reply from %s: bytes=32 time<1ms TTL=128"):format(host))
    if i < count then
      commands.pause(1)
    end
  end
  return 0
end

-- findstr TEXT and find "TEXT", of their input only.
local function find(self, words, input)
  local wanted, fold = "", false
  for _, word in ipairs(words) do
    if word:lower() == "/i" then
      fold = true
    elseif word:sub(1, 1) ~= "/" then
      wanted = word
    end
  end
  local found = 1
  for line in (input or io.read "a" or ""):gmatch "[^\r\n]+" do
    local at = fold and line:lower():find(wanted:lower(), 1, true) or line:find(wanted, 1, true)
    if at then
      commands.say(self, line)
      found = 0
    end
  end
  return found
end
programs.findstr, programs.find = find, find

function programs.more(self, _, input)
  self.out(input or io.read "a" or "")
  return 0
end

programs["sc"] = function(self, words)
  local name = words[2] or ""
  if (words[1] or ""):lower() ~= "query" or name:lower() ~= "sshd" then
    commands.say(self, "[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\n\nThe specified "
      .. "service does not exist as an installed service.\n")
    return 1060
  end
  commands.say(self, "\nSERVICE_NAME: sshd \n        STATE              : 4  RUNNING ")
  return 0
end

-- Only certutil -hashfile FILE SHA256.
function programs.certutil(self, words)
  local path = words[2] or ""
  local real = (words[1] or ""):lower() == "-hashfile" and (words[3] or ""):upper() == "SHA256"
    and commands.real(self, path)
  local pipe = real and io.popen("sha256sum <" .. sh(real) .. " 2>/dev/null")
  local hex = pipe and pipe:read "a":match "^%x+"
  if pipe then
    pipe:close()
  end
  if not hex then
    commands.complain(self, "CertUtil: -hashfile command FAILED: 0x80070002 (WIN32: 2 "
      .. "ERROR_FILE_NOT_FOUND)\nCertUtil: " .. NO_FILE)
    return 2
  end
  commands.say(self, ("SHA256 hash of %s:\n%s\nCertUtil: -hashfile command completed "
    .. "successfully."):format(path, hex))
  return 0
end

--- A program by name, with or without .exe; nil = there is none.
function commands.program(name)
  local base = name:lower():gsub("^.*\\", ""):gsub("%.exe$", "")
  return programs[base]
end

--- The texts of a file: text | nil, complaint.
function commands.read(self, path)
  local real = commands.real(self, path)
  local file = real and not is_dir(real) and io.open(real, "rb")
  if not file then
    return nil, real and NO_FILE or NO_PATH
  end
  local text = file:read "a"
  file:close()
  return text
end

--- True | nil, complaint.
function commands.write(self, path, text, append)
  if path:lower() == "nul" or path:lower() == "$null" then
    return true
  end
  local real = commands.real(self, path)
  local file = real and io.open(real, append and "ab" or "wb")
  if not file then
    return nil, NO_PATH
  end
  file:write(text)
  file:close()
  return true
end

--- Goes to a directory: true | nil, complaint.
function commands.go(self, path)
  local below = commands.locate(self, path)
  if not below or not is_dir(self.home .. "/" .. below) then
    return nil, NO_PATH
  end
  self.dir = below
  return true
end

--- What a directory holds: names in order | nil, complaint.
function commands.list(self, path)
  local real = commands.real(self, path)
  if not real or not is_dir(real) then
    return nil, NO_FILE
  end
  local names = {}
  local pipe <close> = assert(io.popen("ls -1 " .. sh(real)))
  for name in pipe:lines() do
    names[#names + 1] = { name = name, dir = is_dir(real .. "/" .. name) }
  end
  return names
end

function commands.make_dir(self, path)
  local real = commands.real(self, path)
  return real and os.execute("mkdir -p " .. sh(real)) == true or nil, NO_PATH
end

function commands.delete(self, path)
  local real = commands.real(self, path)
  return real and os.remove(real) or nil, NO_FILE
end

return commands
