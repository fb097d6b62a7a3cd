-- SPDX-License-Identifier: MIT
-- One large file over several connections: blocks in order, each to whoever is free.
local core = require "arclua.core"
local side = require "arclua.copy.side"

local stripe = {}

local BLOCK = 4 * 1024 * 1024
-- Blocks of one connection at a time, so that it never runs empty between two.
local DEEP = 2
--- Nothing is begun further than this behind the first gap.
stripe.AHEAD = 64 * 1024 * 1024

-- The next block: its offset and length, or nil (none now). first: none is left.
local function take(state)
  if #state.returned > 0 then
    return table.remove(state.returned)
  elseif state.next >= state.size then
    return nil
  end
  local offset = state.next
  state.next = offset + BLOCK
  return offset
end

-- Where the first gap is: all before it has been moved.
local function gap(state)
  local first = state.next
  for offset in pairs(state.flying) do
    first = math.min(first, offset)
  end
  for _, offset in ipairs(state.returned) do
    first = math.min(first, offset)
  end
  return math.min(first, state.size)
end

local function may_go(state)
  return #state.returned > 0 or state.next >= state.size
    or state.next - gap(state) < stripe.AHEAD
end

local function worker(state, files)
  while not state.err do
    while not may_go(state) and not state.err do
      local ok, err = state.changed:wait()
      if not ok then
        return nil, err
      end
    end
    local offset = not state.err and take(state)
    if not offset then
      return true
    end
    state.flying[offset] = true
    local length = math.min(BLOCK, state.size - offset)
    local n, err = side.move(files.from, files.to, { offset = offset, length = length,
      meter = state.meter }, state.upload)
    state.flying[offset] = nil
    if n and n < length then
      err = state.short
    end
    if err then
      state.returned[#state.returned + 1] = offset
      state.changed:broadcast()
      return nil, err
    end
    state.changed:broadcast()
  end
  return true
end

-- Whether the others can do what one connection no longer does.
local function is_lost(err)
  return err.code == "closed"
end

local function start(state, files)
  for _ = 1, DEEP do
    state.tasks[#state.tasks + 1] = core.spawn(function()
      local ok, err = worker(state, files)
      if not ok and not is_lost(err) then
        state.err = state.err or err
        state.changed:broadcast()
      end
      return ok, err
    end)
  end
end

-- More handles join when they have come.
local function grow(state, more)
  for _, files in ipairs(more()) do
    start(state, files)
  end
  return true
end

-- Ends all at once: who waits for them does not any more.
local function stop(state, err)
  state.err = state.err or err
  for _, task in ipairs(state.tasks) do
    task:cancel()
  end
end

-- Waits for the workers, and for those that come meanwhile: the last error.
local function await_all(state, growing)
  local last
  local i = 1
  while i <= #state.tasks do
    local ok, err = state.tasks[i]:await()
    if not ok then
      last = err
      if err.code == "cancelled" or err.code == "timeout" then
        stop(state, err)
      end
    end
    i = i + 1
    if i > #state.tasks and state.err == nil and gap(state) < state.size then
      growing:await() -- the others may do what is left
    end
  end
  return last
end

--- Moves the bytes from `begin` to `size`, by the first connection's handles at once, by more()'s
--- when they have come.
---@param spec { size: integer, begin: integer, upload: boolean, meter: any, first: table,
---   more: (fun(): table[]), short: arclua.Error }  handles: { from =, to = }
---@return true|nil, arclua.Error?
function stripe.move(spec)
  local state = { size = spec.size, next = spec.begin, returned = {}, flying = {}, tasks = {},
    changed = core.cond(), upload = spec.upload, meter = spec.meter, short = spec.short }
  start(state, spec.first)
  local growing = core.spawn(grow, state, spec.more)
  local last = await_all(state, growing)
  growing:cancel()
  growing:await()
  if gap(state) >= spec.size and not state.err then
    return true
  end
  return nil, state.err or last
end

return stripe
