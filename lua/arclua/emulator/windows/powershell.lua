-- SPDX-License-Identifier: MIT
-- PowerShell, as far as commands over SSH need it: statements, strings, variables, a few cmdlets.
local commands = require "arclua.emulator.windows.commands"
local cmdlets = require "arclua.emulator.windows.cmdlets"
local pieces = require "arclua.emulator.windows.pieces"

local powershell = {}

local UNKNOWN = "%s : The term '%s' is not recognized as the name of a cmdlet, function, script "
  .. "file, or operable \nprogram. Check the spelling of the name, or if a path was included, "
  .. "verify that the path is correct and try \nagain.\nAt line:1 char:1\n+ %s\n    + CategoryInfo"
  .. "          : ObjectNotFound: (%s:String) [], CommandNotFoundException\n"
  .. "    + FullyQualifiedErrorId : CommandNotFoundException"

local behind, cut = pieces.behind, pieces.cut

local run, value_of -- each needs the other

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["0"] = "\0" }

local function variable(self, name)
  local lower = name:lower()
  local env = lower:match "^env:(.+)$"
  if env then
    return self.env[env:upper()] or ""
  elseif lower == "?" then
    return self.ok
  elseif lower == "lastexitcode" then
    return self.exit_code
  elseif lower == "null" or lower == "true" or lower == "false" then
    return ({ null = nil, ["true"] = true, ["false"] = false })[lower]
  elseif lower == "pwd" then
    return commands.cwd(self)
  end
  return self.vars[lower]
end

local function text_of(value)
  if value == nil then
    return ""
  elseif type(value) == "boolean" then
    return value and "True" or "False"
  elseif type(value) == "table" then
    return table.concat(value, " ")
  end
  return tostring(value)
end

-- What a program or $( ) prints, as a value.
local function captured(self, text)
  local kept, out = {}, self.out
  self.out = function(chunk) kept[#kept + 1] = chunk end
  run(self, text)
  self.out = out
  return (table.concat(kept):gsub("\r?\n$", ""))
end

-- The inside of a "string".
local function interpolate(self, text)
  local out, i = {}, 1
  while i <= #text do
    local c = text:sub(i, i)
    local name, after = text:match("^%${?([%a_?][%w_:]*)}?()", i)
    if c == "`" then
      local escaped = text:sub(i + 1, i + 1)
      out[#out + 1], i = ESCAPES[escaped] or escaped, i + 2
    elseif text:find("^%$%(", i) then
      local stop = behind(text, i + 1)
      out[#out + 1], i = captured(self, text:sub(i + 2, stop - 2)), stop
    elseif name then
      out[#out + 1], i = text_of(variable(self, name)), after
    else
      out[#out + 1], i = c, i + 1
    end
  end
  return table.concat(out)
end

-- A whole word that is an expression: found?, value.
local function expression(self, word)
  if word:find "^'" and behind(word, 1) > #word then
    return true, (word:sub(2, -2):gsub("''", "'"))
  elseif word:find '^"' and behind(word, 1) > #word then
    return true, interpolate(self, word:sub(2, -2))
  elseif word:lower() == "$psversiontable.psversion" then
    return true, "5.1.20348.2700"
  elseif word:find "^%$[%a_?][%w_:]*$" then
    return true, variable(self, word:sub(2))
  elseif word:find "^%$?%(.*%)$" then
    return true, captured(self, word:match "^%$?%((.*)%)$")
  elseif tonumber(word) then
    return true, math.tointeger(tonumber(word)) or tonumber(word)
  end
  return false
end

function value_of(self, text)
  text = text:match "^%s*(.-)%s*$"
  local found, value = expression(self, text)
  if found then
    return value
  end
  return captured(self, text)
end

local function same(a, b)
  return (a == nil) == (b == nil) and text_of(a):lower() == text_of(b):lower()
end

local COMPARE = { eq = same, ne = function(a, b) return not same(a, b) end }

local function condition(self, text)
  local left, op, right = text:match "^%s*(.-)%s+%-(%a+)%s+(.-)%s*$"
  if op and COMPARE[op:lower()] then
    return COMPARE[op:lower()](value_of(self, left), value_of(self, right))
  end
  local negated = text:match "^%s*!%s*(.*)$" or text:match "^%s*%-not%s+(.*)$"
  local value = value_of(self, negated or text)
  local truth = value ~= nil and value ~= false and value ~= "" and value ~= 0
  return truth ~= (negated ~= nil)
end

-- ---- statements ------------------------------------------------------------------------------

local function words_of(self, text)
  local words = {}
  for _, word in ipairs(cut(text, "%s")) do
    if word ~= "" then
      local found, value = expression(self, word)
      words[#words + 1] = found and text_of(value) or word:gsub("`(.)", "%1")
    end
  end
  return words
end

local function program(self, name, words, input)
  local found = commands.program(name)
  local base = name:lower():gsub("^.*\\", ""):gsub("%.exe$", "")
  local status
  if found then
    status = found(self, words, input)
  elseif base == "cmd" then
    status = require("arclua.emulator.windows.cmd").run(self, table.concat(words, " ", 2))
    self.leaving = false
  elseif base == "powershell" or base == "pwsh" then
    status = powershell.main(self, words, input)
    self.leaving = false
  else
    return false
  end
  self.exit_code, self.ok = status, status == 0
  return true
end

local function call(self, text, input)
  local words = words_of(self, (text:gsub("^%s*&%s*", "")))
  local name = table.remove(words, 1) or ""
  local cmdlet = cmdlets.find(name)
  if cmdlet then
    self.ok = cmdlet(self, words, input) ~= false
  elseif not program(self, name, words, input) then
    commands.complain(self, UNKNOWN:format(name, name, text, name))
    self.ok = false
  end
end

local function pipeline(self, text)
  local parts, input = cut(text, "|"), nil
  for i, part in ipairs(parts) do
    local found, value = expression(self, part:match "^%s*(.-)%s*$")
    if found and i == #parts then
      commands.say(self, text_of(value))
      self.ok = true
    elseif i == #parts then
      call(self, part, input)
    else
      input = found and text_of(value) .. "\r\n" or captured(self, part)
    end
  end
end

local function branch(self, rest)
  local open = rest:find "%("
  local stop = behind(rest, open)
  local from = rest:find("{", stop, true)
  local last = behind(rest, from)
  if condition(self, rest:sub(open + 1, stop - 2)) then
    return run(self, rest:sub(from + 1, last - 2))
  end
  local tail = rest:sub(last):match "^%s*else(.*)$"
  if tail and tail:find "^if" then
    return branch(self, tail)
  elseif tail then
    return run(self, tail:match "{(.*)}")
  end
end

local function statement(self, text)
  local name, value = text:match "^%$([%a_][%w_:]*)%s*=%s*(.+)$"
  if name and name:lower():find "^env:" then
    self.env[name:sub(5):upper()] = text_of(value_of(self, value))
  elseif name then
    self.vars[name:lower()] = value_of(self, value)
    self.ok = true
  elseif text:find "^if%s*%(" then
    branch(self, text)
  elseif text:find "^try%s*{" then
    run(self, text:sub(text:find "{" + 1, behind(text, text:find "{") - 2))
  elseif text:find "^exit" then
    local code = text:match "^exit%s*(.*)$"
    self.leaving, self.status = true, code == "" and 0
      or math.tointeger(tonumber(text_of(value_of(self, code)))) or 0
  elseif text:find "^%[Console%]" then
    self.ok = true -- its output is UTF-8 anyway
  else
    pipeline(self, text)
  end
end

function run(self, text)
  for _, part in ipairs(cut(text, "[;\n]")) do
    part = part:match "^%s*(.-)%s*$"
    if part ~= "" and not self.leaving then
      statement(self, part)
    end
  end
end

local NO_AND = "The token '&&' is not a valid statement separator in this version."

-- Whether "&&" stands outside strings: this version does not know it.
local function has_and(text)
  local parts = cut(text, "&")
  for i = 2, #parts - 1 do
    if parts[i] == "" then
      return true
    end
  end
  return false
end

--- Runs a script; its status: what `exit` said, else 1 when the last command failed.
function powershell.run(self, text)
  self.vars, self.ok, self.exit_code, self.leaving = self.vars or {}, true, nil, false
  if has_and(text) then
    commands.complain(self, NO_AND)
    return 1
  end
  run(self, text)
  return self.leaving and self.status or self.ok and 0 or 1
end

-- ---- powershell.exe --------------------------------------------------------------------------

local function unbase64(text)
  local out, bits, held = {}, 0, 0
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for c in text:gmatch "[%w+/]" do
    held, bits = held << 6 | alphabet:find(c, 1, true) - 1, bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(held >> bits & 255)
    end
  end
  return table.concat(out)
end

local function from_utf16(bytes)
  local out, high = {}, nil
  for low, up in bytes:gmatch "(.)(.)" do
    local unit = low:byte() | up:byte() << 8
    if unit >= 0xD800 and unit < 0xDC00 then
      high = unit
    elseif high and unit >= 0xDC00 and unit < 0xE000 then
      out[#out + 1] = utf8.char(0x10000 + ((high - 0xD800) << 10 | unit - 0xDC00))
      high = nil
    else
      out[#out + 1] = utf8.char(unit)
    end
  end
  return table.concat(out)
end

local VALUED = { outputformat = true, inputformat = true, executionpolicy = true, version = true }

--- powershell.exe with these words.
function powershell.main(self, words)
  local i = 1
  while words[i] do
    local name = words[i]:lower():match "^[-/](%a+)$"
    if not name then
      return powershell.run(self, table.concat(words, " ", i))
    elseif ("encodedcommand"):sub(1, #name) == name or name == "ec" then
      return powershell.run(self, from_utf16(unbase64(words[i + 1] or "")))
    elseif ("command"):sub(1, #name) == name then
      return powershell.run(self, table.concat(words, " ", i + 1))
    end
    i = i + (VALUED[name] and 2 or 1)
  end
  return powershell.talk(self)
end

--- A conversation with a prompt.
function powershell.talk(self)
  self.console = true
  commands.say(self, "Windows PowerShell\nCopyright (C) Microsoft Corporation. All rights "
    .. "reserved.\n")
  local status = 0
  repeat
    self.out("PS " .. commands.cwd(self) .. "> ")
    io.stdout:flush()
    local line = io.read "l"
    if line then
      status = powershell.run(self, (line:gsub("\r$", "")))
    end
  until not line or self.leaving
  return status
end

return powershell
