-- SPDX-License-Identifier: MIT
local core = require "arclua.core"
local emulated = require "emulated"
local emulator = require "arclua.emulator"
local harness = require "harness"

local ID = "11111111-2222-4333-8444-555555555555"

local with = emulated.spec

local function relay_of(e, name)
  local _, body = emulated.credentials(e, name)
  return body.relay
end

-- Reads until `pattern` is found or the stream ends: text, error.
local function read_until(stream, pattern)
  local got = ""
  while not got:find(pattern) do
    local chunk, err = stream:read()
    if not chunk then
      return got, err
    end
    got = got .. chunk
  end
  return got
end

describe("emulator: the relay's door", function()
  with("lets a sender in whose machine has answered", { machines = 1 }, function(e)
    local credentials = relay_of(e, "web-01")
    local head = emulated.upgrade(e, credentials)
    assert.truthy(head:find("^HTTP/1.1 101 "))
    assert.equal(1, e.log:count { event = "connect", machine = "web-01", id = ID })
    -- as other senders spell it
    for _, opts in ipairs {
      { path = "/%24hc/" .. credentials.hybridConnectionName },
      { path = "/$hc/" .. credentials.hybridConnectionName:gsub("/", "%%2F") },
      { path = "/$hc/" .. credentials.hybridConnectionName:upper() .. "/" },
      { path = "/$hc/" .. credentials.hybridConnectionName .. "%3Fsb-hc-action=connect",
        query = false },
      { query = "" },
    } do
      assert.truthy(emulated.upgrade(e, credentials, nil, opts):find("^HTTP/1.1 101 "))
    end
    local by_query = { query = "sb-hc-token="
      .. credentials.accessKey:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end) }
    assert.truthy(emulated.upgrade(e, credentials, { ServiceBusAuthorization = false }, by_query)
      :find("^HTTP/1.1 101 "))
    assert.truthy(emulated.upgrade(e, credentials, { ServiceBusAuthorization = false,
      Authorization = credentials.accessKey }):find("^HTTP/1.1 101 "))
  end)

  with("refuses with the reason in the status line", { machines = 2 }, function(e)
    local credentials, other = relay_of(e, "web-01"), relay_of(e, "web-02")
    local key = credentials.accessKey
    local expired = key:gsub("se=%d+", "se=1000000000")
    for _, case in ipairs {
      { { ServiceBusAuthorization = false }, 401, "MissingToken" },
      { { ServiceBusAuthorization = "Bearer x" }, 401, "MalformedToken" },
      { { ServiceBusAuthorization = "SharedAccessSignature sr=a&sr=b&sig=c&se=1&skn=d" }, 401,
        "MalformedToken" },
      { { ServiceBusAuthorization = expired }, 401, "The token has an invalid signature." },
      { { ServiceBusAuthorization = key:gsub("skn=%w+", "skn=x") }, 401,
        "The token has an invalid signature." },
      { { ServiceBusAuthorization = other.accessKey }, 403, "The token is not valid" },
      { { Upgrade = false }, 400, "This endpoint is only for web-socket requests" },
      { {}, 404, "Endpoint does not exist.", { path = "/nothing" } },
      { {}, 403, "The token has no claim 'Listen'", { query = "sb-hc-action=listen" } },
      { {}, 400, "The action is not known.", { query = "sb-hc-action=dance" } },
    } do
      local head = emulated.upgrade(e, credentials, case[1], case[4])
      assert.truthy(head:find(("^HTTP/1.1 %d "):format(case[2])), head)
      assert.truthy(head:find(case[3], 1, true), head)
      assert.truthy(head:find(" TrackingId:[%x-]+_G0, SystemTracker:sb://"), head)
    end
    local head = emulated.upgrade(e, credentials, { ServiceBusAuthorization = false })
    assert.truthy(head:find("TrackingId:" .. ID .. "_G0, ", 1, true))
  end)

  with("knows only paths of credentials in force", { machines = 1 }, function(e)
    local credentials = relay_of(e, "web-01")
    e.state.relays[credentials.hybridConnectionName] = nil
    local head = emulated.upgrade(e, credentials)
    assert.truthy(head:find("^HTTP/1.1 404 Endpoint does not exist%. TrackingId:"))
    emulated.later(20000)
    head = emulated.upgrade(e, credentials)
    emulated.later(0)
    assert.truthy(head:find("^HTTP/1.1 401 ExpiredToken"))
  end)

  with("lets the agent register slowly", { machines = 1, setup = "none",
    registration_delay = 3600 }, function(e)
    local endpoint = emulated.endpoint(e, "web-01")
    emulated.arm(e, "PUT", endpoint, { body = '{"properties":{"type":"default"}}' })
    emulated.arm(e, "PUT", endpoint .. "/serviceConfigurations/SSH",
      { body = '{"properties":{"serviceName":"SSH","port":22}}' })
    local credentials = relay_of(e, "web-01")
    assert.truthy(emulated.upgrade(e, credentials):find("404 Endpoint does not exist", 1, true))
    emulated.later(2000)
    assert.truthy(emulated.upgrade(e, credentials):find("404 There are no listeners", 1, true))
    emulated.later(3700)
    assert.truthy(emulated.upgrade(e, credentials):find("^HTTP/1.1 101 "))
    emulated.later(0)
  end)
end)

describe("emulator: the agent", function()
  with("resets what its token does not allow", { machines = 2 }, function(e)
    local credentials, other = relay_of(e, "web-01"), relay_of(e, "web-02")
    for _, changes in ipairs {
      { ["Microsoft-Guestgateway-Target"] = "localhost:23" },
      { ["Microsoft-Guestgateway-Target"] = "10.0.0.1:22" },
      { ["Microsoft-Guestgateway-Target"] = false },
      { ["Service-Configuration-Token"] = false },
      { ["Service-Configuration-Token"] = other.serviceConfigurationToken },
      { ["Service-Configuration-Token"] = emulated.token(e) },
    } do
      assert.truthy(emulated.upgrade(e, credentials, changes):find("^HTTP/1.1 101 "))
    end
    assert.equal(6, e.log:count { event = "agent-reset" })
    assert.equal(0, e.log:count { event = "connect" })
    local stream = assert(emulated.connect(e, "web-01", 23))
    local _, err = stream:read()
    assert.equal("relay.reset", err.reason)
    stream:close()
  end)

  with("says that nobody listens on the port", { machines = { { name = "a", ssh_port = 2222 } },
    setup = "endpoint" }, function(e)
    emulated.arm(e, "PUT", emulated.endpoint(e, "a") .. "/serviceConfigurations/SSH",
      { body = '{"properties":{"serviceName":"SSH","port":22}}' })
    local stream, err = emulated.connect(e, "a")
    assert.is_nil(stream)
    assert.equal("relay.sshd-refused", err.reason)
    assert.equal(503, err.status)
  end)
end)

describe("emulator: faults of the way to a machine", function()
  with("answers as the relay would", { machines = 2 }, function(e)
    for _, case in ipairs {
      { "no-endpoint", "relay.no-endpoint" }, { "no-listener", "relay.no-listener" },
      { "not-accepted", "relay.too-slow" }, { "busy", "relay.busy" },
      { "forbidden", "relay.denied" }, { "error", "relay.server-error" },
      { "unauthorized", "relay.denied" },
    } do
      e:fault { at = "relay", kind = case[1], machine = "web-01", times = 1 }
      local stream, err = emulated.connect(e, "web-01")
      assert.is_nil(stream)
      assert.equal(case[2], err.reason)
    end
    e:fault { at = "relay", kind = "answer", status = 418, reason = "tea", times = 1 }
    local _, err = emulated.connect(e, "web-02")
    assert.equal(418, err.status)
    assert.equal(9, e.log:count { event = "relay-refused" } + 1)
    e:fault { at = "relay", kind = "drop", times = 1 }
    _, err = emulated.connect(e, "web-01")
    assert.is_string(err.code)
    e:fault { at = "relay", kind = "slow", delay = 0.01, times = 1 }
    local stream = assert(emulated.connect(e, "web-01"))
    stream:close()
    e:fault { at = "machine", kind = "offline" }
    _, err = emulated.connect(e, "web-01")
    assert.equal("relay.no-listener", err.reason)
  end)

  with("can swallow a request", { machines = 1 }, function(e)
    e:fault { at = "relay", kind = "black-hole", times = 1 }
    local info <close> = emulated.relayinfo(e, "web-01")
    local _, err = core.relay.connect(info, { port = 22, ca = e.state.cloud.ca,
      answer_timeout = 0.05 })
    assert.equal("relay.no-answer", err.reason)
  end)

  with("has an agent that is silent or breaks off", { machines = 1, rendezvous = 0.05 },
    function(e)
    e:fault { at = "agent", kind = "silent", times = 1 }
    local head = emulated.upgrade(e, relay_of(e, "web-01"))
    assert.truthy(head:find("404 None of the connected listeners accepted", 1, true))
    e:fault { at = "agent", kind = "reset", times = 1 }
    local stream = assert(emulated.connect(e, "web-01"))
    local _, err = stream:read()
    assert.equal("relay.reset", err.reason)
    stream:close()
  end)

  with("has an sshd that is down, silent or something else", { machines = 1 }, function(e)
    e:fault { at = "sshd", kind = "down", times = 1 }
    local _, err = emulated.connect(e, "web-01")
    assert.equal("relay.sshd-refused", err.reason)
    e:fault { at = "sshd", kind = "garbage", times = 1 }
    local stream = assert(emulated.connect(e, "web-01"))
    assert.truthy(read_until(stream, "\n"):find "ESMTP")
    stream:close()
    e:fault { at = "sshd", kind = "silent", times = 1 }
    stream = assert(emulated.connect(e, "web-01"))
    _, err = core.timeout(0.05, stream.read, stream)
    assert.equal("timeout", err.code)
    stream:close()
  end)

  with("has links that break", { machines = 1 }, function(e)
    e:fault { at = "link", kind = "reset", bytes = 10, times = 1 }
    local stream = assert(emulated.connect(e, "web-01"))
    local got, err = read_until(stream, "never")
    assert.equal("relay.reset", err.reason)
    assert.is_true(#got <= 10)
    stream:close()
    e:fault { at = "link", kind = "close", code = 1008, reason = "expired", bytes = 4, times = 1 }
    stream = assert(emulated.connect(e, "web-01"))
    got, err = read_until(stream, "never")
    assert.equal("SSH-", got)
    assert.equal(1008, err.status)
    stream:close()
    e:fault { at = "link", kind = "stall", bytes = 4, times = 1 }
    stream = assert(emulated.connect(e, "web-01"))
    got, err = core.timeout(0.1, read_until, stream, "never")
    assert.equal("SSH-", got)
    assert.equal("timeout", err.code)
    stream:close()
  end)

  with("can break a link when a command has begun", { machines = 1 }, function(e)
    e:fault { at = "link", kind = "reset", bytes = "exec", times = 1 }
    local session = assert(emulated.session(e, "web-01"))
    local result = session:exec "echo x >> ran; sleep 20"
    session:close()
    assert.equal("unknown", result.state)
  end)
end)

describe("emulator: machines", function()
  with("run commands, each in a home of its own", { machines = 2 }, function(e)
    for _, name in ipairs { "web-01", "web-02" } do
      local session <close> = assert(emulated.session(e, name))
      local result = assert(session:exec 'echo "$ARC_MACHINE $PWD $HOME"; echo x >> ran')
      local home = e:home(name)
      assert.equal(("%s %s %s\n"):format(name, home, home), result.stdout)
      assert.equal("x\n", core.sys.read_file(home .. "/ran"))
      result = assert(session:exec "env")
      assert.is_nil(result.stdout:find("AZURE_", 1, true))
      assert.is_nil(result.stdout:find("LD_PRELOAD", 1, true))
      assert.equal(2, #e:sessions(name))
      assert.equal(1, e:machine(name).connections)
    end
    assert.not_equal(e:home "web-01", e:home "rg-prod/web-02")
  end)

  with("are not root unless that was asked for", { machines = 1 }, function(e)
    local session <close> = assert(emulated.session(e, "web-01"))
    local result = assert(session:exec "id -u")
    local mine = core.sys.getuid()
    assert.equal(mine == 0 and "65534\n" or mine .. "\n", result.stdout)
  end)

  with("set HOME at least", { machines = 1, way = "plain", as_root = true }, function(e)
    local session <close> = assert(emulated.session(e, "web-01"))
    assert.equal(e:home "web-01" .. "\n", assert(session:exec "echo $HOME").stdout)
  end)

  with("give a terminal", { machines = 1 }, function(e)
    local session <close> = assert(emulated.session(e, "web-01"))
    local result = assert(session:exec("tty", { pty = true }))
    assert.truthy(result.stdout:find "^/dev/pts/%d")
  end)

  -- The ways to an own user that a system without libnss_wrapper.so goes.
  -- Not in a container or a changed root, where mounts are forbidden.
  if os.execute "unshare --mount --propagation private true 2>/dev/null" then
    with("take a mount namespace", { machines = 1, way = "mount" }, function(e)
      local session <close> = assert(emulated.session(e, "web-01"))
      local result = assert(session:exec("whoami; pwd; tty", { pty = true }))
      assert.truthy(result.stdout:find("^arclua%s+" .. e:home("web-01"):gsub("%p", "%%%0")
        .. "%s+/dev/pts/%d"), result.stdout)
    end)
  end

  if core.sys.getuid() == 0 then
    it("do not run as root for want of a way", function()
      local e, err = emulator.start { machines = 1, way = "plain" }
      assert.is_nil(e)
      assert.equal("config", err.code)
      assert.equal("", harness.leftovers())
    end)
    with("are root when that was asked for", { machines = 1, as_root = true }, function(e)
      local session <close> = assert(emulated.session(e, "web-01"))
      local result = assert(session:exec 'id -u; pwd')
      assert.equal("0\n" .. e:home "web-01" .. "\n", result.stdout)
    end)
  end

  with("leave no process behind", { machines = 1 }, function(e)
    local session = assert(emulated.session(e, "web-01"))
    local task = core.spawn(session.exec, session, "echo $$ > pid; sleep 1000")
    local path, pid = e:home "web-01" .. "/pid", nil
    while not pid do
      core.sleep(0.02)
      pid = (core.sys.read_file(path) or ""):match "%d+"
    end
    e:stop()
    local file = io.open("/proc/" .. pid .. "/stat")
    local state = file and file:read "a":match "%) (%a)" or "gone"
    assert.truthy(state == "gone" or state == "Z", state)
    if file then
      file:close()
    end
    task:await()
    session:close()
  end)

  with("serve a hundred at once", { machines = 100 }, function(e)
    local tasks = {}
    local info = {}
    for i, machine in ipairs(e.state.machines) do
      info[i] = emulated.relayinfo(e, machine.name)
    end
    for i in ipairs(e.state.machines) do
      tasks[i] = core.spawn(function()
        local stream = assert(core.relay.connect(info[i], { port = 22, ca = e.state.cloud.ca }))
        local banner = read_until(stream, "\r\n")
        return stream, banner
      end)
    end
    local open = {}
    for i, task in ipairs(tasks) do
      local stream, banner = task:await()
      assert.truthy(banner:find "^SSH%-2%.0%-OpenSSH")
      open[i] = stream
      info[i]:close()
    end
    assert.equal(100, #open)
    for _, stream in ipairs(open) do
      stream:close()
    end
  end)

  with("are asked for by name", { machines = 1 }, function(e)
    assert.has_error(function() e:machine "none" end)
    assert.equal(e:machine "web-01", e:machine(e:machine("RG-PROD/Web-01").id))
  end)
end)
