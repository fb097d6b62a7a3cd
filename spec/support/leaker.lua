-- SPDX-License-Identifier: MIT
-- A program that uses secrets, drops them, and then stands still to be looked through: what
-- spec/leaks_spec.lua runs, as a script of arclua and as a module in lua.
local arc = require "arclua"
local clouds = require "arclua.clouds"
local core = require "arclua.core"

local ways = {}

-- Lists and logs in, as whoever the environment says.
local function work(opts, connect)
  local az <close> = assert(arc.login(opts))
  if not connect then
    return
  end
  local machine = assert(az:machine "web-01")
  local session <close> = assert(machine:ssh(connect))
  assert(session:exec("true").state == "ok")
end

function ways.nothing() end

-- For the scanner itself: a secret that is kept where it must not be.
local kept
function ways.kept()
  local file <close> = assert(io.open(os.getenv "PLANTED"))
  kept = file:read "a"
end

-- Freed, but not wiped.
function ways.forgotten()
  local file <close> = assert(io.open(os.getenv "PLANTED"))
  return file:read("a"):rep(50):len()
end

function ways.login()
  work({}, {})
end

function ways.entra()
  work({}, { entra = true })
end

function ways.token()
  work {}
end

function ways.static()
  work { credential = arc.credential.static { token = core.secret_file(os.getenv "TOKEN") } }
end

function ways.arc_agent()
  local managed = require "arclua.credential.managed_identity"
  local source = managed.new { directory = os.getenv "KEYS" }
  assert(source:fetch(clouds.load(os.getenv "ARCLUA_CLOUD").scope)):close()
end

function ways.device()
  local it = arc.credential.device_code { prompt = function(device)
    print(device.user_code)
  end }
  work { credential = it }
end

function ways.browser()
  local browser = require "arclua.credential.browser"
  local cloud = assert(clouds.load(os.getenv "ARCLUA_CLOUD"))
  local source = browser.new { cloud = cloud, tenant = "organizations",
    client_id = require("arclua.credential.refresh").CLIENT, open = print }
  local secret, info = source:fetch(cloud.scope, {})
  assert(secret, info)
  secret:close()
end

function ways.stored()
  work { credential = "login" }
end

-- A key with a passphrase.
function ways.passphrase()
  work({}, { identity = os.getenv "KEY", passphrase = core.secret_file(os.getenv "PASSPHRASE"),
    agent = false })
end

-- A password, on a host reached directly.
function ways.password()
  local session <close> = assert(arc.ssh({ host = "127.0.0.1", port = tonumber(os.getenv "PORT") },
    { user = os.getenv "WHO", password = core.secret_file(os.getenv "PASSWORD"), agent = false,
      identity = {}, ssh_config = "none", host_key_policy = "no" }))
  assert(session:exec("true").state == "ok")
end

io.stdout:setvbuf "line"
local ok, err = pcall(ways[arg[1]])
while core.stats().lingers > 0 do
  core.sleep(0.01)
end
for _ = 1, 3 do
  collectgarbage()
end
print(ok and "closed" or "failed " .. tostring(err))
io.read "l"
return kept and 0
