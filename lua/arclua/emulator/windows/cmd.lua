-- SPDX-License-Identifier: MIT
-- cmd.exe, as far as commands over SSH need it: sequences, pipes, redirections, variables.
local commands = require "arclua.emulator.windows.commands"

local cmd = {}

local VERSION = "Microsoft Windows [Version 10.0.20348.2700]"
local UNKNOWN = "'%s' is not recognized as an internal or external command,\n"
  .. "operable program or batch file."
local NOT_FOUND = 9009

local say, complain = commands.say, commands.complain

-- All variables of a line are put in before it runs, as cmd does.
local function expand(self, line)
  return (line:gsub("%%([^%%%s]+)%%", function(name)
    if name:upper() == "ERRORLEVEL" then
      return tostring(self.status)
    elseif name:upper() == "CD" then
      return commands.cwd(self)
    end
    return self.env[name:upper()]
  end))
end

-- A line as a list of commands { text, op = what stands behind: "&", "&&", "||", "|" or "" }.
local function split(line)
  local out, from, quoted, i = {}, 1, false, 1
  while i <= #line do
    local c = line:sub(i, i)
    if c == '"' then
      quoted = not quoted
    elseif c == "^" and not quoted then
      i = i + 1
    elseif not quoted and c:find "[&|]" and not line:sub(i - 1, i - 1):find "[<>]" then
      local op = line:sub(i, i + 1) == c .. c and c .. c or c
      out[#out + 1] = { text = line:sub(from, i - 1), op = op }
      i = i + #op - 1
      from = i + 1
    end
    i = i + 1
  end
  out[#out + 1] = { text = line:sub(from), op = "" }
  return out
end

-- Takes redirections out of a command: its text, where to { "1": {path, append}, ... }.
local function redirections(text)
  local to, plain, i, quoted = {}, {}, 1, false
  while i <= #text do
    local c = text:sub(i, i)
    quoted = quoted ~= (c == '"')
    local number, sign, stop = text:match("^([12]?)(>>?)()", i)
    if sign and not quoted and (number == "" or i == 1 or text:sub(i - 1, i - 1):find "%s") then
      local path, after = text:match('^%s*"([^"]*)"()', stop)
      if not path then
        path, after = text:match("^%s*([^%s>]+)()", stop)
      end
      to[number == "" and "1" or number] = { path = path or "nul", append = sign == ">>" }
      i = after or #text + 1
    elseif c == "^" and not quoted then
      plain[#plain + 1] = text:sub(i + 1, i + 1)
      i = i + 2
    else
      plain[#plain + 1] = c
      i = i + 1
    end
  end
  return table.concat(plain), to
end

-- The words of a program's command line, as the C runtime splits them.
local function words_of(text)
  local words, word, quoted, i = {}, nil, false, 1
  while i <= #text do
    local slashes, mark = text:match('^(\\*)(")', i)
    local c = text:sub(i, i)
    if mark then
      word = (word or "") .. ("\\"):rep(#slashes // 2)
      if #slashes % 2 == 1 then
        word = word .. '"'
      else
        quoted = not quoted
      end
      i = i + #slashes
    elseif c:find "%s" and not quoted then
      words[#words + 1] = word
      word = nil
    else
      word = (word or "") .. c
    end
    i = i + 1
  end
  words[#words + 1] = word
  return words
end

local builtins = {}

function builtins.echo(self, rest)
  say(self, rest:match "^[%.:](.*)$" or rest == "" and "ECHO is on." or rest:gsub("^%s", ""))
  return 0
end

function builtins.ver(self)
  say(self, "\n" .. VERSION)
  return 0
end

function builtins.rem()
  return 0
end

function builtins.cd(self, rest)
  local path = rest:gsub("^%s*/[dD]%s+", ""):match "^%s*(.-)%s*$"
  if path == "" then
    say(self, commands.cwd(self))
    return 0
  end
  local ok, why = commands.go(self, path)
  if not ok then
    complain(self, why)
  end
  return ok and 0 or 1
end
builtins.chdir = builtins.cd

builtins["set"] = function(self, rest)
  local name, value = rest:match '^%s*"?([^=]+)=([^"]*)"?$'
  if name then
    self.env[name:upper()] = value ~= "" and value or nil
    return 0
  end
  local wanted, names = rest:match "^%s*(.-)%s*$":upper(), {}
  for key in pairs(self.env) do
    if key:sub(1, #wanted) == wanted then
      names[#names + 1] = key
    end
  end
  table.sort(names)
  for _, key in ipairs(names) do
    say(self, key .. "=" .. self.env[key])
  end
  if #names == 0 then
    complain(self, ("Environment variable %s not defined"):format(rest:match "%S+"))
  end
  return #names > 0 and 0 or 1
end

function builtins.dir(self, rest)
  local bare, path = rest:lower():find "/b" ~= nil, "."
  for _, word in ipairs(words_of(rest)) do
    path = word:sub(1, 1) ~= "/" and word or path
  end
  local names = commands.list(self, path)
  if not names then
    complain(self, "File Not Found")
    return 1
  end
  if not bare then
    say(self, " Volume in drive C has no label.\n\n Directory of " .. commands.cwd(self) .. "\n")
  end
  for _, entry in ipairs(names) do
    say(self, bare and entry.name or ("01/01/2025  08:00 AM    %-14s %s"):format(
      entry.dir and "<DIR>" or "", entry.name))
  end
  return 0
end

-- Something that is done with a path, and complains by itself.
local function with_path(act)
  return function(self, rest)
    local ok, why = act(self, words_of(rest)[1] or "")
    if not ok then
      complain(self, why)
    end
    return ok and 0 or 1
  end
end

builtins.type = with_path(function(self, path)
  local text, why = commands.read(self, path)
  if text then
    self.out(text)
  end
  return text, why
end)
builtins.mkdir, builtins.del = with_path(commands.make_dir), with_path(commands.delete)
builtins.md, builtins.erase = builtins.mkdir, builtins.del

function builtins.exit(self, rest)
  self.leaving = true
  return math.tointeger(tonumber(rest:match "(-?%d+)%s*$" or self.status)) or 0
end

-- "echo", ".text" of "echo.text": the command's name and what stands behind it, untouched.
local function name_of(text)
  local quoted, behind = text:match '^%s*"([^"]*)"(.*)$'
  if quoted then
    return quoted, behind
  end
  local name, rest = text:match "^%s*([^%s%.:/,;=]+)(.*)$"
  if name and builtins[name:lower()] then
    return name, rest
  end
  return text:match "^%s*(%S+)(.*)$"
end

local function shell_of(name)
  local base = name:lower():gsub("^.*\\", ""):gsub("%.exe$", "")
  if base == "cmd" then
    return function(self, rest)
      local line = rest:match "/[cC]%s*(.*)$" or ""
      return cmd.run(self, line:match '^"(.*)"$' or line)
    end
  elseif base == "powershell" or base == "pwsh" then
    return function(self, rest, input)
      return require("arclua.emulator.windows.powershell").main(self, words_of(rest), input)
    end
  end
end

local function run_one(self, text, input)
  local name, rest = name_of(text)
  if not name then
    return self.status
  end
  local builtin, program = builtins[name:lower()], commands.program(name)
  if builtin then
    -- A blank at the end belongs to the value, a trap of the real one, too.
    return builtin(self, builtin == builtins["set"] and rest or (rest:gsub("%s+$", "")))
  elseif program then
    return program(self, words_of(rest), input)
  end
  local shell = shell_of(name)
  if shell then
    local status = shell(self, rest, input)
    self.leaving = false -- that was the inner one's end
    return status
  end
  complain(self, UNKNOWN:format(name))
  return NOT_FOUND
end

-- Writes what was kept where the line wants it. False: it cannot be.
local function deliver(self, kept, to)
  local fine = true
  for number, where in pairs(to) do
    local text = table.concat(kept[number])
    if where.path == "&2" then
      self.err(text)
    elseif where.path:sub(1, 1) ~= "&" then
      local ok, why = commands.write(self, where.path, text, where.append)
      if not ok then
        complain(self, why)
        fine = false
      end
    end
  end
  return fine
end

-- Runs one command with its output where it is to go.
local function redirected(self, text, input, collect)
  local plain, to = redirections(text)
  local out, err, kept = self.out, self.err, { ["1"] = {}, ["2"] = {} }
  local function keep(number)
    return function(chunk) table.insert(kept[number], chunk) end
  end
  self.out = (to["1"] or collect) and keep "1" or out
  if to["2"] then
    self.err = to["2"].path == "&1" and self.out or keep "2"
  end
  local status = run_one(self, plain, input)
  self.out, self.err = out, err
  if not deliver(self, kept, to) then
    status = 1
  end
  return status, collect and not to["1"] and table.concat(kept["1"]) or nil
end

--- Runs a line; its status.
function cmd.run(self, line)
  local input, skip
  for _, part in ipairs(split(expand(self, line))) do
    if not skip then
      local status, output = redirected(self, part.text, input, part.op == "|")
      self.status, input = status, output
    end
    if self.leaving then
      break
    end
    skip = part.op == "&&" and self.status ~= 0 or part.op == "||" and self.status == 0
  end
  return self.status
end

--- As a login's shell: a line, or a conversation with a prompt.
function cmd.main(self, line)
  if line then
    local status = cmd.run(self, line)
    return status == NOT_FOUND and 1 or status -- cmd /c makes it so
  end
  self.console = true
  say(self, VERSION .. "\n(c) Microsoft Corporation. All rights reserved.\n")
  while not self.leaving do
    self.out(commands.cwd(self) .. ">")
    io.stdout:flush()
    local text = io.read "l"
    if not text then
      break
    end
    cmd.run(self, (text:gsub("\r$", "")))
    say(self, "")
  end
  return self.status
end

return cmd
