-- SPDX-License-Identifier: MIT
-- An HTTP server of one answer a connection, on a plain loopback socket.
local core = require "arclua.core"

local peer = {}

--- A whole answer: status line, fields, Content-Length, body.
function peer.answer(status, fields, body)
  local lines = { "HTTP/1.1 " .. status }
  for name, value in pairs(fields or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  lines[#lines + 1] = "Content-Length: " .. #(body or "")
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

local function receive(stream)
  local got = ""
  while true do
    local _, stop = got:find("\r\n\r\n", 1, true)
    local n = stop and tonumber(got:lower():match "content%-length: (%d+)" or 0)
    if stop and #got >= stop + n then
      return got:sub(1, stop), got:sub(stop + 1)
    end
    local chunk = stream:read()
    if not chunk then
      return got, ""
    end
    got = got .. chunk
  end
end

--- Answers one request with `text` (or a function of its stream) while fn(url) runs.
--- Returns fn's results in a table, then the request's head and body.
function peer.serve(text, fn)
  local listener = assert(core.tcp.listen("127.0.0.1", 0))
  local far = core.spawn(function()
    local stream <close> = assert(listener:accept())
    local head, body = receive(stream)
    if type(text) == "function" then
      text(stream)
    else
      stream:write(text)
    end
    return head, body
  end)
  local results = table.pack(fn("http://127.0.0.1:" .. listener:port() .. "/x?y=1"))
  local head, body = far:await()
  listener:close()
  return results, head, body
end

return peer
