-- SPDX-License-Identifier: MIT
-- Connect and exec over a relay and a real sshd while allocations of ours fail: first each single
-- one in turn, then every n-th. Whatever fails must be an error value; nothing may crash, hang or
-- stay behind (the sanitizers judge memory when the process ends).
--   run.lua CORE_SO [STEP]      in the environment of an emulator; STEP: try only each STEP-th
local core = require "arclua.core"

local library, step = arg[1], math.tointeger(tonumber(arg[2] or 1))
local arm = assert(package.loadlib(library, "luaopen_oom"))()

local LIMIT = 20 -- seconds for one connect and exec, with its end
local EVERY = { 2, 3, 5, 10, 25 }

-- The ways in, made while memory is plenty.
local function prepare()
  local az = assert(require("arclua").login())
  local machine = assert(az:machine "web-01")
  local access = assert(az.connectivity:access(machine, {}))
  return { info = access.info, port = access.port, ca = az.cloud.ca,
    options = { user = os.getenv "ARCLUA_USER", alias = machine:alias(), agent = false,
      known_hosts = { os.getenv "ARCLUA_KNOWN_HOSTS" }, timeout = LIMIT,
      identities = { os.getenv "ARCLUA_IDENTITY" } } }
end

local function run(way)
  local stream, err = core.relay.connect(way.info, { port = way.port, ca = way.ca })
  if not stream then
    return nil, err
  end
  local session
  session, err = core.ssh.connect(stream, way.options)
  if not session then
    return nil, err
  end
  local result
  result, err = session:exec("cat; echo fine >&2", { stdin = "some text", timeout = LIMIT,
    env = { LC_TEST = "x" } })
  session:close()
  if not result then
    return nil, err
  end
  -- Output that found no room is counted, as output above the limit is.
  return result.err == nil and #result.stdout + #result.stderr + result.truncated == 14, result.err
end

-- Ends what is under way; what is left behind, as text.
local function clean()
  core.linger()
  collectgarbage()
  collectgarbage()
  core.linger()
  local left = ""
  for kind, count in pairs(core.stats()) do
    left = left .. (count ~= 0 and ("%d %s "):format(count, kind) or "")
  end
  return left
end

-- What is wrong about how a run ended; nil when it is what running out of memory looks like from
-- Lua: a result, an error value, or Lua's own error.
local function wrong(ok, done, err)
  if not ok then
    return not tostring(done):find("memory", 1, true) and "raised " .. tostring(done) or nil
  elseif done then
    return nil
  elseif type(err) ~= "table" or not err.code then
    return "neither a result nor an error: " .. tostring(err)
  end
  return err.code == "timeout" and "it hung" or nil
end

-- One run: whether it went well, and how many allocations were made and failed.
local function attempt(way, first, every)
  arm(first, every)
  local ok, done, err = pcall(core.timeout, LIMIT, run, way)
  local calls, failed = arm(0)
  local left = clean()
  local why = wrong(ok, done, err) or left ~= "" and left .. "left behind"
  if why then
    error(("allocation %d: %s"):format(first, why))
  end
  return ok and done, calls, failed
end

local function main()
  local way = prepare()
  assert(attempt(way, 0))
  local fine, total = attempt(way, 0)
  assert(fine and total > 20, ("%s, %d allocations"):format(fine, total))
  local survived, tried = 0, 0
  for first = 1, total, step do
    tried = tried + 1
    survived = survived + (attempt(way, first) and 1 or 0)
  end
  for _, every in ipairs(EVERY) do
    local _, _, failed = attempt(way, every, every)
    assert(failed > 0, "no allocation failed")
  end
  assert(attempt(way, 0), "it does not work any more")
  way.info:close()
  print(("%d allocations in connect and exec; %d of them failed one by one: %d runs ended in an "
    .. "error, %d did without"):format(total, tried, tried - survived, survived))
end

main()
