-- SPDX-License-Identifier: MIT
-- The loopback port that a browser is redirected to with an authorization code.
local errors = require "arclua.errors"

local Server = {}
Server.__index = Server

local callback = {}

local HEAD_MAX, BODY_MAX = 16 * 1024, 64 * 1024
local HEAD_SECONDS = 5 -- for one request, however slowly it comes

local PAGE = [[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>arclua</title></head>
<body><p>%s</p></body></html>
]]
local REASONS = { [200] = "OK", [400] = "Bad Request", [404] = "Not Found",
  [405] = "Method Not Allowed" }

local function answer(conn, status, text)
  local body = PAGE:format(text)
  conn:write(("HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
    .. "Content-Security-Policy: default-src 'none'\r\nCache-Control: no-store\r\n"
    .. "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s"):format(status,
    REASONS[status], #body, body))
  conn:shutdown()
end

-- Reads on until there is an end of the head, and the body that it announces: head, body.
local function read_request(conn)
  local text = ""
  local function more()
    local chunk = conn:read()
    text = text .. (chunk or "")
    return chunk
  end
  while not text:find("\r\n\r\n", 1, true) do
    if #text > HEAD_MAX or not more() then
      return nil
    end
  end
  local head, body = text:match "^(.-\r\n\r\n)(.*)$"
  local length = tonumber(head:lower():match "\r\ncontent%-length:%s*(%d+)%s*\r\n" or "0")
  if #head > HEAD_MAX or length > BODY_MAX then
    return nil
  end
  while #body < length do
    if not more() then
      return nil
    end
    body = text:sub(#head + 1)
  end
  return head, body:sub(1, length)
end

local function decode(s)
  return (s:gsub("%+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function fields(query)
  local out = {}
  for name, value in query:gmatch "([^&=]+)=([^&]*)" do
    out[decode(name)] = decode(value)
  end
  return out
end

-- The fields of a redirect that is ours; nil and a status for anything else that comes to the
-- port. A code is taken from a form alone: an address would be in the browser's history.
local function redirect(self, head, body)
  local method, target = head:match "^(%u+) (/%S*) HTTP/1%.[01]\r\n"
  local host = ("\r\n" .. head):lower():match "\r\nhost:%s*([^\r\n]-)%s*\r\n"
  if not method or host ~= "localhost:" .. self.port and host ~= "127.0.0.1:" .. self.port then
    return nil, 404
  elseif target:match "^[^?]*" ~= "/" then
    return nil, 404
  elseif method ~= "POST" then
    return nil, 405
  end
  local got = fields(body)
  if not got.state or not self.core.crypto.equal(got.state, self.state) then
    return nil, 400
  elseif not got.code and not got.error then
    return nil, 400
  end
  return got
end

local function finish(self, got)
  if got.code then
    self.code = got.code
  else
    self.err = errors.new { op = "login",
      reason = got.error == "access_denied" and "entra.declined" or "entra.interaction-required",
      message = ("%s (%s)"):format(got.error_description or "the sign-in failed", got.error) }
  end
  self.done:broadcast()
end

local function serve(self, conn)
  local head, body = self.core.timeout(HEAD_SECONDS, read_request, conn)
  if not head then
    return
  end
  local got, status = redirect(self, head, body)
  if not got or self.code or self.err then
    answer(conn, status or 400, "This is not the sign-in that arclua waits for. Start it again in "
      .. "the terminal, and use the page that opens then.")
    return
  end
  answer(conn, 200, got.code and "Signed in. You may close this page."
    or "The sign-in failed; the terminal says why. You may close this page.")
  finish(self, got)
end

local function accept(self, listener)
  while true do
    local conn = listener:accept()
    if not conn then
      return
    end
    local task
    task = self.core.spawn(function()
      local held <close> = conn
      serve(self, held)
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
---@return string|nil, arclua.Error?
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
