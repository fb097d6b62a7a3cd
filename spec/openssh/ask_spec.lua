-- SPDX-License-Identifier: MIT
-- Questions at a real terminal (of script(1)), by SSH_ASKPASS, and shared by many.
local ask = require "arclua.openssh.ask"
local core = require "arclua.core"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
local program = require "program"

local ends = harness.ends

local function mac(secret)
  return core.crypto.hex(core.crypto.hmac_sha256(secret, "spec"))
end

-- Asks, and says how that ended.
local CHUNK = [[
local core = require "arclua.core"
local ask = require "arclua.openssh.ask".new(core, print)
local secret, err = ask:line("Question: ", false)
print(secret and core.crypto.hex(core.crypto.hmac_sha256(secret, "spec")) or tostring(err))
print(tostring(secret))
return secret and 0 or 1]]

describe("a question", function()
  local dir
  setup(function()
    dir = assert(core.sys.mkdtemp "arclua-spec-")
    assert(core.sys.write_file(dir .. "/chunk.lua", CHUNK))
  end)
  teardown(function() core.sys.remove(dir) end)

  -- A terminal in which the program asks; what follows tells the terminal's modes.
  local function terminal(env)
    local line = ("trap : INT; sh -c 'echo $$ >%s/pid; exec %s run %s/chunk.lua'; "
      .. "echo status=$?; stty -a | tr ' ;' '\\n\\n' | grep -x -e -echo -e echo"):format(dir,
      program.path, dir)
    local vars = { SSH_ASKPASS = false, SSH_ASKPASS_REQUIRE = false, LD_PRELOAD = false,
      SHELL = "/bin/sh" }
    for name, value in pairs(env or {}) do
      vars[name] = value
    end
    local process = assert(core.process.spawn { stdin = "pipe", env = vars, session = true,
      args = { "script", "-qec", line, "/dev/null" } })
    local self = { input = process:stdin(), output = process:stdout(), text = "" }
    function self.await(wanted)
      while not self.text:find(wanted, 1, true) do
        local chunk = self.output:read()
        if not chunk then
          error("not seen: " .. wanted .. " in " .. self.text)
        end
        self.text = self.text .. chunk
      end
    end
    function self.finish()
      self.await "\necho"
      self.input:close()
      self.output:close()
      process:close()
      return self.text
    end
    return self
  end

  ends("is asked at the terminal without echo, which then comes back", function()
    local t = terminal()
    t.await "Question: "
    assert(t.input:write "open sesame\r")
    local text = t.finish()
    assert.matches(mac "open sesame", text, 1, true)
    assert.matches("<redacted>", text, 1, true)
    assert.matches("status=0", text, 1, true)
    assert.is_nil(text:find("sesame", 1, true))
    assert.is_nil(text:find("-echo", 1, true))
  end)

  ends("that is interrupted gives the echo back", function()
    local t = terminal()
    t.await "Question: "
    assert(t.input:write "half an answ\3")
    local text = t.finish()
    assert.is_nil(text:find("-echo", 1, true))
    assert.is_nil(text:find("status=0", 1, true))
    assert.is_nil(text:find("answ", 1, true))
  end)

  ends("in a program that is ended gives the echo back", function()
    local t = terminal()
    t.await "Question: "
    local pid = core.sys.read_file(dir .. "/pid"):match "%d+"
    local kill <close> = assert(core.process.spawn { args = { "kill", "-TERM", pid } })
    kill:wait()
    local text = t.finish()
    assert.matches("status=143", text, 1, true)
    assert.is_nil(text:find("-echo", 1, true))
  end)

  -- A program that answers, or refuses.
  local function askpass(text, status)
    local path = dir .. "/askpass"
    assert(core.sys.write_file(path, ("#!/bin/sh\necho \"$1\" >>%s/asked\n%s\nexit %d\n")
      :format(dir, text, status or 0), 448))
    core.sys.remove(dir .. "/asked")
    return path
  end

  local function without_terminal(env)
    local process <close> = assert(core.process.spawn { stdin = "null", session = true,
      env = { SSH_ASKPASS = env.SSH_ASKPASS or false, LD_PRELOAD = false,
        SSH_ASKPASS_REQUIRE = env.SSH_ASKPASS_REQUIRE or false },
      args = { program.path, "run", dir .. "/chunk.lua" } })
    local out <close> = process:stdout()
    local text = harness.drain(out)
    return text, process:wait().status
  end

  ends("goes to SSH_ASKPASS where there is no terminal", function()
    local text, status = without_terminal { SSH_ASKPASS = askpass "printf 'from a window\\nx\\n'" }
    assert.equal(0, status)
    assert.matches(mac "from a window", text, 1, true)
    assert.equal("Question: \n", core.sys.read_file(dir .. "/asked"))
  end)

  ends("goes there from a terminal, too, when that is forced", function()
    local t = terminal { SSH_ASKPASS = askpass "echo window", SSH_ASKPASS_REQUIRE = "force" }
    local text = t.finish()
    assert.matches(mac "window", text, 1, true)
    assert.is_nil(text:find("Question", 1, true))
  end)

  ends("that nobody can answer says so", function()
    for _, case in ipairs { { {}, "there is no terminal to ask on" },
        { { SSH_ASKPASS = askpass "echo x", SSH_ASKPASS_REQUIRE = "never" }, "no terminal" },
        { { SSH_ASKPASS_REQUIRE = "force" }, "SSH_ASKPASS is not set" },
        { { SSH_ASKPASS = askpass("echo x", 1) }, "gave no answer" },
        { { SSH_ASKPASS = dir .. "/none" }, "SSH_ASKPASS: " } } do
      local text, status = without_terminal(case[1])
      assert.equal(1, status)
      assert.matches(case[2], text, 1, true)
    end
  end)

  -- Primitives whose terminal answers, counting the questions.
  local function answering(answers)
    local seen = { asked = {} }
    seen.core = fake.core {
      terminal = function()
        return { write = function(_, text)
          seen.asked[#seen.asked + 1] = text
          return true
        end, close = function() end }
      end,
      read_secret = function()
        assert(core.sleep(0.01))
        local answer = answers[#seen.asked]
        if not answer then
          return errors.fail { code = "closed", message = "the terminal gave no answer" }
        end
        return core.secret(answer)
      end,
    }
    return seen
  end

  local function passphrase(attempt, path)
    return { kind = "passphrase", path = path or "/k", text = "Passphrase: ", attempt = attempt }
  end

  ends("about a key is put once, however many wait for it", function()
    local seen = answering { "wrong", "right" }
    local asking = ask.new(seen.core, print)
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = core.spawn(function()
        local prompt = asking:prompt("m" .. i, false)
        return mac(prompt(passphrase(1))), mac(prompt(passphrase(2)))
      end)
    end
    tasks[1]:cancel() -- the one that asked
    for i = 2, 50 do
      assert.same({ mac "wrong", mac "right" }, { tasks[i]:await() })
    end
    assert.equal(2, #seen.asked)
    asking:close()
  end)

  ends("about a key that nobody opens leaves the key out, and that is said once", function()
    local said = {}
    local asking = ask.new(fake.core { terminal = function()
      return errors.fail { code = "notfound", message = "open the terminal: no such device" }
    end }, function(level, text) said[#said + 1] = level .. " " .. text end)
    for i = 1, 3 do
      assert.is_nil(asking:prompt("m" .. i, false)(passphrase(1)))
    end
    assert.equal(1, #said)
    assert.matches("^warn /k is encrypted, and is left out: there is no terminal", said[1])
    asking:close()
  end)

  ends("of a server is put for one machine, not for many", function()
    local seen = answering { "123456", "pw" }
    local asking = ask.new(seen.core, print)
    local question = { kind = "keyboard-interactive", text = "Code: ", instruction = "Two steps",
      echo = true, attempt = 1 }
    assert.is_nil(asking:prompt("web-01", false)(question))
    assert.equal(mac "123456", mac(asking:prompt("web-01", true)(question)))
    assert.equal("Two steps\nweb-01: Code: ", seen.asked[1])
    assert.equal(mac "pw", mac(asking:prompt("web-01", true) { kind = "password", echo = false,
      text = "ops@web-01's password: ", attempt = 1 }))
    assert.equal("ops@web-01's password: ", seen.asked[2])
    asking:close()
  end)

  ends("for the password of a run is put once", function()
    local seen = answering { "pw" }
    local asking = ask.new(seen.core, print)
    local a, b = assert(asking:password()), assert(asking:password())
    assert.equal(mac(a), mac(b))
    assert.equal(1, #seen.asked)
    asking:close()
  end)
end)
