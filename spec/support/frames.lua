-- SPDX-License-Identifier: MIT
-- WebSocket frames written and read by hand, for a peer that may break every rule.
local frames = {}

local function length(masked, n, spelt)
  if spelt == "7" then
    return string.pack("B", masked | n)
  elseif spelt == "16" then
    return string.pack(">BI2", masked | 126, n)
  end
  return string.pack(">BI8", masked | 127, n)
end

local function spelling(n)
  return n < 126 and "7" or n < 65536 and "16" or "64"
end

--- One frame. opts: fin (true), rsv (0), mask (4 bytes), length (spelt "7", "16" or "64"),
--- claim (the length it announces).
function frames.make(opcode, payload, opts)
  opts = opts or {}
  local n = opts.claim or #payload
  local head = string.char(opcode | (opts.fin == false and 0 or 0x80) | (opts.rsv or 0) << 4) ..
    length(opts.mask and 0x80 or 0, n, opts.length or spelling(n))
  if not opts.mask then
    return head .. payload
  end
  return head .. opts.mask .. frames.mask(payload, opts.mask)
end

function frames.mask(payload, mask)
  local word, out = string.unpack("<i8", mask .. mask), {}
  local whole = payload .. ("\0"):rep(-#payload % 8)
  for i = 1, #whole, 8 do
    out[#out + 1] = string.pack("<i8", string.unpack("<i8", whole, i) ~ word)
  end
  return table.concat(out):sub(1, #payload)
end

local function need(self, n)
  while #self.got < n do
    local chunk = self.stream:read()
    if not chunk then
      return false
    end
    self.got = self.got .. chunk
  end
  return true
end

local function take(self, n)
  local bytes = self.got:sub(1, n)
  self.got = self.got:sub(n + 1)
  return bytes
end

local Reader = {}
Reader.__index = Reader

--- The next frame: { opcode, fin, mask, payload }, or nil at the end.
function Reader:next()
  if not need(self, 2) then
    return nil
  end
  local first, second = take(self, 2):byte(1, 2)
  local n = second & 0x7f
  if n >= 126 then
    local size = n == 126 and 2 or 8
    if not need(self, size) then
      return nil
    end
    n = string.unpack(">I" .. size, take(self, size))
  end
  local mask
  if second & 0x80 ~= 0 then
    if not need(self, 4) then
      return nil
    end
    mask = take(self, 4)
  end
  if not need(self, n) then
    return nil
  end
  local payload = take(self, n)
  return { opcode = first & 0x0f, fin = first & 0x80 ~= 0, mask = mask,
    payload = mask and frames.mask(payload, mask) or payload }
end

--- Skips to the next frame of that opcode; its payload, or nil.
function Reader:find(opcode)
  for frame in function() return self:next() end do
    if frame.opcode == opcode then
      return frame.payload, frame
    end
  end
end

function frames.reader(stream)
  return setmetatable({ stream = stream, got = "" }, Reader)
end

function frames.close(code, reason)
  return frames.make(8, code and string.pack(">I2", code) .. (reason or "") or "")
end

return frames
