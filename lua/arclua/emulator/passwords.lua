-- SPDX-License-Identifier: MIT
-- Machines that take no key, but a password: asked for as such, or by questions
-- (keyboard-interactive, which sshd has from PAM: libpam_wrapper and pam_matrix answer for it).
local core = require "arclua.core"
local errors = require "arclua.errors"

local passwords = {}

local LIBS = { "/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/", "/usr/lib64/",
  "/usr/lib/" }
local SETTINGS = { password = { "UsePAM no", "PasswordAuthentication yes",
    "KbdInteractiveAuthentication no" },
  ["keyboard-interactive"] = { "UsePAM yes", "PasswordAuthentication no",
    "KbdInteractiveAuthentication yes" } }
-- Where libpam_wrapper keeps the files of a process; one that is killed leaves them.
local SCRATCH = "/tmp/pam."

--- What a machine's login may be called here.
passwords.KINDS = { password = true, ["keyboard-interactive"] = true }

local function find(name)
  for _, directory in ipairs(LIBS) do
    if core.sys.stat(directory .. name) then
      return directory .. name
    end
  end
end

local function refuse(m, what, package)
  return errors.fail { code = "config", op = "emulator.start",
    message = ("the machine %s cannot ask for passwords (%s): that needs %s"):format(m.name,
      m.words, what), remedy = "install " .. package }
end

-- Whether such a machine can be: sshd must believe in a password of our making.
local function possible(emulator, m)
  if emulator.who.way ~= "wrapper" then
    return refuse(m, "libnss_wrapper.so", "libnss-wrapper")
  elseif m.words == "keyboard-interactive"
    and not (find "libpam_wrapper.so" and find "pam_wrapper/pam_matrix.so") then
    return refuse(m, "libpam_wrapper.so", "libpam-wrapper")
  end
  return true
end

--- The machines' password: a file for clients, and a program that says it. Errors: config.
---@return true|nil, arclua.Error?
function passwords.make(emulator)
  local any = false
  for _, m in ipairs(emulator.state.machines) do
    if m.words then
      local ok, err = possible(emulator, m)
      if not ok then
        return nil, err
      end
      any = true
    end
  end
  if not any then
    return true
  end
  local path, program = emulator.client_dir .. "/password", emulator.client_dir .. "/askpass"
  emulator.password = core.crypto.hex(core.crypto.random(8))
  emulator.env.ARCLUA_EMULATOR_PASSWORD, emulator.env.SSH_ASKPASS = path, program
  local ok, err = core.sys.write_file(path, emulator.password .. "\n", 384)
  if ok then
    ok, err = core.sys.write_file(program, "#!/bin/sh\nexec cat '" .. path .. "'\n", 448)
  end
  return ok, err
end

--- Lines of sshd_config for a machine, before all others.
function passwords.settings(m)
  local lines = table.move(SETTINGS[m.words], 1, 3, 2, { "PubkeyAuthentication no" })
  return table.concat(lines, "\n")
end

-- pam_matrix's file, and the service that names it.
local function write_pam(emulator, m, path)
  local module = find "pam_wrapper/pam_matrix.so" .. " passdb=" .. m.dir .. "/passdb"
  local service = ("auth required %s\naccount required %s\nsession required %s\n"):format(module,
    module, module)
  local ok, err = core.sys.write_file(m.dir .. "/passdb",
    ("%s:%s:sshd\n"):format(emulator.who.user, emulator.password), 420)
  if ok then
    ok, err = core.sys.mkdir(path, 493)
  end
  for _, name in ipairs { "sshd", "other" } do
    if ok then
      ok, err = core.sys.write_file(path .. "/" .. name, service, 420)
    end
  end
  return ok, err
end

--- The files that a machine needs for it.
---@return true|nil, arclua.Error?
function passwords.prepare(emulator, m)
  if m.words == "keyboard-interactive" then
    return write_pam(emulator, m, m.dir .. "/pam")
  end
  local hash = core.crypto.crypt(emulator.password, "$6$" .. core.crypto.hex(core.crypto.random(8)))
  if not hash then
    return errors.fail { code = "config", op = "emulator.start",
      message = "crypt(3) gives no hash of a password: libcrypt.so.1 is missing" }
  end
  return core.sys.write_file(m.dir .. "/shadow",
    ("%s:%s:19000:0:99999:7:::\n"):format(emulator.who.user, hash), 420)
end

--- Adds to the environment of a machine's sshd.
function passwords.environment(m, env)
  if m.words == "password" then
    env.NSS_WRAPPER_SHADOW = m.dir .. "/shadow"
  elseif m.words then
    env.LD_PRELOAD = find "libpam_wrapper.so" .. ":" .. env.LD_PRELOAD
    env.PAM_WRAPPER, env.PAM_WRAPPER_SERVICE_DIR = "1", m.dir .. "/pam"
  end
end

--- Notes an sshd of such a machine, whose scratch files are to go with it.
function passwords.started(emulator, m, process)
  if m.words == "keyboard-interactive" then
    emulator.pam_pids = emulator.pam_pids or {}
    emulator.pam_pids[("%d"):format(process:pid())] = true
  end
end

--- Removes what killed sshds have left.
function passwords.tidy(emulator)
  for code = ("0"):byte(), ("z"):byte() do
    local path = SCRATCH .. string.char(code)
    local pid = emulator.pam_pids and core.sys.read_file(path .. "/pid")
    if pid and emulator.pam_pids[pid:match "%d+"] then
      core.sys.remove(path)
    end
  end
end

return passwords
