-- SPDX-License-Identifier: MIT
-- A SOCKS client on a stream: what it wants, and how that went.
local core = require "arclua.core"
local errors = require "arclua.errors"

local socks = {}

local PATIENCE = 30 -- seconds for a client to say what it wants

-- How an error is told; anything else is a general failure.
local RESULTS = { ["ssh.forward-denied"] = "denied", ["ssh.forward-failed"] = "refused" }

local function talk(stream, parser)
  while true do
    local bytes, err = stream:read(parser:need())
    if not bytes then
      return nil, err or errors.new { code = "closed", op = "socks",
        message = "the client left before it had said what it wants" }
    end
    local step, first, second = parser:feed(bytes)
    if step == "connect" then
      return { host = first, port = second }
    elseif step ~= "more" then
      local ok
      ok, err = stream:write(first)
      if not ok then
        return nil, err
      end
    end
    if step == "refused" then
      return errors.fail { code = "protocol", op = "socks", message = second }
    end
  end
end

--- What the client wants: a place, and a function to tell it how that went (nil or the error).
---@param stream arclua.Stream
---@return { host: string, port: integer }|nil, arclua.Error|fun(err: arclua.Error?): boolean?
function socks.accept(stream)
  local parser = core.socks()
  local place, err = core.timeout(PATIENCE, talk, stream, parser)
  if not place then
    return nil, err
  end
  return place, function(failure)
    return stream:write(parser:finish(failure and (RESULTS[failure.reason] or "failed") or "ok"))
  end
end

return socks
