-- SPDX-License-Identifier: MIT
-- Names of machines that were seen before, in a file of the user's: a NAME need not be looked up
-- again within minutes, and the shell can complete it without a network. One file for each sign-in
-- and scope; its lines are TIME NAME GROUP SUBSCRIPTION TYPE, between tabs.
local core = require "arclua.core"
local paths = require "arclua.paths"
local resource_id = require "arclua.resource_id"

local known = {}

local FRESH = 600 -- seconds that a name is taken as it was
local KEPT = 7 * 86400 -- and is worth a proposal
local MAX = 64 * 1024 * 1024
local DIR_MODE, FILE_MODE = 448, 384 -- 0700, 0600
local HEAD = "#arclua machines 1 "
local LINE = "^(%d+)\t([^\t]+)\t([^\t]+)\t([^\t]+)\t([^\t]+)$"

local Known = {}
Known.__index = Known
Known.__name = "arclua.known_machines"

local function default_dir()
  return paths.cache() .. "/machines"
end

--- identity: texts that say whose view of which machines it is; cloud: as arclua.credential.store
--- names it. refresh: nothing is found; off: nothing is written, either.
---@param identity string[]
---@param cloud string
---@param opts { refresh: boolean?, off: boolean?, dir: string? }?
function known.new(identity, cloud, opts)
  local digest = core.crypto.hex(core.crypto.sha256(table.concat(identity, "\0")))
  local dir = opts and opts.dir or default_dir()
  return setmetatable({ dir = dir, path = ("%s/%s"):format(dir, digest:sub(1, 32)), cloud = cloud,
    refresh = opts and (opts.refresh or opts.off), off = opts and opts.off }, Known)
end

-- The text of a file that only the user may write.
local function read(path)
  local stat = core.sys.stat(path)
  if not stat or stat.type ~= "file" or stat.uid ~= core.sys.getuid() or stat.mode & 18 ~= 0 then
    return nil
  end
  return core.sys.read_file(path, MAX)
end

-- A view that cannot be kept is no failure: the next run asks again.
local function write(self, lines)
  if not self.off and core.sys.mkdir(self.dir, DIR_MODE) then
    core.sys.write_file(self.path, HEAD .. self.cloud .. "\n" .. table.concat(lines, "\n") .. "\n",
      FILE_MODE)
  end
end

local function line_of(machine, now)
  local line = ("%d\t%s\t%s\t%s\t%s"):format(now, machine.name, machine.resource_group,
    machine.subscription, machine.type)
  return line:find(LINE) and not line:find "[\r\n]" and line or nil
end

-- Files that nobody has written to for long: of sign-ins and clouds that are no more.
local function prune(dir)
  for _, file in ipairs(core.sys.list(dir) or {}) do
    local stat = core.sys.stat(dir .. "/" .. file)
    if stat and stat.mtime < core.time() - KEPT then
      core.sys.remove(dir .. "/" .. file)
    end
  end
end

--- All machines in scope: what was known before is forgotten.
---@param list arclua.MachineData[]
function Known:fill(list)
  prune(self.dir)
  local lines, now = {}, core.time() // 1
  for _, machine in ipairs(list) do
    lines[#lines + 1] = line_of(machine, now)
  end
  write(self, lines)
end

-- The lines but those that are old or of these names.
local function others(self, names)
  local lines, oldest = {}, core.time() - KEPT
  for line in (read(self.path) or ""):gmatch "[^\n]+" do
    local time, name = line:match(LINE)
    if time and tonumber(time) >= oldest and not names[name:lower()] then
      lines[#lines + 1] = line
    end
  end
  return lines
end

--- All machines of these names, found by them.
---@param list arclua.MachineData[]
function Known:learn(list)
  local names = {}
  for _, machine in ipairs(list) do
    names[machine.name:lower()] = true
  end
  local lines, now = others(self, names), core.time() // 1
  for _, machine in ipairs(list) do
    lines[#lines + 1] = line_of(machine, now)
  end
  write(self, lines)
end

--- Forgets the machines of a name.
---@param name table  from arclua.machine_name
function Known:forget(name)
  write(self, others(self, { [name.key] = true }))
end

-- The machine of the line in whose second column the text has something at this place.
local function machine_at(text, at)
  local time = text:sub(math.max(at - 13, 1), at - 1):match "\n(%d+)$"
  local line = time and text:match("^[^\n]+", at)
  local _, name, group, subscription, kind = (time and time .. line or ""):match(LINE)
  return name and { name = name, resource_group = group, subscription = subscription,
    id = resource_id.machine(subscription, group, name, kind) }, tonumber(time)
end

--- The ID that a plain name means, if it was seen within minutes and means one only.
---@param name table  from arclua.machine_name
---@return string|nil
function Known:find(name)
  local text = not self.refresh and name.exact and read(self.path)
  if not text then
    return nil
  end
  local lower, wanted, oldest = text:lower(), "\t" .. name.key .. "\t", core.time() - FRESH
  local found
  local at = lower:find(wanted, 1, true)
  while at do
    local machine, time = machine_at(text, at)
    if machine and time >= oldest and name.test(machine) then
      if found then
        return nil -- who asks anew is told which
      end
      found = machine.id
    end
    at = lower:find(wanted, at + 1, true)
  end
  return found
end

-- Adds the names in one file, if it is of the cloud.
local function add_names(text, cloud, names)
  if text:match "^[^\n]*" ~= HEAD .. cloud then
    return
  end
  local oldest = core.time() - KEPT
  for line in text:gmatch "[^\n]+" do
    local time, name = line:match(LINE)
    if time and tonumber(time) >= oldest then
      names[name] = true
    end
  end
end

--- All names that were seen in a cloud, sorted; for completion.
---@param cloud string
---@param dir string?
---@return string[]
function known.names(cloud, dir)
  local names, list = {}, {}
  dir = dir or default_dir()
  for _, file in ipairs(core.sys.list(dir) or {}) do
    add_names(read(dir .. "/" .. file) or "", cloud, names)
  end
  for name in pairs(names) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

return known
