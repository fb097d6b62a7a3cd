-- SPDX-License-Identifier: MIT
-- Bars at the terminal: one a transfer (a machine, or a large file of the only one), and a total.
local core = require "arclua.core"
local escape = require "arclua.report.escape"
local summary = require "arclua.copy.summary"

local Progress = {}
Progress.__index = Progress

local progress = {}

local EVERY = 0.2      -- seconds between two looks
local ROWS = 8         -- transfers that are shown
local NAME, BAR = 24, 20
local NARROWEST = 60
-- How much of the newest rate goes into the shown one.
local FRESH = 0.2

--- On an output that is a terminal.
---@param to arclua.Output
function progress.new(to)
  return setmetatable({ to = to, rows = {}, shown = 0, expected = 0 }, Progress)
end

local function new_row(name, meter, expected)
  return { name = name, meter = meter, expected = expected or 0, last = 0, since = core.now() }
end

-- Reckons the rate of a row at a new look.
local function look(row)
  local now, moved = core.now(), row.meter:moved()
  if now > row.since then
    local rate = (moved - row.last) / (now - row.since)
    row.rate = row.rate and row.rate + FRESH * (rate - row.rate) or rate
    row.since, row.last = now, moved
  end
  return moved
end

local function clock(seconds)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Cut or filled up to a width, by characters.
local function fit(text, width)
  local n = utf8.len(text) or #text
  if n <= width then
    return text .. (" "):rep(width - n)
  end
  return "…" .. text:sub(utf8.offset(text, n - width + 2) or -width + 1)
end

local function bar(share)
  local full = math.floor(share * BAR)
  return "[" .. ("#"):rep(full) .. (" "):rep(BAR - full) .. "]"
end

-- "app.tgz   [#####     ]  45%  12 MB  3.4 MB/s  0:12"
local function text_of(row, columns)
  local moved = look(row)
  local expected = math.max(row.expected, moved)
  local share = expected > 0 and moved / expected or 0
  local rate = row.rate or 0
  local left = rate > 1 and expected > moved and clock((expected - moved) // rate + 1) or ""
  local figures = ("%3d%% %7s %9s %7s"):format(share * 100 // 1, summary.size(moved),
    summary.size(rate // 1) .. "/s", left)
  if columns < NARROWEST + BAR then
    return ("%s %s"):format(fit(row.name, math.max(columns - #figures - 2, 1)), figures)
  end
  return ("%s %s %s"):format(fit(row.name, NAME), bar(share), figures)
end

--- Takes the bars away: something else is to be printed.
function Progress:clear()
  if self.shown > 0 then
    self.to:write(("\r\27[%dA\27[J"):format(self.shown))
    self.shown = 0
  end
end

-- The transfers that are under way, in the order of their beginning.
local function listed(self)
  local out = {}
  for _, row in ipairs(self.rows) do
    if #out < ROWS and row.meter and (self.many or row.of_file) then
      out[#out + 1] = row
    end
  end
  return out
end

local function draw(self)
  local columns = core.sys.winsize(self.to.fd) or 80
  local lines = {}
  for _, row in ipairs(listed(self)) do
    lines[#lines + 1] = text_of(row, columns)
  end
  lines[#lines + 1] = text_of(self.total, columns)
  self:clear()
  self.shown = #lines
  self.to:write(table.concat(lines, "\n") .. "\n")
end

--- The run begins: the meter of all, and how many machines there are.
function Progress:start(meter, machines)
  self.many = machines > 1
  self.total = new_row("total", meter)
  self.ticker = core.spawn(function()
    while core.sleep(EVERY) do
      if not self.stopped then
        draw(self)
      end
    end
  end)
end

--- The run is over.
function Progress:stop()
  self.stopped = true
  self:clear()
  if self.ticker then
    self.ticker:cancel()
    self.ticker:await()
  end
end

local function remove(self, row)
  for i, other in ipairs(self.rows) do
    if other == row then
      table.remove(self.rows, i)
      return
    end
  end
end

--- A machine's copy begins; what it tells of its files.
function Progress:begin(machine)
  local row = new_row(escape.text(machine.name))
  self.rows[#self.rows + 1] = row
  self.machines = self.machines or {}
  self.machines[machine] = row
  local files = {}
  return {
    on_expect = function(bytes)
      row.expected = row.expected + bytes
      self.total.expected = self.total.expected + bytes
    end,
    on_file = function(item)
      if not files[item] then
        files[item] = new_row(escape.text(item.rel), item.meter, item.entry.size)
        files[item].of_file = true
        if not self.many then
          self.rows[#self.rows + 1] = files[item]
        end
      end
    end,
    on_file_end = function(item)
      if files[item] then
        remove(self, files[item])
        files[item] = nil
      end
    end,
  }
end

--- The meter of a machine's copy.
function Progress:watch(machine, meter)
  self.machines[machine].meter = meter
end

--- A machine's copy has ended.
function Progress:done(machine)
  remove(self, self.machines[machine])
  self.machines[machine] = nil
end

return progress
