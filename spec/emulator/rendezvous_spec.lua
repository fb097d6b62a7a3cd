-- SPDX-License-Identifier: MIT
-- Cases 64 to 76 of the relay's checklist: listener and sender brought together.
local core = require "arclua.core"
local emulated = require "emulated"
local outside = require "outside"

local with = emulated.spec

local ONE = { machines = 1, machine_agent = "external" }

local function options(more)
  for key, value in pairs(ONE) do
    more[key] = more[key] or value
  end
  return more
end

local function status_of(head)
  return tonumber(head:match "^HTTP/1.1 (%d+) ")
end

-- Waits until the log has that event.
local function logged(e, event)
  while e.log:count { event = event } == 0 do
    core.sleep(0.005)
  end
  return e.log:find({ event = event })[1]
end

describe("emulator: rendezvous", function()
  with("#64 happy path: listen, connect, accept, echo", ONE, function(e)
    local control <close>, head = outside.listen(e, "web-01")
    assert.equal(101, status_of(head))
    local pair <close> = outside.pair(e, "web-01", control)
    local sender, data = pair.sender, pair.data
    sender:send(2, "hello")
    assert.equal("hello", data:find(2))
    data:send(2, "and back")
    assert.equal("and back", sender:find(2))
    for _, event in ipairs { "NewListenerRegistered", "ListenerAcceptingConnection",
      "SenderListenerConnectionEstablished" } do
      assert.equal(1, e.log:count { event = event, machine = "web-01" }, event)
    end
  end)

  with("#64 serves our own client", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local far = core.spawn(function()
      local accept = control:accept()
      local data <close> = outside.visit(e, accept)
      assert(status_of(data:head()) == 101)
      data:send(2, "SSH-2.0-mine\r\n")
      data:closing()
      return accept
    end)
    local stream = assert(emulated.connect(e, "web-01"))
    assert.equal("SSH-2.0-mine\r\n", stream:read())
    stream:close()
    local headers = far:await().connectHeaders
    assert.equal("localhost:22", headers["Microsoft-Guestgateway-Target"])
    assert.truthy(headers["Service-Configuration-Token"])
  end)

  with("#65 connect_before_listen, unknown_path", ONE, function(e)
    local sender <close> = outside.sender(e, "web-01", { id = "my-id" })
    local head = sender:head()
    assert.truthy(head:find("404 There are no listeners connected for the endpoint. "
      .. "TrackingId:my-id_G0, SystemTracker:sb://", 1, true), head)
    local lost <close> = outside.sender(e, "web-01", { target = "/$hc/no/such?sb-hc-id=x",
      token = outside.token(e, "no/such") })
    assert.truthy(lost:head():find("404 Endpoint does not exist. TrackingId:x_G0", 1, true))
    local listener <close>, answer = outside.listen(e, "web-01", { query = "&x",
      token = outside.token(e, "no/such", "listener") })
    assert.equal(403, status_of(answer))
    assert.is_table(listener)
    local deaf <close> = outside.request(e, "/$hc/no/such?sb-hc-action=listen",
      { ServiceBusAuthorization = outside.token(e, "no/such", "listener") })
    assert.equal(404, status_of(deaf:head()))
  end)

  with("#66 sender_101_withheld until the accept", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01")
    local accept = control:accept()
    assert.is_true(sender:silent(0.1))
    local data <close> = outside.visit(e, accept)
    assert.equal(101, status_of(data:head()))
    assert.equal(101, status_of(sender:head()))
  end)

  with("#66 a sender that does not wait keeps its bytes, up to 64 KB", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01")
    local accept = control:accept()
    sender:send(2, "too early")
    core.sleep(0.05)
    local data <close> = outside.visit(e, accept)
    assert.equal(101, status_of(data:head()))
    assert.equal("too early", data:find(2))
    local loud <close> = outside.sender(e, "web-01")
    control:accept()
    loud:send(2, ("x"):rep(100000))
    assert.equal(400, status_of(loud:head()))
  end)

  with("#66 the deadline: 404, and later accepts 403", options { rendezvous = 0.2 }, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01")
    local accept = control:accept()
    assert.truthy(sender:head():find("404 None of the connected listeners accepted the "
      .. "connections within the allowed timeout TrackingId:", 1, true))
    local late <close> = outside.visit(e, accept)
    assert.equal(403, status_of(late:head()))
    assert.equal(1, e.log:count { event = "ListenerAcceptingConnectionTimeout" })
  end)

  with("#68 accept_twice, accept_unknown, accept_wrong_secret", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01")
    local accept = control:accept()
    assert.equal("s-1_G0_G1", accept.id)
    local wrong = accept.address:gsub("sb%-hc%-secret=%x%x", "sb-hc-secret=zz")
    for _, address in ipairs { wrong, (accept.address:gsub("s%-1_G0", "s-2_G0")),
      (accept.address:gsub("&sb%-hc%-secret=%x+", "")), (accept.address:gsub("/v2", "/v3")) } do
      local bad <close> = outside.visit(e, { address = address })
      assert.equal(403, status_of(bad:head()), address)
    end
    local data <close> = outside.visit(e, accept)
    assert.equal(101, status_of(data:head()))
    assert.equal(101, status_of(sender:head()))
    local again <close> = outside.visit(e, accept)
    assert.equal(403, status_of(again:head()))
  end)

  with("#69 reject: status, text, CR LF, plus, none, impossible codes", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local dial = "connection to localhost:1 failed: dial tcp 127.0.0.1:1: connect: refused"
    for _, case in ipairs {
      { "503", dial:gsub(" ", "%%20"), 410, "503 " .. dial .. " TrackingId:s-1_G0" },
      { "503", dial:gsub(" ", "+"), 410, "503 " .. dial .. " TrackingId" },
      { "400", "a+b%20c", 410, "400 a+b c TrackingId" },
      { "404", "a%0D%0AX-Evil:%20b%1b%80", 410, "404 a X-Evil: b ? TrackingId" },
      { "599", ("x"):rep(3000), 410, "599 " .. ("x"):rep(1024) .. " TrackingId" },
      { "403", nil, 410, "403 Forbidden TrackingId" },
      { "101", "no", 400, "500 The listener rejected with" },
      { "200", "no", 400, "500 The listener rejected with" },
      { "999", "no", 400, "500 The listener rejected with" },
      { "x", "no", 400, "500 The listener rejected with" },
    } do
      local sender <close> = outside.sender(e, "web-01")
      local visit <close> = outside.visit(e, control:accept(), "&sb-hc-statusCode=" .. case[1]
        .. (case[2] and "&sb-hc-statusDescription=" .. case[2] or ""))
      assert.equal(case[3], status_of(visit:head()))
      local head = sender:head()
      assert.truthy(head:find("HTTP/1.1 " .. case[4], 1, true), head)
      assert.is_nil(head:find("\r\nX-Evil", 1, true))
    end
    assert.equal(6, e.log:count { event = "ListenerRejectedConnection" })
  end)

  with("#70 token carriers, and what a listener sees of them", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local path = e:machine "web-01".relay
    local token = outside.token(e, path)
    local encoded = token:gsub("[^%w]", function(c) return ("%%%02x"):format(c:byte()) end)
    for _, case in ipairs {
      { { Authorization = "Basic eHg=", ["X-Case"] = "1", { "x-case", "2" } }, "", "Basic eHg=" },
      { { ServiceBusAuthorization = false, Authorization = "Basic eHg=" },
        "&sb-hc-token=" .. encoded, "Basic eHg=" },
      { { ServiceBusAuthorization = false, Authorization = token }, "" },
      { { Authorization = "x" }, "&sb-hc-token=nonsense", "x" }, -- the header goes first
    } do
      local sender <close> = outside.sender(e, "web-01", { headers = case[1], query = case[2] })
      local accept = control:accept()
      local text = require("arclua.json").encode(accept)
      assert.is_nil(text:find("SharedAccessSignature", 1, true))
      assert.is_nil(text:find("sb-hc-token", 1, true))
      assert.equal(case[3], accept.connectHeaders.Authorization)
      assert.equal("dGhlIHNhbXBsZSBub25jZQ==", accept.connectHeaders["Sec-WebSocket-Key"])
      assert.equal("websocket", accept.connectHeaders.Upgrade)
      assert.equal("localhost:" .. e.port, accept.connectHeaders.Host)
      if case[1]["X-Case"] then -- in either order, the last one's spelling
        local joined = accept.connectHeaders["X-Case"] or accept.connectHeaders["x-case"]
        assert.truthy(joined == "1, 2" or joined == "2, 1", joined)
      end
      assert.equal("127.0.0.1", accept.remoteEndpoint.address)
      assert.is_true(accept.remoteEndpoint.port > 0)
      assert.is_table(sender)
    end
    local listen = outside.token(e, path, "listener")
    for _, case in ipairs { { false, 401 }, { "x", 401 }, { listen, 403 },
      { outside.token(e, path, nil, -5), 401 }, { outside.token(e, path .. "/more"), 403 },
      { token:gsub("sig=....", "sig=AAAA"), 401 } } do
      local sender <close> = outside.sender(e, "web-01", {
        headers = { ServiceBusAuthorization = case[1] } })
      assert.equal(case[2], status_of(sender:head()))
    end
    local socket <close>, head = outside.listen(e, "web-01", { token = token })
    assert.equal(403, status_of(head))
    assert.is_table(socket)
  end)

  with("#72 #73 paths, queries and the missing action", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local path = e:machine "web-01".relay
    local encoded = path:gsub("/", "%%2F")
    local token = outside.token(e, path)
    local long = "/" .. ("y"):rep(8192)
    for _, case in ipairs {
      { "/$hc/" .. path .. "?sb-hc-action=connect" },
      { "/$hc/" .. encoded .. "?SB-HC-Action=connect" },
      { "/%24hc/" .. path:upper() },
      { "/$hc/" .. path .. "/" }, { "/$hc/" .. path .. "/?" },
      { "/$hc/" .. path .. "%3Fsb-hc-action=connect&sb-hc-id=abc", "", "", "abc" },
      { "/$hc/" .. path .. "%3fsb-hc-id=abc&a=1", "", "&a=1", "abc" },
      { "/$hc/" .. path .. "/a%20b/c%2Fd?x=1&sb-hc-id=i&y=%26&sb-hc-sas-key=k&z", "/a%20b/c%2Fd",
        "&x=1&y=%26&z", "i" },
      { "/$hc/" .. encoded .. "%2Ftail?sb-hc-action=connect", "%2Ftail" },
      { "/$hc/" .. path .. long, long },
    } do
      local sender <close> = outside.sender(e, "web-01", { target = case[1], token = token })
      local accept = control:accept()
      local suffix, id, rest = accept.address:match("^wss://localhost:" .. e.port .. "/%$hc/"
        .. path:gsub("%p", "%%%0")
        .. "([^?]*)%?sb%-hc%-action=accept&sb%-hc%-id=(%S-)&sb%-hc%-secret=%x+(.*)$")
      assert.equal(case[2] or "", suffix, case[1])
      assert.equal(case[3] or "", rest)
      assert.equal(accept.id, id)
      if case[4] then
        assert.equal(case[4] .. "_G0_G1", id)
      end
      local data <close> = outside.visit(e, accept)
      assert.equal(101, status_of(data:head()))
      assert.equal(101, status_of(sender:head()))
    end
    for _, target in ipairs { "/$hc/" .. path .. "/../x", "/$hc/" .. path .. "/%2e%2E/x",
      "/$hc/../$hc/" .. path, "/$hc/" .. path .. "x", "/$hc/", "/$hc", "/other/" .. path,
      "/$hc/" .. path:match "^[^/]+" } do
      local sender <close> = outside.sender(e, "web-01", { target = target, token = token })
      local status = status_of(sender:head())
      assert.truthy(status == 404 or status == 403, target .. " " .. tostring(status))
    end
  end)

  with("#74 25 listeners, the 26th refused; each has its chance", ONE, function(e)
    local controls = {}
    for i = 1, 25 do
      local head
      controls[i], head = outside.listen(e, "web-01", { query = "&sb-hc-id=l" .. i })
      assert.equal(101, status_of(head))
    end
    local more <close>, head = outside.listen(e, "web-01")
    assert.equal(503, status_of(head))
    assert.is_table(more)
    local listeners = require "arclua.emulator.listeners"
    local path, seen, n = e:machine "web-01".relay, {}, 0
    for _ = 1, 1000 do
      local chosen = listeners.choose(e, path).id
      n, seen[chosen] = n + (seen[chosen] and 0 or 1), true
    end
    assert.equal(25, n)
    for _, control in ipairs(controls) do
      control:close()
    end
    while listeners.count(e, path) > 0 do
      core.sleep(0.01)
    end
    local again <close>, answer = outside.listen(e, "web-01")
    assert.equal(101, status_of(answer))
    assert.is_table(again)
  end)

  with("#75 a listener that dies before its accept: another is asked", options {
    rendezvous = 0.5 }, function(e)
    local one, two = outside.listen(e, "web-01"), outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01")
    logged(e, "ListenerAcceptingConnection")
    local asked = e.log:find({ event = "ListenerAcceptingConnection" })[1].listener
    local first = e.log:find({ event = "NewListenerRegistered" })[1].id == asked
    local dying, other = first and one or two, first and two or one
    local old = dying:accept()
    dying:close()
    local accept = other:accept()
    local stale <close> = outside.visit(e, old)
    assert.equal(403, status_of(stale:head()))
    local data <close> = outside.visit(e, accept)
    assert.equal(101, status_of(data:head()))
    assert.equal(101, status_of(sender:head()))
    -- and when there is no other
    local alone <close> = outside.sender(e, "web-01")
    other:accept()
    other:close()
    assert.truthy(alone:head():find("404 None of the connected", 1, true))
  end)

  with("#75 a listener that does not read is given up", options { rendezvous = 0.3 }, function(e)
    local control <close> = outside.listen(e, "web-01")
    e.listeners[e:machine "web-01".relay][1].queued = 1 << 20 -- as if it had left that unread
    local sender <close> = outside.sender(e, "web-01")
    assert.truthy(sender:head():find("404 None of the connected", 1, true))
    assert.equal(1, e.log:count { event = "ListenerUnresponsive" })
    assert.equal(1, e.log:count { event = "ListenerUnregistered" })
    assert.equal(0, e.log:count { event = "error" })
    assert.is_nil(control:next())
  end)

  with("#76 a sender that leaves is forgotten", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender = outside.sender(e, "web-01")
    local accept = control:accept()
    sender:close()
    logged(e, "sender-left")
    assert.is_nil(next(e.pendings))
    local visit <close> = outside.visit(e, accept)
    assert.equal(403, status_of(visit:head()))
  end)

  with("names one protocol that both know", ONE, function(e)
    local control <close> = outside.listen(e, "web-01")
    local sender <close> = outside.sender(e, "web-01", {
      headers = { ["Sec-WebSocket-Protocol"] = "a, b" } })
    local data <close> = outside.visit(e, control:accept(), "",
      { ["Sec-WebSocket-Protocol"] = "b, c" })
    assert.truthy(data:head():find("\r\nSec-WebSocket-Protocol: b\r\n", 1, true))
    assert.truthy(sender:head():find("\r\nSec-WebSocket-Protocol: b\r\n", 1, true))
  end)

  with("tells outsiders what they need", { machines = { { name = "in" },
    { name = "out", agent = "external" } }, relay_host = "Relay.localhost" }, function(e)
    local json = require "arclua.json"
    local path = e.env.ARCLUA_EMULATOR_LISTENERS
    assert.equal(384, core.sys.stat(path).mode & 511)
    local line = json.decode(core.sys.read_file(path))
    local m = e:machine "out"
    assert.equal(("wss://relay.localhost:%d/$hc/%s"):format(e.port, m.relay), line.address)
    assert.equal("out", line.machine)
    assert.equal(e.state.rules.listener.key, line.key)
    local _, body = emulated.credentials(e, "out")
    assert.equal(m.relay, body.relay.hybridConnectionName)
    _, body = emulated.credentials(e, "in")
    assert.is_nil(e:machine "in".relay)
    assert.not_equal(m.relay, body.relay.hybridConnectionName)
    assert.has_error(function()
      require("arclua.emulator").start { machines = { { name = "x", agent = "none" } } }
    end)
  end)
end)
