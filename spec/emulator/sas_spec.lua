-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local sas = require "arclua.emulator.sas"

local KEY, EXPIRES = "dGVzdC1rZXktZm9yLXJlbGF5LXNwZWM=", 1767225600
local HOST, PATH = "azgn-test.servicebus.windows.net", "microsoft.hybridcompute/machines/abc/1/v2"
local REST = "azgn-test.servicebus.windows.net%2Fmicrosoft.hybridcompute%2Fmachines%2Fabc%2F1%2Fv2"
local VECTORS = {
  { "http%3A%2F%2F" .. REST .. "%2F", "6Hhs2kKoCP+ORNAtzz/bY+thnn4uba83Ao9Essg56dQ=" },
  { "http%3A%2F%2F" .. REST, "j1ie9BomrOzWG5a8w7caw4gABJDld273kzXKNbMZabg=" },
  { "https%3A%2F%2F" .. REST, "BKGgFgElqXyKEYK/1/Md2MEbMFrkdJQHPq02BZKQQrs=" },
}

local function token(sr, signature)
  return ("SharedAccessSignature sr=%s&sig=%s&se=%d&skn=sender2"):format(sr,
    signature:gsub("[+/=]", { ["+"] = "%2B", ["/"] = "%2f", ["="] = "%3D" }), EXPIRES)
end

describe("emulator: shared access signatures", function()
  local s = { rules = { sender2 = { key = KEY, claim = "Send" } }, relay_host = HOST,
    relay_hosts = { [HOST] = true, localhost = true },
    faults = { time = function() return core.time() end } }
  before_each(function()
    core.skew(EXPIRES - 60 - core.time())
  end)
  after_each(function()
    core.skew(0)
  end)

  it("are those of other implementations", function()
    for _, vector in ipairs(VECTORS) do
      assert.equal(vector[2], sas.sign(KEY, vector[1], tostring(EXPIRES)))
      local ok, expires = sas.verify(s, token(vector[1], vector[2]), PATH, "Send")
      assert.is_true(ok)
      assert.equal(EXPIRES, expires)
    end
  end)

  -- #70: how the resource is spelt does not matter
  it("cover their path and what is below, however it is spelt", function()
    for sr, fits in pairs {
      ["http://" .. HOST .. "/" .. PATH] = true, ["sb://LOCALHOST:8443/" .. PATH:upper()] = true,
      ["http://" .. HOST .. ":443/" .. PATH .. "//"] = true, ["http://" .. HOST .. "/"] = true,
      ["http://" .. HOST .. "/microsoft.hybridcompute"] = true,
      ["http://" .. HOST .. "/microsoft.hybrid"] = false, ["http://elsewhere/" .. PATH] = false,
      ["http://" .. HOST .. "/" .. PATH .. "/more"] = false, [PATH] = false, [""] = false,
      ["http://"] = false,
    } do
      for _, encoded in ipairs { sr:gsub("[^%w]", function(c)
        return ("%%%02X"):format(c:byte()) end), (sr:gsub("[:/]", { [":"] = "%3a",
        ["/"] = "%2f" })) } do
        local ok, status = sas.verify(s, token(encoded,
          sas.sign(KEY, encoded, tostring(EXPIRES))), PATH, "Send")
        assert.equal(fits or nil, ok, sr)
        assert.equal(fits and EXPIRES or 403, status, sr)
      end
    end
  end)

  it("are refused for what is wrong", function()
    local good = token(VECTORS[1][1], VECTORS[1][2])
    for _, case in ipairs {
      { nil, 401, "MissingToken" }, { "", 401, "MalformedToken" },
      { "Bearer a.b.c", 401, "MalformedToken" }, { good .. "&sr=a", 401, "MalformedToken" },
      { good:gsub("se=%d+", "se=0x7f"), 401, "MalformedToken" },
      { good:gsub("se=%d+", "se=1e999"), 401, "MalformedToken" },
      { good:gsub("&skn=.*", ""), 401, "MalformedToken" },
      { good:gsub("sig=6", "sig=7"), 401, "invalid signature" },
      { good:gsub("sender2", "sender3"), 401, "invalid signature" },
      { good:gsub("se=%d+", "se=1767225601"), 401, "invalid signature" },
    } do
      local ok, status, why = sas.verify(s, case[1], PATH, "Send")
      assert.is_nil(ok)
      assert.equal(case[2], status)
      assert.truthy(why:find(case[3], 1, true), why)
    end
    local ok, status, why = sas.verify(s, good, PATH, "Listen")
    assert.is_nil(ok)
    assert.equal(403, status)
    assert.truthy(why:find "Listen")
    core.skew(EXPIRES - core.time())
    ok, status, why = sas.verify(s, good, PATH, "Send")
    assert.is_nil(ok)
    assert.equal(401, status)
    assert.truthy(why:find "ExpiredToken")
  end)
end)
