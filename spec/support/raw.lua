-- SPDX-License-Identifier: MIT
-- A TLS client that sends any bytes: `openssl s_client` as a child.
local core = require "arclua.core"

local raw = {}

--- Opens a connection: two streams (to write, to read) and the process.
function raw.open(port, ca, name)
  local process = assert(core.process.spawn { stdin = "pipe", stderr = "null", args = {
    "openssl", "s_client", "-quiet", "-verify_return_error", "-verify", "3", "-CAfile", ca,
    "-servername", name, "-verify_hostname", name, "-connect", "127.0.0.1:" .. port } })
  return process:stdin(), process:stdout(), process
end

--- What comes in until the end, or until `enough` (a plain text) is in it.
function raw.read(stream, enough)
  local got = ""
  while not (enough and got:find(enough, 1, true)) do
    local chunk = stream:read()
    if not chunk then
      break
    end
    got = got .. chunk
  end
  return got
end

--- Sends text and returns what comes back; enough as in raw.read.
function raw.exchange(port, ca, name, text, enough)
  local to, from, process = raw.open(port, ca, name)
  to:write(text)
  local got = raw.read(from, enough)
  to:close()
  from:close()
  process:close()
  return got
end

return raw
