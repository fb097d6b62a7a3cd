-- SPDX-License-Identifier: MIT
-- A request that may be sent once only, on a pool of connections that the server has given up.
local core = require "arclua.core"
local harness = require "harness"

local both = harness.both

-- A server that answers the first request, and hangs up on every later one, unanswered: how many
-- requests have come to it, told by fn's end.
local function hung_up(fn)
  local server <close> = assert(core.server.listen {})
  local count, tasks = 0, {}
  local function serve(conn)
    local own <close> = conn
    while own:request(10) do
      count = count + 1
      if count > 1 then
        return
      end
      own:respond(200, "OK", { ["Content-Type"] = "application/json" }, "{}")
    end
  end
  local accepting = core.spawn(function()
    while true do
      local conn = server:accept()
      if not conn then
        return
      end
      tasks[#tasks + 1] = core.spawn(serve, conn)
    end
  end)
  fn(("http://127.0.0.1:%d/x"):format(server:port()))
  server:close()
  accepting:await()
  for _, task in ipairs(tasks) do
    task:cancel()
    task:await()
  end
  return count
end

local function put(url, once)
  return core.arm.request { url = url, method = "PUT", body = "{}", token = core.secret "t",
    once = once }
end

describe("a request over a connection that is dead", function()
  both("is sent once when that is asked for (41)", function()
    local count = hung_up(function(url)
      assert(put(url))
      local value, err = put(url, true)
      assert.is_nil(value)
      assert.equal("closed", err.code)
    end)
    assert.equal(2, count)
  end)

  both("is sent again by curl otherwise: the reason for it", function()
    local count = hung_up(function(url)
      assert(put(url))
      assert.is_nil((put(url)))
    end)
    assert.is_true(count > 2)
  end)
end)
