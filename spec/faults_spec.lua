-- SPDX-License-Identifier: MIT
-- What goes wrong between here and a machine, and what the user is told: policy and primitives
-- against the emulator's faults, on one loop.
local arc = require "arclua"
local clouds = require "arclua.clouds"
local core = require "arclua.core"
local emulated = require "emulated"
local harness = require "harness"

-- The clock runs up to 20 times as fast here, and with it the time that a spec has.
local function both(name, fn)
  harness.both(name, fn, 20 * harness.LIMIT)
end

-- A sign-in to the emulator that leaves this process's environment alone.
local function sign_in(e, changes)
  local cloud = assert(clouds.load(e.cloud))
  local spec = { cloud = cloud, tenant = e.env.AZURE_TENANT_ID, client_id = e.env.AZURE_CLIENT_ID,
    client_secret = e.env.AZURE_CLIENT_SECRET }
  for key, value in pairs(changes or {}) do
    spec[key] = value
  end
  return arc.login { cloud = e.cloud, credential = assert(arc.credential.client_secret(spec)),
    config = "none", known_hosts = e.env.ARCLUA_KNOWN_HOSTS,
    subscription = e.state.subscriptions[1].id }
end

local function options(e, more)
  local opts = { user = e.env.ARCLUA_USER, identity = e.env.ARCLUA_IDENTITY, agent = false }
  for key, value in pairs(more or {}) do
    opts[key] = value
  end
  return opts
end

-- Runs a command on all machines: report, the results by name.
local function run(e, more, command)
  local az = assert(sign_in(e))
  local report = assert(arc.fleet(assert(az:machines {}), options(e, more))
    :exec(command or "echo hi"))
  local by_name = {}
  for _, result in ipairs(report.results) do
    by_name[result.name] = result
  end
  return report, by_name
end

-- With a clock that runs faster.
local function scaled(factor, fn, ...)
  core.scale(factor)
  local out = table.pack(pcall(fn, ...))
  core.scale(1)
  assert(out[1], out[2])
  return table.unpack(out, 2, out.n)
end

-- One machine, one fault: the result.
local function with_fault(fault, check, more, command)
  emulated.with({ machines = { { name = "web-01" } } }, function(e)
    e:fault(fault)
    local report, by_name = scaled(20, run, e, more, command)
    check(by_name["web-01"], report, e)
  end)
end

describe("signing in", function()
  both("with a wrong secret is refused by name", function()
    emulated.with({ machines = 1 }, function(e)
      local az, err = sign_in(e, { client_secret = "wrong" })
      assert.is_nil(az)
      assert.equal("entra.bad-client", err.reason)
      assert.equal("auth", err.code)
    end)
  end)

  both("waits out Entra's 429 and 5xx", function()
    emulated.with({ machines = 1 }, function(e)
      e:fault { at = "entra", kind = "answer", status = 429, retry_after = 1, times = 1 }
      e:fault { at = "entra", kind = "answer", status = 503, times = 1 }
      assert(scaled(20, sign_in, e))
    end)
  end)

  both("renews a token that ARM refuses", function()
    emulated.with({ machines = 1 }, function(e)
      local az = assert(sign_in(e))
      for _, code in ipairs { "InvalidAuthenticationToken", "ExpiredAuthenticationToken" } do
        e:fault { at = "arm", kind = "answer", status = 401, code = code, times = 1 }
        assert.equal(1, #assert(az:machines {}))
      end
    end)
  end)

  -- Two hours later.
  local function later(fn)
    emulated.later(7200)
    local ok, err = pcall(fn)
    emulated.later(0)
    assert(ok, err)
  end

  both("renews a token that has expired", function()
    emulated.with({ machines = 1 }, function(e)
      local az = assert(sign_in(e))
      later(function()
        assert.equal(1, #assert(az:machines {}))
      end)
    end)
  end)

  both("with a given token that has expired says so", function()
    emulated.with({ machines = 1 }, function(e)
      local token = arc.credential.static { token = emulated.token(e) }
      local function login()
        return arc.login { cloud = e.cloud, credential = token, config = "none",
          subscription = e.state.subscriptions[1].id }
      end
      local az = assert(login())
      assert.equal(1, #assert(az:machines {}))
      later(function()
        local list, err = az:machines {}
        assert.is_nil(list)
        assert.equal("arm.token-refused", err.reason)
        assert.is_nil((login()))
      end)
    end)
  end)
end)

describe("ARM", function()
  for status, want in pairs {
    [403] = { code = "AuthorizationFailed", err = "denied" },
    [404] = { code = "SubscriptionNotFound", err = "notfound" },
    [409] = { code = "Conflict", err = "conflict" },
  } do
    both(("%d on a list is final"):format(status), function()
      emulated.with({ machines = 1 }, function(e)
        local az = assert(sign_in(e))
        e:fault { at = "arm", kind = "answer", status = status, code = want.code, message = "M" }
        local list, err = az:machines {}
        assert.is_nil(list)
        assert.equal(want.err, err.code)
        assert.equal(status, err.status)
      end)
    end)
  end

  both("429 with Retry-After and 500 are waited out", function()
    emulated.with({ machines = 1 }, function(e)
      local az = assert(sign_in(e))
      e:fault { at = "arm", kind = "answer", status = 429, code = "SubscriptionRequestsThrottled",
        retry_after = 2, times = 2 }
      e:fault { at = "arm", kind = "answer", status = 500, code = "InternalServerError", times = 1 }
      assert.equal(1, #assert(scaled(50, az.machines, az, {})))
    end)
  end)

  both("403 on the credentials of one machine leaves the others alone", function()
    emulated.with({ machines = { { name = "a" }, { name = "b" } } }, function(e)
      e:fault { at = "arm", kind = "answer", status = 403, code = "AuthorizationFailed",
        message = "no", path = "machines/a/.*listcredentials" }
      local report, by_name = run(e)
      assert.equal("denied", by_name.a.state)
      assert.equal("arm", by_name.a.phase)
      assert.equal("ok", by_name.b.state)
      assert.equal(4, report:exit_status())
    end)
  end)

  it("lists 2,500 machines in pages", function()
    emulated.with({ machines = 2500, page_size = 250 }, function(e)
      local az = assert(sign_in(e))
      assert.equal(2500, #assert(az:machines {}))
    end)
    assert.equal("", harness.leftovers())
  end)
end)

describe("the relay", function()
  both("404 twice, then success", function()
    with_fault({ at = "relay", kind = "no-endpoint", times = 2 }, function(result)
      assert.equal("ok", result.state)
      assert.equal("hi\n", result.stdout)
    end)
  end)

  both("404 for ever is unreachable", function()
    with_fault({ at = "relay", kind = "no-listener" }, function(result, report)
      assert.equal("unreachable", result.state)
      assert.equal("relay.no-listener", result.err.reason)
      assert.equal("relay", result.phase)
      assert.equal(4, report:exit_status())
    end, { connect_timeout = 12 })
  end)

  -- A rotated endpoint has another name.
  both("404 with kept credentials: others are asked for at once", function()
    emulated.with({ machines = { { name = "web-01" } } }, function(e)
      local fleet = arc.fleet({ assert(assert(sign_in(e)):machine "web-01") }, options(e))
      local function asked()
        assert.equal("ok", scaled(20, fleet.exec, fleet, "true").results[1].state)
        return e.log:count { event = "credentials" }
      end
      assert.equal(1, asked())
      assert.equal(1, asked())
      e:fault { at = "relay", kind = "no-endpoint", times = 2 }
      assert.equal(2, asked())
      e:fault { at = "relay", kind = "no-endpoint", times = 100 }
      local report = scaled(20, fleet.exec, fleet, "true", { connect_timeout = 8 })
      assert.equal("relay.no-endpoint", report.results[1].err.reason)
      e:clear()
      assert.equal(4, asked())
    end)
  end)

  both("that never answers (#23) is asked again", function()
    with_fault({ at = "relay", kind = "black-hole", times = 1 }, function(result, _, e)
      assert.equal("ok", result.state)
      assert.equal("hi\n", result.stdout)
      assert.equal(1, e.log:count { event = "fault" })
      assert.equal(1, e.log:count { event = "connect" })
    end, { connect_timeout = 300 })
  end)

  for kind, reason in pairs { unauthorized = "relay.denied", forbidden = "relay.denied" } do
    both(kind .. " brings new credentials, once", function()
      with_fault({ at = "relay", kind = kind, times = 1 }, function(result)
        assert.equal("ok", result.state)
      end)
      with_fault({ at = "relay", kind = kind }, function(result)
        assert.equal("denied", result.state)
        assert.equal(reason, result.err.reason)
      end)
    end)
  end

  both("busy and broken are tried again", function()
    for _, kind in ipairs { "busy", "error" } do
      with_fault({ at = "relay", kind = kind, times = 2 }, function(result)
        assert.equal("ok", result.state)
      end)
    end
  end)

  both("tells that sshd is not listening, without trying again", function()
    with_fault({ at = "sshd", kind = "down" }, function(result)
      assert.equal("unreachable", result.state)
      assert.equal("relay.sshd-refused", result.err.reason)
      assert.equal(1, result.attempts)
    end)
  end)
end)

describe("a machine", function()
  -- The clock runs fast only once all the others are done: so the order is no matter of luck.
  both("whose agent never answers does not hold up 50 others", function()
    local machines = { { name = "stuck" } }
    for i = 1, 50 do
      machines[i + 1] = { name = ("m%02d"):format(i) }
    end
    emulated.with({ machines = machines }, function(e)
      e:fault { at = "agent", kind = "silent", machine = "stuck" }
      local order = {}
      local report, by_name = scaled(1, run, e, { connect_timeout = 20,
        on_result = function(result)
          order[#order + 1] = result.name
          if #order == 50 then
            core.scale(200)
          end
        end })
      assert.equal("unreachable", by_name.stuck.state)
      assert.equal("timeout", by_name.stuck.err.code)
      assert.equal("stuck", order[51])
      assert.equal(51, #report.results)
    end)
  end)

  both("whose sshd never sends a banner times out", function()
    with_fault({ at = "sshd", kind = "silent" }, function(result)
      assert.equal("unreachable", result.state)
      assert.equal("ssh", result.phase)
      assert.equal("timeout", result.err.code)
    end, { connect_timeout = 12, retries = 0 })
  end)

  both("that speaks no SSH is unreachable", function()
    with_fault({ at = "sshd", kind = "garbage" }, function(result)
      assert.equal("unreachable", result.state)
      assert.equal("ssh", result.phase)
    end, { connect_timeout = 12, retries = 0 })
  end)

  both("with a changed host key is refused", function()
    emulated.with({ machines = { { name = "web-01" } } }, function(e)
      run(e)
      local hosts = assert(core.sys.read_file(e.env.ARCLUA_KNOWN_HOSTS))
      local key = e.dir .. "/client/other"
      local public = assert(core.ssh.keygen(key, "other"))
      local alias = hosts:match "^%S+"
      assert(core.sys.write_file(e.env.ARCLUA_KNOWN_HOSTS,
        alias .. " " .. public:match "^(%S+ %S+)" .. "\n"))
      local report, by_name = run(e)
      assert.equal("denied", by_name["web-01"].state)
      assert.equal("ssh.hostkey-changed", by_name["web-01"].err.reason)
      assert.equal(4, report:exit_status())
    end)
  end)

  both("that refuses the key says so", function()
    emulated.with({ machines = { { name = "web-01" } } }, function(e)
      local key = e.dir .. "/client/stranger"
      assert(core.ssh.keygen(key, "stranger"))
      local _, by_name = run(e, { identity = key })
      assert.equal("denied", by_name["web-01"].state)
      assert.equal("ssh.auth-refused", by_name["web-01"].err.reason)
    end)
  end)

  both("lost after the command was sent has an unknown outcome and ran it once", function()
    emulated.with({ machines = { { name = "web-01" } } }, function(e)
      e:fault { at = "link", kind = "reset", bytes = "exec", machine = "web-01" }
      local report, by_name = run(e, nil, "echo ran >> ran; sleep 2; echo done")
      assert.equal("unknown", by_name["web-01"].state)
      assert.equal(4, report:exit_status())
      -- The machine's own record.
      local path, text = assert(e:home "web-01") .. "/ran"
      repeat
        core.sleep(0.02)
        text = core.sys.read_file(path)
      until text and text ~= ""
      core.sleep(0.2)
      assert.equal("ran\n", (core.sys.read_file(path)))
    end)
  end)
end)

describe("an emulator that dies", function()
  it("while 50 commands run leaves a result for every machine", function()
    local program = require "program"
    local emulator = program.start({ "emulator", "--machines", "50" })
    emulator:await_output "NO_PROXY"
    local env = { ARCLUA_CONFIG = "none" }
    for name, value in emulator.out.seen:gmatch "export ([%w_]+)='([^\n]*)'\n" do
      env[name] = value
    end
    local running = program.start({ "exec", "--all", "--yes", "-o", "live", "--",
      "echo begun; sleep 20" }, { env = env })
    local begun
    repeat
      core.sleep(0.05)
      begun = select(2, (running.out.seen or ""):gsub("begun", ""))
    until begun == 50
    emulator.process:kill "KILL"
    local ended = running:wait()
    emulator:wait()
    assert.equal(4, ended.status)
    local _, unknown = ended.err:gsub("[%w-]+: unknown", "")
    assert.is_true(unknown >= 50, ended.err)
    assert.matches("0 ok, 50 failed", ended.err, 1, true)
    assert.matches("exec on 50 machines in 1 subscription\n", ended.err, 1, true)
    assert.equal("", harness.leftovers())
  end)
end)
