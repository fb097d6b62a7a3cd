-- SPDX-License-Identifier: MIT
-- Machines that take a password alone, asked for as such or by questions.
local core = require "arclua.core"
local emulated = require "emulated"
local emulator = require "arclua.emulator"
local program = require "program"
local sshlab = require "sshlab"
local terminal = require "terminal"

local MACHINES = { { name = "word-01", login = "password" }, { name = "key-01", login = "key" },
  { name = "ask-01", login = "keyboard-interactive" },
  { name = "win-01", os = "windows", login = "password" } }

local function env_of(e, changes)
  local env = { ARCLUA_CONFIG = "none", LD_PRELOAD = false }
  for _, source in ipairs { e.env, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return env
end

local function run(e, args, changes)
  return program.run(args, { env = env_of(e, changes), session = true }) -- no terminal
end

local with = sshlab.has_pam() and emulated.spec or pending

describe("machines with passwords", function()
  with("take the password of this start, by SSH_ASKPASS", { machines = MACHINES }, function(e)
    assert.equal(384, core.sys.stat(e.env.ARCLUA_EMULATOR_PASSWORD).mode)
    for _, name in ipairs { "word-01", "ask-01", "key-01" } do
      local ended = run(e, { "ssh", name, "echo in" })
      assert.same({ 0, "in\n" }, { ended.status, ended.out }, ended.err)
    end
    local ended = run(e, { "exec", "--ask-pass", "--all", "-o", "quiet", "--", "hostname" })
    assert.equal(0, ended.status, ended.err)
  end)

  with("refuse another one, a key, and who cannot be asked", { machines = MACHINES }, function(e)
    local wrong = e.client_dir .. "/wrong"
    assert(core.sys.write_file(wrong, "#!/bin/sh\necho wrong\n", 448))
    for name, method in pairs { ["word-01"] = "password", ["ask-01"] = "keyboard-interactive" } do
      local ended = run(e, { "ssh", name, "true" }, { SSH_ASKPASS = wrong })
      assert.equal(255, ended.status)
      assert.matches("sshd accepts: " .. method, ended.err, 1, true)
      ended = run(e, { "ssh", "-o", "BatchMode=yes", name, "true" })
      assert.equal(255, ended.status)
    end
  end)

  with("are asked for at the terminal, unseen", { machines = MACHINES }, function(e)
    for _, name in ipairs { "word-01", "ask-01" } do
      local t <close> = terminal.open({ program.path, "ssh", name }, { env = env_of(e, {
        SSH_ASKPASS = false, TERM = "xterm" }) })
      t:await "assword: "
      t:type "wrong\r"
      t:await "assword: "
      t:type(e.password .. "\r")
      t:await "$ "
      t:type "exit 5\r"
      local status, same = t:status()
      assert.same({ 5, true }, { status, same }, t:text())
      assert.is_nil(t:text():find(e.password, 1, true))
    end
  end)

  with("leave no scratch files", { machines = MACHINES }, function(e)
    run(e, { "ssh", "ask-01", "true" })
    assert.is_truthy(next(e.pam_pids))
    e:stop()
    for _, name in ipairs(core.sys.list "/tmp") do
      local pid = name:find "^pam%.%w$" and core.sys.read_file("/tmp/" .. name .. "/pid")
      assert.is_nil(pid and e.pam_pids[pid:match "%d+"])
    end
  end)

  it("need a user of our making, and say so", function()
    if core.sys.getuid() == 0 then
      local e, err = emulator.start { machines = MACHINES, as_root = true, way = "plain" }
      assert.is_nil(e)
      assert.matches("needs libnss_wrapper.so", err.message, 1, true)
    end
    assert.is_false(pcall(emulator.start, { machines = { { name = "a", login = "nonsense" } } }))
  end)
end)
