-- SPDX-License-Identifier: MIT
-- The cmdlets of a Windows-like machine. false = it failed.
local commands = require "arclua.emulator.windows.commands"

local cmdlets = {}

local SERVICES = {
  { "Running", "himds", "Azure Hybrid Instance Metadata Service" },
  { "Running", "sshd", "OpenSSH SSH Server" },
  { "Stopped", "wuauserv", "Windows Update" },
}

-- The value of -name.
local function named(words, name)
  for i, word in ipairs(words) do
    if word:lower() == "-" .. name then
      return words[i + 1]
    end
  end
end

-- The value of -name, or the first word that is no parameter.
local function argument(words, name)
  local plain
  for i, word in ipairs(words) do
    if not word:find "^%-%a" and not (words[i - 1] or ""):find "^%-%a" then
      plain = plain or word
    end
  end
  return named(words, name) or plain
end

local function fail(self, name, text)
  commands.complain(self, name .. " : " .. text)
  return false
end

local list = {}

list["write-output"] = function(self, words, input)
  if #words == 0 and input then
    self.out(input)
  end
  for _, word in ipairs(words) do
    commands.say(self, word)
  end
end

list["write-host"] = function(self, words)
  commands.say(self, table.concat(words, " "))
end

list["write-error"] = function(self, words)
  return fail(self, "Write-Error", table.concat(words, " "))
end

list["get-date"] = function(self, words)
  local format = argument(words, "format")
  local now = os.date "*t"
  local text = format and format:gsub("yyyy", os.date "%Y"):gsub("MM", os.date "%m")
    :gsub("dd", os.date "%d"):gsub("HH", os.date "%H"):gsub("mm", os.date "%M")
    :gsub("ss", os.date "%S")
  commands.say(self, text or ("\n%s, %s %d, %d %s\n"):format(os.date "%A", os.date "%B", now.day,
    now.year, os.date "%I:%M:%S %p"))
end

list["get-service"] = function(self, words)
  local wanted, found = argument(words, "name"), false
  local lines = { "", "Status   Name               DisplayName", "------   ----               "
    .. "-----------" }
  for _, service in ipairs(SERVICES) do
    if not wanted or service[2]:lower() == wanted:lower() then
      lines[#lines + 1] = ("%-8s %-18s %s"):format(table.unpack(service))
      found = true
    end
  end
  if not found then
    return fail(self, "Get-Service", ("Cannot find any service with service name '%s'."):format(
      wanted))
  end
  commands.say(self, table.concat(lines, "\n") .. "\n")
end

list["start-sleep"] = function(_, words)
  commands.pause(tonumber(argument(words, "seconds")) or 0)
end

list["get-location"] = function(self)
  commands.say(self, "\nPath\n----\n" .. commands.cwd(self) .. "\n")
end

list["set-location"] = function(self, words)
  local path = argument(words, "path") or ""
  if not commands.go(self, path) then
    return fail(self, "Set-Location", ("Cannot find path '%s' because it does not exist."):format(
      path))
  end
end

list["get-content"] = function(self, words)
  local path = argument(words, "path") or ""
  local text = commands.read(self, path)
  if not text then
    return fail(self, "Get-Content", ("Cannot find path '%s' because it does not exist."):format(
      path))
  end
  self.out(text)
end

list["set-content"] = function(self, words, input)
  local path = argument(words, "path") or ""
  local text = named(words, "value") or words[2]
  local ok, why = commands.write(self, path, text and text .. "\r\n" or input or "")
  return ok and true or fail(self, "Set-Content", why)
end

list["get-childitem"] = function(self, words)
  local names, why = commands.list(self, argument(words, "path") or ".")
  if not names then
    return fail(self, "Get-ChildItem", why)
  end
  for _, entry in ipairs(names) do
    commands.say(self, ("%-6s %s"):format(entry.dir and "d-----" or "-a----", entry.name))
  end
end

list["out-null"] = function() end

list["out-string"] = function(self, _, input)
  self.out(input or "")
end

local ALIASES = { echo = "write-output", write = "write-output", sleep = "start-sleep",
  pwd = "get-location", gl = "get-location", cd = "set-location", sl = "set-location",
  cat = "get-content", type = "get-content", gc = "get-content", dir = "get-childitem",
  ls = "get-childitem", gci = "get-childitem", gsv = "get-service" }

--- The cmdlet of this name or alias; nil = there is none.
function cmdlets.find(name)
  local lower = name:lower()
  return list[ALIASES[lower] or lower]
end

return cmdlets
