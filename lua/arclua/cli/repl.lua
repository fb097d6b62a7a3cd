-- SPDX-License-Identifier: MIT
-- arclua repl: interactive Lua by plain lines. Waits work: everything runs in a task.
local command = require "arclua.cli.command"
local core = require "arclua.core"
local errors = require "arclua.errors"
local escape = require "arclua.report.escape"
local globals = require "arclua.cli.globals"
local host = require "arclua.host"
local output = require "arclua.output"

local repl = { name = "repl", summary = "interactive Lua" }

local HELP = [[
Usage: arclua [global options] repl

Reads Lua from standard input. An expression prints its value, `arc` is the module arclua.
Ctrl-C drops the line, or ends what runs; twice within two seconds it leaves. End with Ctrl-D
or os.exit().
]]

-- Seconds that an evaluation gets to end after a signal that ends the program.
local PARTING = 10
-- So many machines or other values of a list are shown.
local MOST = 50

-- Lines of a stream, one a call; nil at the end. What a wait that was cancelled had of a line
-- is dropped, as the terminal does.
local function reader(stream)
  local text, from = "", 1
  return function()
    while true do
      local last = text:find("\n", from, true)
      if last then
        local line = text:sub(from, last - 1)
        from = last + 1
        return line
      end
      local chunk, err = stream:read()
      local rest = text:sub(from)
      text, from = rest .. (chunk or ""), 1
      if not chunk then
        text = ""
        return not err and rest ~= "" and rest or nil, err
      end
    end
  end
end

-- A function, or nil, what is wrong, whether more lines may mend it.
local function compile(text)
  local chunk = load("return " .. text:gsub("^=", ""), "=repl", "t")
  if chunk then
    return chunk
  end
  local why
  chunk, why = load(text, "=repl", "t")
  return chunk, why, why ~= nil and why:find("<eof>", 1, true) ~= nil
end

local function show(value)
  if errors.is(value) then
    return errors.detail(value)
  elseif type(value) == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"))
  end
  return tostring(value)
end

-- A list by its items; anything else as show does.
local function show_list(value)
  if type(value) ~= "table" or getmetatable(value) or value[1] == nil then
    return show(value)
  end
  local out = {}
  for i, item in ipairs(value) do
    if i > MOST then
      out[i] = ("... and %d more"):format(#value - MOST)
      break
    end
    out[i] = show(item)
  end
  return table.concat(out, "\n")
end

local function print_values(values)
  local out = {}
  for i = 1, values.n do
    out[i] = show_list(values[i])
  end
  if #out > 0 then
    output.standard(1):line(escape.text(table.concat(out, "\t"), true))
  end
end

local function traced(err)
  if errors.is(err) then
    return err.code == "cancelled" and "interrupted" or errors.detail(err)
  end
  return debug.traceback(tostring(err), 2)
end

local function complain(text)
  output.standard(2):line(escape.text(text, true))
end

local function evaluate(chunk)
  local values = table.pack(xpcall(chunk, traced))
  if values[1] then
    print_values(table.pack(table.unpack(values, 2, values.n)))
  else
    complain(values[2])
  end
end

-- Reads one statement, over several lines when it is unfinished: chunk | nil at the end.
local function statement(read, prompt)
  local text, why
  while true do
    prompt(text and ">> " or "> ")
    local line, err = read()
    if not line then
      if text and not err then
        complain(why)
      end
      return nil, err
    end
    text = text and text .. "\n" .. line or line
    local chunk, unfinished
    chunk, why, unfinished = compile(text)
    if chunk then
      return chunk
    elseif not unfinished then
      complain(why)
      text = nil
    end
  end
end

-- Runs fn as a task, at a terminal one that Ctrl-C cancels. True and its results; nil when the
-- program is to end.
local function run_task(terminal, fn, ...)
  local task = core.spawn(fn, ...)
  if terminal then
    host.interrupt_to(task)
  end
  local out = table.pack(task:await())
  if task:status() == "running" then
    task:cancel()
    core.shield(PARTING, task.await, task)
    return nil
  end
  return true, table.unpack(out, 1, out.n)
end

local function loop(terminal)
  local read = reader(core.stdio(0))
  local function prompt(text)
    if terminal then
      output.standard(1):write(text)
    end
  end
  while true do
    local going, chunk, err = run_task(terminal, statement, read, prompt)
    if going and chunk then
      going = run_task(terminal, evaluate, chunk)
    elseif going then
      prompt "\n"
      going = err and err.code == "cancelled"
    end
    if not going then
      return err and err.code ~= "cancelled" and command.fail(err) or 0
    end
  end
end

function repl.run(argv, values)
  if argv[1] == "-h" or argv[1] == "--help" then
    output.standard(1):write(HELP)
    return 0
  elseif argv[1] then
    output.standard(2):line(("arclua repl: unexpected '%s'"):format(argv[1]))
    return 2
  end
  local ok, wrong = globals.apply(values)
  if not ok then
    return command.fail(wrong)
  end
  _G.arc = require "arclua"
  core.on_error(complain)
  return loop(core.sys.isatty(0))
end

return repl
