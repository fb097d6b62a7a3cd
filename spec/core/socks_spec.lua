-- SPDX-License-Identifier: MIT
-- SOCKS as bytes: what clients say, what they are told.
local core = require "arclua.core"

describe("core.socks", function()
  -- Feeds all bytes as they are needed: the steps that were not "more".
  local function talk(bytes, pieces)
    local socks, steps, at = core.socks(), {}, 1
    while at <= #bytes do
      local n = pieces or socks:need()
      local step = table.pack(socks:feed(bytes:sub(at, at + n - 1)))
      at = at + n
      if step[1] ~= "more" then
        steps[#steps + 1] = table.concat(step, " ", 1, step.n)
      end
    end
    return steps, socks
  end

  for name, case in pairs {
    ["4"] = { "\4\1\0\80\127\0\0\1me\0", "connect 127.0.0.1 80" },
    ["4a"] = { "\4\1\1\187\0\0\0\7\0host.example\0", "connect host.example 443" },
    ["5, IPv4"] = { "\5\1\0\5\1\0\1\10\0\0\5\0\22", "answer \5\0", "connect 10.0.0.5 22" },
    ["5, IPv6"] = { "\5\2\0\2\5\1\0\4" .. ("\0"):rep(15) .. "\1\0\22", "answer \5\0",
      "connect ::1 22" },
    ["5, name"] = { "\5\1\0\5\1\0\3\4host\31\144", "answer \5\0", "connect host 8080" },
    ["5 with a password alone"] = { "\5\1\2",
      "refused \5\255 the client insists on authentication" },
    ["5, BIND"] = { "\5\1\0\5\2\0\1\10\0\0\5\0\22", "answer \5\0",
      "refused \5\7\0\1\0\0\0\0\0\0 only CONNECT is known, to a port" },
    ["5, an unknown type of address"] = { "\5\1\0\5\1\0\9", "answer \5\0",
      "refused \5\8\0\1\0\0\0\0\0\0 unknown type of address" },
    ["5, a name with a blank"] = { "\5\1\0\5\1\0\3\3a b\0\22", "answer \5\0",
      "refused \5\1\0\1\0\0\0\0\0\0 no name of a host" },
    ["4, BIND"] = { "\4\2\0\80\127\0\0\1\0",
      "refused \0\91\0\0\0\0\0\0 only CONNECT is known, to a port" },
    ["4, port 0"] = { "\4\1\0\0\127\0\0\1\0",
      "refused \0\91\0\0\0\0\0\0 only CONNECT is known, to a port" },
    ["4a without a name"] = { "\4\1\0\80\0\0\0\7\0\0",
      "refused \0\91\0\0\0\0\0\0 no name of a host" },
    ["HTTP"] = { "G", "refused  the client does not speak SOCKS 4 or 5" },
  } do
    it("reads version " .. name, function()
      local expected = table.move(case, 2, #case, 1, {})
      assert.same(expected, (talk(case[1])))
      assert.same(expected, (talk(case[1], 1)))
    end)
  end

  it("takes no byte beyond the request", function()
    local socks = core.socks()
    socks:feed "\5"
    assert.equal(1, socks:need())
    socks:feed "\1"
    assert.equal(1, socks:need())
    assert.is_false(pcall(socks.feed, socks, "\0\5"))
    assert.is_false(pcall(socks.feed, socks, ""))
  end)

  it("ends a client that says no end", function()
    local steps = talk("\4\1\0\80\127\0\0\1" .. ("u"):rep(512))
    assert.same({ "refused  the request is too long" }, steps)
  end)

  it("tells how the connection went", function()
    local _, four = talk "\4\1\0\80\127\0\0\1\0"
    assert.equal("\0\90\0\0\0\0\0\0", four:finish "ok")
    assert.equal("\0\91\0\0\0\0\0\0", four:finish "denied")
    local _, five = talk "\5\1\0\5\1\0\1\10\0\0\5\0\22"
    for result, code in pairs { ok = 0, failed = 1, denied = 2, unreachable = 4, refused = 5 } do
      assert.equal("\5" .. string.char(code) .. "\0\1\0\0\0\0\0\0", five:finish(result))
    end
    assert.is_false(pcall(five.finish, five, "nonsense"))
  end)
end)
