-- SPDX-License-Identifier: MIT
-- Commands for remote shells. One word is a shell line; several words arrive as written.
local core = require "arclua.core"
local errors = require "arclua.errors"

local quote = {}

--- A word for a POSIX shell.
---@return string
function quote.sh(word)
  if word:find "^[%w%%+,./:=@_-]+$" then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Fits cmd.exe as well as PowerShell, whichever answers the login: neither finds anything to
-- interpret in it. The status is the program's own, else 1 for a cmdlet that failed.
local SCRIPT = "$ProgressPreference='SilentlyContinue';"
  .. "try{[Console]::OutputEncoding=[Text.Encoding]::UTF8}catch{};"
  .. "%s;$ok=$?;if($null -ne $LASTEXITCODE){exit $LASTEXITCODE};if(!$ok){exit 1}"

-- A parameter's name must stay bare: quoted it would be a value.
local function powershell_word(word, is_first)
  return not is_first and word:find "^%-%a%w*$" and word or "'" .. word:gsub("'", "''") .. "'"
end

local function utf16(text)
  local out = {}
  local valid = utf8.len(text) and text or text:gsub("[\128-\255]", "?")
  for _, code in utf8.codes(valid) do
    if code >= 0x10000 then
      code = code - 0x10000
      out[#out + 1] = ("<I2I2"):pack(0xD800 | code >> 10, 0xDC00 | code & 0x3FF)
    else
      out[#out + 1] = ("<I2"):pack(code)
    end
  end
  return table.concat(out)
end

--- The script that runs these words in PowerShell.
---@param words string[]
---@return string
function quote.powershell_script(words)
  local out = { "&" }
  for i, word in ipairs(words) do
    out[i + 1] = powershell_word(word, i == 1)
  end
  return SCRIPT:format(table.concat(out, " "))
end

--- A line that runs a PowerShell script, whichever shell reads it.
---@param script string
---@return string
function quote.powershell_line(script)
  return "powershell -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand "
    .. core.crypto.base64(utf16(script))
end

--- The line to send for a command: a string is a shell line, a list of one word too;
--- several words are quoted for the machine's shell.
---@param command string|string[]
---@param os string?  "windows" = for PowerShell, whatever the login's shell; else sh
---@return string
function quote.line(command, os)
  if type(command) == "string" then
    return command
  elseif #command == 1 then
    return command[1]
  elseif os == "windows" then
    return quote.powershell_line(quote.powershell_script(command))
  end
  local out = {}
  for i, word in ipairs(command) do
    out[i] = quote.sh(word)
  end
  return table.concat(out, " ")
end

--- line wrapped for sudo without a question, and with environment variables set (POSIX).
---@param line string
---@param opts { sudo: boolean?, env: table<string, string>? }
---@return string
function quote.wrap(line, opts)
  local words, names = {}, {}
  for name in pairs(opts.env or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  if opts.sudo then
    words[1] = "sudo -n --"
  end
  if #names > 0 then
    words[#words + 1] = "env"
    for _, name in ipairs(names) do
      words[#words + 1] = quote.sh(name .. "=" .. opts.env[name])
    end
  end
  if #words == 0 then
    return line
  end
  words[#words + 1] = "sh -c " .. quote.sh(line)
  return table.concat(words, " ")
end

--- The name of the first option that only POSIX machines know, nil when none is used.
---@return string|nil
function quote.posix_only(opts)
  if opts.sudo then
    return "--sudo"
  elseif opts.env and next(opts.env) then
    return "--env"
  end
  return nil
end

--- "K=V" -> K, V. Errors: config.
---@return string|nil name, string|arclua.Error value
function quote.assignment(text)
  local name, value = text:match "^([%a_][%w_]*)=(.*)$"
  if not name then
    return errors.fail { code = "config",
      message = ("option '--env': NAME=VALUE expected, got '%s'"):format(text) }
  end
  return name, value
end

return quote
