-- SPDX-License-Identifier: MIT
-- arclua repl: interactive Lua by plain lines. Waits work: everything runs in a task.
local command = require "arclua.cli.command"
local core = require "arclua.core"
local errors = require "arclua.errors"
local globals = require "arclua.cli.globals"
local output = require "arclua.output"

local repl = { name = "repl", summary = "interactive Lua" }

local HELP = [[
Usage: arclua [global options] repl

Reads Lua from standard input. An expression prints its value, `arc` is the module arclua.
End with Ctrl-D or os.exit().
]]

-- Lines of a stream, one a call; nil at the end.
local function reader(stream)
  local rest = ""
  return function()
    while true do
      local line, after = rest:match "^([^\n]*)\n(.*)$"
      if line then
        rest = after
        return line
      end
      local chunk, err = stream:read()
      if not chunk then
        line, rest = rest, ""
        return line ~= "" and line or nil, err
      end
      rest = rest .. chunk
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
    return errors.describe(value)
  elseif type(value) == "string" then
    return ("%q"):format(value)
  end
  return tostring(value)
end

local function print_values(values)
  local out = {}
  for i = 1, values.n do
    out[i] = show(values[i])
  end
  if #out > 0 then
    output.standard(1):line(table.concat(out, "\t"))
  end
end

local function traced(err)
  return debug.traceback(errors.is(err) and errors.describe(err) or tostring(err), 2)
end

local function evaluate(chunk)
  local values = table.pack(xpcall(chunk, traced))
  if values[1] then
    print_values(table.pack(table.unpack(values, 2, values.n)))
  else
    output.standard(2):line(values[2])
  end
end

-- Reads one statement, over several lines when it is unfinished: chunk | nil at the end.
local function statement(read, prompt)
  local text
  while true do
    prompt(text and ">> " or "> ")
    local line, err = read()
    if not line then
      return nil, err
    end
    text = text and text .. "\n" .. line or line
    local chunk, why, unfinished = compile(text)
    if chunk then
      return chunk
    elseif not unfinished then
      output.standard(2):line(why)
      text = nil
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
  local read = reader(core.stdio(0))
  local terminal = core.sys.isatty(0)
  local function prompt(text)
    if terminal then
      output.standard(1):write(text)
    end
  end
  while true do
    local chunk, err = statement(read, prompt)
    if not chunk then
      prompt "\n"
      return err and err.code == "cancelled" and 130 or 0
    end
    evaluate(chunk)
  end
end

return repl
