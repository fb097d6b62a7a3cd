-- SPDX-License-Identifier: MIT
-- arclua version
local core = require "arclua.core"

local version = { name = "version", summary = "print the version" }

function version.run()
  io.stdout:write(("arclua %s (%s)\n"):format(core.version, _VERSION))
  return 0
end

return version
