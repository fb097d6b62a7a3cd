-- SPDX-License-Identifier: MIT
-- A person at headless Chromium: approves a device's code, and signs in by the pages.
local core = require "arclua.core"
local emulated = require "emulated"
local json = require "arclua.json"
local peers = require "peers"
local program = require "program"

-- A browser that does one thing after another: do(what) -> what is on the page.
local function chromium()
  local peer = peers.start(peers.command "browser.mjs", { LD_PRELOAD = false })
  return setmetatable({}, { __close = getmetatable(peer).__close and function()
    peer.input:close() -- it ends itself, and removes its profile
    peer.child:wait()
    getmetatable(peer).__close(peer)
  end, __call = function(_, what)
    assert(peer.input:write(json.encode(what) .. "\n"))
    local page = peer.line()
    assert.is_nil(page.error)
    return page
  end })
end

local function shows(page, text)
  assert.truthy(page.text:find(text, 1, true), page.text)
end

-- Nobody is signed in but by what the spec does.
local function start(e, args, changes)
  local env = { AZURE_CLIENT_ID = "", LD_PRELOAD = false }
  for _, source in ipairs { e.env, { AZURE_CLIENT_ID = "" }, changes or {} } do
    for name, value in pairs(source) do
      env[name] = value
    end
  end
  return program.start(args, { env = env })
end

local function code_of(e)
  local _, device
  repeat
    core.sleep(0.01)
    _, device = next(e.state.users.devices)
  until device
  return device.user_code
end

local function signed_in(e)
  local path = e.env.ARCLUA_STATE .. "/tokens.json"
  return core.sys.read_file(path, 1 << 20) ~= nil
end

describe("the page for codes", function()
  emulated.spec("approves a device that asks", { machines = 1 }, function(e)
    e.state.users.interval = 1
    local browse <close> = chromium()
    local login = start(e, { "login", "--device" })
    local code = code_of(e)
    shows(browse { open = ("%s/common/oauth2/deviceauth"):format(e.state.cloud.authority) },
      "ARCLUA_EMULATOR_SIGNIN")
    local page = browse { open = e.env.ARCLUA_EMULATOR_SIGNIN }
    assert.same({}, page.troubles) -- its style is loaded, and nothing else is asked for
    shows(page, "user@arclua.test")
    shows(browse { fill = { Code = "wrong" }, click = "Approve" }, "No sign-in waits")
    shows(browse { fill = { Code = code:lower() }, click = "Approve" }, "signed in within seconds")
    local ended = login:wait()
    assert.equal(0, ended.status, ended.err)
    assert.is_true(signed_in(e))
    local listed = start(e, { "machines" }):wait()
    assert.truthy(listed.out:find("web-01", 1, true), listed.err)
  end)

  emulated.spec("declines it", { machines = 1 }, function(e)
    e.state.users.interval = 1
    local browse <close> = chromium()
    local login = start(e, { "login", "--device" })
    local code = code_of(e)
    browse { open = e.env.ARCLUA_EMULATOR_SIGNIN }
    shows(browse { fill = { Code = code }, click = "Decline" }, "Declined")
    local ended = login:wait()
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("declined", 1, true), ended.err)
    assert.is_false(signed_in(e))
  end)
end)

describe("the page for a browser's sign-in", function()
  -- A login --browser, and the address that it would open.
  local function login(e)
    local seen = e.client_dir .. "/url"
    local script = e.client_dir .. "/browser"
    assert(core.sys.write_file(script, ("#!/bin/sh\necho \"$1\" >'%s.new'; mv '%s.new' '%s'\n")
      :format(seen, seen, seen), 448))
    local started = start(e, { "login", "--browser" }, { BROWSER = script })
    repeat
      core.sleep(0.01)
    until core.sys.stat(seen)
    return started, core.sys.read_file(seen, 65536):match "%S+"
  end

  emulated.spec("ends at the program's own port", { machines = 1 }, function(e)
    local browse <close> = chromium()
    local started, url = login(e)
    assert.same({}, browse { open = url }.troubles)
    shows(browse { fill = { Password = "guess" }, click = "Sign in" }, "not the password")
    local page = browse { fill = { Password = e.state.users.page_key }, click = "Sign in",
      wait = "http://localhost:*/**" }
    shows(page, "go back to the terminal")
    assert.equal("Signed in", page.title)
    local ended = started:wait()
    assert.equal(0, ended.status, ended.err)
    assert.is_true(signed_in(e))
  end)

  emulated.spec("may be declined", { machines = 1 }, function(e)
    local browse <close> = chromium()
    local started, url = login(e)
    browse { open = url }
    shows(browse { fill = { Password = e.state.users.page_key }, click = "Decline",
      wait = "http://localhost:*/**" }, "The terminal says why")
    local ended = started:wait()
    assert.equal(1, ended.status)
    assert.truthy(ended.err:find("declined", 1, true), ended.err)
    assert.is_false(signed_in(e))
  end)
end)
