-- SPDX-License-Identifier: MIT
-- The parser of response heads, through core.relay.upgrade over a pair of streams.
local core = require "arclua.core"
local both = require("harness").both

local info = assert(core.relayinfo [[{"relay":{"namespaceName":"ns",
  "namespaceNameSuffix":"servicebus.localhost","hybridConnectionName":"hc","accessKey":"key"}}]])

-- What upgrade makes of an answer that comes in these pieces.
local function answer(...)
  local mine, theirs = core.pair()
  local pieces = { ... }
  local peer = core.spawn(function()
    theirs:read()
    for _, piece in ipairs(pieces) do
      if not theirs:write(piece) then
        break
      end
      core.sleep(0)
    end
    theirs:close()
  end)
  local stream, err = core.relay.upgrade(mine, info, { port = 22 })
  peer:await()
  if stream then
    stream:abort()
  end
  return err
end

local GOOD = "HTTP/1.1 404 Endpoint does not exist. TrackingId:abc_G1, SystemTracker:x\r\n" ..
  "Server: relay\r\nContent-Length:0 \r\nX-Empty:\r\n\r\n"

describe("response head", function()
  it("is understood at every split", function()
    for i = 1, #GOOD - 1 do
      local err = answer(GOOD:sub(1, i), GOOD:sub(i + 1))
      assert.equal("relay.no-endpoint", err.reason)
      assert.equal("abc_G1", err.tracking_id)
    end
  end)

  both("is understood byte by byte", function()
    local bytes = {}
    for c in GOOD:gmatch "." do
      bytes[#bytes + 1] = c
    end
    assert.equal("relay.no-endpoint", answer(table.unpack(bytes)).reason)
  end)

  it("may have an empty or no reason phrase", function()
    assert.equal("relay.no-endpoint", answer("HTTP/1.1 404 \r\n\r\n").reason)
    assert.equal("relay.no-endpoint", answer("HTTP/1.1 404\r\n\r\n").reason)
    assert.equal("relay.no-endpoint", answer("HTTP/1.0 404 x\r\n\r\n").reason)
  end)

  it("keeps a long reason phrase, and a longer one counts by its status", function()
    local err = answer("HTTP/1.1 503 connection to " .. ("x"):rep(3000) .. "\r\n\r\n")
    assert.equal("relay.sshd-refused", err.reason)
    err = answer("HTTP/1.1 503 connection to " .. ("x"):rep(60000) .. "\r\n\r\n")
    assert.equal("relay.sshd-refused", err.reason)
    assert.equal(503, err.status)
  end)

  it("has its hostile bytes spelt out", function()
    local err = answer("HTTP/1.1 418 \27[31m\7\xff\xfe\x7f TrackingId:\27bad\r\n\r\n")
    assert.equal("relay.rejected", err.reason)
    assert.is_nil(err.message:find "[%c\x7f-\xff]")
    assert.is_nil(err.tracking_id)
  end)

  local refused = {
    ["another protocol"] = "SSH-2.0-OpenSSH_9.2p1\r\n",
    ["HTTP/2"] = "HTTP/2 404 x\r\n\r\n",
    ["HTTP/1.2"] = "HTTP/1.2 404 x\r\n\r\n",
    ["two digits"] = "HTTP/1.1 40 x\r\n\r\n",
    ["four digits"] = "HTTP/1.1 4040 x\r\n\r\n",
    ["status 600"] = "HTTP/1.1 600 x\r\n\r\n",
    ["a bare LF"] = "HTTP/1.1 404 x\nA: b\r\n\r\n",
    ["a bare CR"] = "HTTP/1.1 404 x\ry\r\n\r\n",
    ["a bare LF in a field"] = "HTTP/1.1 404 x\r\nA: b\nB: c\r\n\r\n",
    ["a NUL in the phrase"] = "HTTP/1.1 404 x\0y\r\n\r\n",
    ["a NUL in a field"] = "HTTP/1.1 404 x\r\nA: b\0c\r\n\r\n",
    ["a folded line"] = "HTTP/1.1 404 x\r\nA: b\r\n c\r\n\r\n",
    ["a blank before the colon"] = "HTTP/1.1 404 x\r\nA : b\r\n\r\n",
    ["no colon"] = "HTTP/1.1 404 x\r\nnothing\r\n\r\n",
    ["no name"] = "HTTP/1.1 404 x\r\n: b\r\n\r\n",
  }
  for what, text in pairs(refused) do
    it("refuses " .. what, function()
      assert.equal("relay.bad-answer", answer(text).reason)
    end)
  end

  it("ends at 32 KB", function()
    local fields = ("X: " .. ("y"):rep(96) .. "\r\n"):rep(400)
    assert.equal("relay.bad-answer", answer("HTTP/1.1 101 x\r\n" .. fields).reason)
    assert.equal("relay.no-endpoint", answer("HTTP/1.1 404 x\r\n" .. fields).reason)
  end)

  it("may have a first line of 4096 bytes at most, wherever it is cut", function()
    local start = "HTTP/1.1 404 "
    local longest = start .. ("x"):rep(4094 - #start) .. "\r\n"
    assert.equal("relay.no-endpoint", answer(longest .. "\r\n").reason)
    assert.equal("relay.no-endpoint", answer(longest, "\r\n").reason)
    -- A longer one counts by its status, so 101 tells the two apart.
    local longer = "HTTP/1.1 101 " .. ("x"):rep(4095 - #start) .. "\r\n"
    local whole, cut = answer(longer .. "\r\n"), answer(longer, "\r\n")
    assert.equal("relay.bad-answer", whole.reason)
    assert.equal(whole.message, cut.message)
  end)

  both("that never ends is cut by the end of the connection", function()
    assert.equal("closed", answer("HTTP/1.1 101 Sw").code)
    assert.equal("closed", answer("").code)
  end)
end)
