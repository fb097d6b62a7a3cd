-- SPDX-License-Identifier: MIT
-- One shell or command of a session on this process's own input, output and terminal.
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.openssh.escape"
local modes = require "arclua.openssh.modes"
local output = require "arclua.output"

local client = {}

-- Seconds that our tasks have to end.
local PATIENCE = 2

local HELP = [[
Supported escape sequences:
 {e}.   - end the connection
 {e}^Z  - suspend arclua
 {e}#   - list forwarded connections
 {e}?   - this text
 {e}{e}   - the escape character itself
(They count only right after a newline.)
]]

---@class arclua.ClientOptions
---@field command string?     nil: a login shell
---@field subsystem string?
---@field pty boolean?        ask for a terminal; ours then is raw
---@field term string?        its type; default TERM
---@field env table<string, string>?
---@field agent boolean?      forward the agent
---@field stdin boolean?      false: nothing is read
---@field escape string?      the escape character; nil: none
---@field connections (fun(): string[])?  what ~# lists

-- ---- copying -------------------------------------------------------------------------------

-- Output to a descriptor until its end. An end of the reader is told by gone; seen looks at it.
local function copy_out(from, fd, gone, seen)
  local to <close> = core.stdio(fd)
  while true do
    local chunk = from:read()
    if not chunk then
      return
    elseif seen then
      seen:feed(chunk)
    end
    local ok, err = to:write(chunk)
    if not ok then
      from:close()
      if err.code ~= "cancelled" then
        gone()
      end
      return
    end
  end
end

local function copy_in(to, filter)
  local from <close> = core.stdio(0)
  local ok = true
  local function send(text)
    ok = ok and (text == "" or to:write(text))
  end
  while ok do
    local chunk = from:read()
    if not chunk then
      break
    elseif filter then
      filter:feed(chunk, send)
    else
      send(chunk)
    end
  end
  to:shutdown()
end

-- ---- the terminal --------------------------------------------------------------------------

-- Its size, 0 where it has none.
local function size()
  local cols, rows = core.sys.winsize(0)
  return cols or 0, rows or 0
end

-- Follows the terminal's size, and makes it raw again after a stop.
local function follow_terminal(host, shell, raw)
  while true do
    local name = host.terminal_signal()
    if not name then
      return
    elseif name == "CONT" then
      raw:again()
    end
    shell:resize(size())
  end
end

local function say(text)
  output.standard(2):write(text)
end

-- What the escape sequences do; over: the connection is to end.
local function actions(opts, raw, over)
  local host = require "arclua.host"
  local shown = escape.readable(opts.escape)
  return {
    ["."] = function()
      say(shown .. ".\n")
      over()
    end,
    ["\x1A"] = function()
      say(shown .. "^Z [suspend]\n")
      raw:cooked()
      host.suspend() -- SIGCONT makes the terminal raw again
    end,
    ["#"] = function()
      local list = opts.connections and opts.connections() or {}
      say(shown .. "#\n" .. (#list > 0 and table.concat(list, "\n")
        or "no forwarded connections") .. "\n")
    end,
    ["?"] = function()
      say(shown .. "?\n" .. HELP:gsub("{e}", (shown:gsub("%%", "%%%%"))))
    end,
  }
end

-- ---- running -------------------------------------------------------------------------------

local function start(session, opts)
  local cols, rows = size()
  return session:shell {
    command = opts.command, subsystem = opts.subsystem, env = opts.env, agent = opts.agent,
    pty = opts.pty and { term = opts.term or os.getenv "TERM" or "", cols = cols, rows = rows }
      or nil,
  }
end

local function cancel_all(tasks)
  for _, task in ipairs(tasks) do
    task:cancel()
  end
end

-- Also when we are cancelled: what they hold is to be closed.
local function end_all(tasks)
  cancel_all(tasks)
  core.shield(PATIENCE, function()
    for _, task in ipairs(tasks) do
      task:await()
    end
  end)
end

-- The tasks that serve the terminal and our input.
local function start_helpers(stream, shell, opts, raw, over)
  local tasks = {}
  if opts.stdin == false then
    stream:shutdown()
  else
    local filter = raw and opts.escape and escape.new(opts.escape, actions(opts, raw, over))
    tasks[1] = core.spawn(copy_in, stream, filter)
  end
  if raw then
    tasks[#tasks + 1] = core.spawn(follow_terminal, require "arclua.host", shell, raw)
  end
  return tasks
end

-- Waits for the shell's end, or for one that we make: a result | nil, err. seen: looks at what is
-- shown.
local function attend(shell, opts, raw, seen)
  local stream <close> = shell:stream()
  local err_stream <close> = shell:stderr()
  local ours, waits -- how we have ended it; the tasks that its end ends
  local function over(why)
    ours = ours or why
    cancel_all(waits)
  end
  waits = {
    core.spawn(shell.wait, shell),
    core.spawn(copy_out, stream, 1, function() over "output" end, seen),
    core.spawn(copy_out, err_stream, 2, function() end),
  }
  local helpers = start_helpers(stream, shell, opts, raw, function() over "escape" end)
  local result, err = waits[1]:await()
  if result then -- what it has written is still to be shown
    waits[2]:await()
    waits[3]:await()
  end
  end_all(helpers)
  end_all(waits)
  if ours then
    return { ours = ours }
  end
  return result, err
end

-- Our terminal raw, where the shell has one of its own; nil without | nil, err.
local function make_raw(shell, opts)
  if not opts.pty then
    return nil
  elseif not shell:has_terminal() then
    say "arclua: the server gives no terminal\n"
    return nil
  elseif not core.sys.isatty(0) or opts.stdin == false then
    return nil
  end
  local raw, err = core.raw_terminal(0)
  return raw, err and errors.with(err, { message = "standard input: " .. err.message })
end

--- Runs a shell, command or subsystem on our own stdin, stdout and stderr; with a terminal ours is
--- raw meanwhile, and put back whatever happens. A result as of shell:wait, or { ours = "escape" |
--- "output" }: ended at the terminal, or because nobody reads our output. Only in the program.
---@param session arclua.Session
---@param opts arclua.ClientOptions
---@return table|nil, arclua.Error?
function client.run(session, opts)
  local shell, err = start(session, opts)
  if not shell then
    return nil, err
  end
  local held <close> = shell
  local raw
  raw, err = make_raw(shell, opts)
  if err then
    return nil, err
  end
  local kept <close> = raw
  local seen = raw and modes.new()
  local result
  result, err = attend(held, opts, kept, seen)
  if seen and not (result and result.status) and core.sys.isatty(1) then
    output.standard(1):write(seen:undo()) -- it was cut off
  end
  return result, err
end

return client
