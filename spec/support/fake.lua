-- SPDX-License-Identifier: MIT
-- Primitives for flow specs: the real ones with some replaced, and a clock that runs fast.
local core = require "arclua.core"
local paths = require "arclua.paths"

local fake = {}

-- While such a spec runs one second lasts a millisecond.
fake.SCALE = 1000
local LIMIT = 30 -- real seconds

--- The real primitives with overrides; nested tables are merged.
function fake.core(overrides)
  for name, value in pairs(overrides) do
    if type(value) == "table" and type(core[name]) == "table" and not getmetatable(value) then
      setmetatable(value, { __index = core[name] })
    end
  end
  return setmetatable(overrides, { __index = core })
end

--- Runs fn while the variables are those of env ("" or absent: not set).
function fake.env(env, fn, ...)
  local before = paths.env
  paths.env = function(name)
    return env[name] ~= "" and env[name] or nil
  end
  local out = table.pack(pcall(fn, ...))
  paths.env = before
  if not out[1] then
    error(out[2], 0)
  end
  return table.unpack(out, 2, out.n)
end

--- What is in a secret, as whoever reads the other end of a stream sees it.
function fake.text(secret)
  local one, two = core.pair()
  assert(one:write(secret))
  local text = two:read()
  one:close()
  two:close()
  return text
end

--- Runs fn with the fast clock, by which a spec's own limit does not count: this one does.
function fake.fast(fn, ...)
  local before = core.scale(fake.SCALE)
  local out = table.pack(pcall(core.shield, LIMIT * fake.SCALE, fn, ...))
  core.scale(before or 1)
  if not out[1] then
    error(out[2], 0)
  end
  return table.unpack(out, 2, out.n)
end

--- A function that gives one prepared answer a call ({ value, err, page }), and counts.
function fake.script(answers)
  local self = { calls = {} }
  return setmetatable(self, { __call = function(_, ...)
    self.calls[#self.calls + 1] = table.pack(...)
    local answer = answers[math.min(#self.calls, #answers)]
    if type(answer) == "function" then
      return answer(...)
    end
    return table.unpack(answer, 1, 3)
  end })
end

--- A credential that gives the secret, counting.
function fake.credential()
  local asked = {}
  return { asked = asked, token = function(_, scope, opts)
    asked[#asked + 1] = opts or {}
    return core.secret("token" .. #asked), { expires_on = core.time() + 3600, scope = scope }
  end }
end

fake.CLOUD = { name = "test", authority = "https://login.test", scope = "https://arm.test/.default",
  resource_manager = "https://arm.test" }

return fake
