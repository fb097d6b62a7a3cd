-- SPDX-License-Identifier: MIT
-- What OpenSSH makes of a configuration: `ssh -G`.
local core = require "arclua.core"

--- Values by keyword in lower case, in lists since some repeat; nil and what ssh said when it
--- refused.
---@param path string
---@param host string
---@param user string?
return function(path, host, user)
  local words = { "ssh", "-G", "-F", path, host }
  if user then
    table.insert(words, 2, "-l" .. user)
  end
  local process <close> = assert(core.process.spawn { args = words, stderr = "pipe",
    env = { LD_PRELOAD = false } })
  local texts = {}
  for i, stream in ipairs { process:stdout(), process:stderr() } do
    local parts = {}
    for chunk in function() return stream:read() end do
      parts[#parts + 1] = chunk
    end
    stream:close()
    texts[i] = table.concat(parts)
  end
  if process:wait().status ~= 0 then
    return nil, texts[2]
  end
  local found = {}
  for keyword, value in texts[1]:gmatch "([^\n ]+) ([^\n]*)\n" do
    found[keyword] = found[keyword] or {}
    table.insert(found[keyword], value)
  end
  return found
end
