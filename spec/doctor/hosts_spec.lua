-- SPDX-License-Identifier: MIT
-- The way to the hosts, and the clock, judged over answers that are made up.
local core = require "arclua.core"
local emulated = require "emulated"
local errors = require "arclua.errors"
local fake = require "fake"
local harness = require "harness"
local hosts = require "arclua.doctor.hosts"
local signed = require "signed"

local both = harness.both

-- Looks at the hosts: the findings by check. answer(url) gives what http.request gives.
local function look(answer)
  local it = hosts.new(fake.core { http = { request = function(opts)
    return answer(opts.url)
  end } }, fake.CLOUD)
  it:look()
  local found = {}
  for _, finding in ipairs(it:sorted()) do
    found[finding.check] = finding
  end
  return found
end

local function dated(seconds)
  return function()
    return { status = 401, body = "", headers = {
      date = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(core.time() + seconds)) } }
  end
end

describe("hosts", function()
  both("are well whatever they answer", function()
    local found = look(dated(0))
    assert.equal("ok", found["entra-host"].state)
    assert.equal("ok", found["arm-host"].state)
    assert.equal("ok", found.clock.state)
    assert.equal("login.test can be reached", found["entra-host"].message)
  end)

  both("are named when they cannot be reached, with the remedy", function()
    local found = look(function(url)
      if url:find("login", 1, true) then
        return errors.fail { reason = "tls.untrusted", message = "signed by Evil Corp" }
      end
      return errors.fail { reason = "net.proxy-refused", message = "the proxy p:8080 says 403" }
    end)
    assert.equal("failed", found["entra-host"].state)
    assert.matches("Evil Corp", found["entra-host"].message, 1, true)
    assert.matches("SSL_CERT_FILE", found["entra-host"].remedy, 1, true)
    assert.matches("p:8080", found["arm-host"].message, 1, true)
    assert.is_nil(found.clock)
  end)

  for seconds, state in pairs { [30] = "ok", [-30] = "ok", [120] = "warning", [-120] = "warning",
    [400] = "failed", [-400] = "failed" } do
    both(("tell that the clock is %d s off (12)"):format(seconds), function()
      local found = look(dated(seconds))
      assert.equal(state, found.clock.state)
      if state ~= "ok" then
        assert.matches(seconds > 0 and "behind" or "ahead", found.clock.message, 1, true)
      end
    end)
  end

  emulated.spec("of relays are told once, and explain what could not be judged", { machines = 2 },
    function(e)
    local az = signed.in_to(e, nil, { primitives = fake.core { relay = { connect = function()
      return errors.fail { code = "dns", message = "no such host" }
    end } } })
    local before = core.scale(5)
    local report = assert(az:doctor())
    core.scale(before or 1)
    local told = 0
    for _, finding in ipairs(report.hosts) do
      told = told + (finding.check == "relay-host" and finding.state == "failed" and 1 or 0)
    end
    assert.equal(1, told)
    for _, it in ipairs(report.results) do
      assert.equal("relay-host", it.by.sshd.because)
    end
    assert.equal(5, report:exit_status())
  end)
end)
