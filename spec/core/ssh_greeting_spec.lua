-- SPDX-License-Identifier: MIT
-- What a server says before the login: lines, its version, hostile bytes.
local core = require "arclua.core"
local harness = require "harness"
local sshlab = require "sshlab"

local both = harness.both

describe("the greeting of a server", function()
  local lab
  setup(function() lab = sshlab.new() end)
  teardown(function() lab:close() end)

  -- A real server that first says this, in pieces of so many bytes: session, or nil, err.
  local function with_lines(text, piece, fn)
    local sshd = lab:start()
    local near, mine = core.pair()
    local far = sshd:stream()
    local writer = core.spawn(function()
      for at = 1, #text, piece do
        assert(mine:write(text:sub(at, at + piece - 1)))
        core.sleep(0.001)
      end
      core.splice(mine, far)
    end)
    local session, err = core.ssh.connect(near, lab:options())
    fn(session, err)
    if session then
      session:close()
    end
    writer:await()
    sshd:close()
  end

  local lines = {
    ["one line"] = "Welcome\r\n",
    ["lines that look like a version"] = "SS\r\nSSH\r\nSSS\r\n-SSH-1\r\nS\nSSH2-\r\n\r\n",
    ["long lines"] = ("x"):rep(2000) .. "\r\n" .. ("y"):rep(8000) .. "\n",
    ["many lines"] = ("a line\r\n"):rep(1000),
    ["any bytes"] = "\27[31m\0\255\r\n",
  }
  for name, text in pairs(lines) do
    both("may begin with " .. name, function()
      with_lines(text, 60000, function(session, err)
        assert(session, tostring(err))
        assert.matches("^SSH%-2%.0%-OpenSSH", session:banner())
        assert.equal("ok", assert(session:exec("true")).state)
      end)
    end)
  end

  both("may come byte by byte", function()
    with_lines("S\r\nSS\r\nWelcome\r\n", 1, function(session, err)
      assert(session, tostring(err))
      assert.equal("ok", assert(session:exec("true")).state)
    end)
  end)

  -- The error of a login to a peer that says this, then stays silent or closes.
  local function refusal(text, stays)
    local a, b = core.pair()
    local writer = core.spawn(function()
      b:write(text)
      if not stays then
        b:shutdown()
      end
      while b:read() do end
      b:close()
    end)
    local session, err = core.ssh.connect(a, lab:options { timeout = 0.2 })
    assert.is_nil(session)
    writer:await()
    return err
  end

  both("that is no SSH is quoted, without its control bytes", function()
    local err = refusal("HTTP/1.1 400 Bad \27[31mRequest\r\nServer: x\r\n\r\n")
    assert.equal("ssh.protocol", err.reason)
    assert.matches('it said "HTTP/1.1 400 Bad \\x1b[31mRequest"', err.message, 1, true)
    err = refusal("220 mail.example ESMTP\r\n", true)
    assert.equal("ssh.no-banner", err.reason)
    assert.matches("220 mail.example", err.message, 1, true)
  end)

  both("that does not end is given up at once", function()
    local err = refusal(("x"):rep(9000), true)
    assert.equal("ssh.protocol", err.reason)
    err = refusal(("line\n"):rep(20000), true)
    assert.equal("ssh.protocol", err.reason)
  end)

  both("whose version line is longer than 255 bytes", function()
    local err = refusal("SSH-2.0-" .. ("x"):rep(300) .. "\r\n", true)
    assert.equal("ssh.protocol", err.reason)
  end)

  both("of another protocol", function()
    local err = refusal("SSH-1.5-old\27[2J\r\n", true)
    assert.equal("ssh.protocol", err.reason)
    assert.is_nil(err.message:find("\27", 1, true))
  end)

  both("whose version has control bytes", function()
    local sshd = lab:start()
    local near, mine = core.pair()
    local far = sshd:stream()
    local writer = core.spawn(function()
      assert(far:read())
      assert(mine:write("SSH-2.0-a\27[2J\200b\r\n"))
      core.splice(mine, far)
    end)
    local session, err = core.ssh.connect(near, lab:options { timeout = 2 })
    assert.is_nil(session) -- the key exchange has signed another version
    assert.is_nil(tostring(err):find("\27", 1, true))
    writer:await()
    sshd:close()
  end)
end)
