-- SPDX-License-Identifier: MIT
-- The only way to the terminal. Writers take turns; a closed output swallows the rest.
local real = require "arclua.core"

local Output = {}
Output.__index = Output

local output = {}

-- Printing goes on after a Ctrl-C, but not for ever.
local PATIENCE = 10

--- An output on a descriptor or on any stream.
---@param fd integer
---@param primitives table?
function output.new(fd, primitives)
  local core = primitives or real
  return setmetatable({ core = core, fd = fd, is_terminal = core.sys.isatty(fd) }, Output)
end

local shared = {}

--- The process's standard output (1) or standard error (2), one object for all.
function output.standard(fd)
  shared[fd] = shared[fd] or output.new(fd)
  return shared[fd]
end

local function write(self, text)
  while self.busy do
    local ok, err = self.free:wait()
    if not ok then
      return nil, err
    end
  end
  if self.closed then
    return true
  end
  self.busy, self.free = true, self.free or self.core.cond()
  self.stream = self.stream or self.core.stdio(self.fd)
  local ok, err = self.stream:write(text)
  self.busy = false
  self.free:signal()
  if not ok and err.code ~= "cancelled" and err.code ~= "timeout" then
    self.closed = true
    if err.code ~= "closed" then
      self.failed = err
    end
  end
  return ok, err
end

--- Writes text. An output that takes no more ends the printing, not the run: true then too. A
--- closed one (`| head -1`) does so silently; any other failure (a full disk) is said once on
--- standard error and kept as self.failed, for the exit status.
---@return true
function Output:write(text)
  if self.is_terminal and self.core.terminal_is_raw and self.core.terminal_is_raw() then
    text = text:gsub("\r?\n", "\r\n")
  end
  if text ~= "" and not self.closed then
    self.core.shield(PATIENCE, write, self, text)
    if self.failed and self.fd == 1 and not self.told then
      self.told = true
      output.standard(2):line("arclua: standard output: " .. self.failed.message)
    end
  end
  return true
end

--- Writes a line.
function Output:line(text)
  return self:write(text .. "\n")
end

return output
