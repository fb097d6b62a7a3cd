-- SPDX-License-Identifier: MIT
-- A real terminal for a program: script(1) has made it, and passes on what is typed and shown.
local core = require "arclua.core"
local quote = require "arclua.quote"

local Terminal = {}
Terminal.__index = Terminal

local terminal = {}

-- Notes the terminal and its settings before and after the program, and the program's status.
local FRAME = [[
cd %s || exit
stty cols %d rows %d
tty >tty
stty -g >before
sh -c 'echo $$ >pid; exec "$@"' sh %s
echo $? >status
stty -g >after
]]

--- Starts words in a terminal. opts: cols, rows (80, 24), env.
function terminal.open(words, opts)
  opts = opts or {}
  local self = setmetatable({ dir = assert(core.sys.mkdtemp "arclua-tty-"), at = 1, parts = {} },
    Terminal)
  local out = {}
  for i, word in ipairs(words) do
    out[i] = quote.sh(word)
  end
  assert(core.sys.write_file(self.dir .. "/frame", FRAME:format(quote.sh(self.dir),
    opts.cols or 80, opts.rows or 24, table.concat(out, " "))))
  self.process = assert(core.process.spawn { stdin = "pipe", stderr = "null", env = opts.env,
    session = true, args = { "script", "-qfc", "sh " .. self.dir .. "/frame", "/dev/null" } })
  self.to = self.process:stdin()
  self.reader = core.spawn(function()
    local from <close> = self.process:stdout()
    while true do
      local chunk = from:read()
      if not chunk then
        return
      end
      self.bytes = (self.bytes or 0) + #chunk
      if self.paused then -- the one who looks at it does so slowly
        self.paused:wait()
      end
      if not self.counting then
        self.parts[#self.parts + 1] = chunk
      end
    end
  end)
  return self
end

--- All that was shown.
function Terminal:text()
  self.parts = { table.concat(self.parts) }
  return self.parts[1]
end

--- Waits until text is shown after what was awaited last.
function Terminal:await(text)
  while true do
    local _, last = self:text():find(text, self.at, true)
    if last then
      self.at = last + 1
      return
    end
    local ok, err = core.sleep(0.01)
    if not ok then
      error(("'%s' is not shown (%s), but: %s"):format(text, tostring(err),
        self:text():sub(self.at)), 2)
    end
  end
end

function Terminal:type(text)
  assert(self.to:write(text))
end

function Terminal:file(name)
  return (core.sys.read_file(self.dir .. "/" .. name) or ""):match "^%s*(.-)%s*$"
end

--- Waits for a file that the frame writes.
function Terminal:await_file(name)
  while self:file(name) == "" do
    assert(core.sleep(0.01))
  end
  return self:file(name)
end

local function run(words)
  local process <close> = assert(core.process.spawn { args = words, stdout = "null" })
  return assert(process:wait()).status
end

--- Changes its size, as a window does.
function Terminal:resize(cols, rows)
  run { "stty", "-F", self:file "tty", "cols", ("%d"):format(cols), "rows", ("%d"):format(rows) }
end

--- Sends the program a signal.
function Terminal:kill(signal)
  run { "kill", "-" .. signal, self:await_file "pid" }
end

--- Waits for the program's end: its status, whether the terminal is as it was.
function Terminal:status()
  local after = self:await_file "after"
  return tonumber(self:file "status"), after == self:file "before"
end

function Terminal:close()
  self.to:close()
  self.process:close()
  self.reader:cancel()
  self.reader:await()
  core.sys.remove(self.dir)
end

Terminal.__close = Terminal.close

return terminal
