-- SPDX-License-Identifier: MIT
-- The default chain: its members are in members.lua. One that is not set up is passed
-- over; one that is set up and refused ends the chain. The first that works is kept.
local errors = require "arclua.errors"

local Source = {}
Source.__index = Source

---@class arclua.ChainMember
---@field name string
---@field optional boolean?   any failure counts as "not set up"
---@field silent boolean?     has no line of its own when it is not set up
---@field given boolean?      open gives the same source each time, which is somebody else's
---@field open fun(): arclua.TokenSource?, arclua.Error?

---@param members arclua.ChainMember[]
---@return arclua.TokenSource
local function new(members)
  return setmetatable({ name = "default", members = members }, Source)
end

local function passed_over(member, err)
  return err.reason == "cred.unavailable"
    or (member.optional and err.code ~= "cancelled" and err.reason ~= "cred.untrusted-cloud")
end

-- One line for each that was looked for: what, what was found, what to do.
local function explain(tried)
  local lines = { "no credential; looked for:" }
  for _, one in ipairs(tried) do
    lines[#lines + 1] = ("  %s: %s (%s)"):format(one.name, one.err.message,
      one.err.remedy or "set it up")
  end
  return table.concat(lines, "\n")
end

-- Opens a member and asks it: token, info, source | nil, err. What gave none is wiped.
local function try(member, scope, opts)
  local source, err = member.open()
  if not source then
    return nil, err
  end
  local secret, info = source:fetch(scope, opts)
  if not secret and source.close and not member.given then
    source:close()
  end
  return secret, info, source
end

function Source:fetch(scope, opts)
  if self.chosen then
    return self.chosen:fetch(scope, opts)
  end
  local tried = {}
  for _, member in ipairs(self.members) do
    local secret, info, source = try(member, scope, opts)
    if secret then
      self.chosen, self.name = source, source.name
      return secret, info
    elseif not passed_over(member, info) then
      return nil, info
    end
    if not member.silent then
      tried[#tried + 1] = { name = member.name, err = info }
    end
  end
  return errors.fail { reason = "cred.none", op = "credential", message = explain(tried) }
end

function Source:forget()
  if self.chosen and self.chosen.forget then
    self.chosen:forget()
  end
end

function Source:close()
  if self.chosen and self.chosen.close then
    self.chosen:close()
  end
end

return { new = new }
