-- SPDX-License-Identifier: MIT
-- Stored sign-ins that the desktop's secret service helps to encrypt: a real one (gnome-keyring) on
-- a session bus of its own.
local cli = require "cli"
local core = require "arclua.core"
local keyring = require "arclua.credential.keyring"
local fake = require "fake"
local program = require "program"

local MISSING = os.execute "command -v dbus-run-session gnome-keyring-daemon >/dev/null"
  and os.execute "test -n \"$(ldconfig -p | grep -F libsecret-1.so.0)\"" and "" or "not installed"

-- A keyring that is unlocked, as at a desktop's login; or one that nobody can unlock.
local START = {
  unlocked = "printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize",
  locked = "gnome-keyring-daemon --components=secrets --daemonize",
}

describe("an encrypted store", function()
  cli.with { { name = "web-01" } }

  local home
  setup(function() home = assert(core.sys.mkdtemp "arclua-spec-") end)
  teardown(function() core.sys.remove(home) end)
  before_each(function() core.sys.remove(cli.e.env.ARCLUA_STATE) end)

  -- Runs the program in a desktop session whose keyring is in this state (nil: no session).
  local function run(state, args, changes)
    local env = cli.environment { AZURE_CLIENT_ID = false, AZURE_TENANT_ID = false,
      ARCLUA_ENCRYPT = false, DBUS_SESSION_BUS_ADDRESS = false, XDG_RUNTIME_DIR = false,
      HOME = home, XDG_DATA_HOME = home .. "/share", XDG_CACHE_HOME = home .. "/cache" }
    for name, value in pairs(changes or {}) do
      env[name] = value
    end
    local line = state and 'exec dbus-run-session -- sh -c \'' .. START[state]
      .. ' >/dev/null 2>&1; exec "$@" 2>&1\' sh "$@" 2>/dev/null' or 'exec "$@" 2>&1'
    local words = { "sh", "-c", line, "sh", program.path }
    table.move(args, 1, #args, #words + 1, words)
    local process <close> = assert(core.process.spawn { args = words, env = env, stdin = "null" })
    local stream, text = process:stdout(), ""
    for chunk in function() return stream:read() end do
      text = text .. chunk
    end
    -- A daemon that the bus starts says so there, whenever it is through.
    return assert(process:wait()).status, (text:gsub("GNOME_KEYRING_CONTROL=[^\n]*\n", ""))
  end

  local function login(state, more)
    local args = { "login", "--service-principal", "--tenant", cli.e.env.AZURE_TENANT_ID,
      "--client-id", cli.e.env.AZURE_CLIENT_ID }
    table.move(more or {}, 1, #(more or {}), #args + 1, args)
    return run(state, args)
  end

  local function stored()
    return core.sys.read_file(cli.e.env.ARCLUA_STATE .. "/tokens.json", 65536) or ""
  end

  local function it_runs(name, fn)
    if MISSING ~= "" then
      pending(name .. " (gnome-keyring, dbus-run-session or libsecret is " .. MISSING .. ")")
    else
      cli.it(name, fn)
    end
  end

  it_runs("is opened in the session that has its key, and nowhere else", function()
    local status, text = login "unlocked"
    assert.equal(0, status, text)
    assert.truthy(text:find("stored encrypted", 1, true))
    assert.truthy(stored():find("sealed", 1, true))
    assert.is_nil(stored():find(cli.e.env.AZURE_CLIENT_SECRET, 1, true))
    status, text = run("unlocked", { "machines" })
    assert.equal(0, status, text)
    assert.truthy(text:find("web-01", 1, true))
    for _, state in ipairs { false, "locked" } do
      status, text = run(state or nil, { "machines" })
      assert.equal(1, status)
      assert.truthy(text:find("the stored sign-in is encrypted", 1, true), text)
      assert.truthy(text:find("--encrypt never", 1, true), text)
    end
    assert.equal(0, (run("unlocked", { "logout", "--all" })))
    status, text = run("unlocked", { "-e", ("print(require('arclua.core').keyring.key(%q))")
      :format(cli.e.env.ARCLUA_STATE) })
    assert.equal(0, status)
    assert.matches("nil\n$", text)
  end)

  it_runs("is one only where that can be, unless it must be", function()
    local status, text = login()
    assert.equal(0, status, text)
    assert.is_nil(text:find("encrypt", 1, true), text)
    assert.truthy(stored():find('"secret"', 1, true))
    status, text = login("locked")
    assert.equal(0, status, text)
    assert.truthy(text:find("stored without encryption: keyring", 1, true)
      or text:find("stored without encryption: the desktop", 1, true), text)
    core.sys.remove(cli.e.env.ARCLUA_STATE)
    for _, state in ipairs { false, "locked" } do
      status, text = login(state or nil, { "--encrypt", "always" })
      assert.equal(1, status)
      assert.truthy(text:find("libsecret-1-0", 1, true), text)
      assert.equal("", stored())
    end
    status, text = login("unlocked", { "--encrypt", "never" })
    assert.equal(0, status, text)
    assert.is_nil(stored():find("sealed", 1, true))
  end)

  cli.it("is wished for by three words", function()
    for _, wish in ipairs { "auto", "always", "never" } do
      assert.equal(wish, (keyring.wish(wish)))
    end
    assert.equal("auto", fake.env({}, keyring.wish))
    local wish, err = keyring.wish "sometimes"
    assert.is_nil(wish)
    assert.matches("option '%-%-encrypt': auto, always or never expected, got 'sometimes'",
      err.message)
    wish, err = fake.env({ ARCLUA_ENCRYPT = "x" }, keyring.wish)
    assert.is_nil(wish)
    assert.matches("^ARCLUA_ENCRYPT", err.message)
  end)

  it_runs("is not waited for longer than was said", function()
    local path = home .. "/bus"
    local silent <close> = assert(core.process.spawn { stdin = "null", session = true,
      args = { "socat", "UNIX-LISTEN:" .. path .. ",fork", "EXEC:sleep 25" } })
    while not core.sys.stat(path) do
      assert(core.sleep(0.01))
    end
    local status, text = run(nil, { "-e", [[local core = require "arclua.core"
      print(core.keyring.key("/nowhere", { timeout = 0.2 }))
      local task = core.spawn(core.keyring.key, "/nowhere")
      core.sleep(0.05)
      task:cancel()
      print(task:await())]] }, { DBUS_SESSION_BUS_ADDRESS = "unix:path=" .. path })
    silent:kill "KILL"
    silent:wait()
    assert.equal(0, status, text)
    assert.matches("%(timeout%)\nnil\t.*%(cancelled%)\n$", text)
  end)

  cli.it("needs a session", function()
    local script = [[local core = require "arclua.core"
      print(core.keyring.key("/nowhere"))
      print(core.keyring.forget("/nowhere"))]]
    local status, text = run(nil, { "-e", script })
    assert.equal(0, status)
    assert.matches("^nil\tkeyring: there is no desktop session %(notfound%)\nnil\t", text)
  end)
end)
