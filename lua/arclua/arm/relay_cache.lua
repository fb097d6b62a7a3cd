-- SPDX-License-Identifier: MIT
-- Relay credentials that are kept until shortly before they expire: in memory, and in files, so
-- that the next command asks ARM for nothing. A key says whose and for what they are; the secrets
-- pass between file and userdata in C.
local resource_id = require "arclua.resource_id"

local Cache = {}
Cache.__index = Cache

-- Credentials are not used in their last minute.
local MARGIN = 60
-- No file is good for longer.
local LIFE = 10800

---@class arclua.RelayCacheSpec
---@field core table
---@field log fun(level: string, text: string)
---@field dir string?    of the files; nil: memory only
---@field whose string?  cloud, tenant and principal; needed with dir

---@param spec arclua.RelayCacheSpec
local function new(spec)
  return setmetatable({ core = spec.core, log = spec.log, dir = spec.dir, whose = spec.whose,
    memory = {} }, Cache)
end

local function key_of(self, machine, port)
  return ("%s\n%s\n%s"):format(self.whose or "", resource_id.key(machine.id), port or "")
end

-- Those without an expiry are good for this run.
local function is_good(self, info)
  local expires = info:expires_on()
  return not expires or expires - MARGIN > self.core.time()
end

local function read_file(self, key)
  local info, port = self.core.relaycache.read(self.dir, key)
  if not info then
    if port then
      self.log("debug", "kept relay credentials passed over: " .. port.message)
    end
    return nil
  elseif not is_good(self, info) then
    info:close()
    self.core.relaycache.remove(self.dir, key)
    return nil
  end
  return { info = info, port = port }
end

--- What is kept for a machine and the port that was asked for (nil: the configured one):
--- { info, port } | nil.
---@return { info: arclua.RelayInfo, port: integer }|nil
function Cache:get(machine, port)
  local key = key_of(self, machine, port)
  local kept = self.memory[key]
  if kept and not is_good(self, kept.info) then
    self.memory[key], kept = nil, nil
  end
  if not kept and self.dir then
    kept = read_file(self, key)
    self.memory[key] = kept
  end
  return kept
end

-- What cannot be written now will not be later: once is enough to tell.
local function write_file(self, key, info, port)
  if not self.pruned then
    self.pruned = true
    self.core.relaycache.prune(self.dir, LIFE)
  end
  local ok, err = self.core.relaycache.write(self.dir, key, info, port)
  if not ok then
    self.log("info", "relay credentials are not kept for later runs: " .. err.message)
    self.dir = nil
  end
end

--- Keeps credentials, which lead to the port `dialled`.
function Cache:put(machine, port, info, dialled)
  local key = key_of(self, machine, port)
  self.memory[key] = { info = info, port = dialled }
  if self.dir and info:expires_on() then
    write_file(self, key, info, dialled)
  end
end

--- Forgets what is kept for a machine and port.
function Cache:drop(machine, port)
  local key = key_of(self, machine, port)
  self.memory[key] = nil
  if self.dir then
    self.core.relaycache.remove(self.dir, key)
  end
end

--- Wipes what is in memory; the files stay.
function Cache:close()
  for key, kept in pairs(self.memory) do
    kept.info:close()
    self.memory[key] = nil
  end
end

--- Whether something is kept, without holding it in memory.
---@return boolean
function Cache:has(machine, port)
  local key = key_of(self, machine, port)
  local kept = self.memory[key]
  if kept then
    return is_good(self, kept.info)
  end
  kept = self.dir and read_file(self, key)
  if kept then
    kept.info:close()
  end
  return kept ~= nil and kept ~= false
end

return { new = new }
