-- SPDX-License-Identifier: MIT
-- SHA-256 of both sides: here by our own code, there by a command of the machine's shell.
local core = require "arclua.core"
local errors = require "arclua.errors"
local quote = require "arclua.quote"

local sum = {}

-- sha256sum of Linux, shasum of BSD and macOS.
local POSIX = "sha256sum -- %s 2>/dev/null || shasum -a 256 -- %s"

local function command(path, os)
  if os == "windows" then
    return quote.line({ "certutil", "-hashfile", (path:gsub("^/(%a:)", "%1")), "SHA256" }, os)
  end
  local word = quote.sh(path)
  return POSIX:format(word, word)
end

-- The sum among what the tools print: certutil has it on a line of its own, in old ones with
-- blanks; sha256sum begins it with a backslash when a name is an odd one.
local function find(text)
  for line in text:gmatch "[^\r\n]+" do
    local hex = line:match "^\\?(%x+)  ?[ *]" or line:gsub("%s", "")
    if #hex == 64 and hex:find "^%x+$" then
      return hex:lower()
    end
  end
end

-- The machine's own sum of a file.
local function remote(job, side, rel)
  local path = side:path(rel)
  local result, err = job.session:exec(command(path, job.os), { max_output = 4096 })
  if not result then
    return nil, err
  end
  local hex = find(result.stdout)
  if result.state == "ok" and hex then
    return hex
  elseif result.state == "cancelled" or result.state == "timeout" or result.state == "unknown" then
    return nil, result.err
  end
  return errors.fail { reason = "copy.no-checksum", op = "copy",
    message = ("%s: the machine has no way to sum it up: %s"):format(path,
      result.stderr ~= "" and result.stderr:match "^[^\r\n]*"
      or "exit " .. tostring(result.status)) }
end

local function here(side, rel)
  local handle <close>, err = side:open(rel, "r")
  if not handle then
    return nil, err
  end
  return handle:sha256()
end

local function of(job, side, rel)
  if side.is_remote then
    return remote(job, side, rel)
  end
  return here(side, rel)
end

--- Whether the source and what is at this path of the other side have the same bytes.
---@return boolean|nil, arclua.Error?
function sum.same(job, item, path)
  local task = core.spawn(of, job, item.from, item.source)
  local there, err = of(job, item.to, path)
  local ours, why = task:await()
  if not (there and ours) then
    return nil, err or why
  end
  return there == ours
end

--- The same as an error when they have not.
---@return true|nil, arclua.Error?
function sum.verify(job, item, path)
  local same, err = sum.same(job, item, path)
  if same == nil then
    return nil, err
  elseif not same then
    return errors.fail { reason = "copy.wrong-checksum", op = "copy",
      message = ("'%s' arrived with other bytes than it left with"):format(item.rel) }
  end
  return true
end

return sum
