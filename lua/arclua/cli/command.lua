-- SPDX-License-Identifier: MIT
-- What commands share: usage errors, error texts, signing in, the question before a large run.
local core = require "arclua.core"
local duration = require "arclua.duration"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local globals = require "arclua.cli.globals"
local options = require "arclua.cli.options"
local output = require "arclua.output"
local paths = require "arclua.paths"
local style = require "arclua.report.style"

local command = {}

local USAGE, FAILED, INTERRUPTED, NOT_TRIED = 2, 1, 130, 4
-- From so many machines on an action is announced.
local MANY = 20
-- From so many seconds on the expected time is told.
local LONG = 10

--- Parses a command's arguments: values, globals | nil, exit status (it has been said why).
---@return table|nil values, table|integer
function command.parse(parser, name, argv, base)
  local values, merged = options.parse(parser, argv, base)
  if values == "help" then
    output.standard(1):write(merged)
    return nil, 0
  elseif not values then
    return nil, command.usage(name, merged)
  end
  local ok, err = globals.apply(merged)
  if not ok then
    return nil, command.fail(err)
  end
  return values, merged
end

--- Prints a usage error: exit status 2.
---@return integer
function command.usage(name, text)
  output.standard(2):write(("arclua %s: %s\ntry: arclua help %s\n"):format(name,
    escape.text(text, true), name))
  return USAGE
end

--- Prints an error: exit status 1, or 130 after an interruption.
---@return integer
function command.fail(err)
  output.standard(2):line("arclua: " .. escape.text(errors.describe(err), true))
  return errors.is(err) and err.code == "cancelled" and INTERRUPTED or FAILED
end

--- Standard output, and how to lay out what is for people: cut to the terminal's width, coloured.
---@return arclua.Output, { width: integer?, paint: fun(role: string, text: string): string }
function command.terminal()
  local out = output.standard(1)
  return out, { width = out.is_terminal and core.sys.winsize(1) or nil,
    paint = style.painter(style.wanted(out.is_terminal)) }
end

--- Signs in with the global options.
---@return arclua.Azure|nil, arclua.Error?
function command.login()
  return require("arclua.azure").login()
end

--- The machines that parsed values select: a list, which may be empty | nil, exit status.
---@return arclua.Machine[]|nil, integer?
function command.machines(values)
  local selector, err = options.selector(values)
  local azure, list
  if selector then
    azure, err = command.login()
  end
  if azure then
    list, err = azure:machines(selector)
  end
  if not list then
    return nil, command.fail(err)
  end
  return list
end

local function plural(n, word)
  return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
end

-- Hosts that are reached directly (their names) are in none.
local function count_subscriptions(list)
  local seen, n = {}, 0
  for _, machine in ipairs(list) do
    if type(machine) == "table" and not seen[machine.subscription] then
      seen[machine.subscription] = true
      n = n + 1
    end
  end
  return n
end

--- Whether there is somebody to ask.
---@return boolean
function command.can_ask()
  return core.sys.isatty(0) and core.sys.isatty(2)
end

--- Asks a question that yes answers; without a terminal the answer is no. Errors: cancelled, io.
---@return boolean|nil, arclua.Error?
function command.ask(question)
  if not command.can_ask() then
    return false
  end
  output.standard(2):write(question)
  local input, text = core.stdio(0), ""
  repeat
    local chunk, err = input:read()
    if err then
      return nil, err
    end
    text = text .. (chunk or "\n")
  until text:find "\n"
  return text:lower():match "^%s*y" ~= nil
end

-- How long Azure's limits make it, when that is worth telling.
local function expectation(seconds)
  if not seconds or seconds < LONG then
    return ""
  end
  return (", about %s: Azure gives credentials for 10 machines a second"):format(
    duration.format(seconds))
end

--- Announces an action on many machines or several subscriptions, and asks at a terminal unless
--- yes. Returns true to go on | nil, exit status.
---@param seconds number?  that it is expected to take
---@return true|nil, integer?
function command.confirm(action, list, yes, seconds)
  local subscriptions = count_subscriptions(list)
  if #list <= MANY and subscriptions <= 1 then
    return true
  end
  local what = subscriptions == 0 and plural(#list, "host")
    or ("%s in %s"):format(plural(#list, "machine"), plural(subscriptions, "subscription"))
  output.standard(2):line(("%s on %s%s"):format(escape.text(action), what, expectation(seconds)))
  if yes or not (core.sys.isatty(0) and core.sys.isatty(2)) then
    return true
  end
  local agreed, err = command.ask("Go on? [y/N] ")
  if agreed then
    return true
  end
  return nil, err and command.fail(err) or NOT_TRIED
end

--- A path as it is found from anywhere: ~/ and the working directory put before it.
---@return string
function command.absolute(path)
  path = paths.expand(path)
  return path:find "^/" and path or core.sys.cwd() .. "/" .. path
end

--- The words that start this program later, with the global options that decide where and as whom
--- it signs in.
---@param values table  the global options, merged
---@return string[]
function command.program(values)
  local words = { core.sys.self() }
  for _, key in ipairs { "cloud", "tenant", "credential", "config" } do
    local value = values[key]
    local is_file = key == "config" and value ~= "none" or key == "cloud" and value
      and value:find "/"
    if value then
      words[#words + 1] = "--" .. key
      words[#words + 1] = is_file and command.absolute(value) or value
    end
  end
  return words
end

--- Says that a selection is empty: exit status 1.
---@return integer
function command.nothing_selected()
  return command.fail(errors.new { code = "notfound", op = "select",
    message = "no machine matches the selection",
    remedy = "`arclua machines` lists what is in scope" })
end

return command
