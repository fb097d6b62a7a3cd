-- SPDX-License-Identifier: MIT
-- Secrets to plant, and where they are found again: in texts, in files, in the writable memory of
-- a process. All forms count: as they are, percent-encoded, base64 and base64url at any alignment.
local core = require "arclua.core"

local canary = {}

local PIECE = 20 -- bytes: what is left of a secret in a block that was reused in part, counts
local CHUNK = 1 << 20

--- A secret that nothing else looks like; it has characters that are escaped on their way.
function canary.new(label)
  return ("%s-%s+/=&%%"):format(label, core.crypto.base64url(core.crypto.random(24)))
end

local function percent(text, kept)
  return (text:gsub("[^%w" .. kept .. "]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

-- The part of the base64 that does not depend on what stands before and behind.
local function base64_forms(text, add)
  for shift = 0, 2 do
    local padded = core.crypto.base64(("\0"):rep(shift) .. text)
    local from = shift == 0 and 1 or shift == 1 and 3 or 4
    local whole = (#text + shift) // 3 * 4
    local inner = padded:sub(from, whole)
    add(inner)
    add((inner:gsub("%+", "-"):gsub("/", "_")))
    add(percent(inner, ""))
  end
end

-- Begin, middle and end, as a reused block may keep any of them.
local function pieces(form, add)
  if #form <= 2 * PIECE then
    return add(form)
  end
  local middle = #form // 2
  add(form:sub(1, PIECE))
  add(form:sub(middle, middle + PIECE - 1))
  add(form:sub(-PIECE))
end

--- What to look for when these must not be found: a list of { label, text }.
---@param secrets table<string, string>  label -> secret
function canary.needles(secrets)
  local list, seen = {}, {}
  for label, text in pairs(secrets) do
    local function add(form)
      pieces(form, function(piece)
        if #piece >= PIECE // 2 and not seen[piece] then
          seen[piece] = true
          list[#list + 1] = { label = label, text = piece }
        end
      end)
    end
    add(text)
    add(percent(text, "%-._~"))
    add((percent(text, "%-._~"):gsub("%%20", "+")))
    base64_forms(text, add)
  end
  return list
end

--- The labels that are found in a text, sorted, each once.
function canary.find(text, needles)
  local found, labels = {}, {}
  for _, needle in ipairs(needles) do
    if not found[needle.label] and text:find(needle.text, 1, true) then
      found[needle.label] = true
      labels[#labels + 1] = needle.label
    end
  end
  table.sort(labels)
  return labels
end

--- The files below a directory in which something is found: "path: label" each.
function canary.files(dir, needles)
  local out = {}
  for _, name in ipairs(core.sys.list(dir) or {}) do
    local path = dir .. "/" .. name
    local stat = core.sys.stat(path)
    if stat and stat.type == "directory" then
      table.move(canary.files(path, needles), 1, 1 << 16, #out + 1, out)
    elseif stat and stat.type == "file" then
      for _, label in ipairs(canary.find(core.sys.read_file(path, 1 << 24) or "", needles)) do
        out[#out + 1] = path .. ": " .. label
      end
    end
  end
  return out
end

---------------------------------------------------------------- the memory of a process

local function slurp(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- Where the environment and the arguments stand that the process was started with: whoever
-- started it has put them there.
local function given(pid)
  local fields = {}
  for word in slurp(("/proc/%d/stat"):format(pid)):match("^.*%) (.*)$"):gmatch "%S+" do
    fields[#fields + 1] = math.tointeger(word) or 0
  end
  return fields[46], fields[49] -- arg_start, env_end; the first field here is the third there
end

local function regions(pid)
  local list = {}
  for from, to, name in slurp(("/proc/%d/maps"):format(pid)):gmatch
    "(%x+)%-(%x+) rw%S* %S+ %S+ %S+ *([^\n]*)" do
    list[#list + 1] = { from = tonumber(from, 16), to = tonumber(to, 16),
      name = name == "" and "anonymous" or name }
  end
  return list
end

-- Calls fn(address, bytes) for the pieces of a region; they overlap.
local function walk(memory, region, fn)
  local at = region.from
  while at < region.to do
    local n = math.min(CHUNK, region.to - at)
    local bytes = memory:seek("set", at) and memory:read(n)
    if bytes then
      fn(at, bytes)
    end
    at = n < CHUNK and region.to or at + n - 256
  end
end

local function note(out, needle, region, address, bytes, at)
  out[#out + 1] = { label = needle.label, region = region.name, address = address,
    around = bytes:sub(math.max(1, at - 48), at + 96):gsub("[^ -~]", ".") }
end

--- Looks through the writable memory of a child process. Its own environment block is left out:
--- what stands there is the input of whoever started it.
---@return table[]  { label, region, address, around } each
function canary.memory(pid, needles)
  local first, last = given(pid)
  local memory <close> = assert(io.open(("/proc/%d/mem"):format(pid), "rb"))
  memory:setvbuf "no"
  local out = {}
  for _, region in ipairs(regions(pid)) do
    walk(memory, region, function(base, bytes)
      for _, needle in ipairs(needles) do
        local at = bytes:find(needle.text, 1, true)
        while at do
          local address = base + at - 1
          if address < first or address >= last then
            note(out, needle, region, address, bytes, at)
          end
          at = bytes:find(needle.text, at + 1, true)
        end
      end
    end)
  end
  return out
end

--- The findings as text, a few of each label: nothing when there are none.
function canary.describe(found)
  local lines, count = {}, {}
  for _, one in ipairs(found) do
    local label = one.label:match "^(.-) at %d+$" or one.label
    count[label] = (count[label] or 0) + 1
    if count[label] <= 2 then
      lines[#lines + 1] = ("%s in %s at %x: %s"):format(one.label, one.region, one.address,
        one.around)
    end
  end
  for label, n in pairs(count) do
    lines[#lines + 1] = ("%s: %d times"):format(label, n)
  end
  return table.concat(lines, "\n")
end

return canary
