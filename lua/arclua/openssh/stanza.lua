-- SPDX-License-Identifier: MIT
-- Lines of ssh_config, so that OpenSSH reads back what was meant. What its language cannot say
-- is refused: a line's end, ${...} where it would be replaced.
local errors = require "arclua.errors"
local quote = require "arclua.quote"

local stanza = {}

local function refuse(keyword, text, why)
  return errors.fail { code = "config", op = "ssh_config",
    message = ("%s: '%s': %s"):format(keyword, text, why),
    remedy = "choose a value without it: ssh_config has no way to write this one" }
end

-- No line may hold these, quoted or not.
local function control(keyword, text)
  if text:find "[%c\127]" then
    return refuse(keyword, text, "control characters and line ends cannot be written")
  elseif text == "" then
    return refuse(keyword, text, "a value is needed")
  end
  return true
end

-- A word as OpenSSH's splitter takes it apart again. A backslash is an escape only before
-- another and before a quote: a lone one (DOMAIN\user) stays as older versions know it.
local function word(text)
  local escapes = text:find "\\[\\\"']" or text:find "\\$"
  if not escapes and not text:find "[^%w%%+,./:=@_~\\-]" and not text:find "^=" then
    return text
  end
  local escaped = escapes and text:gsub("\\", "\\\\") or text
  return '"' .. escaped:gsub('"', '\\"') .. '"'
end

--- One word that stands for itself. Errors: config.
---@param keyword string  as it is spelt in the file
---@param text string
---@return string|nil line, arclua.Error?
function stanza.plain(keyword, text)
  local ok, err = control(keyword, text)
  return ok and ("%s %s"):format(keyword, word(text)), err
end

--- A user's name: newer OpenSSH replaces % and ${...} in it, older does not. Errors: config.
---@return string|nil line, arclua.Error?
function stanza.user(text)
  if text:find "%%" or text:find "${" then
    return refuse("User", text, "'%' and '${' mean different things to different OpenSSH versions")
  end
  return stanza.plain("User", text)
end

--- A file's path, in which tokens and variables are replaced. Errors: config.
---@return string|nil line, arclua.Error?
function stanza.path(keyword, path)
  if path:find "${" then
    return refuse(keyword, path, "'${' would be taken for a variable")
  end
  return stanza.plain(keyword, (path:gsub("%%", "%%%%")))
end

-- A word for a POSIX shell whose quotes are even for OpenSSH's own splitter too: it looks at the
-- line, though it passes it on, and takes \' in single quotes for an escape.
local function shell_word(text)
  if quote.sh(text) == text then
    return text
  end
  local out = {}
  for run, special in text:gmatch "([^'\"\\]*)(['\"\\]?)" do
    out[#out + 1] = run ~= "" and "'" .. run .. "'" or nil
    out[#out + 1] = special ~= "" and "\\" .. special or nil
  end
  return table.concat(out)
end

-- The words of a command as one text for the user's shell.
local function command(keyword, list)
  local out = {}
  for i, text in ipairs(list) do
    if type(text) == "table" then
      out[i] = text.token
    else
      local ok, err = control(keyword, text)
      if not ok then
        return nil, err
      end
      out[i] = shell_word(text):gsub("%%", "%%%%")
    end
  end
  return table.concat(out, " ")
end

--- A command for the user's shell, from its words. Errors: config.
---@param keyword string
---@param list string[]  "%h" and the like must be { token = "%h" }
---@return string|nil line, arclua.Error?
function stanza.command(keyword, list)
  local text, err = command(keyword, list)
  return text and keyword .. " " .. text, err
end

--- A Match line for hosts, by the names as they are typed, that counts when a command has gone
--- well. Errors: config.
---@param hosts string[]  names or patterns
---@param list string[]   words of the command
---@return string|nil line, arclua.Error?
function stanza.match_exec(hosts, list)
  local text, err = command("Match exec", list)
  if text and text:find '"' then
    return refuse("Match exec", text, "a double quote cannot be written in it")
  end
  return text and ('Match originalhost %s exec "%s"'):format(table.concat(hosts, ","), text), err
end

--- Whether a name may stand in a Host line as itself: neither pattern, nor quote, nor two words.
---@return boolean
function stanza.is_host(name)
  return name:find "^[%w_][%w._-]*$" ~= nil
end

--- A block: its first line, the others indented below it.
---@param lines string[]
---@return string
function stanza.block(lines)
  return table.concat(lines, "\n  ") .. "\n"
end

return stanza
