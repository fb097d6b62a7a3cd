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

--- What a whole line means: { upload, sources, destination, machine } | nil, what is wrong.
---@param words string[]
---@param direct boolean?
---@return table|nil, string?
function operand.line(words, direct)
  local list, machine = {}, nil
  for i, word in ipairs(words) do
    if word == "" then
      return nil, "an empty word is no path"
    end
    list[i] = operand.parse(word, direct)
  end
  if #list < 2 then
    return nil, #list == 0 and "nothing to copy: arclua copy SRC... DST"
      or "no target: arclua copy SRC... DST"
  end
  local target = table.remove(list)
  local sources = {}
  for i, source in ipairs(list) do
    if source.remote == target.remote then
      return nil, target.remote
        and ("'%s' and '%s' are both on machines: copy to this computer first"):format(words[i],
          words[#words])
        or ("neither '%s' nor '%s' is on a machine: write :PATH, or MACHINE:PATH"):format(words[i],
          words[#words])
    end
    sources[i] = source.path == "" and "." or source.path
  end
  for _, one in ipairs(target.remote and { target } or list) do
    if machine ~= nil and machine ~= (one.machine or false) then
      return nil, "all paths on machines must name the same one, or none (:PATH)"
    end
    machine = one.machine or false
  end
  return { upload = target.remote, sources = sources, destination = target.path,
    machine = machine or nil }
end

return operand
