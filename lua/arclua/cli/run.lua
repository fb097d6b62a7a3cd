-- SPDX-License-Identifier: MIT
-- arclua run SCRIPT [ARG...], arclua -e CHUNK [ARG...]
local core = require "arclua.core"
local errors = require "arclua.errors"
local globals = require "arclua.cli.globals"

local run = { name = "run", summary = "run a Lua script (- reads it from standard input)" }

local USAGE = 2

local HELP = [[
Usage: arclua [global options] run SCRIPT [ARG...]
       arclua [global options] -e CHUNK [ARG...]

Runs a Lua script, or a chunk of Lua. Everything after SCRIPT is the script's own: it finds it
in the global table arg. A returned integer is the exit status; an error prints its traceback
and gives 1.
]]

-- Uncaught errors: what arc.cli.parse wants said ends quietly, the rest with a traceback.
local function handler(err)
  if type(err) == "table" and err.exit_status then
    return err
  end
  return debug.traceback(errors.detail(err), 2)
end

local function report(err)
  if type(err) ~= "table" then
    io.stderr:write("arclua: ", err, "\n")
    return 1
  elseif err.exit_status == 0 then
    io.stdout:write(err.message)
  else
    io.stderr:write(err.message, "\n")
  end
  return err.exit_status
end

local function status_of(value)
  if math.type(value) == "integer" then
    return value & 0xff
  end
  return (value == false) and 1 or 0
end

-- Runs a loaded chunk as the program.
local function execute(chunk, name, args)
  _G.arg = table.move(args, 1, #args, 1, { [0] = name })
  local failed = false
  core.on_error(function(text)
    failed = true
    io.stderr:write("arclua: ", text, "\n")
  end)
  local ok, value = xpcall(chunk, handler, table.unpack(args))
  if not ok then
    io.stdout:flush()
    return report(value)
  end
  local status = status_of(value)
  return failed and status == 0 and 1 or status
end

local function load_text(text, name, args, display, values)
  local ok, err = globals.apply(values)
  if not ok then
    io.stderr:write("arclua: ", errors.describe(err), "\n")
    return 1
  end
  local chunk, why = load(text:gsub("^#[^\n]*", ""), name, "t")
  if not chunk then
    io.stderr:write("arclua: ", why, "\n")
    return 1
  end
  return execute(chunk, display, args)
end

--- arclua -e CHUNK
function run.chunk(args, values)
  if not args[1] then
    io.stderr:write("arclua: option '-e' needs CHUNK\n")
    return USAGE
  end
  return load_text(args[1], "=-e", table.move(args, 2, #args, 1, {}), "-e", values)
end

local function read_script(path)
  if path == "-" then
    return require("arclua.machines").read_stdin()
  end
  local file, why = io.open(path, "rb")
  local text
  if file then
    text, why = file:read "a"
    file:close()
  end
  return text, why
end

--- arclua run SCRIPT
function run.run(args, values)
  local path = args[1]
  if path == "-h" or path == "--help" then
    io.stdout:write(HELP)
    return 0
  elseif not path or path:find "^%-." then
    io.stderr:write("arclua: run: ", path and ("unknown option '" .. path .. "'")
      or "which script?", "\n", HELP)
    return USAGE
  end
  local text, why = read_script(path)
  if not text then
    io.stderr:write("arclua: ", tostring(why), "\n")
    return 1
  end
  return load_text(text, path == "-" and "=stdin" or "@" .. path,
    table.move(args, 2, #args, 1, {}), path, values)
end

return run
