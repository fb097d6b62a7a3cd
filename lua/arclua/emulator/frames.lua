-- SPDX-License-Identifier: MIT
-- WebSocket messages of a control channel, the server's side: few, small, of any type.
local core = require "arclua.core"

local frames = {}

local LIMIT = 128 * 1024 -- bytes of a message; HTTP headers and a body are below 96 KB

frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING, frames.PONG = 1, 2, 8, 9, 10

local MORE = 0
local KNOWN = { [0] = true, true, true, [8] = true, [9] = true, [10] = true }

--- One frame, not masked.
function frames.make(opcode, payload)
  local n = #payload
  local length = n < 126 and string.pack("B", n) or n < 65536 and string.pack(">BI2", 126, n)
    or string.pack(">BI8", 127, n)
  return string.char(0x80 | opcode) .. length .. payload
end

--- A Close frame; no code: an empty one.
function frames.close(code, reason)
  return frames.make(frames.CLOSE, code and string.pack(">I2", code) .. (reason or "") or "")
end

local function unmask(payload, mask)
  local out, wide = {}, string.unpack("<I8", mask .. mask)
  for i = 1, #payload - 7, 8 do
    out[#out + 1] = string.pack("<I8", string.unpack("<I8", payload, i) ~ wide)
  end
  for i = #payload - #payload % 8 + 1, #payload do
    out[#out + 1] = string.char(payload:byte(i) ~ mask:byte((i - 1) % 4 + 1))
  end
  return table.concat(out)
end

local Reader = {}
Reader.__index = Reader

--- Reads messages from the stream; early: what has come already.
function frames.reader(stream, early)
  return setmetatable({ stream = stream, got = early or "", parts = {}, size = 0 }, Reader)
end

local function length_of(got, small, size)
  return size == 0 and small or string.unpack(size == 2 and ">I2" or ">i8", got, 3)
end

-- What the first two bytes must not say.
local function broken(first, second, size)
  local opcode = first & 15
  if first & 0x70 ~= 0 or not KNOWN[opcode] or second < 128 then
    return "a malformed frame"
  elseif opcode >= 8 and (first < 128 or size > 0) then
    return "a control frame in parts or too long"
  end
end

-- Nil: more must come. false: what came may not be, then code and why.
local function head_of(self)
  local first, second = self.got:byte(1, 2)
  if not second then
    return nil
  end
  local small = second & 127
  local size = small == 126 and 2 or small == 127 and 8 or 0
  local why = broken(first, second, size)
  if why then
    return false, 1002, why
  elseif #self.got < 2 + size then
    return nil
  end
  local opcode, length = first & 15, length_of(self.got, small, size)
  if length < 0 or length + (opcode < 8 and self.size or 0) > LIMIT then
    return false, 1009, "the message is too large"
  end
  return { fin = first >= 128, opcode = opcode, start = 2 + size, length = length }
end

-- The frame at the front, taken out; else as head_of.
local function take(self)
  local head, code, why = head_of(self)
  local stop = head and head.start + 4 + head.length
  if not head or #self.got < stop then
    return head and nil, code, why
  end
  head.payload = unmask(self.got:sub(head.start + 5, stop),
    self.got:sub(head.start + 1, head.start + 4))
  self.got = self.got:sub(stop + 1)
  return head
end

-- Puts the parts of a message together: opcode and payload, or nil.
local function gather(self, frame)
  if (frame.opcode == MORE) ~= (self.opcode ~= nil) then
    return nil, { code = 1002, message = "a frame out of order" }
  end
  self.opcode = self.opcode or frame.opcode
  self.parts[#self.parts + 1] = frame.payload
  self.size = self.size + #frame.payload
  if not frame.fin then
    return nil
  end
  local opcode, payload = self.opcode, table.concat(self.parts)
  self.opcode, self.parts, self.size = nil, {}, 0
  if opcode == frames.TEXT and not core.sys.valid_utf8(payload) then
    return nil, { code = 1007, message = "a text that is not UTF-8" }
  end
  return opcode, payload
end

--- The next message or control frame: opcode, payload. Nil: the connection's end. Nil, err: a
--- failure of the stream, or what the peer must be told: err.code is the number of a Close.
--- May be called again after a wait in it was ended by a time-out.
function Reader:next()
  while true do
    local frame, code, why = take(self)
    if frame == false then
      return nil, { code = code, message = why }
    elseif not frame then
      local chunk, err = self.stream:read()
      if not chunk then
        return nil, err
      end
      self.got = self.got .. chunk
    elseif frame.opcode >= 8 then
      return frame.opcode, frame.payload
    else
      local opcode, payload = gather(self, frame)
      if opcode or payload then
        return opcode, payload
      end
    end
  end
end

return frames
