-- SPDX-License-Identifier: MIT
-- The loopback port that a browser is redirected to with an authorization code.
local errors = require "arclua.errors"
local page = require "arclua.page"

local Server = {}
Server.__index = Server

local callback = {}

local SECONDS = 5 -- for one request, however slowly it comes

local REASONS = { [200] = "OK", [400] = "Bad Request", [404] = "Not Found",
  [405] = "Method Not Allowed", [500] = "Internal Server Error" }

local HEAD = table.concat({ "HTTP/1.1 %d %s", "Content-Type: text/html; charset=utf-8",
  "Content-Length: %d", "Content-Security-Policy: %s", "Cache-Control: no-store",
  "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Connection: close",
  "\r\n" }, "\r\n")

-- text is of ours, and what it is about.
local function answer(conn, status, title, text)
  local body = page.html(title, "<p>" .. text .. "</p>", "arclua")
  conn:write(HEAD:format(status, REASONS[status], #body, page.policy()) .. body)
  conn:shutdown()
end

local TEXTS = { [500] = "arclua is out of memory." }

local function serve(self, given)
  local request, stream = self.core.timeout(SECONDS, self.core.read_request, given)
  if not request then
    return
  end
  local conn <close> = stream
  local status, code, err = self.core.token.redirect(request, self.port, self.state)
  request:close()
  if status ~= 200 or self.code or self.err then
    answer(conn, status == 200 and 400 or status, "No sign-in",
      TEXTS[status] or "This is not the sign-in that arclua waits for. Start it again in the "
        .. "terminal, and use the page that opens then.")
    return
  end
  if code then
    answer(conn, 200, "Signed in", "You may close this page and go back to the terminal.")
  else
    answer(conn, 200, "Not signed in", "The terminal says why. You may close this page.")
  end
  self.code, self.err = code, err and errors.with(err, { op = "login" })
  self.done:broadcast()
end

local function accept(self, listener)
  while true do
    local conn = listener:accept()
    if not conn then
      return
    end
    local task
    task = self.core.spawn(function()
      serve(self, conn)
      self.tasks[task] = nil
    end)
    self.tasks[task] = true
  end
end

local function add(self, listener)
  self.listeners[#self.listeners + 1] = listener
  self.tasks[self.core.spawn(accept, self, listener)] = true
end

--- Listens on a port of 127.0.0.1, and on the same of ::1 where that works.
---@param core table  the primitives
---@param state string  what the redirect must hold
---@param port integer?  default 0: any
function callback.listen(core, state, port)
  local listener, err = core.tcp.listen("127.0.0.1", port or 0)
  if not listener then
    return nil, err
  end
  local self = setmetatable({ core = core, state = state, port = listener:port(),
    listeners = {}, tasks = {}, done = core.cond() }, Server)
  add(self, listener)
  local six = core.tcp.listen("::1", self.port)
  if six then
    add(self, six)
  end
  return self
end

--- The code, once. Errors: denied (declined), auth, timeout, cancelled.
---@return arclua.Secret|nil, arclua.Error?
function Server:wait()
  while not self.code and not self.err do
    local ok, err = self.done:wait()
    if not ok then
      return nil, err
    end
  end
  return self.code, self.err
end

function Server:close()
  for _, listener in ipairs(self.listeners) do
    listener:close()
  end
  for task in pairs(self.tasks) do
    task:cancel()
  end
  self.listeners, self.tasks = {}, {}
end

Server.__close = Server.close

return callback
