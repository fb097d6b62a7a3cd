-- SPDX-License-Identifier: MIT
-- What sessions can do beyond the primitives; loaded when it is first used.
local session = {}

local METHODS = { sftp = "open", upload = "upload", download = "download" }

--- Gives the type of sessions its methods sftp, upload and download.
---@param value arclua.Session
---@return arclua.Session value
function session.extend(value)
  local methods = type(value) == "userdata" and getmetatable(value).__index
  if methods and not methods.sftp then
    for name, fn in pairs(METHODS) do
      methods[name] = function(...)
        return require("arclua.sftp")[fn](...)
      end
    end
  end
  return value
end

return session
