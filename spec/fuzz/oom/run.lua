-- SPDX-License-Identifier: MIT
-- Connect and exec over a relay and a real sshd, and the roads of roads.lua, while allocations of
-- ours fail: first each single one in turn, then every n-th. Whatever fails must be an error value;
-- nothing may crash, hang or stay behind (the sanitizers judge memory when the process ends).
--   run.lua CORE_SO [STEP]      in the environment of an emulator; STEP: try only each STEP-th
local core = require "arclua.core"
local roads = require "roads"

local library, step = arg[1], math.tointeger(tonumber(arg[2] or 1))
local arm = assert(package.loadlib(library, "luaopen_oom"))()

local LIMIT = 20 -- seconds for one connect and exec, with its end
local EVERY = { 2, 3, 5, 10, 25 }

local function nothing() end

-- The way in, made while memory is plenty.
local function prepare()
  local az = assert(require("arclua").login())
  local machine = assert(az:machine "web-01")
  local access = assert(az.connectivity:access(machine, {}))
  return { info = access.info, port = access.port, ca = az.cloud.ca,
    options = { user = os.getenv "ARCLUA_USER", alias = machine:alias(), agent = false,
      known_hosts = { os.getenv "ARCLUA_KNOWN_HOSTS" }, timeout = LIMIT,
      identities = { os.getenv "ARCLUA_IDENTITY" } } }
end

local function exec(way)
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

-- What is there beyond what there was, as text.
local function more_than(before)
  local left = ""
  for kind, count in pairs(core.stats()) do
    left = left .. (count ~= before[kind] and ("%d %s "):format(count, kind) or "")
  end
  return left
end

-- Ends what is under way; what is left behind, as text. What the server began (a connection to the
-- agent) ends by itself with its session, in a few turns of the loop.
local function clean(before)
  core.linger()
  collectgarbage()
  collectgarbage()
  core.linger()
  for _ = 1, 100 do
    if more_than(before) == "" then
      break
    end
    core.sleep(0.01)
  end
  return more_than(before)
end

-- What is wrong about an error: it is none, or says more than one without memory can know.
local function wrong_error(err)
  if type(err) ~= "table" or not err.code then
    return "neither a result nor an error: " .. tostring(err)
  end
  local n = 0
  for cause in function(_, last) return last and last.cause end, nil, err do
    n = n + 1
    if n > 10 or (cause.message == "out of memory" and cause.cause) then
      return "an error whose causes have no end"
    end
  end
  return err.code == "timeout" and "it hung" or nil
end

-- What is wrong about how a run ended; nil when it is what running out of memory looks like from
-- Lua: a result, an error value, or Lua's own error.
local function wrong(ok, done, err)
  if not ok then
    return not tostring(done):find("memory", 1, true) and "raised " .. tostring(done) or nil
  end
  return not done and wrong_error(err) or nil
end

-- One run: whether it went well, and how many allocations were made and failed.
local function attempt(road, first, every)
  local before = core.stats();
  (road.before or nothing)()
  arm(first, every)
  local ok, done, err = pcall(core.timeout, LIMIT, road.run)
  local calls, failed = arm(0)
  if road.after then
    road.after()
  end
  local left = clean(before)
  local why = wrong(ok, done, err) or left ~= "" and left .. "left behind"
  if why then
    error(("%s, allocation %d: %s"):format(road.name, first, why))
  end
  return ok and done, calls, failed, err
end

local function try(road)
  assert(attempt(road, 0))
  local fine, total, _, why = attempt(road, 0)
  assert(fine and total > 5, ("%s, %d allocations, %s"):format(fine, total, why))
  local survived, tried = 0, 0
  for first = 1, total, step do
    tried = tried + 1
    survived = survived + (attempt(road, first) and 1 or 0)
  end
  for _, every in ipairs(EVERY) do
    if every <= total then
      local _, _, failed = attempt(road, every, every)
      assert(failed > 0, "no allocation failed")
    end
  end
  assert(attempt(road, 0), "it does not work any more")
  print(("%s: %d allocations; %d of them failed one by one: %d runs ended in an error, %d did "
    .. "without"):format(road.name, total, tried, tried - survived, survived))
end

local function main()
  local way = prepare()
  try { name = "connect and exec", run = function() return exec(way) end }
  way.info:close()
  for _, road in ipairs(roads.open()) do
    try(road)
  end
  roads.close()
end

main()
