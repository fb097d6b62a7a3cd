-- SPDX-License-Identifier: MIT
-- Relay credentials of machines in files, for configurations that must work where nobody is signed
-- in: the official clients' way. They end when the credentials do.
local alias = require "arclua.alias"
local map = require "arclua.map"

local static = {}

---@class arclua.StaticAccess
---@field file string  absolute path
---@field port integer

-- Fresh ones, so that they last: what is kept may be about to end.
local function fetch(machine, opts)
  local connectivity = machine.azure.connectivity
  local access, err = connectivity:access(machine, opts)
  if not access then
    return nil, err
  elseif not access.cached then
    return access.info, access.port
  end
  local info
  info, err = connectivity:renew(machine, opts, access.port)
  return info, info and access.port or err
end

local function write(machine, dir, opts)
  local info, port = fetch(machine, opts)
  if not info then
    return { err = port }
  end
  local name = alias.of(machine, machine.azure.cloud.name) .. "-relay_info"
  local ok, err = info:export(dir, name)
  return { err = not ok and err or nil, file = dir .. "/" .. name, port = port,
    expires = info:expires_on() }
end

--- Fetches credentials for all and writes a file (0600) each.
---@param machines arclua.Machine[]
---@param dir string   absolute; made (0700)
---@param opts { port: integer? }
---@return table<arclua.Machine, arclua.StaticAccess>|nil written
---@return arclua.Error|table<arclua.Machine, arclua.Error> failed
---@return number? expires  seconds since 1970 when the first of them ends
function static.write(machines, dir, opts)
  local results, err = map(machines, function(machine)
    return write(machine, dir, opts)
  end)
  if not results then
    return nil, err
  end
  local written, failed, expires = {}, {}, math.huge
  for i, machine in ipairs(machines) do
    local result = results[i]
    if result.err then
      failed[machine] = result.err
    else
      written[machine] = { file = result.file, port = result.port }
      expires = math.min(expires, result.expires or math.huge)
    end
  end
  return written, failed, expires
end

return static
