-- SPDX-License-Identifier: MIT
-- arclua version
local core = require "arclua.core"

local version = { name = "version", summary = "print the version" }

local HELP = "Usage: arclua version\n\nPrints the version of arclua and of Lua.\n"

function version.run(args)
  if args[1] == "-h" or args[1] == "--help" then
    io.stdout:write(HELP)
    return 0
  end
  io.stdout:write(("arclua %s (%s)\n"):format(core.version, _VERSION))
  return 0
end

return version
