-- SPDX-License-Identifier: MIT
-- The words of a copy's command line: a local path, :PATH of every machine, MACHINE:PATH of one.
local operand = {}

-- Which words before a colon are a machine: as scp decides, and Azure's own longer names.
local MACHINES = { "^([^/:]+):(.*)$", "^([^/:.][^/:]*/[^/:]+):(.*)$",
  "^([^/:.][^/:]*/[^/:]+/[^/:]+):(.*)$", "^(/subscriptions/[^:]+):(.*)$" }
-- With --direct: [USER@]HOST and [USER@][ADDRESS].
local HOSTS = { "^([^/:%[]*%[[^%]]+%]):(.*)$", "^([^/:]+):(.*)$" }

--- What a word means. A local name with a colon is written ./NAME.
---@param text string
---@param direct boolean?
---@return { path: string, remote: boolean, machine: string? }
function operand.parse(text, direct)
  if text:find "^:" then
    return { path = text:sub(2), remote = true }
  end
  for _, pattern in ipairs(direct and HOSTS or MACHINES) do
    local machine, path = text:match(pattern)
    if machine and not machine:find "^%.%.?$" then
      return { path = path, remote = true, machine = machine }
    end
  end
  return { path = text, remote = false }
end

-- What is wrong with a source that is where the target is.
local function same_end(source, target)
  if target.remote then
    return ("'%s' and '%s' are both on machines: copy to this computer first"):format(source.text,
      target.text)
  end
  return ("neither '%s' nor '%s' is on a machine: write :PATH, or MACHINE:PATH"):format(
    source.text, target.text)
end

-- The one machine that all remote words name, false for none | nil, what is wrong.
local function machine_of(list)
  local machine
  for _, one in ipairs(list) do
    local name = one.machine or false
    if machine ~= nil and machine ~= name then
      return nil, "all paths on machines must name the same one, or none (:PATH)"
    end
    machine = name
  end
  return machine
end

-- All words read, the target apart | nil, what is wrong.
local function read(words, direct)
  local list = {}
  for i, word in ipairs(words) do
    if word == "" then
      return nil, "an empty word is no path"
    end
    list[i] = operand.parse(word, direct)
    list[i].text = word
  end
  if #list < 2 then
    return nil, #list == 0 and "nothing to copy: arclua copy SRC... DST"
      or "no target: arclua copy SRC... DST"
  end
  return list, table.remove(list)
end

--- What a whole line means: { upload, sources, destination, machine } | nil, what is wrong.
---@param words string[]
---@param direct boolean?
---@return table|nil, string?
function operand.line(words, direct)
  local list, target = read(words, direct)
  if not list then
    return nil, target
  end
  local sources = {}
  for i, source in ipairs(list) do
    if source.remote == target.remote then
      return nil, same_end(source, target)
    end
    sources[i] = source.path == "" and "." or source.path
  end
  local machine, why = machine_of(target.remote and { target } or list)
  if machine == nil then
    return nil, why
  end
  return { upload = target.remote, sources = sources, destination = target.path,
    machine = machine or nil }
end

return operand
