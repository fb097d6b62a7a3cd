-- SPDX-License-Identifier: MIT
-- A line: bytes, end and reset take their way, on the loop's clock.
local core = require "arclua.core"
local harness = require "harness"

local both = harness.both

-- A shaped stream and its other end.
local function lined(opts)
  local near, far = assert(core.pair())
  return core.server.shape(near, opts), far
end

-- fn() and how long it took on the loop's clock.
local function timed(fn, ...)
  local since = core.now()
  local out = table.pack(fn(...))
  return core.now() - since, table.unpack(out, 1, out.n)
end

local function close(...)
  for _, stream in ipairs { ... } do
    stream:close()
  end
end

describe("a line", function()
  both("delays both ways, the first bytes to us twice", function()
    local near, far = lined { latency = 0.05 }
    far:write "first"
    local took, got = timed(near.read, near)
    assert.equal("first", got)
    assert.is_true(took >= 0.09, took)
    near:write "there"
    took, got = timed(far.read, far)
    assert.equal("there", got)
    assert.is_true(took >= 0.045, took)
    far:write "back"
    took, got = timed(near.read, near)
    assert.equal("back", got)
    assert.is_true(took >= 0.045 and took < 1, took)
    close(near, far)
  end)

  both("keeps the order of what is on its way, and lets it travel together", function()
    local near, far = lined { latency = 0.1 }
    local since = core.now()
    for i = 1, 5 do
      near:write(("%d"):format(i))
      core.sleep(0.01)
    end
    local text = ""
    while #text < 5 do
      text = text .. far:read()
    end
    assert.equal("12345", text)
    assert.is_true(core.now() - since < 5 * 0.1)
    close(near, far)
  end)

  both("carries so many bytes a second", function()
    local near, far = lined { rate = 1e6 }
    local size = 200000
    local task = core.spawn(function()
      near:write(("x"):rep(size))
      near:shutdown()
    end)
    local took, text = timed(harness.drain, far)
    assert.equal(size, #text)
    assert.is_true(took >= 0.19, took)
    task:await()
    close(near, far)
  end)

  both("absorbs so much and then pushes back", function()
    local near, far = lined { latency = 0.001, absorbs = 1 << 20 }
    local sent, chunk = 0, ("x"):rep(16384)
    core.timeout(0.5, function()
      while near:write(chunk) do
        sent = sent + #chunk
      end
    end)
    assert.is_true(sent >= 1 << 20, sent)
    assert.is_true(sent <= 2 << 20, sent) -- the socket pair holds some, too
    near:abort()
    far:close()
  end)

  both("passes an end on behind the bytes, each way for itself", function()
    local near, far = lined { latency = 0.05 }
    near:write "last"
    near:shutdown()
    local took, text = timed(harness.drain, far)
    assert.equal("last", text)
    assert.is_true(took >= 0.045, took)
    far:write "answer"
    far:shutdown()
    assert.equal("answer", harness.drain(near))
    assert.is_nil(near:read())
    close(near, far)
  end)

  both("sends what it was given before it was closed", function()
    local near, far = lined { latency = 0.05, rate = 1e6 }
    local text = ("y"):rep(50000)
    near:write(text)
    near:close()
    assert.equal(text, harness.drain(far))
    far:close()
  end)

  both("lets a reset arrive behind the bytes", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local task = core.spawn(listener.accept, listener)
    local client = assert(core.tcp.connect("127.0.0.1", listener:port()))
    local near = core.server.shape(assert(task:await()), { latency = 0.05 })
    near:write "last"
    near:abort()
    assert.equal("last", client:read())
    local got, err = client:read()
    assert.is_nil(got)
    assert.equal("closed", err.code)
    close(client, listener)
  end)

  both("tells of the peer's reset", function()
    local listener = assert(core.tcp.listen("127.0.0.1", 0))
    local task = core.spawn(listener.accept, listener)
    local client = assert(core.tcp.connect("127.0.0.1", listener:port()))
    local near = core.server.shape(assert(task:await()), { latency = 0.02 })
    client:abort()
    local took, got, err = timed(near.read, near)
    assert.is_nil(got)
    assert.equal("closed", err.code)
    assert.is_true(took >= 0.015, took)
    close(near, listener)
  end)

  both("may be given up while it waits", function()
    local near, far = lined { latency = 0.01 }
    local got, err = core.timeout(0.05, near.read, near)
    assert.is_nil(got)
    assert.equal("timeout", err.code)
    far:close()
    near:write "nobody is there"
    near:abort()
  end)

  it("is described in numbers that can be", function()
    local near, far = assert(core.pair())
    for _, opts in ipairs { { latency = -1 }, { rate = 0 }, { absorbs = 0 }, { speed = 1 } } do
      assert.has_error(function() core.server.shape(near, opts) end)
    end
    close(near, far)
    assert.equal("", harness.leftovers())
  end)
end)
